"""The whole road of a run; read this first.

    export -> read -> validate -> stage -> match -> compare -> apply -> report

Staging happens before the transaction on ISPyB's tables begins, so other writers wait only for the write phase.
A run is all or nothing. A deadlock, a lock wait, another writer in between: the transaction starts anew. A lost
connection: the run starts anew, where the export can be read again. A commit that was not answered: the run's
row in the tool's own table says whether it happened.
"""

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from sync import prune, revision
from sync.database import (
    DEADLOCK,
    DUPLICATE,
    LOCK_WAIT,
    LOST,
    NO_PARENT,
    Database,
    Profile,
    Runner,
    code_of,
    connect,
    failure,
    roll_back,
)
from sync.entities import ENTITIES, PROPOSAL_HAS_PERSON, SESSION_HAS_PERSON, Entity
from sync.errors import DatabaseError, LimitError, Unreachable, UsageError
from sync.fields import Columns
from sync.fingerprints import Fingerprints, Repeated
from sync.load import Background, Loader
from sync.lock import Turn, run_lock
from sync.read import Export, Item, Reader
from sync.reconcile import Overtaken, Reconciliation
from sync.refusals import Notice, Refusal
from sync.report import Counts, Report, fill, find_vanished, storable
from sync.rights import demand
from sync.settings import Settings
from sync.sqlfiles import load
from sync.stage import Stager
from sync.target import Target, introspect
from sync.validate import Validator

ATTEMPTS = 5
BELIEVED_SECONDS = 10
_SEEN = "ispyb-sync has seen"
LONGEST_NAME = 1024
"""Characters of an export's name that history keeps: its last ones."""
_PAUSE_SECONDS = 0.2
OVERTAKEN = (DEADLOCK, LOCK_WAIT, DUPLICATE, NO_PARENT)
"""What the server says when another writer came in between."""

Progress = Callable[[Reader], None]
Confirm = Callable[[Report], bool]


class CommitUnanswered(Exception):
    """The connection was lost while the server committed."""

    def __init__(self, report: Report, started: datetime, error: DBAPIError) -> None:
        super().__init__()
        self.report = report
        self.started = started
        self.error = error


@dataclass
class Job:
    """One call: what to do, with which settings; `confirm` is shown what an apply is about to write."""

    export: Export
    database: Database = field(repr=False)
    settings: Settings
    write: bool
    proposals: frozenset[str] = frozenset()
    progress: Progress | None = None
    confirm: Confirm | None = None
    fingerprints: Fingerprints | None = None
    profile: list[Profile] = field(default_factory=list)


def run(job: Job) -> Report:
    """Reconciles one export with ISPyB: everything, or nothing. Raises SyncError; nothing was written then."""
    if job.settings.full and job.proposals:
        raise UsageError(
            "--full with --proposal: some proposals are not the whole facility", hint="Leave out one of the two."
        )
    if job.settings.full and job.settings.skip_unchanged:
        raise UsageError(
            "--full with --skip-unchanged: what is left out would be taken for vanished",
            hint="Leave out one of the two.",
        )
    attempt = 1
    while True:
        try:
            with connect(job.database) as connection:
                return _reconcile(job, connection)
        except Repeated:
            _skip_nothing(job)
            continue
        except (CommitUnanswered, DBAPIError, Unreachable) as raised:
            if isinstance(raised, CommitUnanswered) and _was_committed(job, raised):
                return raised.report
            error = raised.error if isinstance(raised, CommitUnanswered) else raised
        if attempt == ATTEMPTS or not _worth_another(job, error, attempt):
            raise error if isinstance(error, Unreachable) else failure(error, _origin(error)) from None
        time.sleep(_PAUSE_SECONDS * 2**attempt)
        attempt += 1


def _skip_nothing(job: Job) -> None:
    """A proposal has several documents, which only together say who is on it: all are read after all."""
    if not _can_be_read_again(job.export):
        raise UsageError(
            "--skip-unchanged left out one document of a proposal, and another one came after it",
            hint="Send all of a proposal in one document, or leave out --skip-unchanged.",
        )
    job.settings = job.settings.model_copy(update={"skip_unchanged": False})


