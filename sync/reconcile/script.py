"""A run as a script of SQL: what `ispyb-sync sql` prints, for a DBA to read, and to paste into a client of any kind.

The statements are those of a run on the database at hand, in the same order, each under its origin and its sentence.
A run leaves out what would find nothing; the script has all of it, as it does no harm. Statements that run in rounds
stand in a loop. Nothing is kept in the tool's history, and neither what is left out nor the setting `leave` counts.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

from sync.database.connection import settings_as_sql
from sync.database.sqlfiles import load, named, of_pass
from sync.database.statement import Statement, literal, origin_and_text, put_values
from sync.history.changes import ALL_CHANGES, IN_ORDER, PLANNED
from sync.model.conditions import Conditions
from sync.model.entities import ENTITIES, Entity
from sync.model.report import Report
from sync.model.settings import Settings
from sync.reconcile import leaving
from sync.reconcile.documents import Reading
from sync.reconcile.reconciliation import MATCHING
from sync.reconcile.request import Request, unread_proposals
from sync.stage.stager import Stager
from sync.statements.live_ispyb import LiveIspyb
from sync.statements.staged_facts import Given

_ROWS_AT_ONCE = 200
_VALUES = {name: f"@{name}" for name in ("now", "run", "prune", "unread")}
_VALUES |= {"limit": str(ALL_CHANGES), "entities": literal(IN_ORDER)}
"""What stands in place of the values of a run: variables, which the head of the script sets, for readers to edit."""
_FINDINGS = {s.finds for entity in ENTITIES for s in load(entity.name) if s.finds is not None} | {"inserted"}


class Script:
    """The statements of a run on one database, as text.

    ispyb     is not asked: the connection may be closed
    entity    only the statements of this one; None: the whole run
    """

    def __init__(self, ispyb: LiveIspyb, settings: Settings, entity: Entity | None = None) -> None:
        self._ispyb = ispyb
        self._settings = settings
        self._entities = ENTITIES if entity is None else (entity,)
        self._whole = entity is None
        self._given: Given | None = None

    def lines(self, request: Request | None = None, *, write: bool) -> Iterator[str]:
        """The script, in pieces that end with their line. Raises SyncError where the export cannot be read.

        request   its export is staged; None: a line says where staged rows would stand
        write     whether it goes on where a plan ends: an apply, which is left to be committed
        """
        yield from self._head(write=write)
        yield from self._pass("create", lambda s: True)
        yield from self._staged(request)
        if self._whole and write:
            yield "\nSTART TRANSACTION;\n"
        for entity, pass_ in MATCHING:
            yield from self._of(entity, pass_)
            if pass_ == "settle":
                yield from self._left(entity)
        for pass_ in ("compare", "prune"):
            yield from self._pass(pass_, lambda s: True)
        yield from self._pass("report", lambda s: s.again is None)
        if write:
            yield from self._writing()
        yield from self._changes()
        if self._whole and write:
            yield "\n-- COMMIT;    or ROLLBACK: see the counts of `unplaced` and `rivals`, which must be 0\n"

    def _head(self, *, write: bool) -> Iterator[str]:
        ispyb, tool_schema, prune = self._ispyb.schema, self._ispyb.tool_schema, self._settings.prune
        yield f"-- ispyb-sync sql: {'an apply' if write else 'a plan'} on {ispyb}, as it runs there.\n"
        yield "-- Paste it into a new connection: its temporary tables are gone when that is closed.\n"
        if write:
            yield "-- The tool does not know what is applied by hand: neither history nor undo has it.\n"
        if not self._whole:
            yield "-- These are the statements of one entity, to be read; they run among those of all the others.\n"
        yield f"\nUSE `{ispyb}`;\nSET NAMES utf8mb4;\nSET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED;\n"
        yield f"{settings_as_sql()};\n"
        yield f"SET @now = NOW(), @run = {PLANNED}, @prune = '{prune}', @unread = '';\n"
        yield f"-- The temporary tables stand in {tool_schema}.\n"

    def _staged(self, request: Request | None) -> Iterator[str]:
        """The rows that an export stages, as INSERTs."""
        if request is None:
            yield "\n-- Here a run loads its staged rows. `ispyb-sync sql --export FILE` prints those of an export.\n"
            return
        report = Report("plan", "planned")
        self._given = Given(self._ispyb.target)
        pieces: list[str] = []

        def load_columns(entity: Entity, columns: Sequence[Sequence[Any]]) -> None:
            given = self._given
            assert given is not None
            given.see(entity, columns)
            pieces.extend(self._inserts(entity, zip(*columns, strict=True)))

        clear = self._settings.nulls == "clear"
        stager = Stager(self._ispyb.target, load_columns, report.refusals.append, clear_nulls=clear)
        with Reading(request, report) as reading:
            for valid in reading.documents():
                stager.add(valid)
                yield from pieces
                pieces.clear()
        stager.flush()
        yield from pieces
        if unread := ",".join(sorted(unread_proposals(report))):
            yield f"\nSET @unread = {literal(unread)};\n"
        if report.refusals:
            yield f"\n-- {len(report.refusals)} values and documents do not fit; `ispyb-sync plan` lists them.\n"

    def _inserts(self, entity: Entity, rows: Iterable[Sequence[Any]]) -> Iterator[str]:
        columns = ", ".join(self._ispyb.target[entity].staged_columns)
        every = list(rows)
        for first in range(0, len(every), _ROWS_AT_ONCE):
            several = every[first : first + _ROWS_AT_ONCE]
            values = ",\n    ".join(f"({', '.join(map(literal, row))})" for row in several)
            table = f"`{self._ispyb.tool_schema}`.stage_{entity.name}"
            yield f"\nINSERT INTO {table} ({columns}) VALUES\n    {values};\n"

    def _left(self, entity: Entity) -> Iterator[str]:
        """Marks what a run leaves to ISPyB."""
        if entity in self._entities and self._is_staged(entity):
            for sql in leaving.statements(entity, self._ispyb):
                origin, text = origin_and_text(sql)
                yield f"\n-- {origin.removeprefix('/* ').removesuffix(' */')}\n{text};\n"

    def _writing(self) -> Iterator[str]:
        """What apply does after a plan, entity by entity."""
        for entity in ENTITIES:
            yield from self._of(entity, "apply")
            for pass_ in ("match", "settle", "report"):
                yield from self._of(entity, pass_, lambda s: s.again == "inserted", title=f"{pass_}, again")

    def _changes(self) -> Iterator[str]:
        """What was done or would be, as history has it."""
        if self._whole:
            yield "\n\n-- changes: what is done, in a temporary table that hides the tool's own\n"
            yield from self._text(named("history", "shadow_change"), Conditions())
        yield from self._pass("history", lambda s: True)
        if self._whole:
            yield from self._text(named("history", "show_changes"), Conditions())

    def _pass(self, pass_: str, which: Callable[[Statement], bool]) -> Iterator[str]:
        for entity in ENTITIES:
            yield from self._of(entity, pass_, which)

    def _of(
        self, entity: Entity, pass_: str, which: Callable[[Statement], bool] = lambda s: True, title: str = ""
    ) -> Iterator[str]:
        """One pass of one entity, unless nothing of it is staged."""
        if entity not in self._entities or not (self._is_staged(entity) or pass_ == "create"):
            return
        conditions = self._conditions(entity)
        chosen = [s for s in of_pass(entity.name, pass_) if which(s) and s.render(conditions) is not None]
        if chosen:
            yield f"\n\n-- {entity.name}: {title or pass_}\n"
        for rounds, several in groupby(chosen, lambda s: s.rounds):
            statements = list(several)
            if rounds is None or len(statements) == 1:
                for statement in statements:
                    yield from self._text(statement, conditions)
                continue
            yield "\n-- in rounds, until one finds nothing more\nDELIMITER //\nBEGIN NOT ATOMIC\n"
            yield "DECLARE found BIGINT;\nREPEAT\nSET found = 0;\n"
            for statement in statements:
                yield from self._text(statement, conditions)
                yield "SET found = found + ROW_COUNT();\n"
            yield "UNTIL found = 0 END REPEAT;\nEND//\nDELIMITER ;\n"

    def _is_staged(self, entity: Entity) -> bool:
        return self._given is None or entity.name in self._given.rows

    def _conditions(self, entity: Entity) -> Conditions:
        """Everything that a statement may find is taken for found."""
        conditions = self._ispyb.target.conditions(entity).with_facts(_FINDINGS)
        if self._given is not None:
            return conditions.with_facts(self._given.facts(entity))
        live = set(entity.keys).difference(self._ispyb.target[entity].missing)
        facts = {"several", "given(clears)", "given(contradicts)", "given(unfit)", *(f"given({key})" for key in live)}
        return conditions.with_facts(facts | {f"lacks({key})" for key in entity.keys})

    def _text(self, statement: Statement, conditions: Conditions) -> Iterator[str]:
        sql = self._ispyb.text(statement, conditions)
        if sql is None:
            return
        source = f" is {statement.text_from}" if statement.text_from else ""
        yield f"\n-- {statement.origin}{source}\n"
        yield from (f"-- {line}\n" for line in statement.comment)
        yield f"{put_values(origin_and_text(sql)[1], _VALUES)};\n"
