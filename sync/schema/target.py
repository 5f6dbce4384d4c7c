"""What the live database is: columns, limits and keys of the eight tables, as `sync.schema.introspection` reads them.

Never assumed: DLS, ESRF and py-ispyb differ, and so do sites. The tables, their primary keys and the references between
them must be there, and `externalId`, which `migrate` adds; each other column may be absent.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache

from sync.model.conditions import Conditions, Field
from sync.model.entities import BY_NAME, ENTITIES, Entity, Kind
from sync.schema.column import Column
from sync.schema.repertoire import Repertoire

_CONVERTED: dict[Kind, tuple[Kind, ...]] = {
    "text": ("text", "number"),
    "number": ("number", "text"),
    "float": ("float",),
    "date": ("date",),
    "bytes": ("bytes",),
}
"""By kind of field, the kinds of column that hold it: whole numbers and text are converted where that is exact."""


_ABSENT = Column("", "varchar", "varchar(255)", nullable=True, characters=255, charset="utf8mb4")
"""As the staging table has a column that the live table has not."""


@dataclass(frozen=True, eq=False)
class Table:
    """One of the eight tables: its columns by name.

    unique  keys that are unique within what a row belongs to, of those that name it only then
    left    fields of the document that are left to ISPyB, each with its column, if there is one: they are staged, so
            that what is left can be told, and else it is as if the table had no column for them
    """

    entity: Entity
    columns: dict[str, Column]
    unique: frozenset[str] = frozenset()
    left: Mapping[str, Column | None] = field(default_factory=dict)

    def column(self, field: str) -> Column | None:
        """The column that a field of the document feeds, or None where the live table has none."""
        return self.columns.get(field) or self.columns.get(self.entity.aliases.get(field, ""))

    def staged_as(self, field: str) -> Column | None:
        """The column as the staging table has it, or None where it is left empty."""
        return self.column(field) or self.left.get(field) or (_ABSENT if field in self.entity.compared else None)

    def identifies(self, field: str) -> bool:
        """Whether the live table has the column, so that it may name a row: some do only where they are unique."""
        return self.column(field) is not None and (field not in self.entity.within or field in self.unique)

    @cached_property
    def missing(self) -> tuple[str, ...]:
        """Fields of the document that the live table has no column for."""
        return tuple(n for n in self.entity.columns if self.column(n) is None and n not in self.left)

    @cached_property
    def staged_columns(self) -> tuple[str, ...]:
        """The columns of the staging table that are loaded, in the order in which rows are."""
        given = (name for name in self.entity.columns if self.staged_as(name) is not None)
        return (*self.entity.staged_first, *given)

    @cached_property
    def unusable(self) -> tuple[tuple[str, Column], ...]:
        """Fields whose column is of a type that cannot hold them, with that column."""
        kind = self.entity.kind
        found = ((name, self.column(name)) for name in self.entity.columns)
        return tuple((name, c) for name, c in found if c is not None and c.kind not in _CONVERTED[kind(name)])

    @cached_property
    def unfilled(self) -> tuple[str, ...]:
        """Columns that each new row needs and no run can give: NOT NULL, without a default, and no field's."""
        written = {c.name for name in self.entity.columns if (c := self.column(name)) is not None}
        written |= set(REFERENCES[self.entity.name])
        return tuple(
            column.name
            for column in self.columns.values()
            if not (column.nullable or column.has_default or "auto_increment" in column.extra)
            and column.name not in {*written, self.entity.primary_key}
        )

    @property
    def is_numbered(self) -> bool:
        """Whether the server gives each new row its id; a Session_has_Person is known by what it links."""
        key = self.columns.get(self.entity.primary_key)
        by_links = self.entity.primary_key in REFERENCES[self.entity.name]
        return key is None or by_links or "auto_increment" in key.extra

    @cached_property
    def facts(self) -> frozenset[str]:
        """What the conditions in the entity's SQL file ask for."""
        facts = set(self.columns)
        for name, alias in self.entity.aliases.items():
            if name in facts:
                facts.discard(alias)
        if self.entity.is_link:
            facts.add("link")
        if self.entity.second_id is not None:
            facts.add("paired")
        if any("live" in field.facts for field in self.fields):
            facts.add("any(live)")
        facts |= {f"unique({name})" for name in self.unique}
        facts |= {f"nullable({column.name})" for column in self.columns.values() if column.nullable}
        facts |= {f"default({column.name})" for column in self.columns.values() if column.has_default}
        if any("required" in field.facts for field in self.fields):
            facts.add("any(required)")
        return frozenset(facts)

    @cached_property
    def fields(self) -> tuple[Field, ...]:
        """The columns that lines marked `-- for:` are repeated for, and then the rows that each row refers to.

        Facts of each: `live` or `absent`, of which some are `left`; `is(login)`; `key`; of a live one its kind (`text`,
        `number`, `float`, `date`, `bytes`), `portal` or `initial`, `default` where a new row gets a value that is not
        given, `required` where it gets none but cannot be without. Of what is referred to: `owner` of what the row
        belongs to, `reference` of others, `staged` where the staging table has a column for it.
        """
        return _fields(self.entity, tuple(self.columns.values()), tuple(self.left.items()))


