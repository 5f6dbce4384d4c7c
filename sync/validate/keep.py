"""Makes of what msgspec took what is kept: quickly, since an export of a facility has hundreds of thousands of things.

What msgspec took is of the right kind. What it cannot tell is looked at here: whether there is such a date, whether a
key names anything. Refuses nothing itself: where anything does not fit, `sync.validate.check` tells what, and where.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from operator import attrgetter
from typing import Any
from zoneinfo import ZoneInfo

from msgspec import UNSET, Struct
from msgspec.structs import asdict, force_setattr

from sync.model.values import NULL_WORDS, OLD_KEY, PHONE, Wrong
from sync.read.levels import Level
from sync.validate.unknown_keys import Odd, odd_values

_NOTHING = frozenset((None, UNSET))
_ODD = NULL_WORDS | {0}
"""Words for nothing, and what is odd in an old key; no text is 0."""

_Read = tuple[str, Callable[[Struct], Any], Callable[[Any, ZoneInfo], Any]]
"""A field: its name, how it is got, and what makes of its value what is kept."""


class Keeper:
    """The things of one kind."""

    def __init__(self, kind: Level, zone: ZoneInfo) -> None:
        self._kind = kind
        self._zone = zone
        self._reads: list[_Read] = []
        self._reads_of_odd: list[_Read] = []  # of fields that are kept as they are unless they are odd
        for part in kind.parts:
            if part.kind is not None and part.kind.taken is not None:
                reads = self._reads_of_odd if part.kind in (OLD_KEY, PHONE) else self._reads
                reads.append((part.name, attrgetter(part.name), part.kind.taken))
        self._may_be_odd = _getter((*kind.texts, *kind.phones, *kind.old_keys))
        names = kind.model.named_by
        self._named_by = _getter(names) if names else None

    def keep(self, things: Sequence[Struct]) -> list[Odd]:
        """Changes the things where they are; returns what is odd in their values. Raises Wrong."""
        odd: list[Odd] = []
        if not _ODD.isdisjoint(chain.from_iterable(map(self._may_be_odd, things))):
            odd = [found for thing in things for found, _ in odd_values(self._kind, asdict(thing))]
            self._read(self._reads_of_odd, things)
        self._read(self._reads, things)
        if self._named_by is not None and any(map(_NOTHING.issuperset, map(self._named_by, things))):
            raise Wrong("no_key")
        return odd

    def _read(self, reads: Iterable[_Read], things: Sequence[Struct]) -> None:
        zone, put = self._zone, force_setattr
        for name, of, read in reads:
            for thing in things:
                value = of(thing)
                if value is not None and value is not UNSET:
                    kept = read(value, zone)
                    if kept is not value:
                        put(thing, name, kept)


def _getter(names: tuple[str, ...]) -> Callable[[Struct], tuple[Any, ...]]:
    """Gets these fields as a tuple, also where it is one."""
    return attrgetter(*names) if len(names) > 1 else attrgetter(*names, *names)
