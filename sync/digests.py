"""Digests of the rows that each proposal has in ISPyB, so that a run may leave out what is still as it was verified.

They are taken before a run matches anything, and of the proposals that it has read again after it has written. The
SQL is in `sql/fingerprint.sql`, and in the digest pass of each entity.
"""

import re
from collections.abc import Iterator
from typing import Any

from sync.entities import ENTITIES
from sync.runner import Runner
from sync.sqlfiles import Statement, load
from sync.target import Target

_BEFORE, _AFTER = 1, 2
_TABLE = re.compile(r"CREATE TEMPORARY TABLE (\S+)")


class Digests:
    """The digests of one run; its temporary tables are there from `take` to `drop`."""

    def __init__(self, runner: Runner, target: Target) -> None:
        self._runner = runner
        self._target = target

    def take(self) -> None:
        """Takes the digests of all proposals that an earlier run has read."""
        self.drop()
        for statement in _pass("create"):
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
        found = [_TABLE.search(one.render((), self._runner.staging_schema) or "") for one in _pass("create")]
        names = ", ".join(table[1] for table in found if table)
        self._runner.connection.exec_driver_sql(f"DROP TEMPORARY TABLE IF EXISTS {names}")

    def _take(self, taken: int, choose: str) -> None:
        self._runner.connection.exec_driver_sql("SET @taken = %s", (taken,))
        chosen = self._runner.run(_statement(choose))
        if chosen is None or not chosen.rowcount:
            return
        for entity in ENTITIES:
            for statement in load(entity.name):
                if statement.pass_ == "digest":
                    self._runner.run(statement, self._target[entity].facts)

    def _rows(self, name: str) -> Iterator[tuple[Any, ...]]:
        result = self._runner.run(_statement(name))
        yield from map(tuple, result or ())


def _pass(pass_: str) -> list[Statement]:
    return [statement for statement in load("fingerprint") if statement.pass_ == pass_]


def _statement(name: str) -> Statement:
    (found,) = (statement for statement in load("fingerprint") if statement.name == name)
    return found
