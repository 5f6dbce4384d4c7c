"""The whole road of a run; read this first.

    export -> read -> validate -> stage -> match -> compare -> apply -> report

Staging happens before the transaction on ISPyB's tables begins, so other writers wait only for the write phase.
A run is all or nothing. A deadlock, a lock wait, another writer in between: the transaction starts anew. A lost
connection: the run starts anew, where the export can be read again. A commit that was not answered: the run's
row in the tool's own table says whether it happened.
"""

import time
from collections.abc import Callable
from contextlib import nullcontext, suppress
from datetime import UTC, datetime
from itertools import count

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from sync.database import retry, tool_schema
from sync.database.connection import LOST, Ispyb, code_of, connected, failure
from sync.database.lock import run_lock
from sync.database.rights import demand
from sync.database.sqlfiles import named
from sync.model.entities import LINKS, Entity
from sync.model.errors import DatabaseError, Unreachable, UsageError
from sync.model.report import Report
from sync.model.settings import Settings
from sync.read.closest import folded
from sync.read.copied import Copied
from sync.read.reader import ExportInfo
from sync.read.turning.origin import Origins
from sync.reconcile.documents import Reading
from sync.reconcile.left_out import Drawn
from sync.reconcile.reconciliation import Reconciliation
from sync.reconcile.request import Attempt, Request, timed
from sync.reconcile.transaction import CommitUnanswered, Writing
from sync.schema.alike import folding
from sync.schema.introspection import introspect
from sync.stage.columns import Columns
from sync.stage.load import Background, Loader
from sync.stage.stager import Stager
from sync.statements.live_ispyb import LiveIspyb, with_target
from sync.statements.open_connection import kept
from sync.statements.send import origin_of
from sync.verify.digests import Digests
from sync.verify.fingerprints import Fingerprints, Repeated

BELIEVED_SECONDS = 10
"""How long an open connection's database is taken for what it was when last looked at."""

MOST_READINGS = 4
"""So often an export is read, with more of its documents each time; the last time all are examined."""


def run(request: Request) -> Report:
    """Reconciles one export with ISPyB: everything, or nothing. Raises SyncError; nothing was written then."""
    wanted = request.wanted
    if request.settings.full and wanted:
        raise UsageError(
            "--full with --proposal: some proposals are not the whole facility", hint="Leave out one of the two."
        )
    attempt = 1
    while True:
        try:
            with connected(request.ispyb, request.settings) as ispyb:
                return _reconcile(request, ispyb)
        except (CommitUnanswered, DBAPIError, Unreachable) as raised:
            if isinstance(raised, CommitUnanswered) and _was_committed(request, raised):
                return raised.report
            error = raised.error if isinstance(raised, CommitUnanswered) else raised
        if attempt == retry.ATTEMPTS or not _worth_another(request, error, attempt):
            raise error if isinstance(error, Unreachable) else failure(error, origin_of(error)) from None
        time.sleep(retry.PAUSE_SECONDS * 2**attempt)
        attempt += 1


def _worth_another(request: Request, error: DBAPIError | Unreachable, attempt: int) -> bool:
    """Whether to start anew: a server that was there may come back, and a stream cannot be read again."""
    if isinstance(error, Unreachable):
        return attempt > 1
    return code_of(error) in LOST and not isinstance(request.ispyb, Connection) and request.can_be_read_again


def validate(request: Request) -> Report:
    """Reads and validates an export; asks no database."""
    report = Report("validate", "validated")
    with timed(report, "total"), Reading(request, report) as reading:
        for _valid in reading.documents():
            pass
        reading.finish()
        reading.origins.rename(report)
        if request.settings.mask:
            report.mask()
    return report


def _reconcile(request: Request, opened: Ispyb) -> Report:
    """One attempt. Documents that turn out to matter although they are as they were are read, and staged, with those
    that are not; at last all are."""
    start = time.perf_counter()
    settings = request.settings
    ispyb = _look(opened, settings, write=request.write)
    fingerprints: Fingerprints | None = None
    if settings.leaves_out or (request.write and not settings.leave):
        fingerprints = Fingerprints(ispyb, settings, chosen=bool(request.wanted))
    with Copied() if settings.leaves_out else nullcontext() as copied:
        attempt = Attempt(request, ispyb, fingerprints, Digests(ispyb), copied)
        ended = False
        try:
            for reading in count(1):
                try:
                    report = _once(attempt)
                    ended = True
                    break
                except (Drawn, Repeated) as again:
                    if fingerprints is None:
                        raise
                    fingerprints.examine(again.labels if reading < MOST_READINGS else fingerprints.left_out)
        finally:
            _put_away(attempt, attempt.digests.put_away, ended=ended)
    report.seconds["total"] = time.perf_counter() - start
    return report


