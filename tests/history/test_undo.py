"""Undo: which runs can be taken back, what an account must see, and what comes in between.

The rules row by row are in cases/undo.
"""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import sqlalchemy
from pymysql.err import OperationalError
from sqlalchemy import Connection, create_engine
from sqlalchemy.pool import NullPool
from support.databases import Ispyb
from support.small import ROWS, CommandLine, Json, counts, document, export, holds, role, run

import sync
from sync.check import findings as check
from sync.history import runs as history
from sync.history.undo import undo
from sync.model.errors import DatabaseError, UsageError
from sync.model.report import Report
from sync.model.settings import Settings, load_settings

pytestmark = pytest.mark.parametrize("ispyb", ["dls"], indirect=True)

EMPTY = dict.fromkeys(ROWS, 0)


def apply(ispyb: Ispyb, documents: list[Json], **settings: object) -> Report:
    return sync.apply(documents, database=ispyb.role_url, staging_schema=ispyb.staging_schema, **settings)


def settings_of(ispyb: Ispyb) -> Settings:
    return load_settings(staging_schema=ispyb.staging_schema, lock_timeout=10)


def take_back(ispyb: Ispyb, number: int | None, *, write: bool = True) -> Report:
    assert number is not None
    return undo(number, ispyb.url, settings_of(ispyb), write=write)


@contextmanager
def table(ispyb: Ispyb, name: str, columns: str) -> Iterator[None]:
    """A table of the site's own, for as long as a test needs it."""
    run(ispyb, f"CREATE TABLE {name} ({columns}) ENGINE = InnoDB")
    try:
        yield
    finally:
        run(ispyb, f"DROP TABLE {name}")


def test_a_run_is_undone_once(ispyb: Ispyb) -> None:
    first = apply(ispyb, export(2))
    report = take_back(ispyb, first.run)
    assert counts(ispyb) == EMPTY
    assert (report.mode, report.status, report.undoes) == ("undo", "applied", first.run)
    with pytest.raises(UsageError, match=f"run {first.run} is undone already, by run {report.run}"):
        take_back(ispyb, first.run)


def test_an_undo_is_a_run_of_its_own(ispyb: Ispyb) -> None:
    first = apply(ispyb, export(1))
    second = apply(ispyb, export(1, title="Other"))
    report = take_back(ispyb, second.run)
    kept = {r.report.run: (r.report.mode, r.report.status) for r in history.runs(ispyb.url, settings_of(ispyb))}
    assert kept == {first.run: ("apply", "applied"), second.run: ("apply", "undone"), report.run: ("undo", "applied")}
    (change,) = history.show(ispyb.url, settings_of(ispyb), report.run or 0).report.changes
    assert (change.entity, change.action, change.fields) == (
        "proposal",
        "update",
        {"title": {"old": "Other", "new": "Title 1"}},
    )
    with pytest.raises(UsageError, match=f"run {report.run} is an undo itself"):
        take_back(ispyb, report.run)


def test_a_run_that_history_forgot_cannot_be_undone(ispyb: Ispyb) -> None:
    first = apply(ispyb, export(1))
    run(ispyb, f"DELETE FROM {ispyb.staging_schema}.`change`")
    with pytest.raises(UsageError, match="no longer in history"):
        take_back(ispyb, first.run)
    run(ispyb, f"DELETE FROM {ispyb.staging_schema}.run")
    with pytest.raises(UsageError, match=f"no run {first.run} in history"):
        take_back(ispyb, first.run)
    assert holds(ispyb, 1)


def test_a_run_that_changed_nothing_leaves_nothing_to_do(ispyb: Ispyb) -> None:
    apply(ispyb, export(1))
    report = take_back(ispyb, apply(ispyb, export(1)).run)
    assert report.nothing_to_do
    assert report.run is None


def test_a_plan_shows_what_the_undo_does(ispyb: Ispyb) -> None:
    first = apply(ispyb, export(1))
    run(ispyb, "UPDATE Proposal SET title = 'by hand'")
    plan = take_back(ispyb, first.run, write=False)
    assert holds(ispyb, 1)
    report = take_back(ispyb, first.run)
    assert (plan.entities, plan.refusals) == (report.entities, report.refusals)
    done = history.show(ispyb.url, settings_of(ispyb), report.run or 0).report.changes
    assert sorted(map(str, plan.changes)) == sorted(map(str, done))


