"""Hostile values in each field of the document schema, and each output that may repeat them.

The fields are those of `sync.model.published.json_schema.schema()`, so that one which is added later is tried too.
"""

import copy
import csv
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from support.databases import Ispyb
from support.hostile import HOSTILE, PLACES, spoilt, whole
from support.small import CommandLine, write

import sync
from sync.show.console import render
from sync.show.sheets import FORMULA

TURNS = 10
"""Each field meets every tenth of them; fields are many, so that each value meets many."""
FIELDS_AT_LEAST = 60


def test_the_fields_are_found() -> None:
    assert len(PLACES) > FIELDS_AT_LEAST
    assert {("proposal", "title"), ("proposal", "labcontacts", "[]", "person", "laboratory", "city")} <= set(PLACES)
    assert ("sessions", "[]", "persons", "[]", "session_options", "role") in PLACES


def assert_plain(text: str, what: str) -> None:
    """Nothing in a text that a terminal obeys, and no line that an export has made."""
    odd = [line for line in text.split("\n") if not line.isprintable()]
    assert odd[:1] == [], what
    assert "\nerror: spoofed" not in text


class Tags(HTMLParser):
    """What a browser makes of a page: its elements, and attributes that run something."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.running: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.running += [name for name, value in attrs if name.startswith("on") or "javascript:" in (value or "")]


def assert_harmless_page(text: str) -> None:
    page = Tags(text)
    assert page.running == []
    assert page.tags.count("script") == 2
    assert not {"img", "iframe"} & set(page.tags)
    assert "<script>alert" not in text
    assert "onload=alert(1)>" not in text


def assert_harmless_sheets(folder: Path) -> None:
    for file in folder.iterdir():
        for row in csv.reader(StringIO(file.read_text(encoding="utf-8"), newline="")):
            for cell in row:
                assert not cell.startswith(FORMULA) or re.fullmatch(r"-?[0-9.e+]+", cell), (file.name, cell)


def test_no_output_passes_a_hostile_value_on(command: CommandLine, py: Ispyb) -> None:
    write("hostile.ndjson", list(documents()))
    outputs = {}
    for verb in ("validate", "plan", "apply"):
        done = command(verb, "hostile.ndjson", "-v", *([] if verb == "validate" else ["--html", f"{verb}.html"]))
        assert done.code == 1, done.err
        outputs[verb] = done.out + done.err
    assert "x1b[2J" in outputs["plan"]
    outputs["json"] = command("plan", "hostile.ndjson", "--csv", "sheets", "--json").out
    assert json.loads(outputs["json"])["refusals"]
    outputs["history"] = command("history", "1", "-v", "--csv", "past", "--html", "past.html").out
    outputs["history json"] = command("history", "1", "--json").out
    outputs["history list"] = command("history").out
    outputs["check"] = command("check").out
    for name, text in outputs.items():
        assert_plain(text, name)
    for name in ("plan", "apply", "past"):
        assert_harmless_page(Path(f"{name}.html").read_text())
    for name in ("sheets", "past"):
        assert_harmless_sheets(Path(name))


def test_no_output_passes_on_what_others_wrote_into_ispyb(command: CommandLine, py: Ispyb) -> None:
    values = [value[:40] for value in HOSTILE]
    with py.engine.begin() as connection:
        for at, value in enumerate(values, 1):
            uuid, clone = (at.to_bytes(16, "big"), at + 1000)
            for number in (at, clone):
                py.insert(connection, "Person", {"personId": number, "login": value, "familyName": value})
            wanted = {"proposalId": at, "personId": at, "proposalCode": _latin(value), "proposalNumber": _latin(value)}
            py.insert(connection, "Proposal", wanted | {"title": _latin(value), "externalId": uuid})
            session = {"sessionId": at, "proposalId": at, "externalId": uuid, "comments": _latin(value)}
            py.insert(connection, "BLSession", session)
            py.insert(connection, "Protein", {"proteinId": at, "proposalId": at, "personId": at, "acronym": value})
    wishes = [
        {
            "proposal": {"externalId": at, "title": "new", "persons": [{"login": f"new{at}"}]},
            "proteins": [{"acronym": value, "name": "new"}],
        }
        for at, value in enumerate(values[: len(values) // 2], 1)
    ]
    write("wishes.ndjson", wishes)
    outputs = {}
    for words in (
        *("check", "check --json", "check --columns", "check --columns --json", "plan wishes.ndjson --full -v"),
        *("plan wishes.ndjson --full --json", "plan wishes.ndjson --full --html plan.html --csv sheets"),
        *("apply wishes.ndjson --full --html apply.html -v", "history 1 -v", "history 1 --html past.html --csv past"),
        *("history --row proposal:1", "history --row proposal:1 --json", "undo 1 --plan -v", "undo 1 --json", "undo 1"),
    ):
        done = command(*words.split())
        outputs[words] = done.out + done.err
    assert "x1b[2J" in outputs["check"]
    assert "x1b[2J" in outputs["plan wishes.ndjson --full -v"]
    for name, text in outputs.items():
        assert_plain(text, name)
    for name in ("plan", "apply", "past"):
        assert_harmless_page(Path(f"{name}.html").read_text())
    for name in ("sheets", "past"):
        assert_harmless_sheets(Path(name))


def _latin(text: str) -> str:
    return text.encode("cp1252", "replace").decode("cp1252")


def documents() -> Iterator[dict[str, Any]]:
    """One for each field and a hostile value, so that all values meet all kinds of fields."""
    number = 0
    for at, place in enumerate(PLACES):
        for value in HOSTILE[at % TURNS :: TURNS]:
            number += 1
            yield spoilt(number, place, value)


def test_what_is_written_is_what_was_sent_or_is_refused(py: Ispyb) -> None:
    report = sync.apply(documents(), database=py.role_url, staging_schema=py.staging_schema)
    refused = {(refusal.document, refusal.path.rpartition(".")[2]) for refusal in report.refusals}
    given: dict[str, set[str]] = {}
    texts = {"proposal": "Proposal", "sessions": "BLSession", "proteins": "Protein"}
    number = 0
    for at, place in enumerate(PLACES):
        for value in HOSTILE[at % TURNS :: TURNS]:
            number += 1
            if (
                place[:-1] in (("proposal",), ("sessions", "[]"), ("proteins", "[]"))
                and (number, place[-1]) not in refused
            ):
                given.setdefault(f"{texts[place[0]]}.{place[-1]}", set()).add(value)
    assert {"Proposal.title", "BLSession.comments", "Protein.sequence"} <= given.keys()
    for name, values in given.items():
        table, column = name.split(".")
        held = {row[column] for row in py.rows(table)} if column in py.tables[table] else values
        assert {value for value in values if value.strip()} <= held, name
    assert len(py.rows("Person")) > len(PLACES)


def test_on_a_terminal_only_the_tool_s_own_colours_are_left(py: Ispyb) -> None:
    report = sync.plan(documents(), database=py.role_url, staging_schema=py.staging_schema)
    drawn = StringIO()
    render(report, Console(file=drawn, force_terminal=True, width=100, markup=False, emoji=False), verbose=True)
    assert "\x1b[" in drawn.getvalue()
    assert_plain(re.sub(r"\x1b\[[0-9;]*m", "", drawn.getvalue()), "terminal")


@pytest.mark.parametrize("size", [1_000_000])
def test_megabyte_strings_are_told_in_short(size: int, command: CommandLine) -> None:
    write("long.ndjson", [spoilt(number, place, "y" * size) for number, place in enumerate(PLACES[::3], 1)])
    for arguments in (["validate"], ["plan", "--json"]):
        done = command(arguments[0], "long.ndjson", *arguments[1:])
        assert done.code == 1
        if arguments[0] == "validate":
            assert len(done.out) < 100 * 1000
        else:
            assert "y" * 250 not in done.out


def test_lone_surrogates_are_refused_and_told(py: Ispyb) -> None:
    for value in ("\ud800", "a\udfff", "\udce9"):
        spoiled = [spoilt(number, place, value) for number, place in enumerate(PLACES, 1)]
        report = sync.plan(copy.deepcopy(spoiled), database=py.role_url, staging_schema=py.staging_schema)
        named = {refusal.document for refusal in report.refusals}
        assert named == set(range(1, len(PLACES) + 1))
        json.dumps(report.to_dict(), ensure_ascii=False).encode()


@pytest.mark.parametrize(
    "name",
    [
        b"\xff\x1b[2J.ndjson".decode("utf-8", "surrogateescape"),
        "Ω\nerror: spoofed.json",
        "\u202enosj.txt",
        "=cmd.json",
        "standard input",
        "x" * 255,
        "/".join(["d" * 250] * 6) + "/export.json",
    ],
    ids=["bytes", "lines", "direction", "formula", "stdin", "long", "very long"],
)
def test_an_export_may_have_any_name(command: CommandLine, py: Ispyb, name: str) -> None:
    file = Path(name)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(whole(1)))
    for arguments in (["validate", name], ["plan", name], ["apply", name]):
        done = command(*arguments)
        assert (done.code, done.err) == (0, ""), done
    for arguments in (["history"], ["history", "1"], ["history", "--json"], ["history", "1", "--html", "run.html"]):
        done = command(*arguments)
        assert done.code == 0
        assert_plain(done.out, name)
    done = command("plan", f"./no {name}")
    assert done.code == 2
    assert len(done.err.splitlines()) == 2
    assert_plain(done.err, name)
