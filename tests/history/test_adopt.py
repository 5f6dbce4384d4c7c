"""adopt: an empty externalId gets the number of a deprecated key; what cannot be decided is left and told; undo."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import DBAPIError
from support.databases import Ispyb
from support.small import CommandLine, Done, role, run, trigger, write

from sync.database.connection import connect
from sync.history import adopt as adopting
from sync.history.adopt import adopt
from sync.model.settings import load_settings

HELD = "LPAD(HEX({}), 32, '0')"


def rows(ispyb: Ispyb, sql: str) -> list[tuple[Any, ...]]:
    with ispyb.engine.connect() as connection:
        return [tuple(row) for row in connection.exec_driver_sql(sql)]


def external_ids(ispyb: Ispyb, table: str, key: str) -> dict[Any, Any]:
    """The externalId of each row, as a number, by its deprecated key."""
    found = rows(ispyb, f"SELECT `{key}`, CONV(HEX(externalId), 16, 10) FROM {table} ORDER BY `{key}`")
    return {key: None if number is None else int(number) for key, number in found}


def ok(done: Done, code: int = 0) -> dict[str, Any]:
    assert done.code == code, done
    found: dict[str, Any] = json.loads(done.out)
    return found


def java(ispyb: Ispyb, *sessions: str) -> None:
    """A proposal and sessions as Java ISPyB has written them."""
    run(
        ispyb,
        "INSERT INTO Person (personId, login) VALUES (3, 'aweaver')",
        "INSERT INTO Proposal (proposalId, personId, proposalCode, proposalNumber) VALUES (5, 3, 'MX', '1')",
        *(f"INSERT INTO BLSession (proposalId, expSessionPk, externalId) VALUES (5, {values})" for values in sessions),
    )


@pytest.mark.parametrize("variant", ["py", "legacy", "official_2024"])
def test_the_whole_way_from_exp_session_pk(
    databases: Callable[[str], Ispyb], monkeypatch: pytest.MonkeyPatch, command: CommandLine, variant: str
) -> None:
    """Java ISPyB's rows, adopt, and an export that names externalId only: nothing is doubled, no row needs the key."""
    ispyb = databases(variant)  # Diamond has no expSessionPk
    ispyb.reset()
    monkeypatch.setenv("ISPYB_SYNC_DATABASE", ispyb.role_url)
    monkeypatch.setenv("ISPYB_SYNC_STAGING_SCHEMA", ispyb.staging_schema)
    java(ispyb, "978889, NULL", "978890, NULL", "NULL, NULL")
    report = ok(command("adopt", "session", "expSessionPk", "--json"))
    assert report["entities"]["session"] | {"staged": 2, "updated": 2, "refused": 0} == report["entities"]["session"]
    if variant == "py":  # it takes seconds
        assert "BLSession.expSessionPk: in 2 rows; no row needs it" in command("check", "--columns").out
    proposal = {"proposalCode": "MX", "proposalNumber": "1"}
    write("new.ndjson", [{"proposal": proposal, "sessions": [{"externalId": 978889}, {"externalId": 978890}]}])
    applied = ok(command("apply", "new.ndjson", "--json"))
    assert applied["entities"]["session"]["unchanged"] == 2
    assert len(rows(ispyb, "SELECT 1 FROM BLSession")) == 3
    assert ok(command("adopt", "session", "expSessionPk", "--json"))["run"] is None


def test_afterwards_no_row_needs_the_key_at_diamond(command: CommandLine, dls: Ispyb) -> None:
    """Diamond has siteId alone of the deprecated keys of people, sessions and laboratories."""
    run(dls, "INSERT INTO Person (login, siteId) VALUES ('a', 7), ('b', 70), ('c', NULL)")
    assert "Person.siteId: in 2 rows; needed by 2 rows without an externalId" in command("check", "--columns").out
    ok(command("adopt", "person", "siteId", "--json"))
    assert "Person.siteId: in 2 rows; no row needs it" in command("check", "--columns").out


def test_people_and_laboratories(command: CommandLine, ispyb: Ispyb) -> None:
    """In each usual variant: the key of laboratories has two names, and a number may be text."""
    columns = {name for (name, *_) in rows(ispyb, "SHOW COLUMNS FROM Laboratory")}
    key = "laboratoryExtPk" if "laboratoryExtPk" in columns else "laboratoryPk"
    run(
        ispyb,
        f"INSERT INTO Laboratory (name, `{key}`) VALUES ('a', 7), ('b', 4294967), ('c', NULL)",
        "INSERT INTO Person (login, siteId) VALUES ('a', 7), ('b', 70)",
    )
    ok(command("adopt", "laboratory", "laboratoryExtPk", "--json"))
    ok(command("adopt", "person", "siteId", "--json"))
    assert external_ids(ispyb, "Laboratory", key) == {None: None, 7: 7, 4294967: 4294967}
    assert external_ids(ispyb, "Person", "siteId") == {7: 7, 70: 70}
    assert rows(ispyb, "SELECT HEX(externalId) FROM Person WHERE siteId = 70") == [("0" * 30 + "46",)]


