"""Each grant of sql/grants.sql taken away in turn: a run says which it lacks, before it does anything."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import make_url
from support.databases import Ispyb
from support.small import CommandLine, document, holds, role, run, write

from sync.database.sqlfiles import folder

GRANTS = [
    (found["schema"], found["table"], right)
    for found in re.finditer(
        r"^GRANT (?P<rights>[A-Z, ]+) ON (?P<schema>\w+)\.(?P<table>\w+|\*) TO",
        (folder() / "grants.sql").read_text(),
        re.M,
    )
    for right in found["rights"].split(", ")
]
ON_ISPYB = [(table, right) for schema, table, right in GRANTS if schema == "ispyb"]
OWN = [right for schema, _, right in GRANTS if schema == "ispyb_sync"]
LINKS = ("ProposalHasPerson", "Session_has_Person")


@contextmanager
def without(dls: Ispyb, right: str, table: str) -> Iterator[None]:
    run(dls, f"REVOKE {right} ON {table} FROM `{role(dls)}`")
    try:
        yield
    finally:
        run(dls, f"GRANT {right} ON {table} TO `{role(dls)}`")


def schema(dls: Ispyb) -> str:
    return str(make_url(dls.url).database)


def account(dls: Ispyb) -> str:
    return f"{make_url(dls.role_url).username}"


def untouched(dls: Ispyb) -> bool:
    with dls.engine.connect() as connection:
        runs = connection.exec_driver_sql(f"SELECT COUNT(*) FROM `{dls.staging_schema}`.run").scalar_one()
    return runs == 0 and holds(dls, 0)


def assert_named(command: CommandLine, arguments: str, *words: str) -> None:
    done = command(*arguments.split())
    assert (done.code, done.out) == (3, ""), done
    what, remedy = done.err.splitlines()
    for word in words:
        assert word in what
    assert "`ispyb-sync grants`" in remedy


def test_the_grants_are_found() -> None:
    assert len(ON_ISPYB) == 8 * 4 - 1
    assert OWN == ["SELECT", "INSERT", "UPDATE", "DELETE", "CREATE TEMPORARY TABLES"]


@pytest.mark.parametrize(("table", "right"), ON_ISPYB, ids=lambda word: word)
def test_a_right_on_a_table(command: CommandLine, dls: Ispyb, table: str, right: str) -> None:
    lack = f"has no {right} on {schema(dls)}.{table}"
    with without(dls, right, f"`{schema(dls)}`.`{table}`"):
        findings = {finding["message"]: finding["level"] for finding in json.loads(command("check", "--json").out)}
        if right == "DELETE":
            assert [level for message, level in findings.items() if f"has no DELETE on {table}" in message] == [
                "warning"
            ]
            if table in LINKS:
                assert_named(command, "apply good.ndjson --prune all", account(dls), lack)
                assert untouched(dls)
            assert command("apply", "good.ndjson").code == 0
            assert command("undo", "1", "--plan").code in (0, 1)
            assert_named(command, "undo 1", account(dls), lack)
            assert holds(dls, 2)
            return
        assert [level for message, level in findings.items() if message.endswith(lack)] == ["error"]
        assert_named(command, "apply good.ndjson", account(dls), lack)
        if right == "SELECT":
            assert_named(command, "plan good.ndjson", account(dls), lack)
        else:
            assert command("plan", "good.ndjson").code == 0
    assert untouched(dls)


@pytest.mark.parametrize("right", OWN)
def test_a_right_on_the_tools_schema(command: CommandLine, dls: Ispyb, right: str) -> None:
    lack = f"has no {right} on {dls.staging_schema}.*"
    with without(dls, right, f"`{dls.staging_schema}`.*"):
        assert lack in command("check").out
        for arguments in ("apply good.ndjson", "plan good.ndjson"):
            assert_named(command, arguments, account(dls), lack)
        if right == "SELECT":
            assert_named(command, "history", "no right to read", dls.staging_schema)
        if right == "DELETE":
            assert_named(command, "history purge --older-than 1d", "DELETE", "made_link")
    assert untouched(dls)


def test_all_that_lacks_is_named_at_once(command: CommandLine, dls: Ispyb) -> None:
    name = schema(dls)
    with without(dls, "INSERT, UPDATE", f"`{name}`.Person"), without(dls, "SELECT", f"`{name}`.Protein"):
        assert_named(command, "apply good.ndjson", f"has no INSERT, UPDATE on {name}.Person; SELECT on {name}.Protein")


def test_a_right_on_some_columns_is_left_to_the_server(command: CommandLine, dls: Ispyb) -> None:
    table = f"`{schema(dls)}`.`Laboratory`"
    written = ("name", "address", "city", "country", "url", "organization", "laboratoryPk", "externalId")
    assert command("apply", "good.ndjson").code == 0
    moved = document(1)
    for person in moved["proposal"]["persons"]:
        person["laboratory"]["city"] = "Malmö"
    write("moved.json", [moved])
    with without(dls, "UPDATE", table):
        for columns, code in (("name", 3), (", ".join(written), 0)):
            run(dls, f"GRANT UPDATE ({columns}) ON {table} TO `{role(dls)}`")
            try:
                done = command("apply", "moved.json")
            finally:
                run(dls, f"REVOKE UPDATE ({columns}) ON {table} FROM `{role(dls)}`")
            assert done.code == code, done
            if code:
                assert "laboratory.sql" in done.err
                assert "UPDATE command denied" in done.err
                assert "Malmö" not in {row["city"] for row in dls.rows("Laboratory")}


def test_without_the_role_there_is_no_way_in(command: CommandLine, dls: Ispyb) -> None:
    user = account(dls)
    run(dls, f"REVOKE `{role(dls)}` FROM `{user}`@`%`")
    try:
        for arguments in ("apply good.ndjson", "plan good.ndjson", "check", "history"):
            assert_named(command, arguments, "Access denied", user)
    finally:
        run(dls, f"GRANT `{role(dls)}` TO `{user}`@`%`", f"SET DEFAULT ROLE `{role(dls)}` FOR `{user}`@`%`")
    assert untouched(dls)


def test_a_role_that_is_not_the_default_is_told_apart(command: CommandLine, dls: Ispyb) -> None:
    user = account(dls)
    run(dls, f"SET DEFAULT ROLE NONE FOR `{user}`@`%`")
    try:
        assert_named(command, "apply good.ndjson", "Access denied", user)
        assert "SET DEFAULT ROLE" in command("apply", "good.ndjson").err
        run(dls, f"GRANT SELECT ON `{schema(dls)}`.* TO `{user}`@`%`")
        done = command("apply", "good.ndjson")
        assert done.code == 3
        assert f"SET DEFAULT ROLE {role(dls)} FOR the account" in done.err
    finally:
        run(
            dls,
            f"REVOKE ALL PRIVILEGES ON `{schema(dls)}`.* FROM `{user}`@`%`",
            f"SET DEFAULT ROLE `{role(dls)}` FOR `{user}`@`%`",
        )
    assert untouched(dls)
