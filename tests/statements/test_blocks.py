"""Statements that go to the server as one block: run in order, told one by one, and named where one fails."""

from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from support.databases import Ispyb
from support.opened import opened
from support.ran import statements_run

from sync.database.connection import code_of
from sync.database.statement import Statement
from sync.statements.block import Step
from sync.statements.send import Runner


@pytest.fixture
def runner(databases: Callable[[str], Ispyb]) -> Iterator[Runner]:
    ispyb = databases("py")
    with opened(ispyb) as live:
        live.connection.exec_driver_sql(f"CREATE TEMPORARY TABLE `{ispyb.staging_schema}`.x (a INT PRIMARY KEY)")
        live.connection.exec_driver_sql(f"USE `{ispyb.staging_schema}`")
        yield Runner(live)


@pytest.fixture
def connection(runner: Runner) -> Connection:
    return runner.ispyb.connection


def step(name: str, sql: str, *, decides: bool = False) -> Step:
    statement = Statement("block.sql", name, 1, "", None, ())
    return Step(statement, f"/* {statement.origin} */ {sql}", decides)


def rows(connection: Connection) -> list[int]:
    return list(connection.exec_driver_sql("SELECT a FROM x ORDER BY a").scalars())


def test_each_statement_tells_its_rows(runner: Runner, connection: Connection) -> None:
    steps = [
        step("insert", "INSERT INTO x VALUES (1), (2)"),
        step("show", "SELECT a, a + 1 AS b FROM x ORDER BY a"),
        step("look", "SELECT a FROM x WHERE a > 5"),
        step("delete", "DELETE FROM x WHERE a = 1"),
    ]
    with statements_run() as statements:
        outcomes = runner.run_block(steps)
    assert [outcome.rows for outcome in outcomes] == [2, 2, 0, 1]
    assert [list(outcome.selected) for outcome in outcomes] == [[], [(1, 2), (2, 3)], [], []]
    assert [(ran.origin, ran.rows) for ran in statements] == [
        ("block.sql:1 insert", 2),
        ("block.sql:1 show", 2),
        ("block.sql:1 look", 0),
        ("block.sql:1 delete", 1),
    ]
    assert rows(connection) == [2]


@pytest.mark.parametrize("finding", ["INSERT INTO x VALUES (7)", "SELECT 7"])
def test_a_block_ends_behind_the_first_statement_that_decides_and_finds_something(
    runner: Runner, connection: Connection, finding: str
) -> None:
    steps = [
        step("nothing", "DELETE FROM x", decides=True),
        step("something", finding, decides=True),
        step("after", "INSERT INTO x VALUES (8)"),
    ]
    assert [outcome.rows for outcome in runner.run_block(steps)] == [0, 1]
    assert 8 not in rows(connection)


@pytest.mark.parametrize("before", ["INSERT INTO x VALUES (1)", "SELECT 1"])
@pytest.mark.parametrize(
    "fails", ["INSERT INTO x VALUES (3), (3)", "UPDATE y STRAIGHT_JOIN x ON x.a = y.a SET x.a = 9"]
)
def test_an_error_names_the_statement_that_failed(
    runner: Runner, connection: Connection, before: str, fails: str
) -> None:
    connection.exec_driver_sql("INSERT INTO x VALUES (8), (9)")
    connection.exec_driver_sql("CREATE TEMPORARY TABLE y AS SELECT 8 AS a")
    steps = [
        step("before", before),
        step("fails", fails),
        step("after", "INSERT INTO x VALUES (4)"),
    ]
    with pytest.raises(DBAPIError, match="Duplicate entry") as caught:
        runner.run_block(steps)
    assert code_of(caught.value) == 1062
    assert caught.value.__notes__ == ["block.sql:1 fails"]
    assert 4 not in rows(connection)


def test_the_list_of_processes_shows_a_statement_and_its_origin(runner: Runner) -> None:
    shown = "SELECT INFO FROM information_schema.PROCESSLIST WHERE ID = CONNECTION_ID()"
    (outcome,) = runner.run_block([step("show", shown)])
    assert outcome.selected[0] == (f"{shown} /* block.sql:1 show */",)


def test_a_block_that_a_cluster_ends_behind_its_last_statement_names_that_one(
    runner: Runner, connection: Connection
) -> None:
    """A conflict with another node may come at any moment, also when all statements have ended."""
    connection.exec_driver_sql("SET @told = '1 5 1 5 '")
    with pytest.raises(DBAPIError) as caught:
        connection.exec_driver_sql("SELECT nothing")
    steps = [step("first", "SELECT 1"), step("last", "SELECT 2")]
    assert runner._failed(steps, caught.value) == "block.sql:1 last"
