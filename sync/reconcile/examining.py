"""Which documents must be examined: those that others draw in, and those that a later run may not leave out.

Passes of the SQL files:

    draw      rows of ISPyB of which this run changes, claims or contradicts something, and who speaks of them
    forget, compare   what was written is compared once more
    spoil, confirm, along, unsettled   documents of which something must be examined each time
"""

from collections.abc import Collection, Iterable, Iterator
from itertools import chain

from sync.database.sqlfiles import named, of_pass, tables_made
from sync.model.entities import DOCUMENT, ENTITIES, Entity
from sync.model.refusals import Refusal
from sync.statements.play import Move, Player
from sync.statements.send import Runner
from sync.statements.staged_facts import Given
from sync.verify.digests import Digests
from sync.verify.fingerprints import Fingerprints


class Drawn(Exception):
    """Documents that were left out are to be examined after all; `labels` are those of their proposals."""

    def __init__(self, labels: Collection[bytes]) -> None:
        super().__init__()
        self.labels = labels


class Examining:
    """Looks at the staged rows of one run, once they are matched."""

    def __init__(self, runner: Runner, player: Player, given: Given) -> None:
        self._runner = runner
        self._player = player
        self._given = given

    def draw(self, fingerprints: Fingerprints) -> None:
        """Raises Drawn where documents that were left out speak of what is changed, claimed or contradicted here."""
        if not fingerprints.left_out:
            return
        made = chain.from_iterable(of_pass(entity.name, "draw") for entity in ENTITIES)
        self._runner.drop(*tables_made(made, self._runner.staging_schema))
        self._player.play(self._moves(ENTITIES, "draw"))
        drawn = {label for (label,) in self._runner.run(named("fingerprint", "drawn")) or ()}
        if drawn := drawn & fingerprints.left_out.keys():
            raise Drawn(drawn)

    def links_left_out(self) -> int:
        """How many links the proposals of documents have that were left out."""
        found = self._runner.run(named("fingerprint", "left_out_links"))
        return 0 if found is None else int(found.scalar_one())

    def remember(self, fingerprints: Fingerprints, digests: Digests, refusals: list[Refusal]) -> None:
        """Which documents a later run need not examine: what they say is there, and depends on no other document.

        The digests are taken first, and then all is compared once more: what another writer has changed meanwhile
        either is not in the digest, or is found.
        """
        numbers = fingerprints.candidates(self._doubtful(refusals))
        taken: dict[int, tuple[int, int]] = {}
        if new := fingerprints.without_digest(numbers):
            taken = digests.of_documents(new)
            for entity in self._staged():
                self._player.find(entity, "compared")
            self._player.play(self._moves(self._staged(), "forget", "compare"))
        fingerprints.remember(numbers.keys() - self._unsettled(refusals), taken)

    def _doubtful(self, refusals: Iterable[Refusal]) -> set[int]:
        """Numbers of the documents of which something was refused, or that share their proposal with another one."""
        found = {refusal.document for refusal in refusals if refusal.document is not None}
        if "joined" in self._player.conditions(DOCUMENT).facts:
            found |= {number for (number,) in self._runner.run(named("fingerprint", "joined_documents")) or ()}
        return found

    def _unsettled(self, refusals: Iterable[Refusal]) -> set[int]:
        """Numbers of the documents of which something must be examined each time, with these refusals of the run."""
        spoilt = {(refusal.entity, refusal.document) for refusal in refusals if refusal.field is not None}
        for entity in self._staged():
            documents = tuple(number for name, number in spoilt if name == entity.name)
            for statement in of_pass(entity.name, "spoil") if documents else ():
                sql = statement.render(self._player.conditions(entity), self._runner.staging_schema) or ""
                self._runner.connection.exec_driver_sql(sql, {"documents": documents})
        self._player.play(self._moves(self._staged(), "confirm"))
        passes = ["unsettled"]
        if any("unsettled" in self._player.conditions(entity).facts for entity in self._staged()):
            passes = ["along", *passes]
        outcomes = self._player.play(self._moves(self._staged(), *passes))
        return {int(str(number)) for outcome in outcomes.values() for (number,) in outcome.selected}

    def _staged(self) -> list[Entity]:
        return [entity for entity in ENTITIES if entity.name in self._given.rows]

    def _moves(self, entities: Iterable[Entity], *passes: str) -> Iterator[Move]:
        for pass_ in passes:
            for entity in entities:
                yield from self._player.moves(entity, pass_)
