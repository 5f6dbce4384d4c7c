"""What may be dropped: columns of the eight tables that hold nothing, and deprecated keys that no row needs any more.

One statement per table, one scan, no lock: MariaDB reads a snapshot. The statement is built from the live columns,
not written in sql/: a column that only one site has is what its DBA most wants to know about. SQLAlchemy quotes the
names. Writes nothing, and needs no migration.
"""

from dataclasses import asdict, dataclass
from datetime import date, timedelta
from itertools import groupby
from typing import Any

from sqlalchemy import (
    CHAR,
    Column,
    Connection,
    DateTime,
    Engine,
    MetaData,
    RowMapping,
    Table,
    case,
    cast,
    collate,
    func,
    null,
    select,
    true,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.elements import ColumnElement

from sync.database.connection import connect, failure
from sync.model.entities import ENTITIES, Entity
from sync.schema.target import REFERENCES

QUIET = timedelta(days=365)
"""A column is quiet when the newest row with a value is this much older than the newest row of the table."""
_SECRET = {"passwd", "cache"}
_LONGEST_VALUE = 60
_BYTES = {"binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob", "bit"}
_SHAPES = {"geometry", "point", "linestring", "polygon"}
_FIRST_DATE = date(1000, 1, 1)

_LIVE = """
SELECT TABLE_NAME, COLUMN_NAME, DATA_TYPE, COLUMN_TYPE, IS_NULLABLE
FROM information_schema.COLUMNS
WHERE
    TABLE_SCHEMA = DATABASE() AND TABLE_NAME IN %(tables)s
    AND (@@lower_case_table_names > 0 OR BINARY TABLE_NAME IN %(tables)s)
ORDER BY TABLE_NAME, ORDINAL_POSITION
"""


@dataclass(frozen=True)
class Use:
    """How a column is used.

    rows      of the table; `filled` of them hold a value
    finding   "no value", "one value", "none since" or "" where the column is in use
    value     the one value, cut, where several rows share it and it is no secret
    dated_by  the column that dates the rows, if there is one
    last      the newest date of a row with a value; `newest` of any row
    """

    table: str
    column: str
    type: str
    nullable: bool
    rows: int
    filled: int
    finding: str
    value: str | None
    dated_by: str | None
    last: str | None
    newest: str | None

    @property
    def written(self) -> bool:
        """Whether a sync writes the column; once it is dropped, the sync skips the field."""
        return self.column in _WRITTEN[self.table]

    @property
    def drop(self) -> str | None:
        """The statement that drops a column without a value; None for one that is in use or that the sync needs."""
        needed = self.column == "externalId" or self.column in _NEEDED[self.table]
        return None if self.finding != "no value" or needed else _drop(self.table, self.column)

    def to_dict(self) -> dict[str, Any]:
        """As `check --columns --json` has it."""
        return asdict(self) | {"written": self.written, "drop": self.drop}


@dataclass(frozen=True)
class Key:
    """A deprecated key: `filled` rows have it, `needed` of them have no externalId yet."""

    table: str
    column: str
    filled: int
    needed: int

    @property
    def drop(self) -> str | None:
        """The statement that drops it, where no row needs it."""
        return None if self.needed else _drop(self.table, self.column)


CAVEAT = "This looks at the values only. It cannot know which other programs use a column: ask before you drop one."

_WRITTEN = {e.table: {*e.columns, *e.aliases.values(), *REFERENCES[e.name]} for e in ENTITIES}
_NEEDED = {e.table: {e.primary_key, *REFERENCES[e.name]} for e in ENTITIES}


def _drop(table: str, column: str) -> str:
    return f"ALTER TABLE {table} DROP COLUMN `{column.replace('`', '``')}`"


@dataclass(frozen=True)
class Columns:
    """All columns of the eight tables, and the deprecated keys that are there."""

    uses: list[Use]
    keys: list[Key]

    def to_dict(self) -> dict[str, Any]:
        """As `check --columns --json` has it."""
        return {"columns": [use.to_dict() for use in self.uses], "keys": [asdict(key) for key in self.keys]}


@dataclass(frozen=True)
class _Live:
    name: str
    kind: str
    type: str
    nullable: bool


def columns(database: str | Engine) -> Columns:
    """Reads each of the eight tables once, whole. Raises DatabaseError."""
    with connect(database) as connection:
        connection.exec_driver_sql("SET SESSION TRANSACTION READ ONLY")
        try:
            live = _live(connection)
            uses, keys = [], []
            for entity in ENTITIES:
                if entity.name in live:
                    found, deprecated = _scan(connection, entity, live[entity.name])
                    uses += found
                    keys += deprecated
            return Columns(uses, keys)
        except DBAPIError as error:
            raise failure(error, "check --columns") from None
        finally:
            connection.rollback()
            connection.exec_driver_sql("SET SESSION TRANSACTION READ WRITE")


def _live(connection: Connection) -> dict[str, list[_Live]]:
    names = {entity.table.lower(): entity.name for entity in ENTITIES}
    rows = connection.exec_driver_sql(_LIVE, {"tables": [entity.table for entity in ENTITIES]}).all()
    return {
        names[table.lower()]: [_Live(name, kind, type_, nullable == "YES") for _, name, kind, type_, nullable in found]
        for table, found in groupby(rows, key=lambda row: row[0])
    }


def _scan(connection: Connection, entity: Entity, live: list[_Live]) -> tuple[list[Use], list[Key]]:
    """One statement: of each column how many values, the least and the greatest, and when the last."""
    names = [column.name for column in live]
    table = Table(entity.table, MetaData(), *(Column(name, DateTime) for name in names))
    dated_by = next((table.c[name] for name in entity.dated_by if name in names), None)
    date_of = null() if dated_by is None else case((dated_by >= _FIRST_DATE, dated_by))
    asked: list[ColumnElement[Any]] = [func.count().label("rows"), func.date(func.max(date_of)).label("newest")]
    for place, column in enumerate(live):
        asked += _questions(table.c[column.name], column.kind, date_of, place)
    keys = [live for name in entity.deprecated for live in (name, entity.aliases.get(name)) if live in names]
    for name in keys:
        nameless = table.c.externalId.is_(None) if "externalId" in names else true()
        asked.append(func.count(case((table.c[name].is_not(None) & nameless, 1))).label(f"needed_{name}"))
    answer = connection.execute(select(*asked).select_from(table)).mappings().one()
    uses = [
        _use(entity, column, answer, place, None if dated_by is None else dated_by.name)
        for place, column in enumerate(live)
    ]
    filled = {use.column: use.filled for use in uses}
    return uses, [Key(entity.table, name, filled[name], answer[f"needed_{name}"]) for name in keys]


def _questions(
    column: ColumnElement[Any], kind: str, date_of: ColumnElement[Any], place: int
) -> list[ColumnElement[Any]]:
    """Values are compared byte by byte: two spellings are two values."""
    if kind in _BYTES:
        text: ColumnElement[Any] = func.hex(column)
    else:
        text = func.st_astext(column) if kind in _SHAPES else cast(column, CHAR)
        text = collate(text, "utf8mb4_nopad_bin")
    least = func.min(text)
    return [
        func.count(column).label(f"filled_{place}"),
        case((least == func.max(text), func.left(least, _LONGEST_VALUE + 1))).label(f"value_{place}"),
        func.date(func.max(case((column.is_not(None), date_of)))).label(f"last_{place}"),
    ]


def _use(entity: Entity, column: _Live, answer: RowMapping, place: int, dated_by: str | None) -> Use:
    filled, value, last = (answer[f"{name}_{place}"] for name in ("filled", "value", "last"))
    newest = answer["newest"]
    finding = ""
    if not filled:
        finding = "no value"
    elif value is not None and answer["rows"] > 1:
        finding = "one value"
    elif last and newest - last > QUIET:
        finding = "none since"
    return Use(
        table=entity.table,
        column=column.name,
        type=column.type,
        nullable=column.nullable,
        rows=answer["rows"],
        filled=filled,
        finding=finding,
        value=value if finding == "one value" and filled > 1 and column.name not in _SECRET else None,
        dated_by=dated_by,
        last=last and last.isoformat(),
        newest=newest and newest.isoformat(),
    )
