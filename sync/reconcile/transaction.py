"""The write phase: decides and writes in one transaction, which starts anew where other writers came in between.

A commit that the server did not answer is told as such: whether it happened, the run's row in history says.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from sync.database import retry
from sync.database.connection import DUPLICATE, LOST, NO_PARENT, OVERTAKEN, code_of, failure, words_of
from sync.database.lock import Turn, run_lock
from sync.history import runs
from sync.history.touched import touch
from sync.model.entities import DOCUMENT, ENTITIES
from sync.model.errors import DatabaseError, LimitError
from sync.model.refusals import Notice, Refusal
from sync.model.report import COMMITTING, Counts, Report
from sync.read.reader import ExportInfo
from sync.read.turning.origin import Origins
from sync.reconcile import prune_limit
from sync.reconcile.findings import TOLD, fill, find_vanished, refused_by_database
from sync.reconcile.left_out import Drawn, draw, links_left_out, remember
from sync.reconcile.plan import Plan
from sync.reconcile.reconciliation import Overtaken, Reconciliation
from sync.reconcile.request import Attempt, Request, timed, unread_proposals
from sync.statements.by_halves import RefusedRow, RowsRefused
from sync.statements.live_ispyb import LiveIspyb
from sync.statements.send import origin_of


class CommitUnanswered(Exception):
    """The connection was lost while the server committed."""

    def __init__(self, report: Report, started: datetime, error: DBAPIError) -> None:
        super().__init__()
        self.report = report
        self.started = started
        self.error = error


class _RolledBack(Exception):
    """--strict, and something was refused."""


class _Unconfirmed(Exception):
    """Somebody is to be asked, and was not yet shown this."""


@dataclass(frozen=True)
class _AsRead:
    """What reading alone has put into a report: each decision starts from it."""

    refusals: list[Refusal]
    warnings: list[Notice]
    documents_refused: int

    def restore(self, report: Report) -> None:
        report.refusals = self.refusals.copy()
        report.warnings = self.warnings.copy()
        report.documents_refused = self.documents_refused
        report.entities = {entity.name: Counts() for entity in ENTITIES}
        report.status = "applied"


@dataclass(frozen=True)
class Writing:
    """A run whose rows are staged; `started` is when it began to read the export, in UTC."""

    attempt: Attempt
    report: Report
    reconciliation: Reconciliation
    origins: Origins
    export: ExportInfo
    started: datetime

    @property
    def request(self) -> Request:
        """What is asked for."""
        return self.attempt.request

    @property
    def ispyb(self) -> LiveIspyb:
        """Where it is written."""
        return self.attempt.ispyb

    def plan(self) -> None:
        """Decides, and writes nothing. Raises Drawn."""
        try:
            plan = self._decide(changes=True)
        except Drawn:
            self._roll_back()
            raise
        if (excess := self._excess(plan)) is not None:
            self.report.warnings.append(Notice("prune_limit", f"apply would stop: {excess}", 1))
        self._roll_back()

    def write(self) -> None:
        """Applies. Where somebody is asked first, neither the run's lock nor a transaction is held until the answer.

        After it all is decided anew, and asked anew if that is not what was shown. Raises Drawn.
        """
        report, settings = self.report, self.request.settings
        as_read = _AsRead(report.refusals, report.warnings, report.documents_refused)
        agreed = None
        while True:
            with run_lock(self.ispyb, settings.lock_timeout, self.request.tell) as turn:
                if self._apply(as_read, agreed, turn):
                    return
            with timed(report, "confirm"):
                if self.request.confirm is None or not self.request.confirm(report):
                    report.status = "declined"
                    return
            agreed = report.shown

    def _apply(self, as_read: _AsRead, agreed: object, turn: Turn) -> bool:
        """One transaction; again where others came in between. False: it must be confirmed first."""
        attempt, again = 1, None
        while True:
            as_read.restore(self.report)
            try:
                with retry.savepoint(self.ispyb):
                    self._transaction(agreed, turn, again)
                return True
            except Drawn:
                self._roll_back()
                raise
            except RowsRefused as refused:
                self._roll_back()
                self._leave_out(refused.rows, as_read)
            except (_RolledBack, _Unconfirmed) as reason:
                self._roll_back()
                if isinstance(reason, _Unconfirmed):
                    return False
                self.report.status = "rolled_back"
                return True
            except (DBAPIError, Overtaken) as error:
                worth_it = isinstance(error, Overtaken) or code_of(error) in OVERTAKEN
                if not worth_it or (isinstance(error, DBAPIError) and not self._may_start_anew(error)):
                    raise
                self._roll_back()
                if attempt == retry.ATTEMPTS or (isinstance(error, Overtaken) and not self.ispyb.own):
                    raise _gave_up(error, attempt) from None
                time.sleep(retry.PAUSE_SECONDS * attempt)
                again = words_of(error) if isinstance(error, DBAPIError) else None
                attempt += 1

    def _may_start_anew(self, error: DBAPIError) -> bool:
        """In a caller's transaction only after an error that has left the savepoint there."""
        return self.ispyb.own or code_of(error) in (DUPLICATE, NO_PARENT)

    def _leave_out(self, rows: Sequence[RefusedRow], as_read: _AsRead) -> None:
        """Without rows that the database refuses: what hangs on them is decided again."""
        self.reconciliation.refuse(rows)
        if self.ispyb.own:  # the marks stay in the staging tables
            self.ispyb.connection.commit()
        as_read.refusals.extend(map(refused_by_database, rows))

    def _transaction(self, agreed: object, turn: Turn, again: str | None) -> None:
        report, request = self.report, self.request
        plan = self._decide(changes=False)
        if (excess := self._excess(plan)) is not None:
            raise LimitError(excess, hint=prune_limit.HINT)
        if request.settings.strict and report.refusals:
            raise _RolledBack
        if request.confirm is not None and not report.nothing_to_do and report.shown != agreed:
            raise _Unconfirmed
        if not report.nothing_to_do:
            with timed(report, "apply"):
                plan = self.reconciliation.apply(plan, again, lambda entity: request.tell_of(entity, report))
        request.tell("writing history")
        report.run = self._record()
        self.reconciliation.record(plan, report.run)
        fingerprints = self.attempt.fingerprints
        verified = set() if fingerprints is None else fingerprints.names
        staged = report.entities[DOCUMENT.name].staged
        touch(self.reconciliation.runner, report.run, report.refusals, staged=staged, verified=verified)
        if fingerprints is not None:
            request.tell("noting what is verified")
            with timed(report, "verify"):
                remember(self.reconciliation.runner, plan, fingerprints, self.attempt.digests, report.refusals)
        turn.confirm(report.run)
        if self.ispyb.own:
            request.tell(COMMITTING)
            _commit(self.ispyb.connection, report, self.started)

    def _decide(self, *, changes: bool) -> Plan:
        """What is to be done, which the report tells too. Raises Drawn."""
        report, settings, reconciliation = self.report, self.request.settings, self.reconciliation
        self.request.tell(f"matching {reconciliation.staged_rows:,} rows")
        with timed(report, "match"):
            plan = reconciliation.plan(settings.prune, unread_proposals(report), TOLD)
            draw(self.ispyb, plan, self.attempt.fingerprints)
            fill(report, plan, reconciliation, self.origins, changes=changes)
            if settings.full:
                find_vanished(report, plan, reconciliation)
            self.origins.rename(report)
            if settings.mask:
                report.mask()
        return plan

    def _excess(self, plan: Plan) -> str | None:
        also = partial(links_left_out, self.reconciliation.runner, self.attempt.fingerprints)
        return prune_limit.excess(plan, self.reconciliation, self.request.settings.prune_limit, also)

    def _record(self) -> int:
        """Writes the run into the tool's own schema; returns its number."""
        return runs.record(
            self.ispyb,
            self.request.settings,
            self.report,
            self.started,
            export=self.export.name,
            nbytes=self.export.bytes,
            sha256=self.export.sha256,
            asked=self.request.asked_by,
            proposals=sorted(self.request.wanted),
        )

    def _roll_back(self) -> None:
        if self.ispyb.own:
            retry.roll_back(self.ispyb.connection)


def _gave_up(error: DBAPIError | Overtaken, attempts: int) -> DatabaseError:
    if isinstance(error, DBAPIError):
        return failure(error, origin_of(error))
    return DatabaseError(
        f"other writers changed {error} in between, in {attempts} attempts", hint="ISPyB is unchanged. Try again."
    )


def _commit(connection: Connection, report: Report, started: datetime) -> None:
    try:
        connection.commit()
    except DBAPIError as error:
        if code_of(error) in LOST:
            raise CommitUnanswered(report, started, error) from None
        raise
