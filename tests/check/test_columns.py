"""check --columns: what a facility may drop, found in one scan of each table, on every variant."""

import csv
import json
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from sqlalchemy import URL
from support.databases import Ispyb
from support.migrating import Fresh, fresh
from support.small import CommandLine, run

from sync.check.show_unused import show_columns
from sync.check.unused_columns import CAVEAT, Columns, Key, Use, columns


def use(found: Columns, table: str, column: str) -> Use:
    (one,) = [use for use in found.uses if (use.table, use.column) == (table, column)]
    return one


def finding(found: Columns, table: str, column: str) -> tuple[str, str | None, int]:
    one = use(found, table, column)
    return one.finding, one.value, one.filled


def people(*rows: str) -> str:
    return f"INSERT INTO Person (login, siteId, externalId, faxNumber, title, recordTimeStamp) VALUES {', '.join(rows)}"


def test_each_column_is_told_by_what_it_holds(py: Ispyb) -> None:
    run(
        py,
        people(
            "('a', 1, NULL, NULL, 'Dr', '2019-03-04')",
            "('b', NULL, UNHEX('07'), NULL, 'Dr', '2020-01-01')",
            "('c', NULL, NULL, NULL, 'Dr', '2026-11-01')",
        ),
    )
    found = columns(py.role_url)
    assert finding(found, "Person", "faxNumber") == ("no value", None, 0)
    assert finding(found, "Person", "title") == ("one value", "Dr", 3)
    assert finding(found, "Person", "login") == ("", None, 3)
    login = use(found, "Person", "login")
    assert (login.rows, login.dated_by, login.last, login.newest) == (3, "recordTimeStamp", "2026-11-01", "2026-11-01")


def test_a_column_is_quiet_a_year_after_its_last_value(py: Ispyb) -> None:
    run(
        py,
        people(
            "('a', 1, NULL, '1', 'Dr', '2019-03-04')",
            "('b', 2, NULL, '2', NULL, '2025-11-01')",
            "('c', NULL, NULL, NULL, 'Prof', '2026-11-01')",
        ),
        "UPDATE Person SET siteId = NULL WHERE login = 'b'",
        "UPDATE Person SET siteId = 5 WHERE login = 'a'",
        people("('d', 6, NULL, NULL, NULL, '2018-03-04')"),
    )
    found = columns(py.role_url)
    assert finding(found, "Person", "siteId") == ("none since", None, 2)
    assert use(found, "Person", "siteId").last == "2019-03-04"
    assert finding(found, "Person", "faxNumber") == ("", None, 2)  # 365 days are not more than a year


def test_values_are_told_apart_byte_by_byte(py: Ispyb) -> None:
    run(py, people("('a', 1, NULL, 'x', 'Dr', NOW())", "('b', 1, NULL, 'x ', 'dr', NOW())"))
    found = columns(py.role_url)
    assert finding(found, "Person", "faxNumber") == ("", None, 2)
    assert finding(found, "Person", "title") == ("", None, 2)
    assert finding(found, "Person", "siteId") == ("one value", "1", 2)


def test_a_secret_and_what_one_person_has_alone_are_not_shown(py: Ispyb) -> None:
    run(
        py,
        people("('a', 1, NULL, '0471', NULL, NOW())", "('b', 2, NULL, NULL, NULL, NOW())"),
        "UPDATE Person SET passwd = 'hunter2', cache = 'cookie'",
    )
    found = columns(py.role_url)
    assert finding(found, "Person", "passwd") == ("one value", None, 2)
    assert finding(found, "Person", "faxNumber") == ("one value", None, 1)
    assert not any(secret in json.dumps(found.to_dict()) for secret in ("hunter2", "cookie", "0471"))


def test_a_deprecated_key_is_needed_by_rows_without_an_external_id(py: Ispyb) -> None:
    run(
        py,
        people(
            "('a', 1, NULL, NULL, NULL, NOW())",
            "('b', 2, UNHEX('07'), NULL, NULL, NOW())",
            "('c', NULL, NULL, NULL, NULL, NOW())",
        ),
        "UPDATE Person SET personUUID = 'u' WHERE login = 'b'",
        "SET SESSION sql_mode = '', foreign_key_checks = 0",
        "INSERT INTO BLSession (expSessionPk, externalId) VALUES (5, NULL), (6, NULL), (7, UNHEX('07'))",
        "INSERT INTO Laboratory (laboratoryExtPk, externalId) VALUES (5, NULL), (7, UNHEX('07'))",
    )
    assert columns(py.role_url).keys == [
        Key("Laboratory", "laboratoryExtPk", 2, 1),
        Key("Person", "siteId", 2, 1),
        Key("Person", "personUUID", 1, 0),
        Key("BLSession", "expSessionPk", 3, 2),
    ]


