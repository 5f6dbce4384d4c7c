"""One call of the tool: what to do, with which settings, and how its time is kept."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sync.database.connection import Database
from sync.history.fingerprints import Fingerprints
from sync.model.report import Report
from sync.model.settings import Settings
from sync.portal.address import Address, address
from sync.read.reader import Export, Reader
from sync.read.turning.origin import Origins
from sync.statements.send import Profile

Progress = Callable[[Reader], None]
Confirm = Callable[[Report], bool]


@dataclass
class Job:
    """One call: what to do, with which settings; `confirm` is shown what an apply is about to write.

    waits   is told what the User Portal is waited for
    prints  takes each document that is valid, at least in part, as it was read
    origins where the documents of another form come from
    asked   what of the User Portal the export is; None for any other export
    """

    export: Export
    database: Database = field(repr=False)
    settings: Settings
    write: bool
    proposals: frozenset[str] = frozenset()
    progress: Progress | None = None
    confirm: Confirm | None = None
    waits: Callable[[str], None] | None = None
    prints: Callable[[dict[str, Any]], None] | None = None
    origins: Origins = field(default_factory=Origins)
    fingerprints: Fingerprints | None = None
    profile: list[Profile] = field(default_factory=list)
    asked: Address | None = field(init=False)

    def __post_init__(self) -> None:
        self.asked = address(self.export)
        if self.asked is not None and not self.proposals:
            self.proposals = self.asked.only

    @property
    def form(self) -> str:
        """The name of the form of the export."""
        if self.settings.format is not None:
            return self.settings.format
        return "ispyb" if self.asked is None else self.settings.portal.format

    @property
    def can_be_read_again(self) -> bool:
        """Whether a second reading gives the export whole: a file, a dict or the portal, not a stream or a pipe."""
        is_file = isinstance(self.export, str | os.PathLike) and os.path.exists(self.export)
        return self.asked is not None or isinstance(self.export, dict) or is_file


@contextmanager
def timed(report: Report, phase: str) -> Iterator[None]:
    start = time.perf_counter()
    try:
        yield
    finally:
        report.seconds[phase] = time.perf_counter() - start
