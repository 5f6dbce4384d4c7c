"""Reads from information_schema what the live database is: the columns, limits and keys of the eight tables."""

from collections.abc import Iterator

from sqlalchemy import Connection

from sync.model.entities import BY_NAME, ENTITIES, Entity, Kind
from sync.model.errors import DatabaseError
from sync.schema.column import TEXTS, WITH_LENGTH, Column
from sync.schema.repertoire import repertoires
from sync.schema.target import REFERENCES, Table, Target

_COLUMNS = """
SELECT
    TABLE_NAME, COLUMN_NAME, DATA_TYPE, COLUMN_TYPE, IS_NULLABLE, COLUMN_DEFAULT, CHARACTER_MAXIMUM_LENGTH,
    CHARACTER_OCTET_LENGTH, CHARACTER_SET_NAME, COLLATION_NAME, EXTRA, IS_GENERATED,
    COLUMN_COMMENT
FROM information_schema.COLUMNS
WHERE
    TABLE_SCHEMA = DATABASE() AND TABLE_NAME IN %(tables)s
    AND (@@lower_case_table_names > 0 OR BINARY TABLE_NAME IN %(tables)s)
ORDER BY TABLE_NAME, ORDINAL_POSITION
"""

_UNIQUE = """
SELECT LOWER(TABLE_NAME), GROUP_CONCAT(LOWER(COLUMN_NAME))
FROM information_schema.STATISTICS
WHERE
    TABLE_SCHEMA = DATABASE() AND TABLE_NAME IN %(tables)s AND NON_UNIQUE = 0
    AND (@@lower_case_table_names > 0 OR BINARY TABLE_NAME IN %(tables)s)
GROUP BY TABLE_NAME, INDEX_NAME
"""


def read_tables(connection: Connection) -> Target:
    """Reads the columns, limits and keys of the eight tables of the connection's default schema, as they are.

    A table that is not there, or that the account may not see, has no columns.
    """
    names = {entity.table.lower(): entity.name for entity in ENTITIES}
    columns: dict[str, dict[str, Column]] = {entity.name: {} for entity in ENTITIES}
    for table, *described in connection.exec_driver_sql(_COLUMNS, {"tables": [entity.table for entity in ENTITIES]}):
        column = _column(*described)
        if not column.generated:  # nobody can write it
            columns[names[table.lower()]][column.name] = column
    charsets = {c.charset for table in columns.values() for c in table.values() if c.charset is not None}
    return Target(
        tables={entity.name: Table(entity, columns[entity.name], unique) for entity, unique in _unique(connection)},
        local_infile=bool(connection.exec_driver_sql("SELECT @@GLOBAL.local_infile").scalar()),
        repertoires=repertoires(connection, {*charsets, "utf8mb4"}),
    )


def _unique(connection: Connection) -> Iterator[tuple[Entity, frozenset[str]]]:
    """Of each entity, the keys that are unique within what a row belongs to, where that has to be asked."""
    tables = [entity.table for entity in ENTITIES if entity.within]
    rows = connection.exec_driver_sql(_UNIQUE, {"tables": tables})
    found = {(table, frozenset(columns.split(","))) for table, columns in rows}
    for entity in ENTITIES:
        owners = [BY_NAME[name].primary_key for name in entity.belongs_to]
        keys = (k for k in entity.within if (entity.table.lower(), _lower(k, *owners)) in found)
        yield entity, frozenset(keys)


def _lower(*names: str) -> frozenset[str]:
    return frozenset(map(str.lower, names))


def _column(
    name: str,
    type_name: str,
    column_type: str,
    nullable: str,
    default: str | None,
    characters: int | None,
    octets: int | None,
    charset: str | None,
    collation: str | None,
    extra: str,
    generated: str,
    comment: str,
) -> Column:
    return Column(
        name=name,
        type_name=type_name,
        column_type=column_type,
        nullable=nullable == "YES",
        default=default,
        characters=characters if type_name in WITH_LENGTH else None,
        octets=octets if type_name in TEXTS else None,
        charset=charset or ("binary" if type_name in (*WITH_LENGTH, *TEXTS) else None),
        collation=collation,
        extra=extra,
        generated=generated != "NEVER",
        comment=comment,
    )


def introspect(connection: Connection) -> Target:
    """What the live database is. Raises DatabaseError that names all that keeps a run from it."""
    target = read_tables(connection)
    absent = [table.entity.table for table in target.tables.values() if not table.columns]
    if absent:
        schema = connection.exec_driver_sql("SELECT DATABASE()").scalar()
        raise DatabaseError(
            f"schema {schema}: no table {', '.join(absent)}, or no right to see it",
            hint="Point --database at the ISPyB schema, and grant the role that `ispyb-sync grants` prints.",
        )
    unmigrated = [
        table.entity.table
        for table in target.tables.values()
        if "externalId" in table.entity.columns and table.column("externalId") is None
    ]
    if unmigrated:
        raise DatabaseError(
            f"no column externalId in {', '.join(unmigrated)}, although the migrations say so",
            hint="Was ISPyB restored from an older dump? Run `ispyb-sync migrate`: it mends that.",
        )
    if problems := obstacles(target):
        raise DatabaseError("; ".join(problems), hint=f"Nothing was read. {CHANGE_COLUMN}")
    return target


CHANGE_COLUMN = "Change the column with ALTER TABLE to the type that `ispyb-sync check` names."


def obstacles(target: Target) -> list[str]:
    """Says what no run can work with: a reference or primary key that is not there, a column of an unfit type."""
    found = []
    for table in target.tables.values():
        name = table.entity.table
        needed = (table.entity.primary_key, *REFERENCES[table.entity.name])
        found += [f"{name} has no column {column}" for column in needed if column not in table.columns]
        for field, column in table.unusable:
            found.append(
                f"{name}.{column.name} is {column.column_type}, and {_NEEDED[table.entity.kind(field)]} is needed"
            )
    return found


_NEEDED: dict[Kind, str] = {
    "text": "VARCHAR",
    "number": "INT or VARCHAR",
    "float": "DOUBLE",
    "date": "DATETIME",
    "bytes": "BINARY(16)",
}
