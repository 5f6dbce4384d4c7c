"""A small export with a row for each of the eight tables, and short ways to run the tool on a database."""

import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url
from support.databases import Ispyb

from sync.cli import main as cli

Json = dict[str, Any]


def document(number: int, *, family: str = "Name", **proposal: Any) -> Json:
    """One proposal with three persons, a laboratory, two sessions, a protein and a lab contact, all its own."""
    team = [
        {
            "login": f"u{number}_{place}",
            "externalId": 100 * number + place,
            "familyName": f"{family} {number}.{place}",
            "laboratory": {"name": f"Lab {number}", "city": "Lund", "laboratoryExtPk": number},
        }
        for place in range(3)
    ]
    return {
        "proposal": {
            "proposalCode": "MX",
            "proposalNumber": str(number),
            "externalId": number,
            "title": f"Title {number}",
            "persons": team,
            "labcontacts": [{"cardName": f"card {number}", "person": team[1]}],
        }
        | proposal,
        "sessions": [
            {
                "externalId": 100 * number + visit,
                "startDate": "2024-07-01T08:00:00Z",
                "endDate": "2024-07-02T08:00:00Z",
                "beamLineName": "ID1",
                "visit_number": visit,
                "persons": [team[0] | {"session_options": {"role": "Staff", "remote": True}}],
            }
            for visit in (1, 2)
        ],
        "proteins": [{"acronym": "lyso", "externalId": number, "person": {"login": team[0]["login"]}}],
    }


def export(proposals: int, **fields: Any) -> list[Json]:
    """So many documents; what is given stands in each."""
    return [document(number, **fields) for number in range(1, proposals + 1)]


def sharing(first: int, last: int) -> list[Json]:
    """Documents of proposals of their own, without sessions, that share the people and laboratory of document 1."""
    return [
        document(1, externalId=number, proposalNumber=str(number)) | {"sessions": []} for number in range(first, last)
    ]


ROWS = {
    "Laboratory": 1,
    "Person": 3,
    "Proposal": 1,
    "ProposalHasPerson": 3,
    "BLSession": 2,
    "Session_has_Person": 2,
    "Protein": 1,
    "LabContact": 1,
}
"""How many rows of each table a document makes."""


def counts(ispyb: Ispyb) -> dict[str, int]:
    """How many rows each of the eight tables has."""
    with ispyb.engine.connect() as connection:
        return {
            table: int(connection.exec_driver_sql(f"SELECT COUNT(*) FROM `{table}`").scalar_one()) for table in ROWS
        }


def holds(ispyb: Ispyb, documents: int) -> bool:
    """Whether the tables hold what so many documents make, and nothing else."""
    return counts(ispyb) == {table: documents * rows for table, rows in ROWS.items()}


@contextmanager
def trigger(ispyb: Ispyb, when: str, body: str) -> Iterator[None]:
    """As root: a trigger in ISPyB, such as BEFORE INSERT ON LabContact, for as long as a test needs it."""
    run(ispyb, f"CREATE TRIGGER in_the_way {when} FOR EACH ROW {body}")
    try:
        yield
    finally:
        run(ispyb, "DROP TRIGGER in_the_way")


def run(ispyb: Ispyb, *statements: str) -> None:
    """Statements as root."""
    with ispyb.engine.begin() as connection:
        connection.exec_driver_sql("SET SESSION lock_wait_timeout = 20")
        for statement in statements:
            connection.exec_driver_sql(statement)


def role(ispyb: Ispyb) -> str:
    """The role that the sync's login has."""
    return f"{make_url(ispyb.role_url).username}_role"


def password(ispyb: Ispyb) -> str:
    return str(make_url(ispyb.role_url).password)


@dataclass(frozen=True)
class Done:
    """What a command left."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class CommandLine:
    """Runs commands in this process, as the installed script does."""

    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]

    def __call__(self, *arguments: str) -> Done:
        self.monkeypatch.setattr(sys, "argv", ["ispyb-sync", *arguments])
        self.capsys.readouterr()
        try:
            cli.main()
        except SystemExit as end:
            code = int(end.code or 0)
        else:
            code = 0
        return Done(code, *self.capsys.readouterr())


def in_folder(folder: Path, ispyb: Ispyb, monkeypatch: pytest.MonkeyPatch) -> None:
    """Goes to a folder with two exports, with this database and no other setting in the environment."""
    for name in [name for name in os.environ if name.startswith("ISPYB_SYNC_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("ISPYB_SYNC_DATABASE", ispyb.role_url)
    monkeypatch.setenv("ISPYB_SYNC_STAGING_SCHEMA", ispyb.staging_schema)
    write("good.ndjson", export(2))
    write("partly.ndjson", [document(1), {"proposal": {"title": "nothing names it"}}])


def hear_interrupts() -> None:
    """For `preexec_fn`: SIGINT ends the child, also where a shell that runs the tests in the background ignores it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def write(name: str, documents: list[Json]) -> None:
    Path(name).write_text("\n".join(map(json.dumps, documents)), encoding="utf-8")
