"""A document that msgspec took becomes a valid one, with its people in the places of their texts.

Refuses nothing itself: where anything does not fit, `sync.validate.check` tells what, and where.
"""

from collections.abc import Iterable, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from sync.model.documents import Document, WithUnknownKeys
from sync.model.people import SessionPerson
from sync.read.levels import ROOT, Level, Part
from sync.validate.keep import Keeper
from sync.validate.mentions import Mentions, Tell
from sync.validate.unknown_keys import Odd, odd_there, unknown_keys_around_people

_NULL = b"null"


class Quick:
    """The documents of one export, one by one."""

    def __init__(self, zone: ZoneInfo) -> None:
        self._mentions = Mentions(zone)
        kinds = [kind for kind in ROOT.all() if kind is not ROOT and not kind.is_of_people]
        self._keepers = {kind.path: Keeper(kind, zone) for kind in kinds if kind.entity}

    def keep(self, document: Document, text: bytes) -> list[Odd]:
        """Makes the document valid, where it is; returns what is odd in it. Raises ValueError where it does not fit."""
        odd: list[Odd] = []
        self._keep_parts(ROOT, [document], odd)
        if isinstance(document, WithUnknownKeys):
            odd += unknown_keys_around_people(text)
        return odd

    def _keep_parts(self, kind: Level, things: Sequence[Any], odd: list[Odd]) -> None:
        """What is in things of one kind: their people, and other things."""
        for part in kind.holding:
            holders = [thing for thing in things if getattr(thing, part.name)]
            child = part.child
            if not holders or child is None:
                continue
            if child.is_of_people:
                self._keep_people(part, child, holders, odd)
                continue
            inner: list[Any] = []
            for thing in holders:
                value = getattr(thing, part.name)
                inner += value if part.many else (value,)
            odd += self._keepers[child.path].keep(inner)
            self._keep_parts(child, inner, odd)

    def _keep_people(self, part: Part, child: Level, holders: Sequence[Any], odd: list[Odd]) -> None:
        """Puts people in the places of their texts."""
        name = part.name

        def tell(found: Iterable[Odd]) -> None:
            odd.extend(odd_there(child.path, found))

        if not part.many:
            self._keep_person(part, holders, tell)
            return
        read: Any = self._mentions.participants if child.model is SessionPerson else self._mentions.people
        for thing in holders:
            setattr(thing, name, read(getattr(thing, name), tell))

    def _keep_person(self, part: Part, holders: Sequence[Any], tell: Tell) -> None:
        name, named = part.name, []
        for thing in holders:
            if not part.required and bytes(getattr(thing, name)) == _NULL:
                setattr(thing, name, None)
            else:
                named.append(thing)
        for thing, person in zip(named, self._mentions.people([getattr(t, name) for t in named], tell), strict=True):
            setattr(thing, name, person)
