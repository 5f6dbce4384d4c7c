"""The whole cycle, through the command line, on each of the nine schemas; afterwards the tables are as they were."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL
from support import small, whole
from support.compare import changes
from support.databases import NUMBERED_LINKS, Ispyb
from support.hostile import PLACES, Place
from support.migrating import Fresh, fresh
from support.small import CommandLine
from support.variants import TABLES, VARIANTS

WITHOUT_NUMBERS = ("diamond_2017", "esrf_2017")
TIMES = {"recordTimeStamp", "bltimeStamp"}


def named(node: Any, place: Place = ()) -> Iterator[Place]:
    """The places of plain values in a document; a list is named by []."""
    if isinstance(node, dict):
        for name, child in node.items():
            yield from named(child, (*place, name))
    elif isinstance(node, list):
        for child in node:
            yield from named(child, (*place, "[]"))
    else:
        yield place


def test_the_export_names_every_field() -> None:
    assert set(named(whole.document())) == set(PLACES)


class Cycle:
    """Commands on one database that is not migrated yet, in a folder with two editions of an export."""

    def __init__(self, database: Fresh, variant: str, folder: Path, monkeypatch: pytest.MonkeyPatch, run: Any) -> None:
        self.ispyb = Ispyb(variant, database.url, database.url, database.staging_schema)
        self._run: CommandLine = run
        small.in_folder(folder, self.ispyb, monkeypatch)
        for edition in (1, 2):
            small.write(f"{edition}.ndjson", [whole.document(edition, number) for number in (1, 2)])

    def run(self, *arguments: str, code: int = 0) -> str:
        done = self._run(*arguments)
        assert done.code == code, (arguments, done.out, done.err)
        assert "Traceback" not in done.err
        return done.out

    def report(self, *arguments: str) -> dict[str, Any]:
        report = json.loads(self.run(*arguments, "--json"))
        assert report["refusals"] == []
        assert isinstance(report, dict)
        return report

    def rows(self) -> dict[str, list[dict[str, object]]]:
        """The eight tables, without the times at which rows were touched."""
        return {
            table: [{name: value for name, value in row.items() if name not in TIMES} for row in self.ispyb.rows(table)]
            for table in TABLES.values()
        }

    def changes_nothing(self, *arguments: str) -> None:
        """Not a row, not a timestamp, no AUTO_INCREMENT value."""
        self.ispyb.age_timestamps()
        before = self.ispyb.snapshot()
        report = self.report(*arguments)
        assert list(changes(before, self.ispyb.snapshot())) == []
        assert not any(counts["inserted"] + counts["updated"] for counts in report["entities"].values())
        self.ispyb.age_timestamps(days=-1)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_schema_goes_through_the_whole_cycle(
    server_url: URL,
    variant: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with fresh(server_url, variant) as database:
        database.run(NUMBERED_LINKS)
        original = database.tables()
        cycle = Cycle(database, variant, tmp_path, monkeypatch, CommandLine(monkeypatch, capsys))

        assert "migrat" in cycle.run("check", code=1)
        cycle.run("migrate")
        cycle.run("check")

        planned = cycle.report("plan", "1.ndjson")
        assert not any(cycle.rows().values())
        applied = cycle.report("apply", "1.ndjson")
        assert applied["entities"] == planned["entities"]
        first = cycle.rows()
        assert {table: len(rows) for table, rows in first.items()} == _rows_of_two_documents()
        cycle.changes_nothing("apply", "1.ndjson")

        changed = cycle.report("apply", "2.ndjson")
        assert {name for name, counts in changed["entities"].items() if counts["updated"]} == _with_portal_columns()
        second = cycle.rows()
        cycle.changes_nothing("apply", "2.ndjson")

        assert len(json.loads(cycle.run("history", "--json"))) >= 2
        assert json.loads(cycle.run("history", str(changed["run"]), "--json"))["changes"]

        planned = cycle.report("undo", str(changed["run"]), "--plan")
        assert cycle.rows() == second
        assert cycle.report("undo", str(changed["run"]))["entities"] == planned["entities"]
        assert cycle.rows() == first
        cycle.report("undo", str(applied["run"]))
        assert not any(cycle.rows().values())

        cycle.run("check")
        cycle.run("migrate", "--down", "base", "--force")
        assert database.tables() == original


def _rows_of_two_documents() -> dict[str, int]:
    numbers = {
        "laboratory": 4,
        "person": 4,
        "proposal": 2,
        "proposal_has_person": 4,
        "session": 4,
        "session_has_person": 8,
        "protein": 2,
        "lab_contact": 2,
    }
    return {TABLES[entity]: number for entity, number in numbers.items()}


def _with_portal_columns() -> set[str]:
    """Entities of which a column follows the portal: of a card only the name and the person do, which stay."""
    return TABLES.keys() - {"proposal_has_person", "lab_contact"}


@pytest.mark.parametrize("variant", WITHOUT_NUMBERS)
def test_check_asks_for_links_that_the_server_numbers(
    server_url: URL,
    variant: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with fresh(server_url, variant) as database:
        cycle = Cycle(database, variant, tmp_path, monkeypatch, CommandLine(monkeypatch, capsys))
        cycle.run("migrate")
        said = cycle.run("check", code=1)
        assert "ProposalHasPerson" in said
        assert "AUTO_INCREMENT" in said
        database.run(NUMBERED_LINKS)
        cycle.run("check")
