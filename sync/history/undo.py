"""Takes one run back, in one transaction: `ispyb-sync undo RUN`.

    load     the changes of the run, from history
    lock     their rows, so that nothing comes in between looking and deleting
    decide   children before parents: what has changed since, or is referred to, is kept
    apply    children before parents: inserted rows go, updated ones return to old values, deleted links come back

Up to decide only temporary tables are written: an undo and its plan are the same to that point. Refuses a run whose
changes history no longer has, one that is undone already, and an undo. A row that is kept is reported as a refusal.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.exc import DBAPIError

from sync.database import retry, rights, tool_schema
from sync.database.connection import DEADLOCK, DUPLICATE, LOCK_WAIT, LOST, Database, Ispyb
from sync.database.lock import Turn, run_lock
from sync.database.sqlfiles import for_entity, named, of_pass, tables_made
from sync.database.statement import Statement
from sync.history import runs, touched
from sync.history.changes import kept, read_changes
from sync.history.references import fillings, references, sees_all, unique_facts
from sync.model.entities import ENTITIES, Entity
from sync.model.errors import UsageError
from sync.model.report import Counts, Report
from sync.model.settings import Settings
from sync.schema.introspection import introspect
from sync.statements.attempts import tried
from sync.statements.send import Runner

_FOREIGN_KEYS = (1451, 1452)
_AGAIN = {DEADLOCK, LOCK_WAIT, DUPLICATE, *_FOREIGN_KEYS, *LOST}


class _Unconfirmed(Exception):
    """What is to be taken back is no longer what somebody was shown."""


def undo(
    run: int,
    database: Database,
    settings: Settings,
    *,
    write: bool = True,
    confirm: Callable[[Report], bool] | None = None,
) -> Report:
    """Takes back what a run wrote, or with `write=False` says what that would be.

    confirm   is shown what is about to be taken back, and answers; nothing is held meanwhile, and it is asked anew if
              that has changed by then. None: nobody is asked

    Raises UsageError where the run cannot be taken back, DatabaseError where the server fails: nothing was written.
    """
    started = datetime.now(UTC).replace(tzinfo=None)

    def attempt(*, write: bool, may_write: bool, agreed: object = None) -> Report:
        def once(ispyb: Ispyb) -> Report:
            return _Undo(run, ispyb, settings, started, agreed).report(write=write, may_write=may_write)

        return tried(once, database, settings, _AGAIN)

    while True:
        agreed = None
        if write and confirm is not None:
            shown = attempt(write=False, may_write=True)
            if not shown.nothing_to_do and not confirm(shown):
                return replace(shown, status="declined")
            agreed = shown.shown
        with suppress(_Unconfirmed):
            return attempt(write=write, may_write=write, agreed=agreed)


class _Undo:
    """One attempt, on one connection; `agreed` is what somebody was shown, None where nobody was asked."""

    def __init__(self, run: int, ispyb: Ispyb, settings: Settings, started: datetime, agreed: object) -> None:
        self._run = run
        self._ispyb = ispyb
        self._settings = settings
        self._started = started
        self._agreed = agreed
        self._runner = Runner(ispyb)
        self._values = {"undone": run, "started": started}
        self._entities = [entity for entity in ENTITIES if entity not in settings.left_entities]

    def report(self, *, write: bool, may_write: bool) -> Report:
        """Undoes, or plans to; `may_write`: the rights to undo are needed already, since that follows."""
        left, delete = self._settings.left_entities, self._entities if may_write else ()
        rights.demand(self._ispyb, write=may_write, delete=delete, left=left)
        tool_schema.demand_own(self._ispyb)
        tool_schema.demand_own_run(self._ispyb, self._run)
        start = time.perf_counter()
        try:
            if not write:
                report = self._planned()
            else:
                with run_lock(self._ispyb, self._settings.lock_timeout) as turn:
                    report = self._written(turn)
        finally:
            if not self._ispyb.connection.invalidated:
                with suppress(DBAPIError):  # on a connection of our own they go anyway
                    self._drop()
        report.seconds["total"] = time.perf_counter() - start
        if self._settings.mask:
            report.mask()
        return report

    def _planned(self) -> Report:
        self._prepare(lock=False)
        report = self._filled("planned")
        report.changes = [change for row in self._rows("changes") for change in read_changes(row[0], [row[1:]])]
        if self._ispyb.own:
            self._ispyb.connection.rollback()
        return report

    def _written(self, turn: Turn) -> Report:
        """Everything in one transaction; in a caller's, in a savepoint of it."""
        for (done,) in self._rows("find_undo"):
            return runs.read(self._ispyb, done).report  # its commit was not answered
        with retry.transaction(self._ispyb):
            self._prepare(lock=True)
            report = self._filled("applied")
            if not report.nothing_to_do:
                if self._agreed not in (None, report.shown):
                    raise _Unconfirmed
                self._apply()
                turn.confirm(self._record(report))
        return report

    def _prepare(self, *, lock: bool) -> None:
        """Loads the changes and decides about each."""
        self._check()
        self._target = introspect(self._ispyb.connection)
        self._unique = unique_facts(self._ispyb.connection)
        self._drop()
        self._all("create")
        for entity in ENTITIES:
            self._each(of_pass(entity.name, "undo_create"), entity)
        self._all("load")
        if lock:
            for entity in self._entities:
                self._each(of_pass("undo", "lock"), entity)
        if not sees_all(self._ispyb):
            for entity in ENTITIES:
                self._each(of_pass("undo", "unseen"), entity)
        made = list(fillings(self._ispyb))
        made += [(reference.entity, reference.statement(self._ispyb)) for reference in references(self._ispyb)]
        for entity in reversed(ENTITIES):
            self._each((*of_pass("undo", "decide"), *of_pass(entity.name, "undo_decide")), entity)
            for statement in (sql for owner, sql in made if owner is entity):
                self._ispyb.connection.exec_driver_sql(statement, execution_options={"no_parameters": True})
            self._each((*of_pass("undo", "claim"), *of_pass(entity.name, "undo_claim")), entity)
            self._all("settle")

    def _check(self) -> None:
        """Refuses a run that cannot be taken back."""
        past = runs.read(self._ispyb, self._run, limit=0).report
        if past.mode == "undo":
            raise UsageError(
                f"run {self._run} is an undo itself", hint=f"Apply the export of run {past.undoes} again instead."
            )
        if past.status == "undone":
            ((by,),) = self._rows("undone_by")
            raise UsageError(f"run {self._run} is undone already, by run {by}", hint="`ispyb-sync history` lists them.")
        for entity in self._settings.left_entities:
            if past.entities[entity.name].actions or past.entities[entity.name].deleted:
                words = f"run {self._run} wrote {entity.name}, which the setting leave now leaves to ISPyB"
                raise UsageError(words, hint="Undo it without that setting.")
        ((stored,),) = self._rows("kept_changes")
        if not stored and not past.nothing_to_do:
            raise UsageError(
                f"the changes of run {self._run} are no longer in history", hint="`history purge` has forgotten them."
            )

    def _filled(self, status: Any) -> Report:
        """What is done and what is kept."""
        report = Report("undo", status, undoes=self._run, database=self._ispyb.called)
        for entity, staged, inserted, updated, refused, deleted in self._rows("counts"):
            report.entities[entity] = Counts(
                int(staged), int(inserted), int(updated), refused=int(refused), deleted=int(deleted)
            )
        report.refusals.extend(kept(row, self._ispyb.schema) for row in self._rows("kept"))
        if self._settings.mask:
            report.mask()  # before history keeps it
        return report

    def _apply(self) -> None:
        for entity in reversed(self._entities):
            own = of_pass(entity.name, "undo_apply")
            self._each((*of_pass("undo", "delete"), *own, *of_pass("undo", "update")), entity)

    def _record(self, report: Report) -> int:
        """Keeps the undo as a run of its own, and marks the run that it took back; returns its number."""
        report.run = run = runs.record(
            self._ispyb, self._settings, report, self._started, export=f"run {self._run}", undoes=self._run
        )
        self._all("history", run=run)
        touched.touch(self._runner, run, report.refusals, staged=None)
        return run

    def _all(self, pass_: str, **values: object) -> None:
        for statement in of_pass("undo", pass_):
            self._runner.run(statement, values=self._values | values)

    def _each(self, statements: Iterable[Statement], entity: Entity) -> None:
        """Statements as they are for one entity: those on stand-ins, and its own."""
        conditions = self._target.conditions(entity).with_facts(self._unique[entity.name])
        self._runner.run_all((for_entity(statement, entity) for statement in statements), conditions, self._values)

    def _rows(self, name: str) -> Iterator[Any]:
        result = self._runner.run(named("undo", name), values=self._values)
        assert result is not None
        return iter(result.all())

    def _drop(self) -> None:
        made = [*of_pass("undo", "create"), *(s for e in ENTITIES for s in of_pass(e.name, "undo_create"))]
        self._runner.drop(*tables_made(made, self._ispyb))
