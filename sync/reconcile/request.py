"""One call of the tool: what to do, with which settings, and how its time is kept."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from sync.database.connection import Database
from sync.history.fingerprints import Fingerprints
from sync.model.report import Report
from sync.model.settings import Settings
from sync.read.reader import Export, Reader
from sync.statements.send import Profile

Progress = Callable[[Reader], None]
Confirm = Callable[[Report], bool]


@dataclass
class Job:
    """One call: what to do, with which settings; `confirm` is shown what an apply is about to write."""

    export: Export
    database: Database = field(repr=False)
    settings: Settings
    write: bool
    proposals: frozenset[str] = frozenset()
    progress: Progress | None = None
    confirm: Confirm | None = None
    fingerprints: Fingerprints | None = None
    profile: list[Profile] = field(default_factory=list)


@contextmanager
def timed(report: Report, phase: str) -> Iterator[None]:
    start = time.perf_counter()
    try:
        yield
    finally:
        report.seconds[phase] = time.perf_counter() - start
