"""The staged columns of an entity: which live columns there are, whether values fit them, and which a null empties.

Values are looked at by the column, which is much quicker than one by one. Refuses nothing itself.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from operator import attrgetter
from typing import Any

from msgspec import UNSET

from sync.model.entities import ENTITIES, Entity
from sync.model.people import Thing
from sync.schema.column import Column
from sync.schema.target import Target
from sync.stage.limits import AllFit, Misfit, all_fit, converter, misfit

Row = tuple[Any, ...]
Columns = list[list[Any]]


@dataclass(frozen=True)
class Field:
    """One staged column: where its value comes from, and what is refused.

    convert      makes a value of another kind fit the column; None where none does
    required     a row cannot be without it: NOT NULL, and no default
    contradicts  an ENUM with a default, which would say something else in a new row
    limit        what the column holds, in words
    table        the live table; `column` is its column
    left         it is left to ISPyB: what does not fit would not have been written, and is no refusal
    """

    name: str
    convert: Callable[[Any], Any] | None
    misfit: Misfit
    all_fit: AllFit
    is_key: bool
    is_name: bool
    required: bool
    contradicts: bool
    clearable: bool
    limit: str
    table: str
    column: Column
    left: bool


class Fields:
    """The staged columns of one entity; `before` is how many columns stand before them."""

    def __init__(self, entity: Entity, target: Target) -> None:
        self.all = _fields(entity, target)
        self.before = len(entity.staged_first)
        self.nothing = (None,) * len(self.all)
        self.names = [place for place, field in enumerate(self.all) if field.is_name]
        self.may_be_nameless = entity.named_by_parent
        self.converted = [(self.before + n, f.convert) for n, f in enumerate(self.all) if f.convert is not None]
        self.last_row = 0
        columns = [field.name for field in self.all]
        self.pick: Callable[[Any], Row] = attrgetter(*columns) if len(columns) > 1 else self._pick_few

    def _pick_few(self, thing: Any) -> Row:
        return tuple(getattr(thing, field.name) for field in self.all)

    def convert(self, row: Row) -> Row:
        """A row with the values that columns of another kind take."""
        values = list(row)
        for place, convert in self.converted:
            values[place] = convert(given(values[place]))
        return tuple(values)

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
        column = table.staged_as(name)
        if column is None:
            continue
        is_live = table.column(name) is not None
        is_left = name in table.left
        by_default = bool(column.members) and column.has_default and not is_left
        fields.append(
            Field(
                name=name,
                convert=converter(entity.kind(name), column),
                misfit=misfit(column, target.repertoires),
                all_fit=all_fit(column, target.repertoires),
                is_key=name in entity.keys and table.identifies(name),
                is_name=name in entity.names and table.identifies(name),
                required=not (column.nullable or column.has_default or name in entity.filled or is_left),
                contradicts=by_default,
                clearable=(is_live or is_left) and column.nullable,
                limit=f" ({entity.table}.{column.name or name} is {column.column_type}"
                + (f", {column.charset})" if column.charset else ")"),
                table=entity.table,
                column=column,
                left=is_left,
            )
        )
    return fields


def given(value: Any) -> Any:
    """A value; None for one that is absent."""
    return None if value is UNSET else value


@lru_cache(maxsize=1000)
def values_of(entity: Entity, thing: Any) -> Row:
    """The values that a thing gives, one that does not change; absent and null are the same here."""
    return tuple(given(getattr(thing, name)) for name in entity.columns)


def columns_of(rows: list[Row]) -> Columns:
    """The same values, column by column; what is absent is None."""
    return [[None if value is UNSET else value for value in values] for values in zip(*rows, strict=True)]


def clears_of(entity: Entity, fields: list[Field], thing: Thing) -> str:
    """The columns that a null of the document empties, as FIND_IN_SET takes them.

    None that is written once: a new row keeps its default, an old one what ISPyB made of it. Of the keys only those
    that come after the one by which the row is found: sql/*.sql leaves the others out again.
    """
    names = [
        field.name
        for field in fields
        if field.clearable
        and field.name not in entity.initial
        and (not field.is_key or field.name in entity.given_up)
        and getattr(thing, field.name) is None
    ]
    for reference in filter(None, (entity.parent_of_field,)):
        if getattr(thing, reference) is None:
            names.append(reference)
    return ",".join(names)
