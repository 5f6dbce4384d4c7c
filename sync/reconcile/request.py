"""What a caller asks for: which export, with which settings; and one attempt at it, on one connection.

Command line and Python hand the same request to `sync.api`.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from sqlalchemy import Connection, Engine

from sync.database.connection import Database
from sync.model.entities import ENTITIES, Entity
from sync.model.errors import UsageError
from sync.model.refusals import refused_value
from sync.model.report import BY_COMMAND, AskedBy, Report
from sync.model.settings import Settings
from sync.portal.address import Address, address
from sync.read.closest import folded
from sync.read.copied import Copied
from sync.read.reader import Export, RawDocument, Reader
from sync.statements.live_ispyb import LiveIspyb
from sync.verify.digests import Digests
from sync.verify.fingerprints import Fingerprints

Progress = Callable[[Reader], None]
Confirm = Callable[[Report], bool]


@dataclass(frozen=True)
class Request:
    """One call about an export; it stays as it is on its whole way.


    mode       validate asks no database; plan writes nothing to ISPyB; apply writes
    database   a URL, an Engine, or a Connection in the caller's transaction; None: that of the settings
    proposals  only these documents, as CODE-NUMBER; empty: all
    progress   is told what was read so far
    asked_by   what started it, and who
    confirm    is shown what an apply is about to write, and answers; None: nobody is asked
    waits      is told what the User Portal is waited for
    phase      is told what is done now, or waited for: in words, how many of how many rows are done; None: not known
    receives   is given each document that is valid, at least in part, as it was read
    """

    mode: Literal["validate", "plan", "apply"]
    export: Export
    settings: Settings
    database: Database | None = field(default=None, repr=False)
    proposals: frozenset[str] = frozenset()
    progress: Progress | None = None
    confirm: Confirm | None = None
    asked_by: AskedBy = BY_COMMAND
    waits: Callable[[str], None] | None = None
    phase: Callable[[str, int, int | None], None] | None = None
    receives: Callable[[RawDocument], None] | None = None

    @property
    def ispyb(self) -> Database:
        """The database of this call. Raises UsageError where none is set."""
        return self.database if self.database is not None else self.settings.database_url()

    @property
    def write(self) -> bool:
        """Whether ISPyB is to be changed."""
        return self.mode == "apply"

    def tell(self, words: str, done: int = 0, total: int | None = None) -> None:
        """Tells what is done now."""
        if self.phase is not None:
            self.phase(words, done, total)

    def tell_of(self, entity: Entity, report: Report) -> None:
        """Tells which entity is written next, and how many rows of those before it are written."""
        rows = {name: c.inserted + c.updated + c.deleted for name, c in report.entities.items()}
        before = sum(rows[other.name] for other in ENTITIES[: ENTITIES.index(entity)])
        self.tell(f"writing {entity.name}", before, sum(rows.values()))

    @cached_property
    def asked(self) -> Address | None:
        """What of the User Portal the export is; None for any other export."""
        return address(self.export)

    @cached_property
    def wanted(self) -> frozenset[str]:
        """The proposals of which documents are taken; empty: all.

        Raises UsageError where other ones are wanted than the User Portal is asked for: none of theirs would be taken.
        """
        only = frozenset() if self.asked is None else self.asked.only
        others = {name for name in self.proposals if folded(name) not in map(folded, only)} if only else set()
        if self.asked is not None and others:
            names = ", ".join(map(refused_value, sorted(others)))
            raise UsageError(
                f"{self.asked.name} with --proposal {names}: the User Portal is asked for another proposal",
                hint="Leave out one of the two. portal:all can be asked for several: --proposal may be repeated.",
            )
        return self.proposals or only

    @property
    def form(self) -> str:
        """The name of the form of the export."""
        if self.settings.format is not None:
            return self.settings.format
        return "ispyb" if self.asked is None else self.settings.portal.format

    @property
    def can_be_read_again(self) -> bool:
        """Whether a second reading gives the export whole: a file, a dict or the portal, not a stream or a pipe."""
        if isinstance(self.export, str | os.PathLike):
            return self.asked is not None or os.path.isfile(self.export) or os.path.isdir(self.export)
        return isinstance(self.export, dict)


@dataclass(frozen=True)
class Attempt:
    """One attempt at a request, on one connection. It reads the export once, or more often.

    fingerprints   tell which documents are as they were; None: all are examined, and none is remembered
    digests        tell whether ISPyB has of these what it had
    copied         copies an export that cannot be read again; None where it is read once
    """

    request: Request
    ispyb: LiveIspyb
    fingerprints: Fingerprints | None
    digests: Digests
    copied: Copied | None

    @property
    def leaves_connection(self) -> bool:
        """Whether the connection stays open afterwards, so that what is temporary has to be put away."""
        return isinstance(self.request.ispyb, Connection | Engine) and not self.ispyb.connection.invalidated

    def report(self) -> Report:
        """A report of one reading, in which nothing is told yet."""
        asked = self.request.asked_by
        return Report(
            self.request.mode,
            "applied" if self.request.write else "planned",
            trigger=asked.trigger,
            actor=asked.actor or self.ispyb.account,
            database=self.ispyb.called,
        )


@contextmanager
def timed(report: Report, phase: str) -> Iterator[None]:
    """Puts the seconds of what is done meanwhile into the report."""
    start = time.perf_counter()
    try:
        yield
    finally:
        report.seconds[phase] = time.perf_counter() - start


def unread_proposals(report: Report) -> set[str]:
    """Proposals of which a document could not be read: it may have named anybody."""
    invalid = (r for r in report.refusals if (r.entity, r.code) == ("proposal", "invalid_document"))
    return {r.proposal for r in invalid if r.proposal is not None}
