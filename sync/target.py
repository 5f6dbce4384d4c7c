"""What the live database is: the columns of the eight tables, their limits and keys.

Introspected, never assumed: DLS, ESRF and py-ispyb differ, and so do sites.
"""

import re
from dataclasses import dataclass
from functools import cached_property

from sqlalchemy import Connection

from sync.entities import ENTITIES, Entity
from sync.errors import DatabaseError

_INTEGER_BITS = {"tinyint": 8, "smallint": 16, "mediumint": 24, "int": 32, "bigint": 64}


@dataclass(frozen=True)
class Column:
    """One column of a live table, and what fits into it.

    characters  most characters a text column holds; None for other types
    octets      most bytes a TEXT column holds; None for other types
    charset     MariaDB's name of the character set; None for other types
    """

    name: str
    type_name: str
    column_type: str
    nullable: bool
    has_default: bool
    characters: int | None
    octets: int | None
    charset: str | None

    @cached_property
    def members(self) -> dict[str, str]:
        """The members of an ENUM by their folded form; MariaDB compares them without case."""
        if self.type_name != "enum":
            return {}
        found = re.findall(r"'((?:[^']|'')*)'", self.column_type)
        return {member.replace("''", "'").casefold(): member.replace("''", "'") for member in found}

    @cached_property
    def bounds(self) -> tuple[int, int] | None:
        """The lowest and highest value of an integer column."""
        bits = _INTEGER_BITS.get(self.type_name)
        if bits is None:
            return None
        if "unsigned" in self.column_type:
            return 0, 2**bits - 1
        return -(2 ** (bits - 1)), 2 ** (bits - 1) - 1


@dataclass(frozen=True)
class Table:
    """One of the eight tables: its columns by name, and whether a visit number names a session."""

    entity: Entity
    columns: dict[str, Column]
    visit_number_unique: bool = False

    def column(self, field: str) -> Column | None:
        """The column that a field of the document feeds, or None where the live table lacks it."""
        return self.columns.get(field) or self.columns.get(self.entity.aliases.get(field, ""))

    @cached_property
    def missing(self) -> tuple[str, ...]:
        """Fields of the document that the live table has no column for."""
        return tuple(name for name in self.entity.columns if self.column(name) is None)

    @cached_property
    def staged_columns(self) -> tuple[str, ...]:
        """The columns of the staging table, in the order in which rows are loaded."""
        return tuple(name for name in self.entity.staged_columns if name not in self.missing)

    @cached_property
    def facts(self) -> frozenset[str]:
        """What the conditions in the SQL files ask for."""
        facts = set(self.columns)
        for name, alias in self.entity.aliases.items():
            if name in facts:
                facts.discard(alias)
        if self.visit_number_unique:
            facts.add("unique(visit_number)")
        return frozenset(facts)


@dataclass(frozen=True, eq=False)
class Target:
    """The live database as one run sees it."""

    tables: dict[str, Table]
    local_infile: bool

    def __getitem__(self, entity: Entity) -> Table:
        return self.tables[entity.name]


_COLUMNS = """
SELECT
    TABLE_NAME, COLUMN_NAME, DATA_TYPE, COLUMN_TYPE, IS_NULLABLE, COLUMN_DEFAULT,
    CHARACTER_MAXIMUM_LENGTH, CHARACTER_OCTET_LENGTH, CHARACTER_SET_NAME
FROM information_schema.COLUMNS
WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME IN %(tables)s
"""

_UNIQUE_VISIT = """
SELECT GROUP_CONCAT(LOWER(COLUMN_NAME) ORDER BY SEQ_IN_INDEX)
FROM information_schema.STATISTICS
WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'BLSession' AND NON_UNIQUE = 0
GROUP BY INDEX_NAME
"""


def introspect(connection: Connection) -> Target:
    """Reads the columns, limits and keys of the eight tables of the connection's default schema.

    Raises DatabaseError that names the tables the schema lacks, or that the account may not see.
    """
    names = {entity.table.lower(): entity for entity in ENTITIES}
    columns: dict[str, dict[str, Column]] = {entity.name: {} for entity in ENTITIES}
    rows = connection.exec_driver_sql(_COLUMNS, {"tables": [entity.table for entity in ENTITIES]})
    for table, name, type_name, column_type, nullable, default, characters, octets, charset in rows:
        text = type_name in ("varchar", "char", "text", "tinytext", "mediumtext", "longtext")
        columns[names[table.lower()].name][name] = Column(
            name=name,
            type_name=type_name,
            column_type=column_type,
            nullable=nullable == "YES",
            has_default=default not in (None, "NULL"),
            characters=characters if text and type_name in ("varchar", "char") else None,
            octets=octets if text and type_name not in ("varchar", "char") else None,
            charset=charset,
        )
    absent = [entity.table for entity in ENTITIES if not columns[entity.name]]
    if absent:
        schema = connection.exec_driver_sql("SELECT DATABASE()").scalar()
        raise DatabaseError(
            f"schema {schema}: no table {', '.join(absent)}, or no right to see it",
            hint="Point --database at the ISPyB schema, and grant the role of sql/grants.sql.",
        )
    unmigrated = [
        entity.table
        for entity in ENTITIES
        if "externalId" in entity.columns and "externalId" not in columns[entity.name]
    ]
    if unmigrated:
        raise DatabaseError(
            f"no column externalId in {', '.join(unmigrated)}, although the migrations say so",
            hint="Was ISPyB restored from an older dump? Run `ispyb-sync migrate`: it mends that.",
        )
    unique = {"proposalid,visit_number"} & set(connection.exec_driver_sql(_UNIQUE_VISIT).scalars())
    return Target(
        tables={
            entity.name: Table(entity, columns[entity.name], entity.name == "session" and bool(unique))
            for entity in ENTITIES
        },
        local_infile=bool(connection.exec_driver_sql("SELECT @@GLOBAL.local_infile").scalar()),
    )
