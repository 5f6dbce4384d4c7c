"""What a script that moves rows must know of the live tables: what refers to a row, what is unique, what rows hold.

Only reads. Nothing but names of tables and columns goes into a statement, quoted; ids are numbers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sync.database.connection import Ispyb
from sync.history.references import references, sees_all
from sync.model.entities import BY_NAME, ENTITIES, Entity
from sync.model.errors import DatabaseError, UsageError
from sync.model.refusals import as_json, told

_FOREIGN_KEYS = """
SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME
FROM information_schema.KEY_COLUMN_USAGE
WHERE
    REFERENCED_TABLE_SCHEMA = DATABASE() AND REFERENCED_TABLE_NAME = %(table)s
    AND REFERENCED_COLUMN_NAME = %(column)s
ORDER BY TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME
"""
_UNIQUE = """
SELECT INDEX_NAME = 'PRIMARY', GROUP_CONCAT(COLUMN_NAME ORDER BY SEQ_IN_INDEX SEPARATOR '\n')
FROM information_schema.STATISTICS
WHERE TABLE_SCHEMA = %(schema)s AND TABLE_NAME = %(table)s AND NON_UNIQUE = 0
GROUP BY INDEX_NAME
ORDER BY INDEX_NAME
"""
_WITHOUT_KEY = """
SELECT TABLE_NAME, COLUMN_NAME
FROM information_schema.COLUMNS
WHERE TABLE_SCHEMA = DATABASE() AND COLUMN_NAME = %(column)s
ORDER BY TABLE_NAME
"""
_WRITABLE = """
SELECT COLUMN_NAME
FROM information_schema.COLUMNS
WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = %(table)s AND IS_GENERATED = 'NEVER'
ORDER BY ORDINAL_POSITION
"""


@dataclass(frozen=True)
class Column:
    """A column that refers to rows of another table."""

    schema: str
    table: str
    name: str
    own: bool

    @property
    def sql(self) -> str:
        """The table as a statement names it."""
        return quoted(self.table) if self.own else f"{quoted(self.schema)}.{quoted(self.table)}"

    @property
    def words(self) -> str:
        """How people call the column."""
        return f"{self.table}.{self.name}" if self.own else f"{self.schema}.{self.table}.{self.name}"


class Live:
    """The live ISPyB of a connection. Raises DatabaseError where the account may not see all that refers to a row."""

    def __init__(self, ispyb: Ispyb) -> None:
        self.connection = ispyb.connection
        self.schema = ispyb.schema
        if not sees_all(ispyb):
            raise DatabaseError(
                "this account may not see every table of ISPyB, and so not all that refers to a row",
                hint=f"GRANT SELECT ON {self.schema}.* TO the role of `ispyb-sync grants`.",
            )
        self._own = references(ispyb)

    def referring(self, table: str, key: str) -> list[Column]:
        """Every column that refers to this key: by a foreign key, or among the eight tables as ISPyB means it."""
        found = self._rows(_FOREIGN_KEYS, table=table, column=key)
        known = [Column(schema, child, column, schema == self.schema) for schema, child, column in found]
        known += [
            Column(self.schema, r.table, r.column, own=True)
            for r in self._own
            if r.schema is None and r.entity.table == table and r.referenced == key
        ]
        return list(dict.fromkeys(known))

    def without_key(self, table: str, key: str) -> list[str]:
        """Columns of the key's name that nothing says to refer to it."""
        known = {(column.table, column.name) for column in self.referring(table, key)} | {(table, key)}
        return [f"{t}.{c}" for t, c in self._rows(_WITHOUT_KEY, column=key) if (t, c) not in known]

    def primary_key(self, column: Column) -> tuple[str, ...]:
        """The primary key of a column's table."""
        return next((names for is_primary, names in self._unique(column) if is_primary), ())

    def others_of_unique(self, column: Column) -> list[tuple[str, ...]]:
        """For each unique set of columns that the column belongs to, the others of it."""
        sets = {frozenset(names) for _, names in self._unique(column)}
        entity = next((e for e in ENTITIES if column.own and e.table == column.table), None)
        if entity is not None and entity.named_by_parent:  # one link or card of a pair, also where no key says so
            sets.add(frozenset(BY_NAME[parent].primary_key for parent in entity.belongs_to))
        found = {tuple(sorted(names - {column.name})) for names in sets if column.name in names}
        return sorted(found - {()})

    def columns(self, entity: Entity) -> list[str]:
        """The columns of one of the eight tables, without generated ones."""
        return [name for (name,) in self._rows(_WRITABLE, table=entity.table)]

    def column(self, entity: Entity, name: str) -> Column:
        """A column of one of the eight tables."""
        return Column(self.schema, entity.table, name, own=True)

    def row(self, entity: Entity, number: int) -> dict[str, Any]:
        """A row of one of the eight tables, but no generated column. Raises UsageError where there is none."""
        names = self.columns(entity)
        rows = self.select(
            f"SELECT {', '.join(map(quoted, names))} FROM {quoted(entity.table)}"
            f" WHERE {quoted(entity.primary_key)} = {number:d}"
        )
        if not rows:
            raise UsageError(
                f"{entity.table} of this ISPyB has no {entity.primary_key} {number}", hint="Give the id of a row."
            )
        return dict(zip(names, rows[0], strict=True))

    def count(self, column: Column, number: int) -> int:
        """How many rows refer to a row by this column."""
        ((rows,),) = self.select(f"SELECT COUNT(*) FROM {column.sql} WHERE {quoted(column.name)} = {number:d}")
        return int(rows)

    def select(self, sql: str) -> Sequence[Any]:
        """The rows of a statement that these modules have made of names and numbers."""
        return self.connection.exec_driver_sql(sql, execution_options={"no_parameters": True}).all()

    def _unique(self, column: Column) -> list[tuple[bool, tuple[str, ...]]]:
        rows = self._rows(_UNIQUE, schema=column.schema, table=column.table)
        return [(bool(is_primary), tuple(names.split("\n"))) for is_primary, names in rows]

    def _rows(self, sql: str, **values: object) -> Sequence[Any]:
        return self.connection.exec_driver_sql(sql, values).all()


def quoted(name: str) -> str:
    """A name as SQL takes it, whatever it holds."""
    return "`" + name.replace("`", "``") + "`"


def shown(value: Any) -> str:
    """A value within a comment of a script."""
    return "NULL" if value is None else as_json(told(value))