def test_what_cannot_be_decided_is_left_and_told(command: CommandLine, py: Ispyb) -> None:
    java(py, "1, NULL", "2, NULL", "2, NULL", "3, NULL", f"9, UNHEX({HELD.format(3)})", "0, NULL")
    report = ok(command("adopt", "session", "expSessionPk", "--json"), 1)
    assert report["entities"]["session"] | {"staged": 5, "updated": 1, "refused": 4} == report["entities"]["session"]
    told = {(r["code"], r["value"]): r["message"] for r in report["refusals"]}
    assert sorted(told) == [
        ("ambiguous_match", "2"),
        ("key_taken", "3"),
        ("value_not_allowed", "0"),
    ]
    assert "several rows without an externalId: sessionId " in told["ambiguous_match", "2"]
    assert "externalId of another row already: sessionId " in told["key_taken", "3"]
    assert {1: 1, 3: None, 9: 3, 0: None}.items() <= external_ids(py, "BLSession", "expSessionPk").items()


def test_people_who_may_be_one_come_with_the_command_that_merges_them(command: CommandLine, py: Ispyb) -> None:
    run(
        py,
        "INSERT INTO Person (personId, login, siteId, externalId) VALUES (21, 'a', 7, NULL), (22, 'b', 7, NULL),"
        f" (23, 'c', 9, NULL), (24, 'd', NULL, UNHEX({HELD.format(9)}))",
    )
    report = ok(command("adopt", "person", "siteId", "--plan", "--json"), 1)
    told = {r["code"]: r["message"] for r in report["refusals"]}
    assert "(`ispyb-sync merge person 21 22` prints the SQL)" in told["ambiguous_match"]
    assert "(`ispyb-sync merge person 24 23` prints the SQL)" in told["key_taken"]


def test_numbers_that_a_site_holds_as_text(command: CommandLine, py: Ispyb) -> None:
    run(py, "ALTER TABLE Person MODIFY siteId VARCHAR(30)")
    try:
        values = "('7'), ('0070'), ('x7'), (' 8'), ('1234567890123456789'), (''), ('999999999999999999')"
        run(py, f"INSERT INTO Person (siteId) VALUES {values}")
        report = ok(command("adopt", "person", "siteId", "--json"), 1)
        assert {r["value"] for r in report["refusals"]} == {"x7", " 8", "1234567890123456789", ""}
        found = external_ids(py, "Person", "siteId")
        assert (found["7"], found["0070"], found["999999999999999999"]) == (7, 70, 10**18 - 1)
    finally:
        run(py, "DELETE FROM Person", "ALTER TABLE Person MODIFY siteId INT")


def test_a_plan_writes_nothing_and_shows_all(command: CommandLine, py: Ispyb) -> None:
    java(py, "11, NULL", "12, NULL")
    done = command("adopt", "session", "expSessionPk", "--plan")
    assert done.code == 0
    assert "adopt: planned, nothing written" in done.out
    assert "11: externalId null -> 11" in done.out
    assert external_ids(py, "BLSession", "expSessionPk") == {11: None, 12: None}
    assert ok(command("history", "--json")) == []


def test_undo_takes_it_back(command: CommandLine, py: Ispyb) -> None:
    java(py, "11, NULL", "12, NULL", f"13, UNHEX({HELD.format(13)})")
    number = ok(command("adopt", "session", "expSessionPk", "--json"))["run"]
    past = ok(command("history", str(number), "--json"))
    assert (past["mode"], past["export"]) == ("adopt", "adopt session expSessionPk")
    assert [change["fields"] for change in past["changes"]] == [
        {"externalId": {"old": None, "new": 11}},
        {"externalId": {"old": None, "new": 12}},
    ]
    ok(command("undo", str(number), "--json"))
    assert external_ids(py, "BLSession", "expSessionPk") == {11: None, 12: None, 13: 13}


