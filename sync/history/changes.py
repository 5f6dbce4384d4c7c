"""Changes as history keeps them, and as people read them: names, old and new values, and why an undo leaves one."""

import json
from collections.abc import Iterable, Iterator
from typing import Any
from uuid import UUID

from sync.model.entities import BY_NAME, ENTITIES, PARENT_IDS
from sync.model.refusals import Refusal
from sync.model.report import Change

PLANNED = 0
"""Stands for the number of a run where there is none yet."""
ALL_CHANGES = 2**63 - 1
"""A limit that is none."""
IN_ORDER = ",".join(entity.name for entity in ENTITIES)
"""The order of the entities, as FIND_IN_SET takes it."""


def read_changes(entity: str, rows: Iterable[tuple[Any, ...]]) -> Iterator[Change]:
    """Changes from rows of id, action, matched_by, key, proposal, fields; the id of a planned insert is None.

    `fields` is a JSON object: of an update {column: [old, new]}, of an insert {column: new}, of a delete
    {column: old}. The id of a parent that a plan would insert is "new".
    """
    for target_id, action, matched_by, key, proposal, stored in rows:
        fields = {}
        for name, value in json.loads(stored or "{}").items():
            old, new = value if action == "update" else (None, value) if action == "insert" else (value, None)
            if old != new:
                fields[name] = {"old": _readable(name, old), "new": _readable(name, new)}
        key = None if key is None else label(str(key))
        adopted = action == "update" and _gains_earlier_key(_KEYS[entity], matched_by, fields)
        yield Change(entity, target_id, action, key, label(proposal), fields, adopted)


_KEYS = {entity.name: entity.keys for entity in ENTITIES}


def _gains_earlier_key(keys: tuple[str, ...], matched_by: str | None, fields: dict[str, dict[str, Any]]) -> bool:
    """Whether a row receives a key that comes before the one that found it; a person of a card comes after all."""
    if matched_by is None:
        return False
    earlier = keys[: keys.index(matched_by)] if matched_by in keys else keys
    return any(name in fields and fields[name]["old"] is None for name in earlier)


def _readable(name: str, value: Any) -> Any:
    """A stored value as people know it: an externalId as an integer or a UUID, the id of a parent as a number."""
    if value is None:
        return None
    if name == "externalId":
        return readable_external_id(value)
    return int(value) if name in PARENT_IDS and value != "new" else value


def label(text: str | None) -> str | None:
    """A proposal's or row's name; one that is an externalId in hexadecimal is made readable."""
    if text is not None and len(text) == 32 and all(c in "0123456789ABCDEF" for c in text):
        return str(readable_external_id(text))
    return text


def readable_external_id(digits: str) -> int | str:
    """An externalId from its 32 hexadecimal digits: a small one is an integer, any other a UUID."""
    number = int(digits, 16)
    return number if number < 2**64 else str(UUID(int=number))


_REASONS = {
    "row_gone": "is no longer in ISPyB",
    "changed_since": "has changed since{by}: {held}. It is left as it is; correct it in ISPyB, or in the User Portal",
    "parent_gone": "cannot have its old value back, since that row is gone: {held}",
    "linked_again": "was linked again since; there is nothing to bring back",
    "key_taken": "cannot have its old value back: {held}. Correct that row first, and undo again",
    "referenced": "is in use: {held}. It is not deleted. Remove what refers to it, and undo again",
    "not_seen": "is not deleted: this account may not see which tables refer to it. GRANT SELECT ON {schema}.* TO the "
    "role of `ispyb-sync grants`, and undo again",
}


def kept(row: Any, schema: str) -> Refusal:
    """Why an undo keeps a row: of entity, code, what holds it, action, id, second id, key, proposal, later run."""
    entity, code, held, _action, number, second, key, proposal, by = row
    name = f"{entity}:{number}" + (f" of person:{second}" if BY_NAME[entity].second_id else "")
    return Refusal(
        entity=entity,
        code=code,
        document=None,
        proposal=label(proposal),
        path=name,
        field=None,
        value=label(key),
        message=f"{_REASONS[code].format(held=held, by=by or '', schema=schema)}.",
    )
