"""What messages ask for: a proposal to pull, a document to apply, or nothing.

A body may hold personal data, even a refresh token: of one that cannot be used only the reason is told.
"""

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

import orjson

from sync.model.tables.triggers import Listen, found_at
from sync.model.text import printable
from sync.portal.address import names_one


@dataclass(frozen=True)
class Event:
    """One message. `tag` is what it is acknowledged by; `name` is the event's, as the property `type` has it."""

    tag: int
    name: str
    body: bytes
    properties: Any


@dataclass
class Asked:
    """What some events ask for together.

    proposal  the proposal that they name; None where the body of the only event is the document itself
    again     when it is tried again, on the monotonic clock, where it was held
    pause     seconds that it is held for the next time
    alone     whether it has a run of its own, since the database failed at it
    """

    proposal: str | None
    events: list[Event] = field(default_factory=list)
    again: float = 0.0
    pause: float = 1.0
    alone: bool = False

    @property
    def key(self) -> str:
        """What events that ask for the same share."""
        return self.proposal or str(self.events[0].tag)


class Unusable(Exception):
    """Nothing can be done for a message; the reason is without what the message says."""


def is_listed(event: Event, settings: Listen) -> bool:
    """Whether an event of this name is one of the settings."""
    return any(fnmatchcase(event.name, pattern) for pattern in settings.events)


def asked_by(event: Event, settings: Listen) -> Asked:
    """What this event asks for. Raises Unusable."""
    return Asked(None if settings.body == "document" else _proposal_of(event, settings), [event])


def _proposal_of(event: Event, settings: Listen) -> str:
    """The proposal that an event names, at the path of the settings or below `proposal`. Raises Unusable."""
    try:
        body = orjson.loads(event.body)
    except orjson.JSONDecodeError:
        raise Unusable("the body is not JSON") from None
    found = found_at(body, settings.proposal)
    if found is None:
        found = found_at(body, f"proposal.{settings.proposal}")
    if isinstance(found, int) and not isinstance(found, bool):
        found = str(found)
    if not isinstance(found, str):
        raise Unusable(f"the body names no proposal at {settings.proposal}")
    if not names_one(found.strip()):
        raise Unusable(f"what stands at {settings.proposal} is no name of a proposal")
    return found.strip()


def names_of(asked: list[Asked]) -> str:
    """The names of events, each once, as history keeps them."""
    return ", ".join(sorted({printable(event.name) for one in asked for event in one.events}))