def test_an_account_that_sees_eight_tables_leaves_inserted_rows(ispyb: Ispyb) -> None:
    """information_schema hides the others from it, and a cascade would not ask."""
    documents = export(1)
    apply(ispyb, documents)
    documents[0]["proposal"]["title"] = "Other"
    documents[0]["sessions"][0]["persons"].append({"login": "new"})
    second = apply(ispyb, documents)
    report = undo(second.run or 0, ispyb.role_url, settings_of(ispyb))
    schema = ispyb.engine.url.database
    assert [(r.entity, r.code) for r in report.refusals] == [("person", "not_seen")]
    assert f"GRANT SELECT ON {schema}.*" in report.refusals[0].message
    assert report.entities["proposal"].updated == 1
    assert report.entities["session_has_person"].deleted == 1
    run(ispyb, f"GRANT SELECT ON `{schema}`.* TO `{role(ispyb)}`")
    try:
        report = undo(second.run or 0, ispyb.role_url, settings_of(ispyb))
    finally:
        run(ispyb, f"REVOKE SELECT ON `{schema}`.* FROM `{role(ispyb)}`")
    assert report.entities["person"].deleted == 1
    assert holds(ispyb, 1)


def test_check_says_what_an_undo_cannot_take_back(ispyb: Ispyb) -> None:
    found = {
        url: [f.remedy for f in check.check(url, settings_of(ispyb)) if f.subject == "undo"]
        for url in (ispyb.role_url, ispyb.url)
    }
    schema = ispyb.engine.url.database
    assert found[ispyb.url] == []
    assert [f"GRANT SELECT ON {schema}.*" in remedy for remedy in found[ispyb.role_url]] == [True]


@pytest.mark.parametrize("on_delete", ["CASCADE", "SET NULL", "RESTRICT"])
def test_a_table_of_the_sites_own_keeps_a_row(ispyb: Ispyb, on_delete: str) -> None:
    first = apply(ispyb, [{"proposal": {"proposalNumber": "1", "persons": [{"login": "a"}, {"login": "b"}]}}])
    name = "`it's a ``site`` \\table`"
    key = f"FOREIGN KEY (`w:ho`) REFERENCES Person (personId) ON DELETE {on_delete}"
    with table(ispyb, name, f"id INT, `w:ho` INT UNSIGNED NULL, {key}"):
        run(ispyb, f"INSERT INTO {name} SELECT 1, personId FROM Person WHERE login = 'b'")
        report = take_back(ispyb, first.run)
        assert [(r.entity, r.code, r.value) for r in report.refusals] == [("person", "referenced", "b")]
        assert "it's a `site` \\table.w:ho in 1 row" in report.refusals[0].message
        assert [row["w:ho"] for row in ispyb.rows("it's a ``site`` \\table")] == [
            row["personId"] for row in ispyb.rows("Person")
        ]


def test_what_is_about_to_refer_to_a_row_keeps_it(ispyb: Ispyb) -> None:
    """Another writer's row is there and not committed yet: the undo waits for it, and then sees it."""
    first = apply(ispyb, export(1))
    reports: list[Report] = []
    with ispyb.engine.connect() as other:
        other.exec_driver_sql("SET SESSION foreign_key_checks = 1")  # the fixture has set it to 0
        other.exec_driver_sql(
            "INSERT INTO Shipping (proposalId, sendingLabContactId) SELECT proposalId, labContactId FROM LabContact"
        )
        waiting = threading.Thread(target=lambda: reports.append(take_back(ispyb, first.run)))
        waiting.start()
        time.sleep(0.7)
        assert reports == []
        other.commit()
        waiting.join(20)
    (report,) = reports
    assert ("lab_contact", "referenced") in {(r.entity, r.code) for r in report.refusals}
    assert len(ispyb.rows("Shipping")) == 1
    assert len(ispyb.rows("LabContact")) == 1


def test_in_a_callers_transaction_it_goes_with_that(ispyb: Ispyb) -> None:
    first = apply(ispyb, export(1))
    engine = create_engine(f"{ispyb.url}?charset=utf8mb4", poolclass=NullPool)
    with engine.connect() as connection:
        sync.undo(first.run or 0, database=connection, staging_schema=ispyb.staging_schema)
        assert connection.exec_driver_sql("SELECT COUNT(*) FROM Person").scalar() == 0
        connection.rollback()
    assert holds(ispyb, 1)
    with engine.begin() as connection:
        sync.undo(first.run or 0, database=connection, staging_schema=ispyb.staging_schema)
    assert counts(ispyb) == EMPTY