REFERENCES = {entity.name: tuple(BY_NAME[name].primary_key for name in entity.parents) for entity in ENTITIES}
"""The columns by which the eight tables refer to each other."""


@lru_cache(maxsize=8 * len(ENTITIES))
def _fields(
    entity: Entity, columns: tuple[Column, ...], left: tuple[tuple[str, Column | None], ...]
) -> tuple[Field, ...]:
    table = Table(entity, {column.name: column for column in columns}, left=dict(left))
    fields = []
    for name in entity.columns:
        column = table.column(name)
        facts = {f"is({name})", "absent" if column is None else "live"}
        if name in entity.keys:
            facts.add("key")
        if column is not None:
            facts |= {column.kind or "", "initial" if name in entity.initial else "portal"}
            if column.has_default:
                facts.add("default")
            elif not column.nullable and name not in entity.filled and entity.names != (name,):
                facts.add("required")
        elif (column := table.left.get(name)) is not None:
            facts |= {"left", "initial", "date"} if name in entity.initial and column.kind == "date" else {"left"}
        fields.append(Field(name, "" if column is None else column.name, frozenset(facts)))
    return (*fields, *_parents(entity))


def _parents(entity: Entity) -> Iterator[Field]:
    """The rows that each row of an entity refers to."""
    for parent in entity.parents:
        facts = {"owner" if parent in entity.belongs_to else "reference"}
        if f"{parent}_row" in entity.references:
            facts.add("staged")
        known = BY_NAME[parent]
        yield Field(f"{parent}_row", "", frozenset(facts), parent, known.table, known.primary_key)


@dataclass(frozen=True, eq=False)
class Target:
    """The live database as one run sees it."""

    tables: dict[str, Table]
    local_infile: bool
    repertoires: dict[str, Repertoire]

    def __getitem__(self, entity: Entity) -> Table:
        return self.tables[entity.name]

    def leaving(self, fields: Collection[str]) -> "Target":
        """The same for a run that leaves these fields to ISPyB, each given as person.phoneNumber."""
        tables = dict(self.tables)
        for entity, _, name in (left.partition(".") for left in sorted(fields)):
            table = tables[entity]
            column = table.column(name)
            columns = {key: c for key, c in table.columns.items() if c is not column}
            tables[entity] = replace(table, columns=columns, left={**table.left, name: column})
        return replace(self, tables=tables)

    def conditions(self, entity: Entity) -> Conditions:
        """What the marks in the SQL file of an entity ask for, as far as the live tables tell it."""
        return self._conditions[entity.name]

    @cached_property
    def _conditions(self) -> dict[str, Conditions]:
        others = frozenset(f"{name}.{column}" for name, table in self.tables.items() for column in table.facts)
        return {name: Conditions(table.facts | others, table.fields) for name, table in self.tables.items()}
