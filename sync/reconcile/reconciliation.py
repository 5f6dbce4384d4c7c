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
from dataclasses import replace
from typing import Any

from sqlalchemy.exc import DBAPIError

from sync.database.connection import DUPLICATE, NO_PARENT, code_of, words_of
from sync.database.sqlfiles import named, of_pass
from sync.database.statement import Statement
from sync.history.changes import ALL_CHANGES, IN_ORDER, PLANNED
from sync.model.conditions import Conditions
from sync.model.entities import ENTITIES, Entity
from sync.model.report import Counts
from sync.reconcile.leaving import Leaving
from sync.reconcile.plan import Found, Left, Plan
from sync.statements.block import Outcome
from sync.statements.by_halves import WRITES, RefusedRow, RowsRefused, is_a_rows_fault, mark_refused, refused_rows
from sync.statements.live_ispyb import LiveIspyb
from sync.statements.play import Move, Player, at_first
from sync.statements.send import Runner, origin_of
from sync.statements.staged_facts import Given
from sync.statements.temporary_tables import MOST_KEPT, PLANNED_CHANGES, STAGING, Tables


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


class Overtaken(Exception):
    """Another writer changed what this run had matched; the transaction must start anew."""


class Reconciliation:
    """One run's staging tables and the statements on them; what it finds is a `Plan`.

    leaving  what is left to ISPyB
    refused_rows  what the database has refused so far
    """

    def __init__(self, ispyb: LiveIspyb, left: Collection[Entity] = ()) -> None:
        self.ispyb = ispyb
        self.runner = Runner(ispyb)
        self.refused_rows: list[RefusedRow] = []
        self.leaving = Leaving(ispyb, left)
        self._given = Given(ispyb.target)
        self._tables = Tables(ispyb, STAGING)
        self._planned_changes: Tables | None = None
        self._now: object = None

    def create(self) -> None:
        """Makes the staging tables, unless they are there."""
        self._now = self.ispyb.connection.exec_driver_sql("SELECT NOW()").scalar_one()
        if not self._tables.take():
            player = Player(self.runner, at_first(self.ispyb.target, self._given))
            player.play_passes((entity, "create") for entity in ENTITIES)

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

    def put_away(self, keep: bool) -> None:
        """Ends the use of the staging tables; `keep` is whether another run on this connection may follow."""
        if self._planned_changes is not None:
            self._planned_changes.drop()
        if keep and self._given.rows.total() <= MOST_KEPT:
            self._tables.keep(filled=bool(self._given.rows))
        else:
            self._tables.drop()

    def plan(self, prune: str, unread: Iterable[str], told: Iterable[str]) -> Plan:
        """Finds who is who, what cannot be decided, what differs, and which links the export no longer names.

        prune    which of these links go: none, those of the tool's own, or all
        unread   proposals of which a document could not be read: no link of theirs goes
        told     names of statements of the report pass whose rows are wanted too
        """
        player = Player(self.runner, at_first(self.ispyb.target, self._given))
        self._match(player)
        player.play_passes((entity, "compare") for entity in self._staged())
        left = {entity.name: self.leaving.take(entity) for entity in self._staged()}
        values = {"prune": prune, "unread": ",".join(unread)}
        player.play_passes(((entity, "prune") for entity in self._written()), values)
        found = self._found(player, {"counts", "deleted", *told})
        counts = {e.name: _counts(e, found, left[e.name]) for e in self._staged()}
        return Plan(player.known, counts, left, found)

    def _match(self, player: Player) -> None:
        matching = [(entity, pass_) for entity, pass_ in MATCHING if self.is_staged(entity)]
        if not self.leaving.is_needed:
            player.play_passes(matching)
            return
        for entity, pass_ in matching:
            player.play_passes([(entity, pass_)])
            if pass_ == "settle":
                self.leaving.mark(entity)

    def apply(self, plan: Plan, again: str | None = None, begins: Callable[[Entity], None] = lambda _: None) -> Plan:
        """Writes to ISPyB; gives the plan with what is known then.

        begins  is told of each entity before it is written
        again   what the server said when an earlier attempt failed as if another writer had come in between

        Raises Overtaken where a row that was inserted or is to be deleted is not found again; RowsRefused for rows
        that the database refuses for a reason of its own; DBAPIError where another writer may have come in between.
        """
        player = Player(self.runner, plan.conditions)
        for entity in self._written():
            begins(entity)
            counts = plan.counts[entity.name]
            moves = [m for m in player.moves(entity, "apply") if m.statement.does in (None, *counts.actions)]
            if counts.inserted:
                player.find(entity, "inserted")
                moves += _looking_again(player, entity)
            try:
                outcomes = player.play(moves, {"now": self._now})
            except DBAPIError as error:
                self._refuse_rows(entity, moves, error, player.conditions(entity), again)
                raise
            _check(entity, outcomes, counts.deleted)
        return replace(plan, conditions=player.known)

    def refuse(self, rows: Sequence[RefusedRow]) -> None:
        """Leaves out what the database has refused, when the run starts anew: each time it is less."""
        left_out, refused = (
            {(row.entity.name, mention) for row in some for mention in row.mentions}
            for some in (self.refused_rows, rows)
        )
        assert not left_out & refused, f"left out, and written again: {left_out & refused}"
        self.refused_rows.extend(rows)
        mark_refused(self.runner, rows)

    def _refuse_rows(
        self, entity: Entity, moves: Sequence[Move], error: DBAPIError, known: Conditions, again: str | None
    ) -> None:
        """Raises RowsRefused where single rows are at fault: not before another writer is ruled out."""
        origin = origin_of(error)
        statement = next((m.statement for m in moves if m.statement.origin == origin), None)
        if statement is None or statement.does not in WRITES or not is_a_rows_fault(self.runner, error):
            return
        if code_of(error) in (DUPLICATE, NO_PARENT) and words_of(error) != again:
            return
        if rows := refused_rows(self.runner, entity, statement, known, {"now": self._now}):
            raise RowsRefused(rows) from None

    def record(self, plan: Plan, run: int) -> None:
        """Writes what was changed into the tool's own history, in the same transaction."""
        changed = ((entity, "history") for entity in self._staged() if plan.counts[entity.name].actions)
        Player(self.runner, plan.conditions).play_passes(changed, {"run": run, "now": self._now})

    def changes(self, plan: Plan) -> Iterator[tuple[Any, ...]]:
        """What would be changed: rows of entity and what `sync.history.changes.read_changes` takes."""
        self._planned_changes = Tables(self.ispyb, PLANNED_CHANGES)
        self.runner.run(named("history", "shadow_change"))
        self.record(plan, PLANNED)
        values = {"run": PLANNED, "limit": ALL_CHANGES, "entities": IN_ORDER}
        yield from map(tuple, self.runner.run(named("history", "show_changes"), values=values) or ())

    def rows(self, plan: Plan, entity: Entity, name: str) -> Iterator[tuple[Any, ...]]:
        """The rows of one statement of the report pass."""
        for statement in of_pass(entity.name, "report"):
            if statement.name == name:
                yield from map(tuple, self.runner.run(statement, plan.conditions[entity.name]) or ())

    def vanished(self, plan: Plan, entity: Entity) -> Iterator[tuple[Any, ...]]:
        """Rows of ISPyB with an externalId that nothing of the export found or names: id, key, proposal, externalId."""
        return self.rows(plan, entity, "vanished")

    def _found(self, player: Player, names: Collection[str]) -> Found:
        """The rows of statements of the report pass, of all entities at once."""
        moves = [m for e in self._staged() for m in player.moves(e, "report", lambda s: s.name in names)]
        outcomes = player.play(moves)
        return {
            (move.entity.name, move.statement.name): outcomes[move.statement].selected
            for move in moves
            if move.statement in outcomes
        }

    def _staged(self) -> Iterator[Entity]:
        return filter(self.is_staged, ENTITIES)

    def _written(self) -> Iterator[Entity]:
        return (entity for entity in self._staged() if entity not in self.leaving.entities)


