"""Diamond's own propagation role may not write Laboratory and LabContact: with these two left, it runs an export."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url
from support.databases import Ispyb
from support.small import CommandLine, counts, document, export, holds, role, run, write

import sync

LEFT = ("--leave", "laboratory", "--leave", "lab_contact")


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


def test_a_left_entity_with_everything_new(command: CommandLine, dls: Ispyb) -> None:
    """Every entity in turn: no refusal comes of what is left alone, and nothing of it is written."""
    write("one.ndjson", [document(1)])
    for entity, table in (("laboratory", "Laboratory"), ("session", "BLSession"), ("protein", "Protein")):
        found = report(command, "plan", "one.ndjson", "--leave", entity)
        assert found["refusals"] == [], entity
        assert found["entities"][entity]["inserted"] == 0
        assert [change["entity"] for change in found["changes"] if change["entity"] == entity] == [], table
    refused = report(command, "plan", "one.ndjson", "--leave", "person", code=1)
    assert [r["code"] for r in refused["refusals"] if r["entity"] == "proposal"] == ["no_proposer"]


def test_undo_refuses_what_is_left_now(command: CommandLine, dls: Ispyb) -> None:
    number = report(command, "apply", "good.ndjson")["run"]
    Path("ispyb-sync.toml").write_text('leave = ["lab_contact"]\n')
    done = command("undo", str(number))
    assert done.code == 2
    assert "wrote lab_contact, which the setting leave now leaves to ISPyB" in done.err
    assert holds(dls, 2)
