"""`ispyb-sync sql` prints what runs: pasted into the mariadb client, it does what the tool does."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from generate_export import Facility
from sqlalchemy import make_url
from support.databases import Ispyb, Row
from support.small import CommandLine
from support.variants import TABLES

import sync
from sync.database.sqlfiles import load
from sync.history.changes import read_changes
from sync.model.entities import ENTITIES

STAMPS = {"recordTimeStamp", "bltimeStamp", "lastUpdate"}


def paste(ispyb: Ispyb, script: str) -> list[str]:
    """Runs a script in the mariadb client, as the account of the tool; gives its lines."""
    client = shutil.which("mariadb") or shutil.which("mysql")
    assert client, "no mariadb client beside the server"
    url = make_url(ispyb.role_url)
    done = subprocess.run(
        [
            *(client, "--no-defaults", "--batch", "--skip-column-names", "--raw", "--protocol=tcp"),
            *(f"--host={url.host}", f"--port={url.port}", f"--user={url.username}", f"--password={url.password}"),
        ],
        input=script.encode(),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode().splitlines()


def rows(ispyb: Ispyb) -> dict[str, list[Row]]:
    """The eight tables, but for the times at which rows were written."""
    return {
        table: [{name: value for name, value in row.items() if name not in STAMPS} for row in ispyb.rows(table)]
        for table in TABLES.values()
    }


@pytest.fixture
def export(tmp_path: Path) -> Path:
    """Of an ISPyB that has a part of it: names joined across keys, logins swapped, two of one login, somebody gone."""
    first = Facility(8).with_everything()
    second = json.loads(json.dumps(first))
    people = [p for p in first["proposal"]["persons"] if p.get("login") and p.get("externalId")]
    one, other = people[0], people[1]
    second["proposal"]["title"] = 'Another \\ title; it\'s "new"'
    second["proposal"]["persons"] = [
        {"login": other["login"], "externalId": one["externalId"]},
        {"login": one["login"], "externalId": other["externalId"]},
        {"login": "somebody", "siteId": 77},
        {"login": "somebody", "externalId": 4711, "familyName": "New"},
        {"login": "nobody", "externalId": 4712},
        {"login": "nobody", "externalId": 4713},
    ]
    path = tmp_path / "second.json"
    smaller = Facility(8).document(5)
    for holder in (smaller["proposal"], *smaller["sessions"]):
        holder["persons"] = holder["persons"][:1]
    new = Facility(8).document(6)
    new["sessions"][0]["scheduled"] = 9  # cancelled, and ISPyB does not know it: it is left out
    path.write_text(json.dumps([second, smaller, new]))
    return path


def begin(ispyb: Ispyb) -> None:
    """What ISPyB has before."""
    ispyb.reset()
    facility = Facility(8)
    first = [facility.with_everything(), facility.document(5)]
    sync.apply(first, database=ispyb.role_url, staging_schema=ispyb.staging_schema)


def test_a_plan_that_is_pasted_finds_the_changes_of_the_tools_plan(
    dls: Ispyb, command: CommandLine, export: Path
) -> None:
    begin(dls)
    before = dls.snapshot()
    lines = paste(dls, command("sql", "--export", str(export), "--prune", "all").out)
    planned = sync.plan(
        str(export), database=dls.role_url, staging_schema=dls.staging_schema, prune="all", prune_limit="100%"
    )
    assert dls.snapshot() == before
    assert planned.refusals
    assert {change.action for change in planned.changes} == {"insert", "update", "delete"}
    assert changes_in(lines) == planned.changes


def changes_in(lines: list[str]) -> list[object]:
    """The rows that the last statement of a script gives: each begins with the name of an entity."""
    names = {entity.name for entity in ENTITIES}
    found: list[object] = []
    for line in reversed(lines):
        entity, *cells = line.split("\t")
        if entity not in names:
            break
        target_id, *rest = (None if cell == "NULL" else cell for cell in cells)
        found += read_changes(entity, [(None if target_id is None else int(target_id), *rest)])
    return found[::-1]


def test_an_apply_that_is_pasted_and_committed_writes_what_the_tool_writes(
    dls: Ispyb, command: CommandLine, export: Path
) -> None:
    begin(dls)
    script = command("sql", "--export", str(export), "--apply").out
    before = rows(dls)
    paste(dls, script)
    assert rows(dls) == before  # it ends before the commit
    begin(dls)
    paste(dls, script + "COMMIT;\n")
    by_hand = rows(dls)
    begin(dls)
    sync.apply(str(export), database=dls.role_url, staging_schema=dls.staging_schema)
    assert by_hand == rows(dls) != before


def test_a_whole_run_is_printed_without_an_export_too(dls: Ispyb, command: CommandLine) -> None:
    script = command("sql").out
    assert paste(dls, script)
    assert "sql --export FILE" in script
    assert f"`{dls.staging_schema}`.stage_person" in script
    assert "ispyb_sync." not in script.replace(dls.staging_schema, "")


def test_one_entity_is_printed_alone_with_names_and_sentences(dls: Ispyb, command: CommandLine) -> None:
    script = command("sql", "person").out
    assert re.search(r"^-- person\.sql:\d+ join_login is every_entity\.sql:\d+ join_key$", script, re.MULTILINE)
    assert "-- People typed in by hand have a login and no externalId yet." in script
    assert script.index(" match_login") < script.index(" refuse_taken") < script.index(" record_changes")
    assert "INSERT INTO Laboratory" not in script
    printed = set(re.findall(r"^-- person\.sql:\d+ (\w+)", script, re.MULTILINE))
    others = ("undo_create", "undo_claim", "undo_apply", "draw", "confirm", "unsettled", "check")  # no part of a script
    left = {s.name for s in load("person") if s.pass_ not in others} - printed
    of_apply = {"refuse_missing", "unplaced", "rivals", "release_login", "update", "insert", "forget_changes"}
    assert left == {"digest_rows", *of_apply}
    assert "release_login" in command("sql", "person", "--apply").out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["people"], "people is no entity"),
        (["person", "--export", "x.json"], "person and --export at once"),
    ],
)
def test_what_cannot_be_printed_is_said(dls: Ispyb, command: CommandLine, arguments: list[str], words: str) -> None:
    done = command("sql", *arguments)
    assert (done.code, words in done.err) == (2, True)
