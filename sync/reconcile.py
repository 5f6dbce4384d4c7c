"""Runs the SQL of `sql/*.sql` in its passes: create, match, settle, compare, prune, apply, history.

    match     staged rows become things, and things find their row of ISPyB
    settle    things that are one row become one; claims on keys are decided
    compare   what would be inserted and updated: this is the plan
    prune     which links would be deleted: this too
    apply     does it; afterwards match runs again, to learn the ids of what was inserted
    history   keeps what was done, with old and new values

Up to prune only the staging tables are written: an apply and a plan are the same to that point.
"""

import re
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import groupby
from typing import Any

from sync.database import Runner
from sync.entities import ENTITIES, LAB_CONTACT, LABORATORY, PERSON, PROPOSAL, Entity
from sync.sqlfiles import Statement, load
from sync.target import Target

# Parents before children. A laboratory found by name is settled when it is known which people have it already.
_MATCHING = (
    (LABORATORY, "match"),
    (PERSON, "match"),
    (LABORATORY, "settle"),
    (PERSON, "settle"),
    *((entity, pass_) for entity in ENTITIES[ENTITIES.index(PROPOSAL) :] for pass_ in ("match", "settle")),
)
# What a statement finds decides whether later ones have anything to do: by the first word of its name.
_FINDINGS = {
    "join": "joined",
    "owner": "joined",
    "find_candidates": "candidates",
    "refuse_duplicate_key": "duplicates",
    "probe": "same_target",
    "claim": "claims",
    "list": "lists",
}
PLANNED = 0
"""Stands for the number of the run where there is none yet."""
ALL_CHANGES = 2**63 - 1
"""A limit that is none."""

_TABLE = re.compile(r"CREATE TEMPORARY TABLE (\S+)")


class Overtaken(Exception):
    """Another writer changed what this run had matched; the transaction must start anew."""


