"""What is done for events that were gathered, in a thread of its own: one pull for each proposal, or one apply of
the documents. What the database or the portal cannot do now is held; what can never be done is a dead letter.
"""

import io
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field

from sqlalchemy.exc import DBAPIError

from sync import api
from sync.api import Request
from sync.listen.events import Event, Unusable, names_of, proposal_of
from sync.model.errors import DatabaseError, PortalError, SyncError
from sync.model.report import AskedBy, Report
from sync.model.settings import Settings
from sync.read.reader import Export
from sync.show.metrics import METRICS
from sync.validate.validator import NOT_FOUND

log = logging.getLogger("sync.listen")


@dataclass
class Outcome:
    """What became of events: `dead` with the reason, `held` until later."""

    done: list[Event] = field(default_factory=list)
    dead: list[tuple[Event, str]] = field(default_factory=list)
    held: list[Event] = field(default_factory=list)
    why_held: str = ""


def work(events: list[Event], settings: Settings) -> Outcome:
    """Does what these events ask for; raises nothing that a later attempt could mend."""
    outcome = Outcome()
    groups = (
        _documents(events, settings, outcome)
        if settings.listen.body == "document"
        else _pulls(events, settings, outcome)
    )
    for export, asking in groups:
        if outcome.held:
            outcome.held += asking
            continue
        try:
            report = _run(export, asking, settings)
        except (DatabaseError, PortalError, DBAPIError) as error:
            outcome.held += asking
            outcome.why_held = _short(error)
        except SyncError as error:
            outcome.dead += [(event, _short(error)) for event in asking]
        else:
            if not any(warning.code == NOT_FOUND for warning in report.warnings):
                outcome.done += asking
            else:
                outcome.dead += [(event, "the User Portal sent nothing of this proposal") for event in asking]
    return outcome


def _pulls(events: list[Event], settings: Settings, outcome: Outcome) -> Iterator[tuple[Export, list[Event]]]:
    """One export for each proposal, with all events that name it."""
    named: dict[str, list[Event]] = {}
    for event in events:
        try:
            named.setdefault(proposal_of(event, settings.listen), []).append(event)
        except Unusable as unusable:
            outcome.dead.append((event, str(unusable)))
    for proposal, asking in named.items():
        yield f"portal:{proposal}", asking


def _documents(events: list[Event], settings: Settings, outcome: Outcome) -> Iterator[tuple[Export, list[Event]]]:
    """One export of all bodies that are a document."""
    good = []
    for event in events:
        try:
            report = api.run(Request("validate", io.BytesIO(event.body), settings))
        except SyncError as error:
            outcome.dead.append((event, _short(error)))
            continue
        if report.documents_read == 1 and not any(refusal.code == "invalid_json" for refusal in report.refusals):
            good.append(event)
        else:
            outcome.dead.append((event, "the body is not one document"))
    if good:
        yield io.BytesIO(b"\n".join(event.body for event in good)), good


def _run(export: Export, asking: list[Event], settings: Settings) -> Report:
    names = names_of(asking)
    try:
        report = api.run(Request("apply", export, settings, asked_by=AskedBy("broker", names)))
    except (SyncError, DBAPIError):
        METRICS.note(Report("apply", "failed", trigger="broker"))
        raise
    METRICS.note(report)
    log.info("run %s: %s, for %d events (%s)", report.run, report.status, len(asking), names)
    return report


def _short(error: SyncError | DBAPIError) -> str:
    return error.message if isinstance(error, SyncError) else type(error).__name__
