"""The oracle and the tool side by side, on one open connection: many random examples, and what differs."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any
from unittest import mock

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.internal.cache import LRUCache
from hypothesis.internal.conjecture import providers
from hypothesis.internal.constants_ast import Constants
from sqlalchemy import Connection, create_engine
from sqlalchemy.exc import DBAPIError
from support.databases import Ispyb
from support.variants import TABLES

import sync
from oracle.differ import codes_reached, differences
from oracle.facts import Facts, read_facts
from oracle.kinds import Kind, kinds
from oracle.run import run
from oracle.smaller import smaller
from oracle.worlds import World, apart, worlds
from sync.model.errors import SyncError

Json = dict[str, Any]
Tables = dict[str, list[Json]]
CHECKED_EVERY = 100
"""How many follow at a time where what must be reached was not."""
SHOWN = 4
"""After so many differing examples, enough is known."""
AT_ONCE = (32, 1, 1, 1, 1)
"""So many examples go through one run, through the next one, and so on."""
PROFILE = settings(
    deadline=None,
    derandomize=True,
    database=None,
    max_examples=100_000,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.generate,),
)


@dataclass
class Bench:
    """One open connection on an empty database, and how often what was reached."""

    connection: Connection
    staging_schema: str
    facts: Facts
    kinds: dict[str, Kind]
    reached: Counter[Any] = field(default_factory=Counter)

    def tables(self) -> Tables:
        """All rows of the eight tables."""
        select = self.connection.exec_driver_sql
        return {
            table: [dict(row) for row in select(f"SELECT * FROM `{table}`").mappings()] for table in TABLES.values()
        }

    def fill(self, rows: Tables) -> None:
        """Inserts rows; those of a table have the same columns."""
        for table, content in rows.items():
            if content:
                columns = ", ".join(f"`{name}`" for name in content[0])
                marks = ", ".join(["%s"] * len(content[0]))
                values = [tuple(row[name] for name in content[0]) for row in content]
                self.connection.exec_driver_sql(f"INSERT INTO `{table}` ({columns}) VALUES ({marks})", values)

    def missed(self, wanted: Sequence[Any]) -> list[Any]:
        """What of it was not reached."""
        return [what for what in wanted if not self.reached[what]]

    def apply(self, documents: list[Json], nulls: str) -> Json:
        """Runs the tool in the transaction of this connection."""
        report = sync.apply(
            documents, database=self.connection, staging_schema=self.staging_schema, nulls=nulls, recheck=True
        )
        return report.to_dict()


@pytest.fixture(scope="module", params=["py", "dls"])
def bench(request: pytest.FixtureRequest, databases: Callable[[str], Ispyb]) -> Iterator[Bench]:
    ispyb = databases(request.param)
    ispyb.reset()
    engine = create_engine(ispyb.role_url)
    with engine.connect() as connection:
        facts = read_facts(connection)
        connection.rollback()
        yield Bench(connection, ispyb.staging_schema, facts, kinds(facts))
    engine.dispose()


def compare(bench: Bench, examples: int, first: int, until: Sequence[Any] = (), *, smallest: bool = True) -> None:
    """So many examples; goes on past some that differ, and shows the smallest forms of them.

    until     what must be reached; as long as it is not, so many examples follow, seven times at most
    smallest  else the first that differs is shown as it is
    """
    waiting: dict[str, list[World]] = {"keep": [], "clear": []}
    sizes = {nulls: cycle(AT_ONCE) for nulls in waiting}
    size = {nulls: next(sizes[nulls]) for nulls in waiting}
    found: list[tuple[World, list[str]]] = []
    enough = SHOWN if smallest else 1
    done = 0

    @seed(first)
    @PROFILE
    @given(worlds(bench.facts))
    def each(world: World) -> None:
        nonlocal done
        done += 1
        waiting[world.nulls].append(world)
        last = done >= examples and (done - examples) % CHECKED_EVERY == 0
        for nulls, several in waiting.items():
            if len(several) == size[nulls] or (last and several):
                size[nulls] = next(sizes[nulls])
                together = apart(several)
                if problems := list(_problems(bench, together)):
                    alone = [(one, list(_problems(bench, one))) for one in several]
                    # Together, they may differ where none of them does.
                    found.extend([one for one in alone if one[1]] or [(together, problems)])
                several.clear()
        if len(found) >= enough or (last and not bench.missed(until)) or done == 8 * examples:
            raise _Enough

    with _same_examples(), pytest.raises(_Enough):
        each()
    if found:
        explained = []
        for world, problems in found[:enough]:
            small = smaller(world, lambda candidate: _differs_if_possible(bench, candidate)) if smallest else world
            # What differs once and never again is told as it was at first.
            explained.append(_explain(small, list(_problems(bench, small)) or ["no longer, at first:", *problems]))
        pytest.fail("\n\n".join([*explained, f"{len(found)} examples differ, of {done}"]), pytrace=False)


@contextmanager
def _same_examples() -> Iterator[None]:
    """Hypothesis draws from the constants of what is imported by then too: what ran before made other examples."""
    with (
        mock.patch.object(providers, "_get_local_constants", Constants),
        mock.patch.object(providers, "CONSTANTS_CACHE", LRUCache(1024)),
    ):
        yield


def _differs_if_possible(bench: Bench, world: World) -> bool:
    """The same of a world from which something was taken, perhaps what the rest cannot do without."""
    try:
        return any(True for _ in _problems(bench, world))
    except (DBAPIError, KeyError, SyncError):
        return False


class _Enough(BaseException):
    """So many examples were compared."""


def _problems(bench: Bench, world: World) -> Iterator[str]:
    try:
        bench.fill(world.rows)
        before = bench.tables()
        outcome = run(world.documents, before, bench.facts, nulls=world.nulls)
        report = bench.apply(world.documents, world.nulls)
        after = bench.tables()
        bench.reached.update(codes_reached(outcome))
        yield from differences(outcome, before, after, report, bench.kinds)
        yield from _again(bench, world, after)
    finally:
        bench.connection.rollback()


def _again(bench: Bench, world: World, after: Tables) -> Iterator[str]:
    """What a second run changes: nothing."""
    again = bench.apply(world.documents, world.nulls)
    touched = {name: c for name, c in again["entities"].items() if c["inserted"] or c["updated"] or c["deleted"]}
    if bench.tables() != after or touched:
        yield f"the second run changes rows, and counts {touched}"


def _explain(world: World, problems: list[str]) -> str:
    rows = [f"{table} {row}" for table, content in world.rows.items() for row in content]
    return "\n".join([*rows, *map(str, world.documents), f"nulls: {world.nulls}", *problems])
