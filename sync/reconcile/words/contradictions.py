"""Finds in what refused rows contradict each other: one key that they share, and another one in which they differ.

A chain of mentions may share one key here and another one there. Each row is told of a contradiction in which it takes
part itself; one that takes part in none, of the nearest in its chain.
"""

import json
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sync.history.changes import label
from sync.model.entities import Entity
from sync.model.refusals import in_words, told


@dataclass(frozen=True)
class Side:
    """What one row says: the key, its value, and the number of its document."""

    key: str
    value: Any
    document: int


@dataclass(frozen=True)
class Contradiction:
    """Two rows have one value of `key`, and differ otherwise."""

    key: str
    value: Any
    one: Side
    other: Side

    def words(self, names: Mapping[str, str]) -> str:
        """Such as: externalId 155857 has login `a.weaver` in document 13 and `aweaver2` in document 218.

        names  the portal's names of fields, where they are not those of documents
        """
        return f"{gives(self.key, self.value, names)} has {self.sides(names)}"

    def sides(self, names: Mapping[str, str]) -> str:
        """Such as: login `a.weaver` in document 13 and `aweaver2` in document 218."""
        one, other = (gives(side.key, side.value, names) for side in (self.one, self.other))
        if self.other.key == self.one.key:
            other = other.removeprefix(f"{called(self.one.key, names)} ")
        return f"{one} in document {self.one.document} and {other} in document {self.other.document}"


def called(name: str, names: Mapping[str, str]) -> str:
    """A field, by the portal's name of it if it has one."""
    return names.get(name, name)


def gives(name: str, value: Any, names: Mapping[str, str]) -> str:
    """A field and its value; under a name of the portal's own a number is quoted, so that `--mask` finds it."""
    told_as = called(name, names)
    return f"{told_as} {in_words(value if told_as == name else str(value))}"


@dataclass(frozen=True)
class _Row:
    """A refused row; of each key the first row that has the same, or None where that joins nothing, and its value."""

    row_id: int
    document: int
    keys: dict[str, tuple[int | None, Any]]

    def side(self, key: str) -> Side:
        return Side(key, self.keys[key][1], self.document)

    def identity(self, key: str) -> object:
        group, value = self.keys[key]
        return value if group is None else group


_Differing = tuple[_Row, str, _Row]


def contradictions(entity: Entity, rows: Iterable[tuple[Any, ...]]) -> dict[int, Contradiction]:
    """The contradiction of each row, by its number; none of a row of which it cannot be told.

    rows   of row number, document, the id of the row of ISPyB that several are, if that is why they are refused, and a
           JSON object {key: [group, value]}, in the order of the keys
    """
    known = [_row(entity, *row) for row in rows]
    groups: dict[tuple[str, int], list[_Row]] = defaultdict(list)
    for row in known:
        for key, (group, _) in row.keys.items():
            if group is not None:
                groups[key, group].append(row)
    differing = {shared: found for shared, members in groups.items() if (found := _differing(shared[0], members))}
    told_of = _along_chains(known, groups, differing)
    for row in known:
        apart = (_apart(key, groups[key, group]) for key, group in _shared(row))
        if row.row_id not in told_of and (contradiction := next(filter(None, apart), None)) is not None:
            told_of[row.row_id] = contradiction
    return told_of


def _along_chains(
    known: list[_Row], groups: dict[tuple[str, int], list[_Row]], differing: dict[tuple[str, int], _Differing]
) -> dict[int, Contradiction]:
    """The contradictions in which rows take part, and of others of their chain the nearest."""
    told_of: dict[int, Contradiction] = {}
    waiting: deque[_Row] = deque()
    for row in known:
        shared = next((s for s in _shared(row) if s in differing), None)
        if shared is not None:
            told_of[row.row_id] = _with_own(row, shared[0], *differing[shared])
            waiting.append(row)
    seen = set(differing)
    while waiting:
        row = waiting.popleft()
        for shared in set(_shared(row)) - seen:
            seen.add(shared)
            for member in groups[shared]:
                if member.row_id not in told_of:
                    told_of[member.row_id] = told_of[row.row_id]
                    waiting.append(member)
    return told_of


def _row(entity: Entity, row_id: int, document: int, target_id: int | None, stored: str) -> _Row:
    keys: dict[str, tuple[int | None, Any]] = {
        name: (group if target_id is None else None, _value(entity, name, value))
        for name, (group, value) in json.loads(stored).items()
        if value is not None
    }
    return _Row(row_id, document, keys if target_id is None else {entity.primary_key: (target_id, target_id), **keys})


def _value(entity: Entity, name: str, value: Any) -> Any:
    """A stored value as people know it."""
    if isinstance(value, str) and name == "externalId":
        return told(bytes.fromhex(value))
    if isinstance(value, str) and entity.kind(name) == "number":
        return int(value)
    return label(value) if isinstance(value, str) else value


def _shared(row: _Row) -> list[tuple[str, int]]:
    return [(key, group) for key, (group, _) in row.keys.items() if group is not None]


def _differing(shared: str, members: list[_Row]) -> _Differing | None:
    """Two rows of a group, and between them the key in which they differ."""
    keys = dict.fromkeys(key for row in members for key in row.keys if key != shared)
    for key in keys:
        having = [row for row in members if key in row.keys]
        for row in having[1:]:
            if row.identity(key) != having[0].identity(key):
                return having[0], key, row
    return None


def _apart(shared: str, members: list[_Row]) -> Contradiction | None:
    """Two rows of a group that no other key says to be the same: each has one that the other lacks."""
    first = members[0]
    for key in (k for k in first.keys if k != shared):
        for row in members[1:]:
            for other in row.keys:
                if other != shared and other not in first.keys and key not in row.keys:
                    return Contradiction(shared, first.keys[shared][1], first.side(key), row.side(other))
    return None


def _with_own(row: _Row, shared: str, first: _Row, key: str, second: _Row) -> Contradiction:
    """The contradiction with what the row itself says in it, where that is a third value."""
    if key in row.keys and row.identity(key) not in (first.identity(key), second.identity(key)):
        second = row
    return Contradiction(shared, first.keys[shared][1], first.side(key), second.side(key))
