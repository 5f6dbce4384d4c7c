"""Plays the statements of a pass in as few round trips as can be: what one finds decides which ones follow.

A condition such as `-- if: joined` asks whether an earlier statement of the same entity, one marked `-- finds: joined`,
found something. Up to there all statements go as one block (`sync.statements.block`), taken for finding nothing; where
one does, the next block begins.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby

from sync.database.sqlfiles import of_pass
from sync.database.statement import Statement
from sync.model.conditions import Conditions
from sync.model.entities import ENTITIES, Entity
from sync.schema.target import Target
from sync.statements.block import Outcome, Step
from sync.statements.send import NO_VALUES, Runner, Values
from sync.statements.staged_facts import Given


@dataclass(frozen=True, eq=False)
class Move:
    """One statement of a pass. `round` holds it and the others of its round that may run; empty where it is in none."""

    entity: Entity
    statement: Statement
    round: "list[Move]"

    @property
    def ends_round(self) -> bool:
        """Whether after it the round may begin anew."""
        return len(self.round) > 1 and self.round[-1] is self


def at_first(target: Target, given: Given) -> dict[str, Conditions]:
    """By entity, what the marks of statements ask for when all rows are staged, and nothing is found yet."""
    return {entity.name: target.conditions(entity).with_facts(given.facts(entity)) for entity in ENTITIES}


class Player:
    """Plays statements, and remembers by entity what they found.

    known   what is found already, as `at_first` gives it, or another player; it stays as it is
    """

    def __init__(self, runner: Runner, known: Mapping[str, Conditions]) -> None:
        self._runner = runner
        self._conditions = dict(known)

    @property
    def known(self) -> dict[str, Conditions]:
        """What was found so far."""
        return self._conditions.copy()

    def find(self, entity: Entity, finding: str) -> None:
        """Remembers a finding."""
        self._conditions[entity.name] = self._conditions[entity.name].with_facts({finding})

    def conditions(self, entity: Entity) -> Conditions:
        """What the marks of statements ask for: about the live table, the staged rows, and what was found."""
        return self._conditions[entity.name]

    def moves(self, entity: Entity, pass_: str, which: Callable[[Statement], bool] = lambda _: True) -> list[Move]:
        """The statements of a pass, or some of them."""
        moves = []
        wanted = list(filter(which, of_pass(entity.name, pass_)))
        for rounds, statements in groupby(wanted, lambda s: s.rounds):
            in_round: list[Move] = []
            for statement in statements:
                move = Move(entity, statement, in_round)
                moves.append(move)
                if rounds is not None and statement.render(self.conditions(entity)) is not None:
                    in_round.append(move)
        return moves

    def play(self, moves: Iterable[Move], values: Values = NO_VALUES) -> dict[Statement, Outcome]:
        """Runs statements in their order, a round until it finds nothing more; gives the last outcome of each.

        values   what the run gives them, by name
        """
        waiting = deque(moves)
        outcomes: dict[Statement, Outcome] = {}
        again = False
        while block := self._block(waiting, values):
            for move, outcome in zip(block, self._runner.run_block(list(block.values())), strict=False):
                while waiting.popleft() is not move:
                    pass  # that one's condition does not hold
                outcomes[move.statement] = outcome
                if outcome.rows and move.statement.finds is not None:
                    self.find(move.entity, move.statement.finds)
                    again = again or bool(move.round)
                if move.ends_round:
                    waiting.extendleft(reversed(move.round) if again else ())
                    again = False
        return outcomes

    def play_passes(self, passes: Iterable[tuple[Entity, str]], values: Values = NO_VALUES) -> None:
        """Runs whole passes of entities, one after another."""
        self.play([move for entity, pass_ in passes for move in self.moves(entity, pass_)], values)

    def _block(self, waiting: Iterable[Move], values: Values) -> dict[Move, Step]:
        """What would run next if it found nothing, up to the end of a round: what rounds are for is often found, and
        the server would have read what follows for nothing."""
        block = {}
        for move in waiting:
            sql = self._runner.text(move.statement, self.conditions(move.entity), values)
            if sql is not None:
                block[move] = Step(move.statement, sql, decides=move.statement.finds is not None)
                if move.ends_round:
                    break
        return block
