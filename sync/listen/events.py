"""What a message asks for: a proposal to pull, a document to apply, or nothing.

A body may hold personal data, even a refresh token: of one that cannot be used only the reason is told.
"""

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import orjson

from sync.model.tables.triggers import Listen, found_at
from sync.model.text import printable
from sync.portal.address import NAME

_is_name = re.compile(NAME).fullmatch


@dataclass(frozen=True)
class Event:
    """One message. `tag` is what it is acknowledged by; `name` is the event's, as the property `type` has it."""

    tag: int
    name: str
    body: bytes
    properties: Any


class Unusable(Exception):
    """Nothing can be done for a message; the reason is without what the message says."""


def is_listed(event: Event, settings: Listen) -> bool:
    """Whether an event of this name is one of the settings."""
    return any(fnmatchcase(event.name, pattern) for pattern in settings.events)


def proposal_of(event: Event, settings: Listen) -> str:
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
    if not _is_name(found.strip()):
        raise Unusable(f"what stands at {settings.proposal} is no name of a proposal")
    return found.strip()


def names_of(events: list[Event]) -> str:
    """The names of events, each once, as history keeps them."""
    return ", ".join(sorted({printable(event.name) for event in events}))
