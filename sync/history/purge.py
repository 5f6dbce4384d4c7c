"""`history purge`: forgets old runs with all that they changed, for personal data does not stay for ever.

What stays are the ids of links that runs made: without them `--prune owned` would take those links for links of others.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sync.database.connection import Database
from sync.history.runs import ask, opened
from sync.model.errors import UsageError
from sync.model.settings import Settings

_AGE = re.compile(r"(\d{1,5})d")


@dataclass(frozen=True)
class Old:
    """Runs that started before a moment (UTC), and how many changes history holds of them."""

    before: datetime
    runs: int
    changes: int


def find_old(database: Database, settings: Settings, older_than: str) -> Old:
    """What a purge of runs older than, for instance, 180d would forget."""
    age = _AGE.fullmatch(older_than)
    if age is None:
        raise UsageError(f"{older_than!r} is no age", hint="Write it in days, as 180d.")
    before = datetime.now(UTC).replace(tzinfo=None) - timedelta(days=int(age[1]))
    with opened(database, settings) as ispyb:
        row = ask(ispyb, "count_old", before=before).one()
    return Old(before, row.runs, row.changes)


def purge(database: Database, settings: Settings, old: Old) -> int:
    """Forgets them; returns the number of runs."""
    with opened(database, settings) as ispyb:
        for name in ("forget_links", "keep_links", "purge_changes", "purge_touched"):
            ask(ispyb, name, before=old.before)
        forgotten = ask(ispyb, "purge_runs", before=old.before).rowcount
        ispyb.connection.commit()
        return forgotten
