"""The order in which people read changes, refusals, and what vanished."""

import re
from collections.abc import Iterable
from functools import lru_cache
from heapq import nsmallest
from typing import Any

from sync.model.entities import ENTITIES
from sync.model.refusals import Refusal
from sync.model.report import Change, Vanished

_PLACES = {entity.name: place for place, entity in enumerate(ENTITIES)}


def in_order(changes: Iterable[Change], most: int | None = None) -> list[Change]:
    """Changes as people read them, or the first of them: by entity, by proposal, what is new last."""

    def order(change: Change) -> tuple[Any, ...]:
        return _PLACES[change.entity], natural(change.proposal), change.id is None, change.id or 0

    return sorted(changes, key=order) if most is None else nsmallest(most, changes, key=order)


def refusals_in_order(refusals: Iterable[Refusal]) -> list[Refusal]:
    """Refusals as people read them: by entity, by proposal, by document."""
    return sorted(
        refusals,
        key=lambda r: (_PLACES.get(r.entity, -1), natural(r.proposal), r.document or 0, natural(r.path)),
    )


def vanished_in_order(vanished: Iterable[Vanished]) -> list[Vanished]:
    """What vanished as people read it: by entity, by proposal."""
    return sorted(vanished, key=lambda v: (_PLACES[v.entity], natural(v.proposal), v.id))


_DIGITS = re.compile(r"(\d+)")


@lru_cache(maxsize=100_000)
def natural(label: str | None) -> tuple[object, ...]:
    """A sort key by which MX-9 comes before MX-10, and what has no label first."""
    parts = _DIGITS.split(label or "")  # text and digits in turn
    return tuple(_number(part) if place % 2 else part for place, part in enumerate(parts))


def _number(digits: str) -> tuple[int, str]:
    """Compares as the number does, however many digits there are."""
    digits = digits.lstrip("0")
    return len(digits), digits
