"""Runs the SQL of `sql/*.sql` in its passes: create, match, settle, compare, prune, apply, history.

    match     staged rows become things, and things find their row of ISPyB
    settle    things that are one row become one; claims on keys are decided
    compare   what would be inserted and updated: this is the plan
    prune     which links would be deleted: this too
    apply     does it; afterwards match runs again, to learn the ids of what was inserted
    history   keeps what was done, with old and new values

Up to prune only the staging tables are written: an apply and a plan are the same to that point.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy.exc import DBAPIError

from sync.database.connection import DUPLICATE, NO_PARENT, code_of, words_of
from sync.database.sqlfiles import named, of_pass
from sync.database.statement import Statement
from sync.history.changes import ALL_CHANGES, IN_ORDER, PLANNED
from sync.model.entities import ENTITIES, Entity
from sync.reconcile.examining import Examining
from sync.reconcile.leaving import Leaving
from sync.schema.target import Target
from sync.statements.block import Outcome
from sync.statements.by_halves import WRITES, RefusedRow, RowsRefused, is_a_rows_fault, mark_refused, refused_rows
from sync.statements.play import Move, Player
from sync.statements.send import NO_VALUES, Runner, Values, origin_of
from sync.statements.staged_facts import Given
from sync.statements.temporary_tables import MOST_KEPT, Tables


def _matching() -> Iterator[tuple[Entity, str]]:
    """Parents before children: each is matched, then settled; one that waits for another, once that is matched."""
    waiting: list[Entity] = []
    for entity in ENTITIES:
        yield entity, "match"
        waiting.append(entity)
        for other in waiting.copy():
            if other.settled_after in (None, entity.name):
                waiting.remove(other)
                yield other, "settle"


MATCHING = tuple(_matching())
"""The passes that say who is who, in their order."""

Found = dict[tuple[str, str], Sequence[tuple[Any, ...]]]
"""Rows by entity and statement."""


class Overtaken(Exception):
    """Another writer changed what this run had matched; the transaction must start anew."""


class Reconciliation:
    """One run's staging tables and the statements on them.

    actions  what is to be done with each entity, as `sync.reconcile.findings.fill` finds it: insert, update, delete
    leaving  what is left to ISPyB
    examining  which documents must be examined, and which a later run need not
    doomed   how many links of it are to be deleted
    """

    def __init__(self, runner: Runner, target: Target, left: Collection[Entity] = ()) -> None:
        self._runner = runner
        self._target = target
        self.actions: dict[str, set[str]] = {}
        self.doomed: dict[str, int] = {}
        self._given = Given(target)
        self._player = Player(runner, target, self._given)
        self._tables = Tables(runner, target)
        self.leaving = Leaving(runner, target, left)
        self.examining = Examining(runner, self._player, self._given)

    def create(self) -> None:
        """Makes the staging tables, unless they are there."""
        self._now = self._runner.connection.exec_driver_sql("SELECT NOW()").scalar_one()
        if not self._tables.take():
            self._tables.drop()
            self._play((entity, "create") for entity in ENTITIES)

    def stage(self, entity: Entity, columns: Sequence[Sequence[Any]]) -> None:
        """Notes that rows of an entity are staged."""
        self._given.see(entity, columns)
        self.leaving.see(entity, columns)

    @property
    def staged_rows(self) -> int:
        """How many rows are staged."""
        return self._given.rows.total()

    def is_staged(self, entity: Entity) -> bool:
        """Whether the entity has staged rows."""
        return entity.name in self._given.rows

    def put_away(self, *, keep: bool) -> None:
        """Ends the use of the staging tables; `keep` is whether another run on this connection may follow."""
        if keep and self._given.rows.total() <= MOST_KEPT:
            self._tables.keep()
        else:
            self._tables.drop()

    def match(self) -> None:
        """Finds who is who, and refuses what cannot be decided."""
        self._player.forget()
        matching = [(entity, pass_) for entity, pass_ in MATCHING if self.is_staged(entity)]
        if not self.leaving.is_needed:
            self._play(matching)
            return
        for entity, pass_ in matching:
            self._play([(entity, pass_)])
            if pass_ == "settle":
                self.leaving.mark(entity)

    def compare(self) -> None:
        """Finds what differs, column by column."""
        self._play((entity, "compare") for entity in self._staged())
        self.leaving.drop_actions(self._staged())

    def prune(self, which: str, unread: Iterable[str]) -> None:
        """Finds the links that the export no longer names, and dooms none of them, the tool's own, or all.

        unread   proposals of which a document could not be read: nothing of theirs is doomed
        """
        values = {"prune": which, "unread": ",".join(unread)}
        self._play(((entity, "prune") for entity in self._written()), values)

    def apply(self, again: str | None = None, begins: Callable[[Entity], None] = lambda _: None) -> None:
        """Writes to ISPyB.

        begins  is told of each entity before it is written
        again   what the server said when an earlier attempt failed as if another writer had come in between

        Raises Overtaken where a row that was inserted or is to be deleted is not found again; RowsRefused for rows
        that the database refuses for a reason of its own; DBAPIError where another writer may have come in between.
        """
        for entity in self._written():
            begins(entity)
            actions = self.actions[entity.name]
            moves = [m for m in self._player.moves(entity, "apply") if m.statement.does in (None, *actions)]
            if "insert" in actions:
                self._player.find(entity, "inserted")
                moves += self._looking_again(entity)
            try:
                outcomes = self._player.play(moves, {"now": self._now})
            except DBAPIError as error:
                self._refuse_rows(entity, moves, error, again)
                raise
            self._check(entity, outcomes)

    def refuse(self, rows: Sequence[RefusedRow]) -> None:
        """Leaves out what the database has refused, when the run starts anew."""
        mark_refused(self._runner, rows)

    def _refuse_rows(self, entity: Entity, moves: Sequence[Move], error: DBAPIError, again: str | None) -> None:
        """Raises RowsRefused where single rows are at fault: not before another writer is ruled out."""
        origin = origin_of(error)
        statement = next((m.statement for m in moves if m.statement.origin == origin), None)
        if statement is None or statement.does not in WRITES or not is_a_rows_fault(self._runner, error):
            return
        if code_of(error) in (DUPLICATE, NO_PARENT) and words_of(error) != again:
            return
        if rows := refused_rows(self._runner, entity, statement, self._player.conditions(entity), {"now": self._now}):
            raise RowsRefused(rows) from None

    def record(self, run: int) -> None:
        """Writes what was changed into the tool's own history, in the same transaction."""
        changed = ((entity, "history") for entity in self._staged() if self.actions[entity.name])
        self._play(changed, {"run": run, "now": self._now})

    def planned(self) -> Iterator[tuple[Any, ...]]:
        """What would be changed: rows of entity and what `sync.history.changes.read_changes` takes."""
        self._runner.run(named("history", "shadow_change"))
        self.record(PLANNED)
        values = {"run": PLANNED, "limit": ALL_CHANGES, "entities": IN_ORDER}
        yield from map(tuple, self._runner.run(named("history", "show_changes"), values=values) or ())

    def read(self, names: Collection[str]) -> Found:
        """The rows of statements of the report pass, of all entities at once, by entity and statement."""
        moves = [
            m for entity in self._staged() for m in self._player.moves(entity, "report", lambda s: s.name in names)
        ]
        outcomes = self._player.play(moves)
        return {
            (move.entity.name, move.statement.name): outcomes[move.statement].selected
            for move in moves
            if move.statement in outcomes
        }

    def rows(self, entity: Entity, name: str) -> Iterator[tuple[object, ...]]:
        """The rows of one statement of the report pass."""
        for statement in of_pass(entity.name, "report"):
            if statement.name == name:
                yield from map(tuple, self._runner.run(statement, self._player.conditions(entity)) or ())

    def vanished(self, entity: Entity) -> Iterator[tuple[Any, ...]]:
        """Rows of ISPyB with an externalId that nothing of the export found or names: id, key, proposal, externalId."""
        return self.rows(entity, "vanished")

    def _looking_again(self, entity: Entity) -> Iterator[Move]:
        """Learns the ids of inserted rows by their keys, and looks for rows that another writer has added meanwhile."""
        for pass_ in ("match", "settle", "report"):
            yield from self._player.moves(entity, pass_, lambda s: s.again == "inserted")

    def _check(self, entity: Entity, outcomes: dict[Statement, Outcome]) -> None:
        """Whether what was written is what was planned: no link was gone already, no new row is lost or doubled."""
        for statement, outcome in outcomes.items():
            if statement.does == "delete" and outcome.rows != self.doomed[entity.name]:
                raise Overtaken(f"rows of {entity.table}")
            if statement.counts == "overtaken":
                ((odd,),) = outcome.selected
                if odd:
                    raise Overtaken(f"{odd} rows of {entity.table}")

    def _staged(self) -> Iterator[Entity]:
        return filter(self.is_staged, ENTITIES)

    def _written(self) -> Iterator[Entity]:
        return (entity for entity in self._staged() if entity not in self.leaving.entities)

    def _play(self, passes: Iterable[tuple[Entity, str]], values: Values = NO_VALUES) -> None:
        self._player.play([move for entity, pass_ in passes for move in self._player.moves(entity, pass_)], values)
