"""Finds for each row that waits the refusal that it hangs on, at the end of the chain."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from sync.model.entities import BY_NAME
from sync.model.refusals import Cause, Refusal


@dataclass(frozen=True)
class Parent:
    """The refused row that another row belongs to: where it stands in the export, and with which code it is refused."""

    entity: str
    row_id: int
    document: int
    path: str
    code: str


class Causes:
    """All refusals so far, by the rows that they refuse: parents come before their children.

    refused   what was refused while it was read; that names no row, but lies at its place or at one of its fields
    """

    def __init__(self, refused: Iterable[Refusal]) -> None:
        self._by_row: dict[tuple[str, int], Refusal] = {}
        self._by_place: dict[tuple[int | None, str], list[Refusal]] = defaultdict(list)
        for refusal in refused:
            for path in _things(refusal.path):
                self._by_place[refusal.document, path].append(refusal)

    def keep(self, refusal: Refusal, row_id: int) -> None:
        """Takes the refusal of a row."""
        self._by_row[refusal.entity, row_id] = refusal

    def of(self, parent: Parent) -> Cause | None:
        """What a row of this parent waits for; None where that cannot be told."""
        found = self._by_row.get((parent.entity, parent.row_id))
        if found is None:
            near = [r for r in self._by_place[parent.document, parent.path] if r.code == parent.code]
            found = min(near, key=lambda refusal: _distance(refusal, parent), default=None)
        return None if found is None else found.cause or found.place


def _things(path: str) -> set[str]:
    """The places of things that a refusal at this place may be about: itself, and what it is a field of."""
    around = path.rpartition(".")[0]
    return {path, around, around.removesuffix(".session_options")}


def _distance(refusal: Refusal, parent: Parent) -> tuple[bool, bool, int]:
    """How far a refusal is from being that of the row itself: one of its keys, of another field, of another thing."""
    is_key = refusal.field in BY_NAME[parent.entity].keys or refusal.path == parent.path
    return refusal.entity != parent.entity, not is_key, len(refusal.path)
