"""One call of the tool: what to do, with which settings, and how its time is kept."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from sync.database import Database
from sync.fingerprints import Fingerprints
from sync.read import Export, Reader
from sync.report import Report
from sync.runner import Profile
from sync.settings import Settings

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
