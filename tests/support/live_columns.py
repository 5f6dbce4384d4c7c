"""Columns of a live table, changed one at a time as another site may have them, and the way back."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from sqlalchemy import Connection
from support.databases import Ispyb

COLLATIONS = (
    *("ascii_general_ci", "ascii_bin", "utf8mb3_unicode_ci", "utf8mb4_unicode_ci", "utf8mb4_bin", "latin2_general_ci"),
    *("cp1251_general_ci", "greek_general_ci", "utf8mb4_turkish_ci", "latin1_german2_ci", "utf16_general_ci"),
)
LETTERS = {
    "utf8mb3": "é",
    "utf8mb4": "Ω",
    "utf16": "Ω",
    "latin1": "é",
    "latin2": "ł",
    "cp1251": "Ж",
    "greek": "Ω",
    "ascii": "~",
}
"""Of each character set a letter that it has, and most others have not."""
BINARY = "binary"
SHAPES = ("not null", "not null default", "null", "other sign", "longer", "shorter")

_WIDER = {"tinyint": "INT", "int": "BIGINT", "float": "DOUBLE", "text": "MEDIUMTEXT"}
_NARROWER = {"int": "SMALLINT", "double": "FLOAT", "text": "TINYTEXT"}


@dataclass(frozen=True)
class Column:
    """A column as information_schema has it; `default` is the text of an expression, None for no default."""

    table: str
    name: str
    kind: str
    type: str
    null: bool
    default: str | None
    collation: str | None

    @property
    def definition(self) -> str:
        """What stands behind the name in ALTER TABLE."""
        text = f" CHARACTER SET {self.collation.split('_')[0]} COLLATE {self.collation}" if self.collation else ""
        null = " NULL" if self.null else " NOT NULL"
        return f"{self.type}{text}{null}" + (f" DEFAULT {self.default}" if self.default is not None else "")

    def in_collation(self, collation: str) -> "Column":
        """The same with other text, or with the same number of bytes."""
        if collation != BINARY:
            return replace(self, collation=collation)
        kind = {"varchar": "VARBINARY", "text": "BLOB"}[self.kind]
        return replace(self, type=re.sub(r"^[a-z]+", kind, self.type), collation=None)

    def in_shape(self, shape: str) -> "Column":
        """The same with or without NULL, with another sign or length."""
        match shape:
            case "not null":
                return replace(self, null=False, default=None)
            case "not null default":
                default = "'x'" if self.collation else "'2000-01-01'" if self.kind.startswith(("d", "t")) else "1"
                return replace(self, null=False, default="1" if self.kind in ("double", "tinyint") else default)
            case "null":
                return replace(self, null=True, default="NULL")
            case "other sign":
                plain = self.type.removesuffix(" unsigned")
                return replace(self, type=plain if plain != self.type else f"{plain} unsigned")
            case _:
                return replace(self, type=self._in_length(longer=shape == "longer"))

    def _in_length(self, *, longer: bool) -> str:
        if self.kind == "varchar":
            length = int(re.sub(r"\D", "", self.type))
            return f"varchar({2 * length if longer else max(2, length // 2)})"
        return (_WIDER if longer else _NARROWER)[self.kind]


def describe(ispyb: Ispyb, table: str, name: str) -> Column:
    """Read a column of the live table."""
    with ispyb.engine.connect() as connection:
        row = connection.exec_driver_sql(
            "SELECT DATA_TYPE, COLUMN_TYPE, IS_NULLABLE, COLUMN_DEFAULT, COLLATION_NAME "
            "FROM information_schema.COLUMNS "
            f"WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = '{table}' AND COLUMN_NAME = '{name}'"
        ).one()
    return Column(table, name, row[0], row[1], row[2] == "YES", row[3], row[4])


@contextmanager
def altered(ispyb: Ispyb, table: str, *alterations: str) -> Iterator[None]:
    """Alter one of the eight tables, empty; afterwards it is made anew as it was."""
    _forget_columns(ispyb)
    with ispyb.engine.connect() as connection:
        _allow_all(connection)
        create = connection.exec_driver_sql(f"SHOW CREATE TABLE `{table}`").one()[1]
        try:
            for alteration in alterations:
                connection.exec_driver_sql(f"ALTER TABLE `{table}` {alteration}")
            yield
        finally:
            connection.exec_driver_sql(f"DROP TABLE `{table}`")
            connection.exec_driver_sql(re.sub(r" AUTO_INCREMENT=\d+", "", create))
            _forget_columns(ispyb)


def without(ispyb: Ispyb, table: str, name: str) -> str:
    """The alteration that drops a column; an index that holds it goes on without it."""
    with ispyb.engine.connect() as connection:
        indexes = connection.exec_driver_sql(
            "SELECT INDEX_NAME, GROUP_CONCAT(COLUMN_NAME ORDER BY SEQ_IN_INDEX) FROM information_schema.STATISTICS "
            f"WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = '{table}' GROUP BY INDEX_NAME"
        ).all()
    holding = [(index, columns.split(",")) for index, columns in indexes if name in columns.split(",")]
    others = [", ".join(f"`{column}`" for column in columns if column != name) for _, columns in holding]
    return ", ".join(
        [
            *(f"DROP INDEX `{index}`" for index, _ in holding),
            *(f"ADD INDEX ({columns})" for columns in others if columns),
            f"DROP COLUMN `{name}`",
        ]
    )


def _allow_all(connection: Connection) -> None:
    connection.exec_driver_sql("SET SESSION sql_mode = '', foreign_key_checks = 0, lock_wait_timeout = 20")


def _forget_columns(ispyb: Ispyb) -> None:
    vars(ispyb).pop("tables", None)
