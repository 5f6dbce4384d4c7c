"""Which runs did something: those that changed or refused a row, and between them how many did not."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sync.database.connection import Database
from sync.database.driver import called
from sync.history.runs import Run, ask, opened, read_run
from sync.model.errors import UsageError
from sync.model.settings import LISTED_RUNS, Settings

_AGE = re.compile(r"(\d{1,5})d")


@dataclass(frozen=True)
class Idle:
    """Runs in a row that changed and refused nothing; `latest` is when the last of them began, UTC."""

    runs: int
    latest: datetime


@dataclass(frozen=True)
class Listing:
    """Runs, newest first, and how many idle ones stand above each, by its place; behind the last one too.

    database   whose they are, as people call it
    """

    database: str
    runs: list[Run]
    idle: Mapping[int, Idle]

    def to_dict(self) -> list[dict[str, object]]:
        """The runs; `idle_since` of each counts the idle ones up to the next that is listed, or up to now."""
        return [
            {**run.to_dict(), "idle_since": self.idle[place].runs if place in self.idle else 0}
            for place, run in enumerate(self.runs)
        ]


def listing(
    database: Database,
    settings: Settings,
    *,
    limit: int = LISTED_RUNS,
    since: str | None = None,
    proposal: str | None = None,
    idle_too: bool = False,
) -> Listing:
    """The latest runs that did something.

    limit      how many at the most
    since      only those that began then or later: a date, a date and time (UTC), or an age such as 7d
    proposal   only those that touched this one, CODE-NUMBER
    idle_too   list also those that did nothing
    """
    which = {"since": since and _moment(since), "proposal": proposal}
    with opened(database, settings) as ispyb:
        found = ask(ispyb, "list_runs_that_did", idle_too=idle_too, limit=limit, **which)
        runs, database = [read_run(row) for row in found], called(ispyb.connection.engine.url)
        if idle_too:
            return Listing(database, runs, {})
        cut = len(runs) == limit
        oldest = runs[-1].report.run if cut else 0
        rows = ask(ispyb, "count_idle_runs", oldest=oldest, **which).all()
    return Listing(database, runs, {int(row.above): Idle(int(row.runs), row.latest) for row in rows})


def _moment(text: str) -> datetime:
    """The moment that a text names, UTC without a zone. Raises UsageError."""
    if age := _AGE.fullmatch(text):
        return datetime.now(UTC).replace(tzinfo=None) - timedelta(days=int(age[1]))
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"--since {text}: neither a date nor an age", hint="Write 2026-11-27, 2026-11-27T08:00, or 7d."
        ) from None
    return moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)