def _once(attempt: Attempt) -> Report:
    """Reads and stages what must be examined, decides, and writes. Raises Drawn, Repeated."""
    started = datetime.now(UTC).replace(tzinfo=None)
    request, ispyb, fingerprints = attempt.request, attempt.ispyb, attempt.fingerprints
    report = attempt.report()
    reconciliation = Reconciliation(ispyb, request.settings.left_entities)
    ended = False
    try:
        reconciliation.create()
        if fingerprints is not None:
            fingerprints.begin()
        origins, export = _stage(attempt, report, reconciliation)
        if fingerprints is not None and fingerprints.left_out:
            with timed(report, "verify"):
                differing = attempt.digests.differing(fingerprints.left_out)
            if differing:
                raise Drawn(differing)
        if ispyb.own:
            ispyb.connection.commit()  # the staged rows stay when the transaction starts anew
        writing = Writing(attempt, report, reconciliation, origins, export, started)
        if request.write:
            writing.write()
        else:
            writing.plan()
        ended = True
    except (Drawn, Repeated):
        ended = True
        raise
    finally:
        _put_away(attempt, reconciliation.put_away, ended=ended)
    return report


def _put_away(attempt: Attempt, tables: Callable[[bool], None], *, ended: bool) -> None:
    """Empties temporary tables for the next run on a caller's connection; drops those of a run that has not ended,
    and those on a connection that goes back to its pool."""
    if attempt.leaves_connection:
        with suppress(DBAPIError):
            tables(ended and not attempt.ispyb.own)


def _look(ispyb: Ispyb, settings: Settings, *, write: bool) -> LiveIspyb:
    """What the live database is, where the account may do what the run needs and the migrations are made.

    On one open connection this is believed for a while, since looking takes longer than a small export does.
    """
    left, last = settings.left_entities, kept(ispyb.connection)
    links = LINKS if settings.prune != "none" else ()
    prunes = tuple(entity for entity in links if entity not in left)
    asked = (ispyb.schema, ispyb.tool_schema, write, prunes, left, settings.left_fields)
    if asked in last.seen and time.monotonic() - last.seen[asked][0] < BELIEVED_SECONDS:
        return with_target(ispyb, last.seen[asked][1])
    demand(ispyb, write=write, delete=prunes, left=left)
    tool_schema.demand_own(ispyb)
    target = introspect(ispyb.connection).leaving(settings.left_fields)
    last.seen[asked] = time.monotonic(), target
    return with_target(ispyb, target)


def _stage(attempt: Attempt, report: Report, reconciliation: Reconciliation) -> tuple[Origins, ExportInfo]:
    """Reads the export into the staging tables; what is kept of it are the origins of its documents, and its name."""
    request, ispyb = attempt.request, attempt.ispyb
    start = time.perf_counter()
    fold = folding(ispyb.connection, ispyb.target, folded) if request.wanted else folded
    with (
        Reading(request, report, attempt.fingerprints, attempt.copied, fold) as reading,
        Background(Loader(ispyb)) as background,
    ):

        def load_columns(entity: Entity, columns: Columns) -> None:
            reconciliation.stage(entity, columns)
            background.load(entity, columns)

        clear = request.settings.nulls == "clear"
        stager = Stager(ispyb.target, load_columns, report.refusals.append, clear_nulls=clear)
        for valid in reading.documents():
            stager.add(valid)
        stager.flush()
        report.seconds["read"] = time.perf_counter() - start
        request.tell("loading what was read")
        background.finish()
    reading.finish()
    report.seconds["stage"] = background.seconds
    return reading.origins, reading.reader.info


def _was_committed(request: Request, unanswered: CommitUnanswered) -> bool:
    """Whether a run's row is there; the lock makes sure that the server has ended the lost transaction."""
    settings = request.settings
    which = {"run": unanswered.report.run, "started": unanswered.started}
    for attempt in range(1, retry.ATTEMPTS + 1):
        try:
            with connected(request.ispyb, settings) as ispyb:
                if ispyb.ask(named("history", "find_run"), **which).first() is not None:
                    return True
                with run_lock(ispyb, settings.lock_timeout):
                    return ispyb.ask(named("history", "find_run"), **which).first() is not None
        except (DBAPIError, DatabaseError) as error:
            if not isinstance(error, Unreachable) and code_of(error) not in LOST:
                break
            if attempt < retry.ATTEMPTS:
                time.sleep(retry.PAUSE_SECONDS * 2**attempt)  # the server may be starting again
    raise DatabaseError(
        f"the connection was lost during the commit: whether run {unanswered.report.run} is written is not known",
        hint="Apply the export again once the server answers: what is there already is not written twice.",
    )
