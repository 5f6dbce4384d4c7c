"""A ninth entity, made up here: a registry row, a class, an SQL file and a table of ISPyB, and no other module.

The tool is copied with these added to it, and planned, applied, applied again and undone as a facility would do it.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.databases import Ispyb
from support.small import Json, document, run

ROOT = Path(__file__).parents[2]

TABLE = """
CREATE TABLE Permit (
    permitId INT(10) UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    proposalId INT(10) UNSIGNED NOT NULL,
    personId INT(10) UNSIGNED NULL,
    externalId BINARY(16) NULL,
    code VARCHAR(12) NULL,
    remark VARCHAR(255) NULL,
    startDate DATETIME NULL,
    lastDay DATETIME NULL,
    boxes INT(10) UNSIGNED NULL,
    FOREIGN KEY (proposalId) REFERENCES Proposal (proposalId)
) ENGINE = InnoDB DEFAULT CHARSET = latin1
"""

ROW = """
PERMIT = Entity(
    "permit",
    "Permit",
    "permitId",
    columns=("externalId", "code", "remark", "startDate", "lastDay", "boxes"),
    numbers=("boxes",),
    dates=("startDate", "lastDay"),
    keys=("externalId", "code"),
    names=("externalId", "code"),
    belongs_to=("proposal",),
    references=("person_row",),
    parent_of_field="person",
)
"""

CLASS = '''
class Permit(_Part):
    """What a proposal may bring to the beamline."""

    entity = "permit"
    named_by = ("externalId", "code")

    externalId: Annotated[Maybe[ExternalId], about("External id", EXTERNAL_ID.format("Permit"), 3)] = UNSET
    code: Annotated[Maybe[Key], about("Code", "Feeds Permit.code.", "R2")] = UNSET
    remark: Annotated[Maybe[Text], about("Remark", "Feeds Permit.remark.", "in a glove box")] = UNSET
    startDate: Annotated[Maybe[Moment], about("Start", "Feeds Permit.startDate.", "2024-07-01")] = UNSET
    lastDay: Annotated[Maybe[Moment], about("Last day", "Feeds Permit.lastDay.", "2024-08-01")] = UNSET
    boxes: Annotated[Maybe[Integer], about("Boxes", "Feeds Permit.boxes.", 3)] = UNSET
    person: Annotated[PersonOrNull | UnsetType, about("Person", "Who asked for it. Feeds Permit.personId.")] = UNSET


class _Permit(Permit, forbid_unknown_fields=False):
    pass


'''
FIELD = '    permits: Annotated[Maybe[list[Permit]], about("Permits", "Feeds Permit.")] = UNSET\n'
TOLERANT = "    permits: Maybe[list[_Permit]] = UNSET  # type: ignore[assignment]\n"

PROGRAM = """
import json, os, sys
import sync
from sync.check.findings import check
from sync.model.settings import Settings
assert os.path.dirname(sync.__file__) == os.path.join(os.getcwd(), "sync"), sync.__file__
how, what, database, staging_schema = json.loads(sys.stdin.read())
if how == "check":
    told = {finding.subject: finding.message for finding in check(database, Settings(staging_schema=staging_schema))}
else:
    told = getattr(sync, how)(what, database=database, staging_schema=staging_schema).to_dict()