def test_a_session_is_dated_by_its_start_and_a_zero_date_is_none(py: Ispyb) -> None:
    run(
        py,
        "SET SESSION sql_mode = '', foreign_key_checks = 0",
        "INSERT INTO BLSession (comments, startDate)"
        " VALUES ('a', '2012-01-01'), ('b', '0000-00-00'), (NULL, '2024-05-06')",
    )
    comments = use(columns(py.role_url), "BLSession", "comments")
    assert (comments.finding, comments.last, comments.newest) == ("none since", "2012-01-01", "2024-05-06")


@pytest.fixture(params=["esrf", "dls", "legacy"])
def unmigrated(request: pytest.FixtureRequest, server_url: URL) -> Iterator[Fresh]:
    with fresh(server_url, request.param) as database:
        yield database


def test_every_variant_is_read_migrated_or_not(unmigrated: Fresh) -> None:
    unmigrated.run(
        "ALTER TABLE Person DROP COLUMN IF EXISTS externalId",
        "ALTER TABLE Person ADD COLUMN `of our own, %s` GEOMETRY NULL, ADD COLUMN badge BLOB NULL, ADD COLUMN b BIT(3)",
        "INSERT INTO Person (login, siteId, badge, b) VALUES ('a', 1, X'FF00', 1), ('b', 2, X'FF00', 1)",
    )
    found = columns(unmigrated.url)
    assert finding(found, "Person", "of our own, %s") == ("no value", None, 0)
    assert finding(found, "Person", "badge") == ("one value", "FF00", 2)
    assert finding(found, "Person", "b") == ("one value", "1", 2)
    keys = {(key.table, key.column): (key.filled, key.needed) for key in found.keys}
    assert keys["Person", "siteId"] == (2, 2)
    assert {use.rows for use in found.uses if use.table != "Person"} == {0}
    assert len({use.table for use in found.uses}) == 8


def test_it_holds_no_lock_and_waits_for_none(py: Ispyb) -> None:
    run(py, people("('a', 1, NULL, NULL, NULL, NOW())"))
    with py.engine.begin() as writer:
        writer.exec_driver_sql("UPDATE Person SET title = 'changed'")
        assert finding(columns(py.role_url), "Person", "title") == ("no value", None, 0)


# The command


def test_the_command_prints_text_json_and_csv(py: Ispyb, command: CommandLine) -> None:
    run(py, people("('a', 1, NULL, '=1', 'Dr', '2026-01-02')", "('b', 2, NULL, '=1', NULL, '2026-01-02')"))
    done = command("check", "--columns", "--csv", "out")
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert "Person (2 rows; dated by recordTimeStamp, the newest 2026-01-02)" in lines
    assert "  one value   faxNumber (varchar(45); the sync writes it): '=1' in 2 rows" in lines, done.out
    assert "  Person.siteId: in 2 rows; needed by 2 rows without an externalId" in lines
    with Path("out/columns.csv").open(newline="") as file:
        rows = {(row["table"], row["column"]): row for row in csv.DictReader(file)}
    assert rows["Person", "faxNumber"]["value"] == "'=1"
    assert rows["Person", "faxNumber"]["filled"] == "2"
    assert rows["Person", "login"]["finding"] == ""
    keys = Path("out/keys.csv").read_text().splitlines()
    assert keys[:3] == ["table,column,filled,needed", "Laboratory,laboratoryExtPk,0,0", "Person,siteId,2,2"]
    found = json.loads(command("check", "--columns", "--json").out)
    assert found.keys() == {"columns", "keys"}
    assert {"table": "Person", "column": "siteId", "filled": 2, "needed": 2} in found["keys"]


def test_csv_without_columns_is_wrong_usage(py: Ispyb, command: CommandLine) -> None:
    done = command("check", "--csv", "out")
    assert done.code == 2
    assert "needs --columns" in done.err
    assert not Path("out").exists()


def test_a_table_that_is_all_in_use_says_so() -> None:
    used = Use("Person", "login", "varchar(45)", True, 2, 2, "", None, None, None, None)
    text = StringIO()
    show_columns(Columns([used], []), Console(file=text, width=100))
    assert text.getvalue().splitlines() == [
        "Person (2 rows; no dates)",
        "  every column is in use",
        "deprecated keys",
        "  none is there",
        CAVEAT,
    ]


def test_what_may_go_comes_with_its_statement_and_what_the_sync_writes_is_marked(py: Ispyb) -> None:
    run(py, people("('a', NULL, UNHEX('07'), NULL, 'Dr', NOW())"))
    found = columns(py.role_url)
    assert use(found, "Person", "faxNumber").drop == "ALTER TABLE Person DROP COLUMN `faxNumber`"
    assert use(found, "Person", "faxNumber").written
    assert not use(found, "Person", "personUUID").written
    assert use(found, "Person", "title").drop is None  # it holds a value
    assert use(found, "Person", "laboratoryId").drop is None  # the sync needs it
    assert {key.column: key.drop for key in found.keys}["siteId"] == "ALTER TABLE Person DROP COLUMN `siteId`"
    written = {row["column"]: row["written"] for row in found.to_dict()["columns"] if row["table"] == "Person"}
    assert (written["login"], written["passwd"]) == (True, False)
