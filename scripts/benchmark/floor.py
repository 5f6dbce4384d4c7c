"""The floor: LOAD DATA LOCAL of ready-made files of the very rows that the tool writes, and nothing else.

Into the empty, indexed and migrated tables, with foreign keys on, in one transaction. A warning is an error: rows
that the server changes on their way would not be the same rows.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pymysql
from pymysql.converters import encoders
from pymysql.cursors import SSCursor
from sqlalchemy import make_url
from support.databases import Ispyb
from support.variants import TABLES

_MODE = "STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION"
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\0": "\\0"})
_BATCH = 10_000


class Floor:
    """Files of the rows of one database, and the tables of another to load them into."""

    def __init__(self, source: Ispyb, tables: Ispyb, folder: Path) -> None:
        self._source = source
        self._tables = tables
        self._folder = folder
        self._loads: list[tuple[str, str]] = []
        self.rows: dict[str, int] = {}
        self.seconds: list[float] = []

    def prepare(self) -> None:
        """Writes the rows of the source into files, parents before children."""
        with _connect(self._source) as connection:
            for table in TABLES.values():
                columns = _columns(connection, table)
                path = self._folder / f"{table}.tsv"
                self.rows[table] = _dump(connection, table, columns, path)
                self._loads.append((table, _load_data(table, columns, path)))

    def measure(self) -> float:
        """Empties the tables, loads the files, and returns the seconds of the loading."""
        self._tables.reset()
        with _connect(self._tables) as connection, connection.cursor() as cursor:
            start = time.perf_counter()
            for table, sql in self._loads:
                loaded = cursor.execute(sql)
                if connection.warning_count() or loaded != self.rows[table]:
                    cursor.execute("SHOW WARNINGS")
                    raise RuntimeError(f"floor: {table}: {loaded} of {self.rows[table]} rows: {cursor.fetchone()}")
            connection.commit()
            self.seconds.append(time.perf_counter() - start)
        return self.seconds[-1]


class _Connection(pymysql.Connection):
    """Gives values as the text that the server sends, and tells of warnings."""

    def warning_count(self) -> int:
        return int(self._result.warning_count)  # type: ignore[attr-defined]


def _connect(ispyb: Ispyb) -> _Connection:
    url = make_url(ispyb.url)
    text_only: dict[Any, Any] = dict(encoders)
    return _Connection(
        host=url.host or "",
        port=url.port or 3306,
        user=url.username,
        password=url.password or "",
        database=url.database,
        charset="utf8mb4",
        conv=text_only,
        local_infile=True,
        sql_mode=_MODE,
    )


def _columns(connection: _Connection, table: str) -> dict[str, bool]:
    """The columns of a table, and whether each is of bytes."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT COLUMN_NAME, DATA_TYPE FROM information_schema.COLUMNS "
            "WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = %s ORDER BY ORDINAL_POSITION",
            (table,),
        )
        return {name: "binary" in kind or "blob" in kind for name, kind in cursor.fetchall()}


def _dump(connection: _Connection, table: str, columns: dict[str, bool], path: Path) -> int:
    names = ", ".join(f"HEX(`{name}`)" if is_bytes else f"`{name}`" for name, is_bytes in columns.items())
    with connection.cursor(SSCursor) as cursor, path.open("w", encoding="utf-8", newline="") as file:
        cursor.execute(f"SELECT {names} FROM `{table}` ORDER BY 1")  # noqa: S608
        count = 0
        for row in _rows(cursor):
            file.write("\t".join("\\N" if value is None else value.translate(_ESCAPES) for value in row) + "\n")
            count += 1
    return count


def _rows(cursor: Any) -> Iterator[tuple[str | None, ...]]:
    while batch := cursor.fetchmany(_BATCH):
        yield from batch


def _load_data(table: str, columns: dict[str, bool], path: Path) -> str:
    fields = ", ".join(f"@{name}" if is_bytes else f"`{name}`" for name, is_bytes in columns.items())
    decoded = ", ".join(f"`{name}` = UNHEX(@{name})" for name, is_bytes in columns.items() if is_bytes)
    sql = f"LOAD DATA LOCAL INFILE '{path}' INTO TABLE `{table}` CHARACTER SET utf8mb4 ({fields})"
    return f"{sql} SET {decoded}" if decoded else sql
