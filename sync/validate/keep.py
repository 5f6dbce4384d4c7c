"""Makes of what msgspec took what is kept: quickly, since an export of a facility has hundreds of thousands of things.

What msgspec took is of the right kind. What it cannot tell is looked at here: whether there is such a date, whether a
key names anything. Refuses nothing itself: where anything does not fit, `sync.validate.check` tells what, and where.
"""

from collections.abc import Callable, Sequence
from itertools import chain
from operator import attrgetter
from typing import Any
from zoneinfo import ZoneInfo

from msgspec import UNSET, Struct
from msgspec.structs import asdict, force_setattr

from sync.model.values import NULL_WORDS, Wrong
from sync.read.levels import Level
from sync.validate.unknown_keys import Odd, odd_values

_NOTHING = frozenset((None, UNSET))


class Keeper:
    """The things of one kind."""

    def __init__(self, kind: Level, zone: ZoneInfo) -> None:
        self._kind = kind
        self._zone = zone
        kinds = [(part.name, part.kind.taken) for part in kind.parts if part.kind is not None]
        self._reads = [(name, attrgetter(name), taken) for name, taken in kinds if taken is not None]
        texts = (*kind.texts, *kind.phones)
        self._texts: Callable[[Struct], tuple[Any, ...]] = attrgetter(*texts, *texts[:1])  # at least two: a tuple
        names = kind.model.named_by
        self._named_by = attrgetter(*names, *names[:1]) if names else None
        self._old_key: Callable[[Struct], Any] | None = None
        for name in kind.old_keys:  # there is one at the most
            self._old_key = attrgetter(name)

    def keep(self, things: Sequence[Struct]) -> list[Odd]:
        """Changes the things where they are; returns what is odd in their values. Raises Wrong."""
        odd: list[Odd] = []
        if self._may_be_odd(things):
            odd = [found for thing in things for found, _ in odd_values(self._kind, asdict(thing))]
        zone = self._zone
        for name, of, read in self._reads:
            for thing in things:
                value = of(thing)
                if value is not None and value is not UNSET:
                    kept = read(value, zone)
                    if kept is not value:
                        force_setattr(thing, name, kept)
        if self._named_by is not None:
            for names in map(self._named_by, things):
                if _NOTHING.issuperset(names):
                    raise Wrong("no_key")
        return odd

    def _may_be_odd(self, things: Sequence[Struct]) -> bool:
        if not NULL_WORDS.isdisjoint(chain.from_iterable(map(self._texts, things))):
            return True
        return self._old_key is not None and 0 in map(self._old_key, things)