def _worth_another(job: Job, error: DBAPIError | Unreachable, attempt: int) -> bool:
    """Whether to start anew: a server that was there may come back, and a stream cannot be read again."""
    if isinstance(error, Unreachable):
        return attempt > 1
    return code_of(error) in LOST and not isinstance(job.database, Connection) and _can_be_read_again(job.export)


def validate(job: Job) -> Report:
    """Reads and validates an export; asks no database."""
    report = Report("validate", "validated")
    with _timed(report, "total"):
        reader, validator = _read(job, report)
        for _valid in validator.documents(_watched(reader, job.progress)):
            pass
        _finish_reading(job, report, reader, validator)
        if job.settings.mask:
            report.mask()
    return report


def _reconcile(job: Job, connection: Connection) -> Report:
    settings = job.settings
    report = Report("apply" if job.write else "plan", "applied" if job.write else "planned")
    started = datetime.now(UTC).replace(tzinfo=None)
    runner = Runner(connection, settings.staging_schema)
    job.profile = runner.profile
    with _timed(report, "total"):
        target = _look(connection, settings, write=job.write)
        reconciliation = Reconciliation(runner, target)
        own = not isinstance(job.database, Connection)
        try:
            reconciliation.create()
            if job.write or settings.skip_unchanged:
                job.fingerprints = Fingerprints(connection, settings, target)
            reader = _stage(job, report, connection, target, reconciliation)
            if own:
                connection.commit()  # the staged rows stay when the transaction starts anew
            if job.write:
                _write(job, report, reconciliation, target, runner, reader, started, own)
            else:
                _decide(report, reconciliation, target, settings, changes=True)
                if (excess := prune.excess(report, reconciliation, settings.prune_limit)) is not None:
                    report.warnings.append(Notice("prune_limit", f"apply would stop: {excess}", 1))
                if own:
                    connection.rollback()
        finally:
            if isinstance(job.database, Connection | Engine) and not connection.invalidated:
                with suppress(DBAPIError):
                    reconciliation.drop()
    return report


def _look(connection: Connection, settings: Settings, *, write: bool) -> Target:
    """What the live database is, where the account may do what the run needs and the migrations are made.

    On one open connection this is believed for a while, since looking takes longer than a small export does.
    """
    prunes = (PROPOSAL_HAS_PERSON, SESSION_HAS_PERSON) if settings.prune != "none" else ()
    asked = (settings.staging_schema, write, prunes)
    seen = connection.info.get(_SEEN)
    if seen is not None and seen[0] == asked and time.monotonic() - seen[1] < BELIEVED_SECONDS:
        target: Target = seen[2]
        return target
    demand(connection, settings.staging_schema, write=write, delete=prunes)
    if not revision.is_current(connection, settings.staging_schema):
        raise DatabaseError(
            "the database is not migrated, or not to this version of the tool",
            hint="Run `ispyb-sync migrate`, or give a DBA the script of `ispyb-sync migrate --sql`.",
        )
    target = introspect(connection)
    connection.info[_SEEN] = asked, time.monotonic(), target
    return target


def _stage(job: Job, report: Report, connection: Connection, target: Target, reconciliation: Reconciliation) -> Reader:
    loader = Loader(connection, target, job.settings.staging_schema)
    start = time.perf_counter()
    reader, validator = _read(job, report)
    with Background(loader) as background:

        def load_columns(entity: Entity, columns: Columns) -> None:
            reconciliation.staged.add(entity.name)
            background.load(entity, columns)

        stager = Stager(target, load_columns, report.refusals.append, clear_nulls=job.settings.nulls == "clear")
        for valid in validator.documents(_watched(reader, job.progress)):
            stager.add(valid)
        stager.flush()
        report.seconds["read"] = time.perf_counter() - start
        background.finish()
    _finish_reading(job, report, reader, validator)
    report.seconds["stage"] = background.seconds
    return reader


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


