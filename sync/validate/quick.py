"""A document that msgspec took becomes a valid one, with its people in the places of their texts.

Refuses nothing itself: where anything does not fit, `sync.validate.check` tells what, and where.
"""

from collections.abc import Iterator, Sequence
from itertools import chain
from operator import attrgetter
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from sync.model.documents import Document, WithUnknownKeys
from sync.model.people import SessionPerson
from sync.read.levels import ROOT, Level, Part
from sync.validate.keep import Keeper
from sync.validate.mentions import Mentions
from sync.validate.unknown_keys import Odd, odd_there, unknown_keys_around_people

_NULL = b"null"


class Quick:
    """The documents of one export, one by one."""

    def __init__(self, zone: ZoneInfo) -> None:
        self._parts = list(_parts(ROOT, zone, Mentions(zone)))

    def keep(self, document: Document, text: bytes) -> list[Odd]:
        """Makes the document valid, where it is; returns what is odd in it. Raises ValueError where it does not fit."""
        odd: list[Odd] = []
        for part in self._parts:
            part.keep([document], odd)
        if isinstance(document, WithUnknownKeys):
            odd += unknown_keys_around_people(text)
        return odd


class _InPlace(Protocol):
    """What stands in one field of things of one kind."""

    def keep(self, holders: Sequence[Any], odd: list[Odd]) -> None:
        """Makes it valid in all of them; adds what is odd. Raises ValueError."""


def _parts(kind: Level, zone: ZoneInfo, mentions: Mentions) -> Iterator[_InPlace]:
    for part in kind.holding:
        if part.child is None:
            continue
        if not part.child.is_of_people:
            yield _Things(part, part.child, zone, mentions)
        elif part.many:
            yield _People(part, part.child, mentions)
        else:
            yield _Person(part, part.child, mentions)


class _Things:
    def __init__(self, part: Part, kind: Level, zone: ZoneInfo, mentions: Mentions) -> None:
        self._of = attrgetter(part.name)
        self._many = part.many
        self._keep = Keeper(kind, zone).keep
        self._parts = list(_parts(kind, zone, mentions))

    def keep(self, holders: Sequence[Any], odd: list[Odd]) -> None:
        given = filter(None, map(self._of, holders))
        things = list(chain.from_iterable(given) if self._many else given)
        if things:
            odd += self._keep(things)
            for part in self._parts:
                part.keep(things, odd)


class _People:
    """Lists of people."""

    def __init__(self, part: Part, kind: Level, mentions: Mentions) -> None:
        self._name, self._of, self._path = part.name, attrgetter(part.name), kind.path
        self._read: Any = mentions.participants if kind.model is SessionPerson else mentions.people

    def keep(self, holders: Sequence[Any], odd: list[Odd]) -> None:
        found: list[Odd] = []
        for thing in holders:
            if texts := self._of(thing):
                setattr(thing, self._name, self._read(map(bytes, texts), found))
        if found:
            odd += odd_there(self._path, found)


class _Person:
    """Somebody, or null where that may be."""

    def __init__(self, part: Part, kind: Level, mentions: Mentions) -> None:
        self._name, self._of, self._path = part.name, attrgetter(part.name), kind.path
        self._may_be_null = not part.required
        self._read = mentions.people

    def keep(self, holders: Sequence[Any], odd: list[Odd]) -> None:
        named = [thing for thing in holders if self._of(thing)]
        texts = list(map(bytes, map(self._of, named)))
        if self._may_be_null and _NULL in texts:
            for thing, text in zip(named, texts, strict=True):
                if text == _NULL:
                    setattr(thing, self._name, None)
            named = [thing for thing in named if self._of(thing)]
            texts = [text for text in texts if text != _NULL]
        found: list[Odd] = []
        for thing, person in zip(named, self._read(texts, found), strict=True):
            setattr(thing, self._name, person)
        if found:
            odd += odd_there(self._path, found)