def test_a_row_that_changed_since_is_left_by_undo(command: CommandLine, py: Ispyb) -> None:
    java(py, "11, NULL", "12, NULL")
    number = ok(command("adopt", "session", "expSessionPk", "--json"))["run"]
    run(py, f"UPDATE BLSession SET externalId = UNHEX({HELD.format(99)}) WHERE expSessionPk = 11")
    ok(command("undo", str(number), "--json"), 1)
    assert external_ids(py, "BLSession", "expSessionPk") == {11: 99, 12: None}


def test_what_it_wrote_is_examined_by_the_next_run(command: CommandLine, py: Ispyb) -> None:
    """Documents that are left out as verified are not, once externalId came in beside them."""
    java(py, "11, NULL")
    proposal = {"proposalCode": "MX", "proposalNumber": "1", "persons": [{"login": "aweaver"}]}
    write("one.ndjson", [{"proposal": proposal, "sessions": [{"expSessionPk": 11}]}])
    for _ in range(3):
        ok(command("apply", "one.ndjson", "--json"))
    ok(command("adopt", "session", "expSessionPk", "--json"))
    again = ok(command("apply", "one.ndjson", "--json"))
    assert again["entities"]["session"]["unchanged"] == 1


@pytest.mark.parametrize(
    "arguments", [("session", "siteId"), ("proposal", "externalId"), ("Person", "siteId"), ("person", "login")]
)
def test_keys_that_externalid_does_not_replace(command: CommandLine, py: Ispyb, arguments: tuple[str, str]) -> None:
    done = command("adopt", *arguments)
    assert done.code == 2
    assert "adopt session expSessionPk" in done.err


def test_an_entity_that_is_left_to_ispyb_is_not_adopted(command: CommandLine, py: Ispyb) -> None:
    java(py, "11, NULL")
    Path("ispyb-sync.toml").write_text('leave = ["session", "person.title"]\n')
    for more in ((), ("--plan",)):
        done = command("adopt", "session", "expSessionPk", *more)
        assert (done.code, done.out) == (2, "")
        assert "would write session, which the setting leave leaves to ISPyB" in done.err
    assert external_ids(py, "BLSession", "expSessionPk") == {11: None}
    ok(command("adopt", "person", "siteId", "--json"))  # a field of it that is left is no matter


def test_a_table_without_the_column(command: CommandLine, dls: Ispyb) -> None:
    done = command("adopt", "session", "expSessionPk")
    assert done.code == 2
    assert "BLSession has no column expSessionPk" in done.err


def test_a_right_that_is_missing(command: CommandLine, py: Ispyb) -> None:
    run(py, f"REVOKE UPDATE ON BLSession FROM {role(py)}")
    try:
        assert command("adopt", "session", "expSessionPk", "--plan").code == 0
        done = command("adopt", "session", "expSessionPk", "--yes")
        assert (done.code, "UPDATE on" in done.err) == (3, True)
    finally:
        run(py, f"GRANT UPDATE ON BLSession TO {role(py)}")


def test_a_database_that_refuses_leaves_all_as_it_was(command: CommandLine, py: Ispyb) -> None:
    java(py, "11, NULL", "12, NULL")
    body = "BEGIN IF NEW.expSessionPk = 12 THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'not that one'; END IF; END"
    with trigger(py, "BEFORE UPDATE ON BLSession", body):
        done = command("adopt", "session", "expSessionPk")
    assert done.code == 3
    assert "not that one" in done.err
    assert external_ids(py, "BLSession", "expSessionPk") == {11: None, 12: None}
    assert ok(command("history", "--json")) == []


def test_in_a_callers_transaction(py: Ispyb) -> None:
    java(py, "11, NULL")
    settings = load_settings(staging_schema=py.staging_schema)
    with connect(py.role_url) as connection:
        report = adopt("session", "expSessionPk", connection, settings)
        connection.rollback()
    assert report.run is not None
    assert external_ids(py, "BLSession", "expSessionPk") == {11: None}


def test_another_writer_in_between(py: Ispyb, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows are found without a lock; one that was filled in between is looked at anew."""
    java(py, "11, NULL", "12, NULL")
    found = adopting._Adoption._found
    taken = [f"UPDATE BLSession SET externalId = UNHEX({HELD.format(77)}) WHERE expSessionPk = 11"]

    def in_between(self: Any, status: Any) -> Any:
        report = found(self, status)
        while taken:
            run(py, taken.pop())
        return report

    monkeypatch.setattr(adopting._Adoption, "_found", in_between)
    try:
        report = adopt("session", "expSessionPk", py.role_url, load_settings(staging_schema=py.staging_schema))
    except DBAPIError as error:
        pytest.fail(str(error))
    assert report.entities["session"].updated == 1
    assert external_ids(py, "BLSession", "expSessionPk") == {11: 77, 12: 12}
