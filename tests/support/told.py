"""What a plan tells of its changes, and what rows differ afterwards, in one form: both must be the same."""

import struct
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from support.databases import Ispyb, Row, Snapshot

from sync.model.entities import ENTITIES, Entity
from sync.model.report import Change

Dump = dict[str, dict[tuple[Any, ...], Row]]
"""By entity, rows by their primary key."""

PARENTS = {"laboratoryId": "laboratory", "personId": "person", "proposalId": "proposal"}
FLOATS = ("molecularMass", "structureDeterminations", "dewarTransport", "databackupFrance", "databackupEurope")
_KEPT_BY_THE_SERVER = {"recordTimeStamp", "bltimeStamp", "lastUpdate"}
_DIGITS = 6
"""Of a FLOAT, so many stand in its text."""


def dump(ispyb: Ispyb) -> Dump:
    """Every row of the eight tables; a FLOAT as the double it is, since its text is rounded."""
    with ispyb.engine.connect() as connection:
        tables: Dump = {}
        for entity in ENTITIES:
            exact = [f"`{name}` + 0e0 AS `{name}`" for name in FLOATS if name in ispyb.tables[entity.table]]
            rows = connection.exec_driver_sql(f"SELECT {', '.join(['*', *exact])} FROM `{entity.table}`")
            names = list(rows.keys())
            found = (dict(zip(names, row, strict=True)) for row in rows)  # of two columns of a name the last
            tables[entity.name] = {_identity(entity, row): row for row in found}
        return tables


def untold(planned: Sequence[Change], before: Snapshot, after: Snapshot) -> Iterator[str]:
    """Where the changes of a plan are not the differences of two snapshots; a FLOAT counts as its text."""
    old, new = _rounded(before), _rounded(after)
    told, seen = said(planned, old, rounded=True), done(old, new)
    for changes, words in ((seen - told, "is changed, and the plan does not tell it"), (told - seen, "is told only")):
        for entity, action, number, fields in changes:
            yield f"{entity} {number or ''} {action} {words}: {sorted(fields, key=str)}"


def _rounded(snapshot: Snapshot) -> Dump:
    return {
        entity.name: {_identity(entity, row): _short(row) for row in snapshot[entity.table][1]} for entity in ENTITIES
    }


def _short(row: Row) -> Row:
    return row | {name: _text(value) for name in FLOATS if isinstance(value := row.get(name), float)}


def _text(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")


def done(before: Dump, after: Dump) -> Counter[Any]:
    """The difference of two dumps, in the form of `said`."""
    found: Counter[Any] = Counter()
    for entity in ENTITIES:
        old, new = before[entity.name], after[entity.name]
        for key in old.keys() - new.keys():
            found[entity.name, "delete", key[0], _fields(entity, old[key], {}, before)] += 1
        for key in new.keys() - old.keys():
            shown = key[0] if entity.name == "session_has_person" and key[0] in _ids(before, "session") else None
            found[entity.name, "insert", shown, _fields(entity, {}, new[key], before)] += 1
        for key in old.keys() & new.keys():
            changed = {n for n in old[key].keys() - _KEPT_BY_THE_SERVER if old[key][n] != new[key][n]}
            if changed:
                fields = frozenset(
                    (_name(entity, name), _value(name, old[key][name], before), _value(name, new[key][name], before))
                    for name in changed
                )
                found[entity.name, "update", key[0], fields] += 1
    return found


def said(changes: Sequence[Change], before: Dump, *, rounded: bool = False) -> Counter[Any]:
    """The changes of a plan: entity, action, id, and the columns with old and new values."""
    found: Counter[Any] = Counter()
    for change in changes:
        values = {name: (value["old"], value["new"]) for name, value in change.fields.items() if name != "lastUpdate"}
        if rounded:
            values |= {n: tuple(None if v is None else _text(v) for v in values[n]) for n in FLOATS if n in values}
        fields = frozenset(
            (name, _value(name, old, before), _value(name, new, before)) for name, (old, new) in values.items()
        )
        found[change.entity, change.action, change.id, fields] += 1
    return found


def _identity(entity: Entity, row: Row) -> tuple[Any, ...]:
    if entity.name == "session_has_person":
        return row["sessionId"], row["personId"]
    return (row[entity.primary_key],)


def _fields(entity: Entity, old: Row, new: Row, before: Dump) -> frozenset[Any]:
    """What a plan says of a row that comes or goes: the columns that the tool writes, where they have a value."""
    parents = set() if entity.name == "session_has_person" else set(PARENTS)
    names = {*entity.columns, *entity.aliases.values(), *parents, "role"} - {"lastUpdate", entity.primary_key}
    row = old or new
    return frozenset(
        (_name(entity, name), _value(name, old.get(name), before), _value(name, new.get(name), before))
        for name in names & row.keys()
        if row[name] is not None
    )


def _name(entity: Entity, column: str) -> str:
    return next((name for name, alias in entity.aliases.items() if alias == column), column)


def _value(name: str, value: Any, before: Dump) -> Any:
    """A value in one form, whether it comes from a report or from a row; the id of a new parent is "new"."""
    if name in PARENTS and value is not None and value not in _ids(before, PARENTS[name]):
        return "new"
    if name == "externalId" and value is not None:
        number = int.from_bytes(value, "big") if isinstance(value, bytes) else value
        return number if isinstance(number, int) and number < 2**64 else str(_uuid(number))
    if isinstance(value, datetime):
        return str(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, float) or (name in FLOATS and value is not None):
        return struct.pack("d", value)
    return value


def _uuid(value: int | str) -> UUID:
    return UUID(int=value) if isinstance(value, int) else UUID(value)


def _ids(before: Dump, entity: str) -> set[Any]:
    return {key[0] for key in before[entity]}
