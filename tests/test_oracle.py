"""The SQL and the oracle of tests/oracle agree, on random rows and exports (tests/README.md)."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from databases import Ispyb
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from oracle.differ import differences
from oracle.facts import Facts, read_facts
from oracle.kinds import Kind, kinds
from oracle.run import run
from oracle.worlds import World, apart, worlds
from sqlalchemy import Connection, create_engine
from variants import TABLES

import sync

Json = dict[str, Any]
ENTITIES = {"laboratory", "person", "proposal", "proposal_has_person"}
WORLDS = 12
"""So many examples go through one run, apart by their keys: a run costs much more than a row."""

SETTINGS = settings(
    deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck), phases=(Phase.generate,)
)


def several(facts: Facts) -> st.SearchStrategy[World]:
    return st.lists(worlds(facts, ENTITIES), min_size=1, max_size=2 * WORLDS).map(apart)


@dataclass(frozen=True)
class Bench:
    """One open connection on an empty database; what an example writes is rolled back."""

    connection: Connection
    staging_schema: str
    facts: Facts
    kinds: dict[str, Kind]

    def tables(self) -> dict[str, list[Json]]:
        return {
            table: [dict(row) for row in self.connection.exec_driver_sql(f"SELECT * FROM `{table}`").mappings()]
            for table in TABLES.values()
        }

    def fill(self, rows: dict[str, list[Json]]) -> None:
        for table, content in rows.items():
            for row in content:
                columns = ", ".join(f"`{name}`" for name in row)
                marks = ", ".join(["%s"] * len(row))
                self.connection.exec_driver_sql(
                    f"INSERT INTO `{table}` ({columns}) VALUES ({marks})", tuple(row.values())
                )

    def apply(self, documents: list[Json], nulls: str) -> Json:
        report = sync.apply(documents, database=self.connection, staging_schema=self.staging_schema, nulls=nulls)
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


@settings(SETTINGS, max_examples=40)
@given(data=st.data())
def test_the_sql_does_what_the_oracle_says(bench: Bench, data: st.DataObject) -> None:
    world = data.draw(several(bench.facts))
    problems = list(_problems(bench, world))
    assert not problems, "\n".join(problems)


def _problems(bench: Bench, world: World) -> Iterator[str]:
    try:
        bench.fill(world.rows)
        before = bench.tables()
        outcome = run(world.documents, before, bench.facts, nulls=world.nulls)
        report = bench.apply(world.documents, world.nulls)
        after = bench.tables()
        yield from differences(outcome, before, after, report, bench.kinds)
        again = bench.apply(world.documents, world.nulls)
        if bench.tables() != after:
            yield "the second run changes rows"
        touched = {n: c for n, c in again["entities"].items() if c["inserted"] or c["updated"]}
        if touched:
            yield f"the second run counts {touched}"
    finally:
        bench.connection.rollback()
