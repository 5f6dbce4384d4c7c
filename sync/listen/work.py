"""What is done for gathered events, in a thread of its own: one pull for each proposal, then one apply of all.

What is wrong with a message, or with what the portal has of its proposal, makes it a dead letter. What may pass by
itself is held. What only somebody can correct who changes the settings or the database stops the consumer.
"""

import io
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import IO, Any, cast

from sqlalchemy.exc import DBAPIError

from sync import api
from sync.api import Request
from sync.database.connection import as_told
from sync.listen.events import Asked, Event, names_of
from sync.listen.joined import Joined
from sync.model.errors import (
    DatabaseError,
    LimitError,
    NoSuchProposal,
    PortalError,
    SyncError,
    Unreachable,
    UnreadableExport,
)
from sync.model.report import AskedBy, Report
from sync.model.settings import Settings
from sync.read.parse import INVALID_JSON
from sync.read.reader import Export, RawDocument
from sync.show.metrics import METRICS
from sync.validate.validator import NOT_FOUND

log = logging.getLogger("sync.listen")

_NO_DOCUMENT = "the body is not one document"
_NOTHING_SENT = "the User Portal sent nothing of this proposal"
IN_A_ROW = 3
"""After so many proposals in a row that the portal does not give, no other one is asked for at once."""


@dataclass
class Outcome:
    """What became of events.

    dead     with the reason
    held     until later, with the reason
    untried  until later too: they were not tried, since others before them failed
    away     why the database can do nothing for now
    stop     what ends the consumer; the events that stand nowhere stay with the broker
    """

    done: list[Event] = field(default_factory=list)
    dead: list[tuple[Event, str]] = field(default_factory=list)
    held: list[tuple[Asked, SyncError]] = field(default_factory=list)
    untried: list[Asked] = field(default_factory=list)
    away: SyncError | None = None
    stop: SyncError | None = None


def work(asked: list[Asked], settings: Settings, *, alone: bool) -> Outcome:
    """Does what is asked for, together, or with `alone` one by one; raises nothing that a later attempt could mend."""
    doing = _Work(settings)
    try:
        doing.one_by_one(asked if alone or len(asked) == 1 else doing.together(asked))
    except SyncError as error:
        doing.outcome.stop = error
    return doing.outcome


class _Work:
    def __init__(self, settings: Settings) -> None:
        self.outcome = Outcome()
        self._settings = settings
        self._of_documents = settings.listen.body == "document"
        self._form = settings.format or ("ispyb" if self._of_documents else settings.portal.format)
        self._failures = self._falls = 0

    def together(self, asked: list[Asked]) -> list[Asked]:
        """Reads all, then applies in one run what was read without a refusal; gives what is left for runs of its own.

        That is what has refusals, or another form: the report of its own run names them as they were sent.
        """
        if self._form != "ispyb":
            return asked
        whole: list[Asked] = []
        apart: list[Asked] = []
        with Joined() as joined:
            apart += [one for one in asked if one.alone]
            for one in self._reachable([one for one in asked if not one.alone]):
                with self._settling(one):
                    report = joined.add(
                        partial(self._read, one),
                        keep=lambda report: not report.refusals and self._why_dead(report) is None,
                    )
                    if (why := self._why_dead(report)) is not None:
                        self._bury(one, why)
                    else:
                        (apart if report.refusals else whole).append(one)
            if not whole:
                return apart
            kind = "documents of events" if self._of_documents else "proposals of the User Portal"
            joined.rewind(f"{kind}: {len(whole)}")
            try:
                report = self._apply(cast(IO[Any], joined), whole)
            except LimitError:
                return whole + apart
            except (DatabaseError, DBAPIError) as error:
                told = self.outcome.away = as_told(error)
                self.outcome.held += [(one, told) for one in [*apart, *whole]]
                return []
        if report.status != "applied":  # with `strict`, one refusal takes all of them back
            return whole + apart
        self.outcome.done += [event for one in whole for event in one.events]
        return apart

    def one_by_one(self, asked: list[Asked]) -> None:
        """Applies each in a run of its own."""
        self._failures = 0
        for one in self._reachable(asked):
            with self._settling(one):
                why = self._why_dead(self._read(one)) if self._of_documents else None
                if why is None:
                    try:
                        report = self._apply(self._export(one), [one])
                    except (DatabaseError, DBAPIError) as error:
                        self._fall(one, as_told(error), last=one is asked[-1])
                        continue
                    self._falls = 0
                    why = None if self._of_documents else self._why_dead(report)
                if why is None:
                    self.outcome.done += one.events
                else:
                    self._bury(one, why)

    def _reachable(self, asked: list[Asked]) -> Iterator[Asked]:
        """Each in turn, as long as that is of use."""
        for number, one in enumerate(asked):
            if self.outcome.away is not None or self._failures >= IN_A_ROW:
                self.outcome.untried += asked[number:]
                return
            yield one

    @contextmanager
    def _settling(self, one: Asked) -> Iterator[None]:
        """Settles what one proposal or document itself brings about."""
        try:
            yield
        except (NoSuchProposal, UnreadableExport) as error:
            self._bury(one, error.message)
        except (PortalError, LimitError) as error:
            self.outcome.held.append((one, error))
            if isinstance(error, PortalError):
                self._failures += 1
                return
        self._failures = 0

    def _bury(self, one: Asked, why: str) -> None:
        self.outcome.dead += [(event, why) for event in one.events]

    def _fall(self, one: Asked, error: SyncError, *, last: bool) -> None:
        """Holds what the database failed at: it may be the only such one, if the database does others."""
        self.outcome.held.append((one, error))
        one.alone = True
        self._falls += 1
        if isinstance(error, Unreachable) or self._falls > 1 or (last and not self.outcome.done):
            self.outcome.away = error

    def _why_dead(self, report: Report) -> str | None:
        """Why nothing can be done for what was read, or applied."""
        if not self._of_documents:
            return _NOTHING_SENT if any(warning.code == NOT_FOUND for warning in report.warnings) else None
        broken = any(refusal.code == INVALID_JSON for refusal in report.refusals)
        return None if report.documents_read == 1 and not broken else _NO_DOCUMENT

    def _export(self, one: Asked) -> Export:
        return io.BytesIO(one.events[0].body) if one.proposal is None else f"portal:{one.proposal}"

    def _read(self, one: Asked, receives: Callable[[RawDocument], None] | None = None) -> Report:
        return api.run(Request("validate", self._export(one), self._settings, receives=receives))

    def _apply(self, export: Export, asked: list[Asked]) -> Report:
        names = names_of(asked)
        try:
            report = api.run(Request("apply", export, self._settings, asked_by=AskedBy("broker", names)))
        except (SyncError, DBAPIError):
            METRICS.note(Report("apply", "failed", trigger="broker"))
            raise
        METRICS.note(report)
        count = sum(len(one.events) for one in asked)
        log.info("run %s: %s, for %d events (%s)", report.run, report.status, count, names)
        return report