def _write(
    job: Job,
    report: Report,
    reconciliation: Reconciliation,
    target: Target,
    runner: Runner,
    reader: Reader,
    started: datetime,
    own: bool,
) -> None:
    """Applies. Where somebody is asked first, neither the run's lock nor a transaction is held until the answer.

    After it all is decided anew, and asked anew if that is not what was shown.
    """
    as_read = _AsRead(report.refusals, report.warnings, report.documents_refused)
    agreed = None
    while True:
        with run_lock(runner.connection, job.settings.lock_timeout, runner.staging_schema, own=own) as turn:
            if _apply(job, report, as_read, agreed, reconciliation, target, runner, reader, started, own, turn):
                return
        with _timed(report, "confirm"):
            if job.confirm is None or not job.confirm(report):
                report.status = "declined"
                return
        agreed = _what_is_shown(report)


def _what_is_shown(report: Report) -> object:
    return report.entities, report.refusals


def _apply(
    job: Job,
    report: Report,
    as_read: _AsRead,
    agreed: object,
    reconciliation: Reconciliation,
    target: Target,
    runner: Runner,
    reader: Reader,
    started: datetime,
    own: bool,
    turn: Turn,
) -> bool:
    """Decides and writes, in one transaction; again where others came in between. False: it must be confirmed first."""
    connection = runner.connection
    for attempt in range(1, ATTEMPTS + 1):
        as_read.restore(report)
        try:
            with _savepoint(connection, own):
                _decide(report, reconciliation, target, job.settings, changes=False)
                if (excess := prune.excess(report, reconciliation, job.settings.prune_limit)) is not None:
                    raise LimitError(excess, hint=prune.HINT)
                if job.settings.strict and report.refusals:
                    raise _RolledBack
                if job.confirm is not None and not report.nothing_to_do and _what_is_shown(report) != agreed:
                    raise _Unconfirmed
                if not report.nothing_to_do:
                    with _timed(report, "apply"):
                        reconciliation.apply()
                report.run = _record(job, report, runner, reader, started)
                reconciliation.record(report.run)
                if job.fingerprints is not None:
                    job.fingerprints.remember({refusal.document for refusal in report.refusals})
                turn.confirm(report.run)
                if own:
                    _commit(connection, report, started)
            return True
        except (_RolledBack, _Unconfirmed) as reason:
            if own:
                roll_back(connection)
            if isinstance(reason, _Unconfirmed):
                return False
            report.status = "rolled_back"
            return True
        except (DBAPIError, Overtaken) as error:
            again = isinstance(error, Overtaken) or code_of(error) in OVERTAKEN
            if not again or (isinstance(error, DBAPIError) and not own):
                raise
            if own:
                roll_back(connection)
            if attempt == ATTEMPTS or not own:
                raise _gave_up(error, attempt) from None
            time.sleep(_PAUSE_SECONDS * attempt)
    raise AssertionError("the last attempt returns or raises")


class _RolledBack(Exception):
    """--strict, and something was refused."""


class _Unconfirmed(Exception):
    """Somebody is to be asked, and was not yet shown this."""


def _gave_up(error: DBAPIError | Overtaken, attempts: int) -> DatabaseError:
    if isinstance(error, DBAPIError):
        return failure(error, _origin(error))
    return DatabaseError(
        f"other writers changed {error} in between, in {attempts} attempts", hint="ISPyB is unchanged. Try again."
    )


def _decide(
    report: Report, reconciliation: Reconciliation, target: Target, settings: Settings, *, changes: bool
) -> None:
    with _timed(report, "match"):
        reconciliation.match()
        reconciliation.compare()
        invalid = (r for r in report.refusals if (r.entity, r.code) == ("proposal", "invalid_document"))
        reconciliation.prune(settings.prune, {r.proposal for r in invalid if r.proposal is not None})
        fill(report, reconciliation, target, changes=changes)
        if settings.full:
            find_vanished(report, reconciliation)
        if settings.mask:
            report.mask()


@contextmanager
def _savepoint(connection: Connection, own: bool) -> Iterator[None]:
    """In a caller's transaction, what a run wrote can be taken back without the caller's own work."""
    if own:
        yield
        return
    savepoint = connection.begin_nested()
    try:
        yield
    except BaseException:
        with suppress(DBAPIError):  # after a deadlock there is none: the server has ended the transaction
            savepoint.rollback()
        raise
    savepoint.commit()


