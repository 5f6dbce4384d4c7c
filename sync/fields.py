"""The staged columns of an entity: which live columns there are, whether values fit them, and which a null empties.

Values are looked at by the column, which is much quicker than one by one. Refuses nothing itself.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import itemgetter
from typing import Any

from sync.entities import ENTITIES, Entity
from sync.fit import AllFit, Misfit, all_fit, misfit
from sync.known import Known
from sync.target import Target

Row = tuple[Any, ...]
Columns = list[Sequence[Any]]

_CLEARABLE_REFERENCES = {"person": ("laboratory",), "protein": ("person",)}


@dataclass(frozen=True)
class Field:
    """One staged column: where its value comes from, and what is refused."""

    name: str
    misfit: Misfit
    all_fit: AllFit
    is_key: bool
    is_name: bool
    required: bool
    clearable: bool
    limit: str


class Fields:
    """The staged columns of one entity; `before` is how many columns stand before them."""

    def __init__(self, entity: Entity, target: Target) -> None:
        self.all = _fields(entity, target)
        self.before = len(entity.staged_columns) - len(entity.columns)
        self.nothing = (None,) * len(self.all)
        self.names = [place for place, field in enumerate(self.all) if field.is_name]
        self.may_be_nameless = not entity.names
        self.last_row = 0
        columns = [field.name for field in self.all]
        self.pick: Callable[[dict[str, Any]], Row] = itemgetter(*columns) if len(columns) > 1 else self._pick_few

    def _pick_few(self, data: dict[str, Any]) -> Row:
        return tuple(data[field.name] for field in self.all)

    def suspects(self, columns: Columns) -> list[int]:
        """The places of rows of which a value does not fit, or which have nothing to name them."""
        found: set[int] = set()
        for field, values in zip(self.all, columns[self.before :], strict=True):
            given = [value for value in values if value is not None]
            if given and not field.all_fit(given):
                found.update(n for n, value in enumerate(values) if value is not None and field.misfit(value))
        if not self.may_be_nameless:
            names = [columns[self.before + place] for place in self.names]
            found.update(n for n, row in enumerate(zip(*names, strict=True)) if not any(v is not None for v in row))
        return sorted(found)


@lru_cache(maxsize=len(ENTITIES))
def _fields(entity: Entity, target: Target) -> list[Field]:
    table = target[entity]
    fields = []
    for name in entity.columns:
        column = table.column(name)
        if column is None:
            continue
        fields.append(
            Field(
                name=name,
                misfit=misfit(column),
                all_fit=all_fit(column),
                is_key=name in entity.keys and (name != "visit_number" or table.visit_number_unique),
                is_name=name in entity.names and (name != "visit_number" or table.visit_number_unique),
                required=not column.nullable and not column.has_default and name != "lastUpdate",
                clearable=column.nullable,
                limit=f" ({entity.table}.{column.name} is {column.column_type}"
                + (f", {column.charset})" if column.charset else ")"),
            )
        )
    return fields


def clears_of(entity: Entity, fields: list[Field], thing: Any) -> str:
    """The columns that a null of the document empties, as FIND_IN_SET takes them; never a key."""
    data = thing.data if type(thing) is Known else thing.__dict__
    names = [
        field.name
        for field in fields
        if field.clearable and not field.is_key and field.name in thing.model_fields_set and data[field.name] is None
    ]
    for reference in _CLEARABLE_REFERENCES.get(entity.name, ()):
        if reference in thing.model_fields_set and data[reference] is None:
            names.append(reference)
    return ",".join(names)