def test_a_commit_that_is_not_answered_is_looked_up(ispyb: Ispyb, monkeypatch: pytest.MonkeyPatch) -> None:
    first = apply(ispyb, export(1))
    commit = Connection.commit
    lost: list[int] = []

    def commit_and_lose(connection: Connection) -> None:
        commit(connection)
        if not lost and counts(ispyb) == EMPTY:
            lost.append(1)
            raise sqlalchemy.exc.OperationalError("COMMIT", None, OperationalError(2013, "Lost connection"))

    monkeypatch.setattr(Connection, "commit", commit_and_lose)
    report = take_back(ispyb, first.run)
    assert lost
    assert (report.mode, report.undoes) == ("undo", first.run)
    assert [r.report.run for r in history.runs(ispyb.url, settings_of(ispyb))] == [report.run, first.run]


def test_a_trigger_that_stops_it_stops_all(ispyb: Ispyb) -> None:
    first = apply(ispyb, export(1))
    run(
        ispyb,
        "CREATE TRIGGER in_the_way BEFORE DELETE ON Laboratory FOR EACH ROW SIGNAL SQLSTATE '45000' "
        "SET MESSAGE_TEXT = 'no laboratory goes'",
    )
    try:
        with pytest.raises(DatabaseError, match=r"undo.sql:\d+ delete_laboratory: no laboratory goes"):
            take_back(ispyb, first.run)
    finally:
        run(ispyb, "DROP TRIGGER in_the_way")
    assert holds(ispyb, 1)
    assert [r.report.status for r in history.runs(ispyb.url, settings_of(ispyb))] == ["applied"]


def test_a_link_that_comes_back_belongs_to_whom_it_did(ispyb: Ispyb) -> None:
    """A run made one of them, and somebody else the other; both were pruned and brought back."""
    documents = [{"proposal": {"proposalNumber": "1", "persons": [{"login": "pi"}, {"login": "a"}, {"login": "b"}]}}]
    apply(ispyb, documents)
    (people, links) = ({str(r["login"]): r["personId"] for r in ispyb.rows("Person")}, ispyb.rows("ProposalHasPerson"))
    (link,) = [row for row in links if row["personId"] == people["b"]]
    run(ispyb, f"DELETE FROM ProposalHasPerson WHERE personId = {people['b']}")
    run(ispyb, f"INSERT INTO ProposalHasPerson (proposalId, personId) VALUES ({link['proposalId']}, {people['b']})")
    documents[0]["proposal"]["persons"] = [{"login": "pi"}]
    take_back(ispyb, apply(ispyb, documents, prune="all").run)
    assert len(ispyb.rows("ProposalHasPerson")) == 3
    assert apply(ispyb, documents, prune="owned").entities["proposal_has_person"].deleted == 1
    assert {row["personId"] for row in ispyb.rows("ProposalHasPerson")} == {people["pi"], people["b"]}


def test_the_number_of_statements_does_not_depend_on_the_number_of_rows(
    ispyb: Ispyb, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[int] = []
    for proposals in (1, 20):
        first = apply(ispyb, export(proposals))
        number = 0

        def count(*_: object) -> None:
            nonlocal number
            number += 1

        engine = create_engine(f"{ispyb.url}?charset=utf8mb4", poolclass=NullPool)
        sqlalchemy.event.listen(engine, "before_cursor_execute", count)
        undo(first.run or 0, engine, settings_of(ispyb))
        assert counts(ispyb) == EMPTY
        sent.append(number)
    assert sent[0] == sent[1]


def test_the_command(ispyb: Ispyb, command: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ISPYB_SYNC_DATABASE", ispyb.url)
    first = apply(ispyb, export(2))
    second = apply(ispyb, [document(1, title="Other")])
    done = command("undo", str(second.run), "--plan")
    assert done.code == 0
    assert f"undo: planned, nothing written; {ispyb.called}; takes back run {second.run}" in done.out
    assert "update 1 MX-1 [MX-1]: title Other -> Title 1" in done.out
    assert json.loads(command("undo", str(second.run), "--json").out)["undoes"] == second.run
    done = command("undo", str(second.run))
    assert (done.code, done.out) == (2, "")
    assert "is undone already" in done.err
    run(ispyb, "UPDATE Laboratory SET city = 'Kiruna' WHERE name = 'Lab 2'")
    done = command("undo", str(first.run))
    assert done.code == 1
    assert "left: laboratory changed_since (1)" in done.out
    assert 'laboratory:2 (MX-2) = "Lab 2": has changed since: city.' in done.out
    assert "partly_undone" in command("history").out
    assert command("undo", "none").code == 2
    done = command("undo", "999", "--json")
    assert (done.code, json.loads(done.out)["status"]) == (2, "failed")