def _looking_again(player: Player, entity: Entity) -> Iterator[Move]:
    """Learns the ids of inserted rows by their keys, and looks for rows that another writer has added meanwhile."""
    for pass_ in ("match", "settle", "report"):
        yield from player.moves(entity, pass_, lambda s: s.again == "inserted")


def _check(entity: Entity, outcomes: dict[Statement, Outcome], doomed: int) -> None:
    """Whether what was written is what was planned: no link was gone already, no new row is lost or doubled."""
    for statement, outcome in outcomes.items():
        if statement.does == "delete" and outcome.rows != doomed:
            raise Overtaken(f"rows of {entity.table}")
        if statement.counts == "overtaken":
            ((odd,),) = outcome.selected
            if odd:
                raise Overtaken(f"{odd} rows of {entity.table}")


def _counts(entity: Entity, found: Found, left: Left) -> Counts:
    """How many things of an entity the export names, and what becomes of them."""
    ((staged, inserted, updated, refused),) = found[entity.name, "counts"]
    counts = Counts(int(staged), int(inserted), int(updated), refused=int(refused) - left.new)
    counts.unchanged = counts.staged - counts.inserted - counts.updated - counts.refused
    counts.deleted = sum(int(deleted) for (deleted,) in found.get((entity.name, "deleted"), ()))
    return counts
