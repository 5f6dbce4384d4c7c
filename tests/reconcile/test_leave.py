"""Diamond's own propagation role may not write Laboratory and LabContact: with these two left, it runs an export."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url
from support.databases import Ispyb
from support.small import ROWS, CommandLine, counts, document, export, holds, role, run, write
from support.variants import TABLES

import sync

LEFT = ("--leave", "laboratory", "--leave", "lab_contact")
WRITTEN = ("inserted", "updated", "deleted")


@pytest.fixture
def propagation(dls: Ispyb) -> Iterator[Ispyb]:
    """SELECT, INSERT, UPDATE, DELETE on six tables and the links; SELECT, DELETE on Laboratory and LabContact."""
    tables = ("Laboratory", "LabContact")
    run(dls, *(f"REVOKE INSERT, UPDATE ON {table} FROM `{role(dls)}`" for table in tables))
    yield dls
    run(dls, *(f"GRANT INSERT, UPDATE ON {table} TO `{role(dls)}`" for table in tables))


def report(command: CommandLine, *arguments: str, code: int = 0) -> dict[str, Any]:
    done = command(*arguments, "--json")
    assert done.code == code, done
    found: dict[str, Any] = json.loads(done.out)
    return found


def test_the_role_runs_an_export(command: CommandLine, propagation: Ispyb) -> None:
    applied = report(command, "apply", "good.ndjson", *LEFT)
    assert {name: c["inserted"] for name, c in applied["entities"].items()} == {
        "laboratory": 0,
        "person": 6,
        "proposal": 2,
        "proposal_has_person": 6,
        "session": 4,
        "session_has_person": 4,
        "protein": 2,
        "lab_contact": 0,
    }
    assert applied["refusals"] == []
    again = report(command, "apply", "good.ndjson", *LEFT)
    assert sum(c["inserted"] + c["updated"] for c in again["entities"].values()) == 0
    assert report(command, "plan", "good.ndjson", "--prune", "all", "--full", *LEFT)["refusals"] == []


def test_undo_takes_such_a_run_back(command: CommandLine, propagation: Ispyb) -> None:
    Path("ispyb-sync.toml").write_text('leave = ["laboratory", "lab_contact"]\n')
    number = report(command, "apply", "good.ndjson")["run"]
    run(propagation, f"GRANT SELECT ON `{make_url(propagation.url).database}`.* TO `{role(propagation)}`")
    try:
        report(command, "undo", str(number))
    finally:
        run(propagation, f"REVOKE SELECT ON `{make_url(propagation.url).database}`.* FROM `{role(propagation)}`")
    assert holds(propagation, 0)


def test_without_the_setting_both_remedies_are_named(command: CommandLine, propagation: Ispyb) -> None:
    schema = make_url(propagation.url).database
    done = command("apply", "good.ndjson")
    assert (done.code, done.out) == (3, "")
    assert f"has no INSERT, UPDATE on {schema}.Laboratory; INSERT, UPDATE on {schema}.LabContact" in done.err
    grant = f"GRANT INSERT, UPDATE ON {schema}.Laboratory TO {role(propagation)}"
    assert grant in done.err
    assert "--leave laboratory --leave lab_contact" in done.err
    half = command("apply", "good.ndjson", "--leave", "laboratory")
    assert half.code == 3
    assert "--leave lab_contact" in half.err
    assert "Laboratory" not in half.err
    assert holds(propagation, 0)


def test_check_says_the_same(command: CommandLine, propagation: Ispyb) -> None:
    schema = make_url(propagation.url).database
    found = json.loads(command("check", "--json").out)
    remedies = {f["message"].partition("has no ")[2]: f["remedy"] for f in found if f["level"] == "error"}
    assert remedies.keys() == {f"INSERT, UPDATE on {schema}.{table}" for table in ("Laboratory", "LabContact")}
    remedy = remedies[f"INSERT, UPDATE on {schema}.LabContact"]
    assert f"GRANT INSERT, UPDATE ON {schema}.LabContact TO {role(propagation)}" in remedy
    assert "--leave lab_contact" in remedy
    assert [f for f in json.loads(command("check", "--json", *LEFT).out) if f["level"] == "error"] == []


def test_what_is_left_must_still_be_read(command: CommandLine, dls: Ispyb) -> None:
    run(dls, f"REVOKE SELECT ON LabContact FROM `{role(dls)}`")
    try:
        done = command("apply", "good.ndjson", "--leave", "lab_contact")
    finally:
        run(dls, f"GRANT SELECT ON LabContact TO `{role(dls)}`")
    assert done.code == 3
    assert "has no SELECT on" in done.err
    assert "--leave" not in done.err


def test_a_run_that_leaves_less_writes_what_was_left(dls: Ispyb) -> None:
    """Documents that are as they were are looked at again where the setting has changed."""
    settings: dict[str, Any] = {"database": dls.role_url, "staging_schema": dls.staging_schema}
    for _ in range(3):
        sync.apply(export(2), leave=["lab_contact", "person.familyName"], **settings)
    assert counts(dls)["LabContact"] == 0
    applied = sync.apply(export(2), **settings)
    assert (applied.entities["lab_contact"].inserted, applied.entities["person"].updated) == (2, 6)


def test_on_one_open_connection_each_run_has_its_own(dls: Ispyb) -> None:
    with dls.engine.connect() as connection:
        settings: dict[str, Any] = {"database": connection, "staging_schema": dls.staging_schema}
        sync.apply(document(1), leave=["protein", "session.beamLineName"], **settings)
        second = sync.apply(document(1), **settings)
        third = sync.apply(document(1), leave=["protein", "session.beamLineName"], **settings)
        connection.rollback()
    assert (second.entities["protein"].inserted, second.entities["session"].updated) == (1, 2)
    assert third.nothing_to_do


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("card", "'card' cannot be left"),
        ("Person", "'Person' cannot be left"),
        ("person.login", "'person.login' cannot be left"),
        ("person.laboratory", "'person.laboratory' cannot be left"),
        ("person.", "'person.' cannot be left"),
        ("", "'' cannot be left"),
    ],
)
def test_names_that_cannot_be_left(command: CommandLine, dls: Ispyb, name: str, words: str) -> None:
    done = command("plan", "good.ndjson", "--leave", name)
    assert done.code == 2
    assert words in done.err
    assert "person.phoneNumber" in done.err


HANGING = {
    "person": {"proposal_has_person", "session_has_person", "lab_contact"},
    "proposal": {"proposal_has_person", "session", "session_has_person", "protein", "lab_contact"},
    "session": {"session_has_person"},
}
"""What hangs on a new row of an entity, and is skipped with it."""


@pytest.mark.parametrize("entity", TABLES)
def test_a_left_entity_with_everything_new(command: CommandLine, dls: Ispyb, entity: str) -> None:
    """Nothing of it is written, nor of what hangs on it; each is told with its places."""
    write("one.ndjson", [document(1)])
    code = int(entity == "person")
    found = report(command, "apply", "one.ndjson", "--leave", entity, code=code)
    if code:  # nobody is there who could be the proposer, so all of the document is refused
        assert [r["code"] for r in found["refusals"] if r["entity"] == "proposal"] == ["no_proposer"]
        assert counts(dls) == ROWS | dict.fromkeys(ROWS, 0) | {"Laboratory": 1}
        return
    assert found["refusals"] == []
    skipped = {entity} | HANGING.get(entity, set())
    assert counts(dls) == ROWS | {TABLES[name]: 0 for name in skipped}
    told = {w["message"].split()[2]: w for w in found["warnings"] if w["code"] == "left_to_ispyb"}
    assert told.keys() == skipped
    for name in skipped:
        assert told[name]["count"] == ROWS[TABLES[name]]
        assert len(told[name]["examples"]) == ROWS[TABLES[name]]
        for example in told[name]["examples"]:
            assert (example["document"], example["proposal"]) == (1, "MX-1")
            assert example["path"]
            assert example["value"] is not None


@pytest.mark.parametrize("entity", ["person", "session_has_person", "protein"])  # tests/cases has the others
def test_a_left_entity_that_differs(command: CommandLine, dls: Ispyb, entity: str) -> None:
    """What is known keeps what it has, down to the bytes, and is told; the rest is written. Twice the same."""
    report(command, "apply", "good.ndjson")
    changed = [document(number, family="Changed", title="Changed") for number in (1, 2)]
    for one in changed:
        for named in one["proposal"]["persons"]:
            named["laboratory"] |= {"address": "changed"}
        one["proposal"]["labcontacts"][0]["cardName"] = "changed"
        for session in one["sessions"]:
            session["beamLineName"] = "changed"
            session["persons"][0]["session_options"]["role"] = "Team Leader"
            session["persons"].append(one["proposal"]["persons"][2])
        one["proteins"][0]["name"] = "changed"
        del one["proposal"]["persons"][2]
    write("changed.ndjson", changed)
    before = dls.rows(TABLES[entity])
    flags = ("--leave", entity, "--prune", "all")
    applied = report(command, "apply", "changed.ndjson", *flags)
    assert dls.rows(TABLES[entity]) == before
    assert applied["refusals"] == []
    others = [name for name in TABLES if name not in (entity, "lab_contact")]  # a card keeps its name
    assert [name for name in others if not any(applied["entities"][name][c] for c in WRITTEN)] == []
    again = report(command, "apply", "changed.ndjson", *flags)
    assert not any(again["entities"][name][c] for name in TABLES for c in WRITTEN)
    assert [w for w in again["warnings"] if w["code"] == "left_to_ispyb"] == [
        w for w in applied["warnings"] if w["code"] == "left_to_ispyb"
    ]


def test_a_field_that_is_left_makes_no_conflict_and_no_refusal(dls: Ispyb) -> None:
    """Neither copies that differ in it, nor a value that ISPyB could not hold."""
    whole = document(1)
    first, second = whole["sessions"]
    copies = [first | {"beamLineName": name} for name in ("ID2", "ID3", "x" * 500)]
    report = sync.apply(
        whole | {"sessions": [*copies, second]},
        leave=["session.beamLineName"],
        database=dls.role_url,
        staging_schema=dls.staging_schema,
    )
    assert report.refusals == []
    assert [(w.code, w.count) for w in report.warnings if w.code in ("left_to_ispyb", "conflicting_copies")] == [
        ("left_to_ispyb", 2)
    ]
    assert {row["beamLineName"] for row in dls.rows("BLSession")} == {None}


def test_of_many_ten_are_examples(dls: Ispyb) -> None:
    settings: dict[str, Any] = {"database": dls.role_url, "staging_schema": dls.staging_schema}
    applied = sync.apply(export(12), leave=["protein", "person.familyName"], **settings)
    left = [w for w in applied.warnings if w.code == "left_to_ispyb"]
    told = {w.message.split(" were")[0]: (w.count, len(w.examples)) for w in left}
    assert told == {"rows of protein": (12, 10), "values of person.familyName": (36, 10)}


def test_undo_refuses_what_is_left_now(command: CommandLine, dls: Ispyb) -> None:
    number = report(command, "apply", "good.ndjson")["run"]
    Path("ispyb-sync.toml").write_text('leave = ["lab_contact"]\n')
    done = command("undo", str(number))
    assert done.code == 2
    assert "wrote lab_contact, which the setting leave now leaves to ISPyB" in done.err
    assert holds(dls, 2)
