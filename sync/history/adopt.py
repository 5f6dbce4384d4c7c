"""Moves a deprecated key over to externalId: `ispyb-sync adopt ENTITY KEY`.

Each row that has the key and no externalId gets the key's number as its externalId, encoded as ever. A row whose number
another row holds, or shares, is left and told. It is a run of its own, in one transaction; `undo` takes it back.
"""

import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from sync.database import retry, rights, tool_schema
from sync.database.connection import DEADLOCK, DUPLICATE, LOCK_WAIT, Database, Ispyb, code_of, connected, failure
from sync.database.lock import Turn, run_lock
from sync.database.sqlfiles import of_pass, tables_made
from sync.database.statement import Statement, put_values, put_words
from sync.history import runs
from sync.history.changes import ALL_CHANGES, IN_ORDER, PLANNED, read_changes
from sync.model.entities import ENTITIES, Entity
from sync.model.errors import DatabaseError, UsageError
from sync.model.refusals import Refusal
from sync.model.report import Counts, Report
from sync.model.settings import Settings
from sync.schema.introspection import introspect

_AGAIN = {DEADLOCK, LOCK_WAIT, DUPLICATE}


def adopt(entity: str, key: str, database: Database, settings: Settings, *, write: bool = True) -> Report:
    """Fills externalId from a deprecated key, or with `write=False` says what that would be.

    Raises UsageError for an entity or key that is none of these, or that is left to ISPyB; DatabaseError. Nothing was
    written then.
    """
    replaced = {(known.name, field): known for known in ENTITIES for field in known.deprecated if field in known.keys}
    found = replaced.get((entity, key))
    if found is None:
        known = " or ".join(f"adopt {name} {field}" for name, field in replaced)
        raise UsageError(f"adopt {entity} {key}: externalId replaces no such key", hint=f"Give {known}.")
    if found in settings.left_entities:
        words = f"adopt {entity} {key} would write {entity}, which the setting leave leaves to ISPyB"
        raise UsageError(words, hint="Adopt it without that setting.")
    started = datetime.now(UTC).replace(tzinfo=None)
    for attempt in range(1, retry.ATTEMPTS + 1):
        try:
            with connected(database, settings) as ispyb:
                return _Adoption(found, key, ispyb, settings, started).report(write=write)
        except (DBAPIError, _Overtaken) as error:
            again = isinstance(error, _Overtaken) or code_of(error) in _AGAIN
            if isinstance(database, Connection) or not again or attempt == retry.ATTEMPTS:
                raise _final(error) from None
        time.sleep(retry.PAUSE_SECONDS * 2**attempt)
    raise AssertionError("the last attempt returns or raises")


class _Overtaken(Exception):
    """Another writer changed a row in between."""


def _final(error: DBAPIError | _Overtaken) -> DatabaseError:
    if isinstance(error, DBAPIError):
        return failure(error, "adopt.sql")
    return DatabaseError("other writers changed rows in between", hint="ISPyB is unchanged. Try again.")


class _Adoption:
    """One attempt, on one connection."""

    def __init__(self, entity: Entity, key: str, ispyb: Ispyb, settings: Settings, started: datetime) -> None:
        self._entity = entity
        self._key = key
        self._ispyb = ispyb
        self._settings = settings
        self._started = started

    def report(self, *, write: bool) -> Report:
        """Adopts, or plans to."""
        others = [entity for entity in ENTITIES if entity is not self._entity]
        rights.demand(self._ispyb, write=write, left=others)
        tool_schema.demand_own(self._ispyb)
        column = introspect(self._ispyb.connection)[self._entity].column(self._key)
        if column is None:
            raise UsageError(
                f"{self._entity.table} has no column {self._key}", hint="There is nothing left to move over."
            )
        self._words = {
            "an_entity": self._entity.name,
            "a_table": self._entity.table,
            "a_primary_key": self._entity.primary_key,
            "a_key": column.name,
            "a_field": self._key,
        }
        start = time.perf_counter()
        try:
            if write:
                with run_lock(self._ispyb, self._settings.lock_timeout) as turn:
                    report = self._written(turn)
            else:
                report = self._planned()
        finally:
            if not self._ispyb.connection.invalidated:
                with suppress(DBAPIError):  # on a connection of our own they go anyway
                    self._drop()
        report.seconds["total"] = time.perf_counter() - start
        return report

    def _planned(self) -> Report:
        report = self._found("planned")
        runs.ask(self._ispyb, "shadow_change")
        self._record(PLANNED)
        given = {"run": PLANNED, "limit": ALL_CHANGES, "entities": IN_ORDER}
        rows = runs.ask(self._ispyb, "show_changes", **given)
        report.changes = [change for row in rows for change in read_changes(row[0], [tuple(row)[1:]])]
        if self._ispyb.own:
            self._ispyb.connection.rollback()
        return report

    def _written(self, turn: Turn) -> Report:
        with retry.transaction(self._ispyb):
            report = self._found("applied")
            if not report.nothing_to_do:
                self._write(report, turn)
        return report

    def _write(self, report: Report, turn: Turn) -> None:
        updated = report.entities[self._entity.name].updated
        (statement,) = of_pass("adopt", "apply")
        if self._run(statement).rowcount != updated:
            raise _Overtaken
        export = f"adopt {self._entity.name} {self._key}"
        report.run = runs.record(self._ispyb, self._settings, report, self._started, export=export)
        self._record(report.run)
        turn.confirm(report.run)

    def _found(self, status: Any) -> Report:
        """What is to be filled, and what is left."""
        self._drop()
        for statement in of_pass("adopt", "find"):
            self._run(statement)
        report = Report("adopt", status, database=self._ispyb.called)
        counts, refusals = of_pass("adopt", "report")
        staged, updated, refused = map(int, self._run(counts).one())
        report.entities[self._entity.name] = Counts(staged, 0, updated, refused=refused)
        report.refusals = [self._refusal(row) for row in self._run(refusals)]
        if self._settings.mask:
            report.mask()
        return report

    def _refusal(self, row: Any) -> Refusal:
        target_id, code, number, held = row
        ids = f"{held} {target_id}" if code == "key_taken" else held or ""  # first the row that has the externalId
        command = self._entity.merge_command(ids)
        merge = command and f" (`{command}` prints the SQL)"
        return Refusal(
            entity=self._entity.name,
            code=code,
            document=None,
            proposal=None,
            path=f"{self._entity.name}:{target_id}",
            field=self._key,
            value=number,
            message=f"{self._key} {number} {_REASONS[code].format(held=held, merge=merge)}",
        )

    def _record(self, run: int) -> None:
        (statement,) = of_pass("adopt", "history")
        self._run(statement, run=str(run))

    def _run(self, statement: Statement, **values: str) -> Any:
        sql = put_values(self._ispyb.text(statement) or "", values)
        return self._ispyb.connection.exec_driver_sql(
            put_words(sql, self._words), execution_options={"no_parameters": True}
        )

    def _drop(self) -> None:
        names = ", ".join(tables_made(of_pass("adopt", "find"), self._ispyb))
        self._ispyb.connection.exec_driver_sql(f"DROP TEMPORARY TABLE IF EXISTS {names}")


_REASONS = {
    "key_taken": "is the externalId of another row already: {held}. The row is left; merge the two in ISPyB{merge}, "
    "or correct one.",
    "ambiguous_match": "belongs to several rows without an externalId: {held}. They are left; merge them in "
    "ISPyB{merge}, or correct them.",
    "value_not_allowed": "is no positive whole number of at most 18 digits. The row is left; correct it in ISPyB.",
}
