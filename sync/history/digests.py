"""Digests of the rows that each proposal has in ISPyB, so that a run may leave out what is still as it was verified.

They are taken before a run matches anything, and of the proposals that it has read again after it has written. The
SQL is in `sql/fingerprint.sql`, and in the digest pass of each entity.
"""

from collections.abc import Iterator
from typing import Any

from sync.database.sqlfiles import named, of_pass, tables_made
from sync.model.entities import ENTITIES
from sync.schema.target import Target
from sync.statements.send import Runner

_BEFORE, _AFTER = 1, 2


class Digests:
    """The digests of one run; its temporary tables are there from `take` to `drop`."""

    def __init__(self, runner: Runner, target: Target) -> None:
        self._runner = runner
        self._target = target

    def take(self) -> None:
        """Takes the digests of all proposals that an earlier run has read."""
        self.drop()
        for statement in of_pass("fingerprint", "create"):
            self._runner.run(statement)
        self._take(_BEFORE, "choose_known")

    def verified(self) -> Iterator[tuple[bytes, bytes]]:
        """Label and fingerprint of each document whose rows are as they were verified."""
        yield from self._rows("verified_fingerprints")

    def after(self) -> dict[int, tuple[int, int | None]]:
        """By number of document: the id of its proposal, and the digest where that is as it was before the run."""
        self._take(_AFTER, "choose_staged")
        return {number: (proposal_id, digest) for number, proposal_id, digest in self._rows("digests")}

    def drop(self) -> None:
        """Drops the temporary tables; on a connection of our own they would go anyway."""
        self._runner.drop(*tables_made(of_pass("fingerprint", "create"), self._runner.staging_schema))

    def _take(self, taken: int, choose: str) -> None:
        self._runner.connection.exec_driver_sql("SET @taken = %s", (taken,))
        chosen = self._runner.run(named("fingerprint", choose))
        if chosen is None or not chosen.rowcount:
            return
        for entity in ENTITIES:
            for statement in of_pass(entity.name, "digest"):
                self._runner.run(statement, self._target.conditions(entity))

    def _rows(self, name: str) -> Iterator[tuple[Any, ...]]:
        yield from map(tuple, self._runner.run(named("fingerprint", name)) or ())