print(json.dumps(told, default=str))
"""


def put(file: Path, *pieces: tuple[str, str]) -> None:
    """Puts text before the only place where another one stands."""
    text = file.read_text(encoding="utf-8")
    for before, piece in pieces:
        assert text.count(before) == 1, before
        text = text.replace(before, piece + before)
    file.write_text(text, encoding="utf-8")


@pytest.fixture
def tool(tmp_path: Path) -> Path:
    """A folder with the tool and what a ninth entity needs. Its SQL file is that of proteins, under its own names."""
    for name in ("sync", "sql"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "migrations").symlink_to(ROOT / "migrations")
    model = tmp_path / "sync" / "model"
    put(model / "entities.py", ("\nENTITIES = (\n", ROW), (")\n(DOCUMENT,) = ", "    PERMIT,\n"))
    put(
        model / "documents.py",
        ("class Document(_Part):", CLASS.lstrip("\n")),
        ("\n\nclass _LabContact(LabContact", FIELD),
        ("    proteins: Maybe[list[_Protein]]", TOLERANT),
    )
    sql = (tmp_path / "sql" / "protein.sql").read_text(encoding="utf-8")
    for old, new in (("Protein", "Permit"), ("protein", "permit"), ("acronym", "code")):
        sql = sql.replace(old, new)
    (tmp_path / "sql" / "permit.sql").write_text(sql, encoding="utf-8")
    return tmp_path


@pytest.fixture
def table(dls: Ispyb) -> Iterator[Ispyb]:
    run(dls, TABLE)
    try:
        yield dls
    finally:
        run(dls, "DROP TABLE Permit")


def call(tool: Path, ispyb: Ispyb, how: str, what: object = None) -> dict[str, Any]:
    """One plan, apply, undo or check of the tool with nine entities."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input=json.dumps([how, what, ispyb.url, ispyb.staging_schema]),
        env={**os.environ, "PYTHONPATH": str(tool), "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=tool,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def permits(ispyb: Ispyb) -> list[tuple[object, ...]]:
    """What stands in the table: keys, remark, dates, a number, and whether somebody asked for it."""
    return [
        (
            int.from_bytes(row["externalId"]),
            row["code"],
            row["remark"],
            str(row["startDate"]),
            str(row["lastDay"]),
            row["boxes"],
            row["personId"] is not None,
        )  # type: ignore[arg-type]
        for row in ispyb.rows("Permit")
    ]


def counts(report: dict[str, Any]) -> dict[str, int]:
    """What became of the permits, without zeros."""
    return {name: count for name, count in report["entities"]["permit"].items() if count}


def with_permits(remark: str) -> Json:
    """A document with two permits."""
    whole = document(1)
    person = {"login": "u1_1"}
    first = {"externalId": 1, "code": "R1", "remark": remark, "startDate": "2024-07-01T08:00:00Z", "person": person}
    second = {"externalId": 2, "code": "R2", "remark": "dry", "startDate": "2024-07-02"}
    return whole | {"permits": [first | {"lastDay": "2024-08-01T01:00:00+02:00"}, second | {"boxes": 3}]}


def test_a_ninth_entity_is_planned_applied_and_undone(tool: Path, table: Ispyb) -> None:
    planned = call(tool, table, "plan", with_permits("wet"))
    assert counts(planned) == {"staged": 2, "inserted": 2}
    assert [change["key"] for change in planned["changes"] if change["entity"] == "permit"] == ["R1", "R2"]
    assert permits(table) == []

    first = call(tool, table, "apply", with_permits("wet"))
    two = [
        (1, "R1", "wet", "2024-07-01 08:00:00", "2024-07-31 23:00:00", None, True),
        (2, "R2", "dry", "2024-07-02 00:00:00", "None", 3, False),
    ]
    assert permits(table) == two
    assert counts(first) == {"staged": 2, "inserted": 2}

    again = call(tool, table, "apply", with_permits("wet"))
    assert (again["documents"]["verified"], counts(again)) == (1, {})

    changed = call(tool, table, "apply", with_permits("frozen"))
    assert counts(changed) == {"staged": 2, "updated": 1, "unchanged": 1}
    assert [permit[2] for permit in permits(table)] == ["frozen", "dry"]

    undone = call(tool, table, "undo", changed["run"])
    assert (counts(undone), undone["refusals"]) == ({"staged": 1, "updated": 1}, [])
    assert permits(table) == two

    undone = call(tool, table, "undo", first["run"])
    assert (counts(undone), undone["refusals"]) == ({"staged": 2, "deleted": 2}, [])
    assert permits(table) == [] == table.rows("Proposal")


def test_a_document_is_examined_for_somebody_whom_only_a_ninth_entity_names(tool: Path, table: Ispyb) -> None:
    whole = with_permits("wet")
    whole["permits"][1]["person"] = {"login": "only", "familyName": "Name"}
    verified = [call(tool, table, "apply", whole)["documents"]["verified"] for _ in range(2)]
    assert verified == [0, 1]

    run(table, "UPDATE Person SET familyName = 'Drift' WHERE login = 'only'")
    seen = call(tool, table, "apply", whole)
    assert (seen["documents"]["verified"], seen["entities"]["person"]["updated"]) == (0, 1)

    other = document(2)
    other["proposal"]["persons"].append({"login": "only", "familyName": "Another"})
    drawn_in = call(tool, table, "apply", [whole, other])
    assert drawn_in["documents"]["verified"] == 0
    assert "conflicting_copies" in {warning["code"] for warning in drawn_in["warnings"]}


def test_what_is_wrong_with_a_ninth_entity_is_refused_in_its_words(tool: Path, table: Ispyb) -> None:
    whole = with_permits("wet")
    one, two = whole["permits"]
    wrong = [one | {"person": {"familyName": "Nobody"}}, two | {"code": "R" * 13}, {"remark": "no key"}]
    report = call(tool, table, "apply", whole | {"permits": [*wrong, {"externalId": 4, "unheard": 1}]})
    told = {(r["entity"], r["code"], r["path"]): r["message"] for r in report["refusals"]}
    assert set(told) == {
        ("person", "invalid_document", "permits[0].person"),
        ("permit", "value_too_long", "permits[1].code"),
        ("permit", "invalid_document", "permits[2]"),
    }
    assert "the permit goes on without a person" in told["person", "invalid_document", "permits[0].person"]
    assert "the permit is refused" in told["permit", "invalid_document", "permits[2]"]
    assert [(permit[0], permit[-1]) for permit in permits(table)] == [(1, False), (4, False)]
    assert "unknown key `permits[].unheard`" in [w["message"] for w in report["warnings"] if w["code"] == "unknown_key"]

    run(table, "INSERT INTO Permit (proposalId, code) SELECT proposalId, code FROM Permit WHERE code = 'R1'")
    assert "R1 in proposal " in call(tool, table, "check")["duplicate permit code"]
