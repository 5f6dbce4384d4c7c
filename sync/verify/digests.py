"""Digests of the rows that proposals have in ISPyB: whether these are as they were when a run last took the documents.

The SQL is in `sql/fingerprint.sql`, and in the digest pass of each entity.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from sync.database.sqlfiles import named, of_pass
from sync.database.statement import Statement
from sync.model.conditions import NO_CONDITIONS, Conditions
from sync.model.entities import ENTITIES
from sync.statements.block import Step
from sync.statements.live_ispyb import LiveIspyb
from sync.statements.send import NO_VALUES, Runner, Values, batches, send_many
from sync.statements.temporary_tables import DIGESTS, MOST_KEPT, TOUCHED, Tables
from sync.verify.fingerprints import Remembered

FEW = 1000
"""For so many proposals it is quicker to choose their people first than to take the digests of all people."""

Given = tuple[Statement, Conditions]


class Digests:
    """The digests of one run; their temporary tables are there from the first use to `put_away`."""

    def __init__(self, ispyb: LiveIspyb) -> None:
        self._ispyb = ispyb
        self._runner = Runner(ispyb)
        self._tables = Tables(ispyb, DIGESTS)
        self._are_made = False
        self._proposals = 0
        self._left_out: set[bytes] | None = None

    def differing(self, left_out: Mapping[bytes, Remembered]) -> set[bytes]:
        """The labels of the documents whose rows are not as they were; of another reading of the export, none."""
        if self._left_out is not None:
            self._take_out(self._left_out - left_out.keys())
            return set()
        self._left_out = set(left_out)
        self._play(self._making())
        rows = [{"label": label, "proposal_id": known.proposal_id} for label, known in left_out.items()]
        send_many(self._ispyb, named("fingerprint", "leave_out"), rows)
        found = self._play(self._taking("choose_left_out", "differing", len(rows)))
        return {label for (label,) in found}

    def of_documents(self, numbers: Collection[int]) -> dict[int, tuple[int, int]]:
        """By number of a document that is staged and was not refused: the id of its proposal, and the digest."""
        given = {"documents": ",".join(map(str, numbers)) if len(numbers) <= FEW else ""}
        found = self._play([*self._making(), *self._taking("choose_staged", "digests", len(numbers))], given)
        return {number: (proposal_id, digest) for number, proposal_id, digest in found if number in numbers}

    def put_away(self, keep: bool) -> None:
        """Ends the use of the temporary tables; `keep` is whether another run on this connection may follow."""
        if self._are_made and keep and self._proposals <= MOST_KEPT:
            self._tables.keep()
        elif self._are_made:
            self._tables.drop()
            Tables(self._ispyb, TOUCHED).drop()
        self._are_made = False

    def _take_out(self, labels: set[bytes]) -> None:
        """What is not left out any more: links of its proposal are counted where they are staged."""
        for some in batches(list(labels)):
            self._ispyb.ask(named("fingerprint", "take_out"), labels=tuple(some))

    def _making(self) -> Iterator[Given]:
        """What makes the tables, or empties them."""
        if self._are_made or not self._tables.take():
            for statement in of_pass("fingerprint", "empty" if self._are_made else "create"):
                yield statement, NO_CONDITIONS
        self._are_made = True

    def _taking(self, choose: str, read: str, proposals: int) -> Iterator[Given]:
        """What takes the digests of the proposals that are chosen, and reads them."""
        self._proposals += proposals
        facts = {"few"} if proposals <= FEW else set()
        for name in (choose, "choose_people"):
            yield named("fingerprint", name), Conditions(frozenset(facts))
        for entity in ENTITIES:
            for statement in of_pass(entity.name, "digest"):
                yield statement, self._ispyb.target.conditions(entity).with_facts(facts)
        yield named("fingerprint", read), NO_CONDITIONS

    def _play(
        self, statements: Sequence[Given] | Iterator[Given], values: Values = NO_VALUES
    ) -> Sequence[tuple[Any, ...]]:
        """Sends statements as one; the rows of the last one, none where there is none."""
        rendered = [(statement, self._runner.text(statement, given, values)) for statement, given in statements]
        steps = [Step(statement, sql) for statement, sql in rendered if sql is not None]
        return self._runner.run_block(steps)[-1].selected if steps else ()