class Reconciliation:
    """One run's staging tables and the statements on them.

    staged   the entities that have staged rows
    actions  what is to be done with each entity, as `sync.report.fill` finds it: insert, update, delete
    """

    def __init__(self, runner: Runner, target: Target) -> None:
        self._runner = runner
        self._target = target
        self.staged: set[str] = set()
        self.actions: dict[str, set[str]] = {}
        self._doomed: dict[str, object] = {}
        self._findings: dict[str, set[str]] = {}

    def create(self) -> None:
        """Makes the staging tables: temporary, so private to the connection and gone with it."""
        statements = [(entity, statement) for entity in ENTITIES for statement in _pass(entity, "create")]
        self.drop()
        self._runner.connection.exec_driver_sql("SET @now = NOW()")
        for entity, statement in statements:
            self._run(entity, statement)

    def drop(self) -> None:
        """Drops the staging tables; on a connection of our own they would go anyway."""
        found = [
            _TABLE.search(statement.render((), self._runner.staging_schema) or "")
            for entity in ENTITIES
            for statement in _pass(entity, "create")
        ]
        names = ", ".join([f"`{self._runner.staging_schema}`.`change`", *(table[1] for table in found if table)])
        self._runner.connection.exec_driver_sql(f"DROP TEMPORARY TABLE IF EXISTS {names}")

    def match(self) -> None:
        """Finds who is who, and refuses what cannot be decided."""
        self._findings = {entity.name: set() for entity in ENTITIES}
        for entity, pass_ in _MATCHING:
            if entity.name in self.staged:
                for joins, statements in groupby(_pass(entity, pass_), lambda s: s.name.startswith("join_")):
                    if joins and pass_ == "match":
                        self._rounds(entity, list(statements))
                    else:
                        self._all(entity, statements)

    def compare(self) -> None:
        """Finds what differs, column by column."""
        for entity in self._staged():
            self._all(entity, _pass(entity, "compare"))

    def prune(self, which: str, unread: Iterable[str]) -> None:
        """Finds the links that the export no longer names, and dooms none of them, the tool's own, or all.

        unread   proposals of which a document could not be read: nothing of theirs is doomed
        """
        self._runner.connection.exec_driver_sql("SET @prune = %s, @unread = %s", (which, ",".join(unread)))
        for entity in self._staged():
            self._all(entity, _pass(entity, "prune"))
            self._doomed.pop(entity.name, None)
            for (doomed,) in self.rows(entity, "deleted"):
                self._doomed[entity.name] = doomed

    def apply(self) -> None:
        """Writes to ISPyB. Raises Overtaken where a row that was inserted or is to be deleted is not found again."""
        for entity in self._staged():
            for statement in _pass(entity, "apply"):
                if statement.name in ("insert", "update") and statement.name not in self.actions[entity.name]:
                    continue
                if statement.name == "prune":
                    self._delete_doomed(entity, statement)
                    continue
                with_parked_people = entity is LAB_CONTACT and statement.name == "release_person"
                if with_parked_people:
                    self._runner.connection.exec_driver_sql("SET SESSION foreign_key_checks = 0")
                result = self._run(entity, statement)
                if with_parked_people:
                    self._runner.connection.exec_driver_sql("SET SESSION foreign_key_checks = 1")
                if statement.name == "insert" and result:
                    self._find_inserted(entity)
                    self._find_rivals(entity)

    def record(self, run: int) -> None:
        """Writes what was changed into the tool's own history, in the same transaction."""
        self._runner.connection.exec_driver_sql("SET @run = %s", (run,))
        for entity in self._staged():
            if self.actions[entity.name]:
                self._all(entity, _pass(entity, "history"))

    def planned(self) -> Iterator[tuple[Any, ...]]:
        """What would be changed: rows of entity and what `sync.report.read_changes` takes."""
        (shadow,) = (statement for statement in load("history") if statement.pass_ == "plan")
        self._runner.run(shadow)
        self.record(PLANNED)
        (show,) = (statement for statement in load("history") if statement.name == "show_changes")
        sql = show.render((), self._runner.staging_schema) or ""
        yield from map(tuple, self._runner.connection.exec_driver_sql(sql, {"run": PLANNED, "limit": ALL_CHANGES}))

    def rows(self, entity: Entity, name: str) -> Iterator[tuple[object, ...]]:
        """The rows of one statement of the report pass."""
        for statement in _pass(entity, "report"):
            if statement.name == name:
                result = self._runner.run(statement, self._facts(entity))
                if result is not None:
                    yield from map(tuple, result)

    def vanished(self, entity: Entity) -> Iterator[tuple[Any, ...]]:
        """Rows of ISPyB with an externalId that nothing of the export found or names: id, key, proposal, externalId."""
        return self.rows(entity, "vanished")

    def joined_documents(self) -> set[int]:
        """Numbers of the documents that share their proposal with another one."""
        if "joined" not in self._findings[PROPOSAL.name]:
            return set()
        (statement,) = (statement for statement in load("fingerprint") if statement.name == "joined_documents")
        return {number for (number,) in self._runner.run(statement) or ()}

    def _delete_doomed(self, entity: Entity, statement: Statement) -> None:
        """Deletes links; where there is nothing to delete, an account without that right will do."""
        doomed = self._doomed.get(entity.name)
        if doomed and self._run(entity, statement) != doomed:
            raise Overtaken(f"rows of {entity.table}")

    def _find_inserted(self, entity: Entity) -> None:
        """Learns the ids of inserted rows by the keys they were inserted with."""
        again = [s for s in _pass(entity, "match") if s.name.startswith(("match_", "find_"))]
        share = [s for s in _pass(entity, "settle") if s.name == "share"]
        if not again:
            return
        self._findings[entity.name].add("inserted")
        self._all(entity, [*again, *share])
        ((unplaced,),) = self.rows(entity, "unplaced")
        if unplaced:
            raise Overtaken(f"{unplaced} rows of {entity.table}")

    def _find_rivals(self, entity: Entity) -> None:
        """Looks for rows that another writer has added meanwhile, where no unique key keeps two of them apart."""
        for (rivals,) in self.rows(entity, "rivals"):
            if rivals:
                raise Overtaken(f"{rivals} rows of {entity.table}")

    def _rounds(self, entity: Entity, joins: list[Statement]) -> None:
        """Joins by each key in turn until a round joins nothing more."""
        while sum([self._run(entity, statement) for statement in joins]) and len(joins) > 1:
            pass

    def _staged(self) -> Iterator[Entity]:
        return (entity for entity in ENTITIES if entity.name in self.staged)

    def _all(self, entity: Entity, statements: Iterable[Statement]) -> None:
        for statement in statements:
            self._run(entity, statement)

    def _run(self, entity: Entity, statement: Statement) -> int:
        result = self._runner.run(statement, self._facts(entity))
        if not result or not result.rowcount:
            return 0
        finding = _FINDINGS.get(statement.name) or _FINDINGS.get(statement.name.partition("_")[0])
        if finding is not None:
            self._findings[entity.name].add(finding)
        return result.rowcount

    def _facts(self, entity: Entity) -> frozenset[str]:
        """What the conditions of statements ask for: about the live table, and about this run."""
        facts = self._target[entity].facts
        findings = self._findings.get(entity.name)
        return facts | findings if findings else facts


@cache
def _pass(entity: Entity, pass_: str) -> tuple[Statement, ...]:
    return tuple(statement for statement in load(entity.name) if statement.pass_ == pass_)
