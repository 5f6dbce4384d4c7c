"""--csv and --html: what is written where, and cells that no spreadsheet takes for a formula."""

import csv
import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from support.databases import Ispyb
from support.reports import planned, refusal, update
from support.small import ROWS, CommandLine, document, export, run, write

from sync.model.entities import ENTITIES
from sync.model.report import Change, Report, Vanished
from sync.show.sheets import (
    CHANGE_COLUMNS,
    FORMULA,
    REFUSAL_COLUMNS,
    VANISHED_COLUMNS,
    harmless,
    write_sheet,
    write_sheets,
)

SHEETS = {f"{entity.name}.csv" for entity in ENTITIES} | {"refusals.csv", "vanished.csv"}
Sheet = list[dict[str, str]]


def sheet(path: Path) -> Sheet:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, strict=True))


# The sheets


def test_a_row_is_one_changed_column(tmp_path: Path) -> None:
    report = planned(
        update(12, "MX-10", a=(None, 7), b=("old", "")),
        Change("person", None, "insert", "new", "MX-9", {"a": {"old": None, "new": 1.5}}),
        Change("person", 3, "update", "k", "MX-9", {"externalId": {"old": None, "new": 2**70}}, adopted=True),
        Change("session_has_person", 5, "delete", "k", "MX-9", {}),
    )
    report.run = 42
    write_sheets(report, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == SHEETS
    assert (tmp_path / "person.csv").read_bytes().decode() == "\r\n".join(
        [
            "run,entity,id,action,adopted,proposal,key,column,old,new",
            f"42,person,3,update,True,MX-9,k,externalId,,{2**70}",
            "42,person,,insert,False,MX-9,new,a,,1.5",
            "42,person,12,update,False,MX-10,u12,a,,7",
            "42,person,12,update,False,MX-10,u12,b,old,",
            "",
        ]
    )
    assert sheet(tmp_path / "session_has_person.csv") == [
        dict(
            zip(
                CHANGE_COLUMNS,
                ["42", "session_has_person", "5", "delete", "False", "MX-9", "k", "", "", ""],
                strict=True,
            )
        )
    ]
    assert (tmp_path / "protein.csv").read_text() == ",".join(CHANGE_COLUMNS) + "\n"


def test_refusals_have_a_sheet_of_their_own(tmp_path: Path) -> None:
    write_sheets(planned(refusals=[refusal("key_taken", 2, "MX-10"), refusal("key_taken", 5, "MX-9")]), tmp_path)
    rows = sheet(tmp_path / "refusals.csv")
    assert tuple(rows[0]) == REFUSAL_COLUMNS
    assert [(row["proposal"], row["document"], row["message"]) for row in rows] == [
        ("MX-9", "5", "Do this."),
        ("MX-10", "2", "Do this."),
    ]


def test_what_vanished_has_a_sheet_of_its_own(tmp_path: Path) -> None:
    report = planned()
    report.vanished = [Vanished("session", 7, "=visit", "MX-10", 5), Vanished("session", 8, None, "MX-9", 2**80)]
    write_sheets(report, tmp_path)
    assert (tmp_path / "vanished.csv").read_text().splitlines() == [
        ",".join(VANISHED_COLUMNS),
        f",session,8,,MX-9,{2**80}",
        ",session,7,'=visit,MX-10,5",
    ]


@pytest.mark.parametrize("first", FORMULA)
def test_no_cell_begins_a_formula(tmp_path: Path, first: str) -> None:
    text = f"{first}HYPERLINK(1)"
    report = planned(
        Change("person", 1, "update", text, text, {text: {"old": text, "new": f"a{first}b"}}),
        refusals=[refusal("key_taken", 1, text)],
    )
    write_sheets(report, tmp_path)
    (row,) = sheet(tmp_path / "person.csv")
    assert [row[name] for name in ("proposal", "key", "column", "old")] == [f"'{text}"] * 4
    assert row["new"] == f"a{first}b"
    (refused,) = sheet(tmp_path / "refusals.csv")
    assert refused["proposal"] == f"'{text}"


def test_a_break_within_a_cell_does_not_begin_a_line(tmp_path: Path) -> None:
    """A spreadsheet ends a line at a lone CR too; what follows would be a cell of its own."""
    write_sheets(planned(update(1, a=("x\r=1", 'y\n"=2'))), tmp_path)
    text = (tmp_path / "person.csv").read_bytes().decode()
    assert '"x\r=1","y\n""=2"\r\n' in text


def test_numbers_stay_numbers_beside_what_is_none(tmp_path: Path) -> None:
    write_sheets(planned(update(1, a=(-5, 7), b=(None, -2.5), c=(None, "-5"))), tmp_path)
    assert [(row["old"], row["new"]) for row in sheet(tmp_path / "person.csv")] == [
        ("-5", "7"),
        ("", "-2.5"),
        ("", "'-5"),
    ]
    frame = pd.read_csv(tmp_path / "person.csv")
    assert (frame.id.dtype, frame.column.tolist()) == ("int64", ["a", "b", "c"])


def test_letters_of_all_kinds_are_utf_8(tmp_path: Path) -> None:
    write_sheets(planned(update(1, a=("Ångström Ω 𝛼", "\ud800"))), tmp_path)
    (row,) = sheet(tmp_path / "person.csv")
    assert (row["old"], row["new"]) == ("Ångström Ω 𝛼", "\\ud800")


def test_many_rows_are_written_in_slices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sync.show.sheets._ROWS_AT_ONCE", 3)
    write_sheet(tmp_path / "a.csv", ("n",), ((number,) for number in range(7)))
    assert (tmp_path / "a.csv").read_text().split() == ["n", *"0123456"]


# The commands


@pytest.fixture
def ispyb(databases: Callable[[str], Ispyb]) -> Ispyb:
    database = databases("esrf")
    database.reset()
    return database


def inserted(folder: str) -> dict[str, int]:
    """How many rows each sheet says are inserted: as often as the first column of the first of them is named."""
    found = {}
    for entity in ENTITIES:
        rows = sheet(Path(folder) / f"{entity.name}.csv")
        found[entity.table] = len([row for row in rows if row["column"] == rows[0]["column"]])
        assert {row["action"] for row in rows} == {"insert"}
    return found


def test_a_plan_is_written_to_files_and_nothing_else(command: CommandLine, ispyb: Ispyb) -> None:
    Path("out").mkdir()
    Path("out/notes.txt").write_text("mine")
    done = command("plan", "good.ndjson", "--csv", "out", "--html", "plan.html", "--json")
    assert (done.code, done.err) == (0, "")
    assert {path.name for path in Path("out").iterdir()} == SHEETS | {"notes.txt"}
    assert inserted("out") == {table: 2 * rows for table, rows in ROWS.items()}
    assert all(row["run"] == row["id"] == "" for row in sheet(Path("out/person.csv")))
    assert "<h1>Plan</h1>" in Path("plan.html").read_text()
    assert ispyb.rows("Person") == []


def test_sheets_and_page_hold_each_value_of_the_json(command: CommandLine, ispyb: Ispyb) -> None:
    run(ispyb, "INSERT INTO Person (login, familyName) VALUES ('u1_0', '-old')")
    done = command("plan", "good.ndjson", "--json", "--csv", "out", "--html", "plan.html")
    wanted = sorted(
        (c["entity"], str(c["id"] or ""), c["action"], str(c["adopted"]), c["key"], name, *map(cell, value.values()))
        for c in json.loads(done.out)["changes"]
        for name, value in c["fields"].items()
    )
    columns = ("entity", "id", "action", "adopted", "key", "column", "old", "new")
    written = [
        tuple(row[column] for column in columns)
        for entity in ENTITIES
        for row in sheet(Path("out") / f"{entity.name}.csv")
    ]
    assert sorted(written) == wanted
    data = re.search(r'id="data">(.*?)</script>', Path("plan.html").read_text())
    assert data is not None
    listed = [
        (entity, str(id_ or ""), kind, key, name, *map(cell, values))
        for kind, entity, id_, key, _proposal, fields, _words in json.loads(data[1])["rows"]
        for name, *values in fields
    ]
    assert sorted(listed) == sorted(
        (entity, id_, "adopt" if adopted == "True" else action, *rest) for entity, id_, action, adopted, *rest in wanted
    )


def cell(value: object) -> str:
    """A value as CSV has it."""
    return "" if value is None else str(harmless(value))


def test_an_apply_writes_what_history_keeps_and_history_writes_it_again(command: CommandLine, ispyb: Ispyb) -> None:
    run(ispyb, "INSERT INTO Person (login) VALUES ('u1_0')")
    done = command("apply", "good.ndjson", "--csv", "new/folder", "--html", "apply.html")
    assert (done.code, done.err) == (0, "")
    people = sheet(Path("new/folder/person.csv"))
    assert {int(row["id"]) for row in people} == {row["personId"] for row in ispyb.rows("Person")}
    assert {row["run"] for row in people} == {"1"}
    assert {row["key"] for row in people if row["adopted"] == "True"} == {"u1_0"}
    assert command("history", "1", "--csv", "again", "--html", "again.html").code == 0
    for name in SHEETS:
        assert (Path("again") / name).read_bytes() == (Path("new/folder") / name).read_bytes()
    for html in ("apply.html", "again.html"):
        text = Path(html).read_text()
        assert "Run 1: apply" in text
        assert "familyName" in text
        assert "Runs over time" in text


def test_a_page_of_a_large_run_reads_no_more_than_it_holds(
    command: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sync.show.page.MOST_ROWS", 5)
    assert command("apply", "good.ndjson", "--html", "apply.html").code == 0
    changes = 2 * sum(ROWS.values())
    assert f"first 5 rows; {changes - 5} more are left out" in Path("apply.html").read_text()


def test_the_files_of_a_run_that_changes_nothing_are_empty(command: CommandLine, dls: Ispyb) -> None:
    command("apply", "good.ndjson")
    write("partly.ndjson", [document(1, title="x" * 3000)])
    assert command("apply", "partly.ndjson", "--csv", "out").code == 1
    assert len(sheet(Path("out/refusals.csv"))) == 1
    done = command("plan", "good.ndjson", "--csv", "out", "--html", "plan.html")
    words = f"nothing to do in {dls.called}: ISPyB holds what the export says; 2 documents read, 1 verified\n"
    assert (done.code, done.out) == (0, words)
    assert {len(sheet(path)) for path in Path("out").iterdir()} == {0}
    assert "Nothing to do." in Path("plan.html").read_text()


def test_a_run_that_is_rolled_back_has_its_refusals_in_the_files(command: CommandLine) -> None:
    assert command("apply", "partly.ndjson", "--strict", "--csv", "out", "--html", "apply.html").code == 4
    assert len(sheet(Path("out/refusals.csv"))) == 1
    assert "rolled back, nothing written" in Path("apply.html").read_text()


def test_an_undo_is_written_to_files_and_its_plan_too(
    command: CommandLine, ispyb: Ispyb, monkeypatch: pytest.MonkeyPatch
) -> None:
    command("apply", "good.ndjson")
    monkeypatch.setenv("ISPYB_SYNC_DATABASE", ispyb.url)  # which sees that nothing refers to the rows
    done = command("undo", "1", "--plan", "--csv", "out", "--html", "plan.html")
    assert done.code == 0, done.out
    deleted = {path.stem for path in Path("out").iterdir() if any(row.get("action") == "delete" for row in sheet(path))}
    assert deleted == {entity.name for entity in ENTITIES}
    assert "<h1>Undo of run 1</h1>" in Path("plan.html").read_text()
    people = sheet(Path("out/person.csv"))
    assert command("undo", "1", "--csv", "out", "--html", "undo.html").code == 0
    assert ispyb.rows("Person") == []
    assert "<h1>Run 2: undo of run 1</h1>" in Path("undo.html").read_text()
    assert [row | {"run": ""} for row in sheet(Path("out/person.csv"))] == people


@pytest.mark.parametrize("arguments", [[], ["purge", "--older-than", "1d"], ["--row", "person:1"]])
def test_history_writes_files_of_one_run_only(command: CommandLine, arguments: list[str]) -> None:
    done = command("history", *arguments, "--html", "x.html")
    assert done.code == 2
    assert "show one run" in done.err


@pytest.mark.parametrize(
    "flags", [["--html", "nosuch/plan.html"], ["--html", "."], ["--csv", "good.ndjson"], ["--csv", "good.ndjson/x"]]
)
def test_a_place_that_cannot_be_written_is_told_before_the_run(
    command: CommandLine, ispyb: Ispyb, flags: list[str]
) -> None:
    done = command("apply", "good.ndjson", *flags)
    assert done.code == 2
    assert f"{flags[0]} {flags[1]}" in done.err
    assert ispyb.rows("Person") == []


def test_a_file_that_fails_after_the_run_does_not_hide_that_it_was_done(command: CommandLine, ispyb: Ispyb) -> None:
    os.symlink("/dev/full", "full.html")
    done = command("apply", "good.ndjson", "--html", "full.html")
    assert done.code == 1
    assert "applied (run 1)" in done.out
    assert "No space left on device" in done.err
    assert "What was done stays done" in done.err
    assert len(ispyb.rows("Proposal")) == len(export(2))


def test_an_empty_report_has_all_its_files(tmp_path: Path) -> None:
    write_sheets(Report("plan", "planned"), tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == SHEETS