def _commit(connection: Connection, report: Report, started: datetime) -> None:
    try:
        connection.commit()
    except DBAPIError as error:
        if code_of(error) in LOST:
            raise CommitUnanswered(report, started, error) from None
        raise


def _was_committed(job: Job, unanswered: CommitUnanswered) -> bool:
    """Whether a run's row is there; the lock makes sure that the server has ended the lost transaction."""
    (find,) = [s for s in load("history") if s.name == "find_run"]
    sql = find.render((), job.settings.staging_schema) or ""
    lock_timeout, schema = job.settings.lock_timeout, job.settings.staging_schema
    params = {"run": unanswered.report.run, "started": unanswered.started}
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with connect(job.database) as connection:
                if connection.exec_driver_sql(sql, params).first() is not None:
                    return True
                with run_lock(connection, lock_timeout, schema):
                    return connection.exec_driver_sql(sql, params).first() is not None
        except (DBAPIError, DatabaseError) as error:
            if not isinstance(error, Unreachable) and code_of(error) not in LOST:
                break
            if attempt < ATTEMPTS:
                time.sleep(_PAUSE_SECONDS * 2**attempt)  # the server may be starting again
    raise DatabaseError(
        f"the connection was lost during the commit: whether run {unanswered.report.run} is written is not known",
        hint="Apply the export again once the server answers: what is there already is not written twice.",
    )


def _record(job: Job, report: Report, runner: Runner, reader: Reader, started: datetime) -> int:
    """Writes the run into the tool's own schema; returns its number."""
    (record,) = [s for s in load("history") if s.name == "record_run"]
    stored = storable(report)
    settings = job.settings.model_dump(mode="json", exclude={"database"})
    result = runner.connection.exec_driver_sql(
        record.render((), runner.staging_schema) or "",
        {
            "mode": report.mode,
            "status": report.status,
            "started": started,
            "tool_version": version("ispyb-sync"),
            "export_name": reader.info.name[-LONGEST_NAME:],
            "export_bytes": reader.info.bytes,
            "export_sha256": reader.info.sha256,
            "settings": json.dumps(settings | {"proposals": sorted(job.proposals)}),
            "report": json.dumps(stored, default=str),
        },
    )
    return int(result.lastrowid)


def _read(job: Job, report: Report) -> tuple[Reader, Validator]:
    settings = job.settings
    prints = job.fingerprints
    reader = Reader(job.export, max_document_bytes=int(settings.max_document_mb * 1_000_000), prints=prints)
    validator = Validator(
        timezone=settings.timezone,
        proposals=job.proposals or None,
        refuse=report.refusals.append,
        fingerprints=prints,
    )
    return reader, validator


def _watched(reader: Reader, progress: Progress | None) -> Iterator[Item]:
    for item in reader:
        if progress is not None:
            progress(reader)
        yield item


def _finish_reading(job: Job, report: Report, reader: Reader, validator: Validator) -> None:
    report.documents_read = validator.read
    report.documents_refused = validator.refused
    report.warnings.extend(validator.notices())
    if job.fingerprints is not None and job.fingerprints.skipped:
        words = "documents left out, as they are as last applied; what others changed in ISPyB since is not seen"
        report.warnings.append(Notice("skipped_unchanged", words, job.fingerprints.skipped))


@contextmanager
def _timed(report: Report, phase: str) -> Iterator[None]:
    start = time.perf_counter()
    try:
        yield
    finally:
        report.seconds[phase] = time.perf_counter() - start


def _origin(error: BaseException) -> str | None:
    """The statement that an error came from, as `sync.database.Runner` notes it."""
    return next(iter(getattr(error, "__notes__", ())), None)


def _can_be_read_again(export: Export) -> bool:
    """Whether a second reading gives the same: a file or a dict, not a stream or a pipe."""
    return isinstance(export, dict) or (isinstance(export, str | os.PathLike) and os.path.isfile(export))
