"""The tool's own record: who ran what, when, and what each run changed.

Keeps the row of a run, and reads what the run wrote in its own transaction (pass `history` of the SQL files); changes
nothing in ISPyB.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import CursorResult
from sqlalchemy.exc import DBAPIError

from sync.database.connection import Database, Ispyb, connected, failure
from sync.database.sqlfiles import named
from sync.database.tool_schema import demand_own
from sync.history.changes import ALL_CHANGES, IN_ORDER, read_changes
from sync.model.conditions import NO_CONDITIONS, Conditions
from sync.model.errors import UsageError
from sync.model.refusals import Notice, Refusal
from sync.model.report import BY_COMMAND, AskedBy, Counts, Report, Vanished, storable
from sync.model.settings import LISTED_RUNS, Settings
from sync.model.tables.triggers import TABLES
from sync.model.text import tool_version

LONGEST_ACTOR = 255
LONGEST_NAME = 1024
"""Characters of an export's name that history keeps: its last ones."""


@dataclass(frozen=True)
class Run:
    """One run as history keeps it; `started` and `ended` are UTC.

    bytes, sha256   of the export as it was read, where that is known
    settings        those of the run, without the database
    elsewhere       the run was on another ISPyB, which shared the tool schema once; nothing here goes by it
    """

    started: datetime
    account: str
    tool_version: str
    export: str | None
    report: Report
    ended: datetime | None = None
    bytes: int | None = None
    sha256: str | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    elsewhere: bool = False

    def to_dict(self) -> dict[str, Any]:
        """The report's public form, and who ran it when."""
        return {
            "started": f"{self.started.isoformat()}Z",
            "account": self.account,
            "tool_version": self.tool_version,
            "ended": self.ended and f"{self.ended.isoformat()}Z",
            "export": self.export,
            "export_bytes": self.bytes,
            "export_sha256": self.sha256,
            "settings": self.settings,
            "elsewhere": self.elsewhere,
            **self.report.to_dict(),
        }


def runs(database: Database, settings: Settings, limit: int = LISTED_RUNS, *, proposal: str | None = None) -> list[Run]:
    """The latest runs, newest first, without their changes; with `proposal` (CODE-NUMBER) those that touched it.

    A run touches a proposal of which it changes or refuses something, and each one of an export of few.
    """
    with opened(database, settings) as ispyb:
        if proposal is None:
            return [read_run(row) for row in ask(ispyb, "list_runs", limit=limit)]
        found = ask(ispyb, "list_runs_of_proposal", limit=limit, proposal=proposal)
        return [read_run(row) for row in found]


def show(database: Database, settings: Settings, run: int, *, limit: int = ALL_CHANGES) -> Run:
    """One run with its changes, or the first of them. Raises UsageError where there is none of that number."""
    with opened(database, settings) as ispyb:
        return read(ispyb, run, limit)


def read(ispyb: Ispyb, run: int, limit: int = ALL_CHANGES) -> Run:
    """The same where ISPyB is open already."""
    row = ask(ispyb, "show_run", run=run).first()
    if row is None:
        raise UsageError(f"no run {run} in history", hint="`ispyb-sync history` lists them.")
    found = read_run(row)
    for stored in ask(ispyb, "show_changes", run=run, limit=limit, entities=IN_ORDER):
        found.report.changes.extend(read_changes(stored.entity, [tuple(stored)[1:]]))
    return found


@contextmanager
def opened(database: Database, settings: Settings) -> Iterator[Ispyb]:
    """An ISPyB whose tool schema is migrated, and serves it. Raises SyncError."""
    with connected(database, settings) as ispyb:
        demand_own(ispyb)
        yield ispyb


def record(
    ispyb: Ispyb,
    settings: Settings,
    report: Report,
    started: datetime,
    *,
    export: str,
    nbytes: int | None = None,
    sha256: str | None = None,
    asked: AskedBy = BY_COMMAND,
    **more: object,
) -> int:
    """Writes a run into the tool's own schema, in the transaction of what it wrote; returns its number.

    asked  what started it, and who; without an actor the account counts as one
    more   kept with the settings, which are kept with the schema of ISPyB and without the database URL
    """
    kept = settings.model_dump(mode="json", exclude={"database", *TABLES}) | {"schema": ispyb.schema} | more
    report.trigger, report.actor = asked.trigger, asked.actor or ispyb.account
    result = ispyb.ask(
        named("history", "record_run"),
        mode=report.mode,
        status=report.status,
        started=started,
        tool_version=tool_version(),
        export_name=export[-LONGEST_NAME:],
        export_bytes=nbytes,
        export_sha256=sha256,
        settings=json.dumps(kept),
        report=json.dumps(storable(report), default=str),
        trigger=asked.trigger,
        actor=asked.actor and asked.actor[:LONGEST_ACTOR],
    )
    return int(result.lastrowid)


def ask(ispyb: Ispyb, name: str, given: Conditions = NO_CONDITIONS, /, **parameters: object) -> CursorResult[Any]:
    """The result of a statement of sql/history.sql; raises DatabaseError that names it."""
    statement = named("history", name)
    try:
        return ispyb.ask(statement, given, **parameters)
    except DBAPIError as error:
        raise failure(error, statement.origin) from None


def read_run(row: Any) -> Run:
    """A run from its row."""
    data = json.loads(row.report)
    report = Report(row.mode, row.status, run=row.run, trigger=row.trigger, actor=row.actor)
    report.documents_read = data["documents"]["read"]
    report.documents_verified = data["documents"].get("verified", 0)  # of older releases none
    report.documents_refused = data["documents"]["refused"]
    report.entities |= {name: Counts(**counts) for name, counts in data["entities"].items()}
    report.refusals = [Refusal.from_dict(refusal) for refusal in data["refusals"]]
    report.warnings = [Notice.from_dict(warning) for warning in data["warnings"]]
    if (vanished := data.get("vanished")) is not None:
        report.vanished = [Vanished(**thing) for thing in vanished]
    report.undoes = data.get("undoes")
    report.database = data.get("database")
    report.seconds = data["seconds"]
    return Run(
        started=row.started,
        account=row.account,
        tool_version=row.tool_version,
        export=row.export_name,
        report=report,
        ended=row.ended,
        bytes=row.export_bytes,
        sha256=row.export_sha256,
        settings=json.loads(row.settings or "{}"),
        elsewhere=bool(row.elsewhere),
    )
