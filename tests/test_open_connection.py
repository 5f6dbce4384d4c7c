"""Runs one after another on a connection that its caller keeps: what is kept in between changes nothing."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Connection, create_engine, event
from support.databases import Ispyb
from support.small import document

import sync
from sync import pipeline
from sync.model.errors import DatabaseError, UsageError
from sync.statements.open_connection import kept

CREATE = "CREATE TEMPORARY TABLE"


@pytest.fixture
def sent() -> list[str]:
    return []


@pytest.fixture
def connection(py: Ispyb, sent: list[str]) -> Iterator[Connection]:
    engine = create_engine(f"{py.role_url}?charset=utf8mb4")
    event.listen(engine, "before_cursor_execute", lambda *arguments: sent.append(arguments[2]))
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def inserted(report: sync.Report) -> int:
    return sum(counts.inserted for counts in report.entities.values())


def staged(report: sync.Report) -> dict[str, int]:
    return {name: counts.staged for name, counts in report.entities.items()}


def run(connection: Connection, py: Ispyb, export: Any, **settings: Any) -> sync.Report:
    return sync.apply(export, database=connection, staging_schema=py.staging_schema, **settings)


def makes_tables(sent: list[str]) -> bool:
    made = any(CREATE in sql and ".stage_person" in sql for sql in sent)
    sent.clear()
    return made


@pytest.mark.parametrize("end", ["commit", "rollback"])
def test_a_second_run_uses_the_tables_of_the_first_and_sees_none_of_its_rows(
    py: Ispyb, connection: Connection, sent: list[str], end: str
) -> None:
    first = run(connection, py, document(1))
    getattr(connection, end)()
    assert makes_tables(sent)
    second = run(connection, py, document(2))
    getattr(connection, end)()
    assert not makes_tables(sent)
    third = run(connection, py, [document(2), {"proposal": {"proposalCode": "MX", "proposalNumber": "9"}}])
    assert not makes_tables(sent)
    assert inserted(first) == inserted(second) == 14
    assert staged(first) == staged(second)
    assert inserted(third) == (0 if end == "commit" else 14)
    assert [refusal.code for refusal in third.refusals] == ["no_proposer"]


def test_a_savepoint_of_the_caller_takes_nothing_back_that_a_later_run_needs(py: Ispyb, connection: Connection) -> None:
    run(connection, py, document(1))
    savepoint = connection.begin_nested()
    run(connection, py, document(2))
    savepoint.rollback()
    assert inserted(run(connection, py, document(2))) == 14
    connection.commit()
    assert len(py.rows("Proposal")) == 2


def test_after_a_run_that_failed_the_tables_are_made_anew(
    py: Ispyb, connection: Connection, sent: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run(connection, py, document(1))
    connection.commit()
    with monkeypatch.context() as patch:
        patch.setattr(
            "sync.reconcile.reconciliation.Reconciliation.plan",
            lambda self, *arguments: self.ispyb.connection.exec_driver_sql("no"),
        )
        with pytest.raises(DatabaseError):
            run(connection, py, document(2))
    connection.rollback()
    sent.clear()
    assert inserted(run(connection, py, document(2))) == 14
    assert makes_tables(sent)


def test_after_a_plan_changes_are_recorded_where_they_stay(py: Ispyb, connection: Connection) -> None:
    """A plan's own table of changes hides the real one until it is dropped."""
    run(connection, py, document(1))
    sync.plan(document(2), database=connection, staging_schema=py.staging_schema)
    report = run(connection, py, document(2))
    connection.commit()
    assert report.run is not None
    assert len(sync.undo(report.run, database=connection, plan=True, staging_schema=py.staging_schema).changes) > 0


def test_strict_leaves_the_tables_empty(py: Ispyb, connection: Connection) -> None:
    bad = {"proposal": {"proposalCode": "MX", "proposalNumber": "9"}}
    assert run(connection, py, [document(1), bad], strict=True).status == "rolled_back"
    report = run(connection, py, document(2), strict=True)
    assert (report.status, report.entities["proposal"].staged) == ("applied", 1)


def test_of_a_large_run_nothing_is_kept(
    py: Ispyb, connection: Connection, sent: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sync.reconcile.reconciliation.MOST_KEPT", 20)
    run(connection, py, [document(1), document(2)])
    assert makes_tables(sent)
    run(connection, py, document(3))
    assert makes_tables(sent)
    run(connection, py, document(4))
    assert not makes_tables(sent)


def test_the_live_tables_are_looked_at_again_after_a_while(
    py: Ispyb, connection: Connection, sent: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "BELIEVED_SECONDS", 0)
    run(connection, py, document(1))
    assert kept(connection).tables is not None
    sent.clear()
    run(connection, py, document(2))
    assert makes_tables(sent)


def test_another_schema_is_looked_at_by_itself(py: Ispyb, dls: Ispyb) -> None:
    """The caller may change the connection's schema between two runs."""
    engine = create_engine(f"{py.url}?charset=utf8mb4")
    with engine.connect() as connection:
        run(connection, py, document(1))
        connection.exec_driver_sql(f"USE `{dls.engine.url.database}`")
        with pytest.raises(UsageError, match=f"{py.staging_schema} serves"):
            run(connection, py, document(1))
        report = run(connection, dls, document(1))
        connection.commit()
    engine.dispose()
    assert (inserted(report), len(dls.rows("Proposal")), len(py.rows("Proposal"))) == (14, 1, 1)
