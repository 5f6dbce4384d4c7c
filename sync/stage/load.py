"""Bulk loads staged rows: LOAD DATA LOCAL where the server allows it, multi-row INSERT where it does not.

LOAD DATA turns bad values, truncation and duplicates into warnings even in strict mode, so any warning is an
error here. The rows are sent from memory: no file is opened, whatever file name the server asks for, and a
server that asks for one at any other moment is refused by the driver.
"""

import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from typing import Any, Self

import pymysql
from pymysql.constants import COMMAND
from pymysql.protocol import OKPacketWrapper
from sqlalchemy.exc import DBAPIError, OperationalError

from sync.database.connection import LOST, code_of, log
from sync.model.entities import Entity
from sync.model.errors import DatabaseError
from sync.statements.live_ispyb import LiveIspyb
from sync.statements.send import Profile

FEW_ROWS = 500
"""Up to so many rows, one INSERT is quicker than LOAD DATA."""

SELDOM = frozenset(("refused", "contradicts", "unfit", "clears"))
"""Columns of our own that few rows have: where none of a batch has it, the default of the staging table says so."""

_MOST_WAITING = 8
"""Batches that wait at the most: one of each entity."""

_PACKET = 1 << 19
"""Far below the smallest max_allowed_packet that servers have."""

_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\0": "\\0"})


class Loader:
    """Loads rows of any entity into its staging table."""

    def __init__(self, ispyb: LiveIspyb) -> None:
        self._connection = connection = ispyb.connection
        self._tool_schema = ispyb.tool_schema
        self._driver: pymysql.Connection[Any] = connection.connection.driver_connection  # type: ignore[assignment]
        self._local = ispyb.target.local_infile and bool(
            self._driver.client_flag & pymysql.constants.CLIENT.LOCAL_FILES
        )
        self._columns = {name: table.staged_columns for name, table in ispyb.target.tables.items()}

    def load(self, entity: Entity, values: Sequence[Sequence[Any]]) -> None:
        """Loads rows, given as columns in the order of `Table.staged_columns`."""
        start = time.perf_counter()
        try:
            if self._local and len(values[0]) > FEW_ROWS:
                self._load_data(entity, values)
            else:
                self._insert(entity, values)
        except DBAPIError as error:
            error.add_note(f"loading stage_{entity.name}")
            raise
        log.debug("%s", Profile(f"load stage_{entity.name}", len(values[0]), 1000 * (time.perf_counter() - start)))

    def _insert(self, entity: Entity, values: Sequence[Sequence[Any]]) -> None:
        columns = self._columns[entity.name]
        places = ", ".join(["%s"] * len(columns))
        self._connection.exec_driver_sql(
            # names of the registry and a checked setting, never data
            f"INSERT INTO `{self._tool_schema}`.stage_{entity.name} ({', '.join(columns)}) VALUES ({places})",  # noqa: S608
            list(zip(*values, strict=True)),
        )

    def _load_data(self, entity: Entity, values: Sequence[Sequence[Any]]) -> None:
        given = zip(self._columns[entity.name], values, strict=True)
        columns, values = zip(*((c, v) for c, v in given if c not in SELDOM or any(v)), strict=True)
        names = ", ".join("@externalId" if column == "externalId" else column for column in columns)
        decoded = " SET externalId = UNHEX(@externalId)" if "externalId" in columns else ""
        sql = (
            f"LOAD DATA LOCAL INFILE 'stage_{entity.name}' INTO TABLE `{self._tool_schema}`.stage_{entity.name}"
            f" CHARACTER SET utf8mb4 ({names}){decoded}"
        )
        try:
            warnings = _send(self._driver, sql, _tab_separated(values))
        except pymysql.MySQLError as error:
            if code_of(error) in LOST:
                self._connection.invalidate()
            raise OperationalError(sql, None, error) from None
        except BaseException:
            self._connection.invalidate()  # the server still waits for rows
            raise
        if warnings:
            first = self._connection.exec_driver_sql("SHOW WARNINGS").first()
            raise DatabaseError(
                f"loading stage_{entity.name}: {warnings} warnings, the first: {first and first[2]}",
                hint="This is a fault of the tool: every value was checked before. Nothing was written.",
            )


class Background:
    """Loads batches one after another while the next ones are read; a single one at once, which is quicker.

    While rows are loaded nothing else may use the connection: `finish` waits, and raises what loading raised.
    """

    def __init__(self, loader: Loader) -> None:
        self.seconds = 0.0
        self._loader = loader
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="load")
        self._waiting: deque[Future[None]] = deque()

    def load(self, entity: Entity, values: Sequence[Sequence[Any]]) -> None:
        """Loads rows as `Loader.load` does, now or soon."""
        if len(values[0]) <= FEW_ROWS and not self._waiting:
            self._load(entity, values)
            return
        while len(self._waiting) >= _MOST_WAITING:
            self._waiting.popleft().result()
        self._waiting.append(self._threads.submit(self._load, entity, values))

    def finish(self) -> None:
        """Waits until all rows are loaded."""
        while self._waiting:
            self._waiting.popleft().result()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._threads.shutdown(cancel_futures=True)

    def _load(self, entity: Entity, values: Sequence[Sequence[Any]]) -> None:
        start = time.perf_counter()
        self._loader.load(entity, values)
        self.seconds += time.perf_counter() - start


def _send(driver: "pymysql.Connection[Any]", sql: str, data: bytes) -> int:
    """Runs one LOAD DATA LOCAL, answers the server's request with data, and returns the number of warnings."""
    driver._execute_command(COMMAND.COM_QUERY, sql)  # type: ignore[attr-defined]
    request = driver._read_packet()  # type: ignore[no-untyped-call]
    if not request.is_load_local_packet():
        raise DatabaseError("the server did not ask for the rows of a LOAD DATA LOCAL", hint="Set local_infile=0.")
    for start in range(0, len(data), _PACKET):
        driver.write_packet(data[start : start + _PACKET])
    driver.write_packet(b"")
    answer = driver._read_packet()  # type: ignore[no-untyped-call]
    if not answer.is_ok_packet():
        raise DatabaseError("the server did not confirm the rows of a LOAD DATA LOCAL", hint="Set local_infile=0.")
    warnings: int = OKPacketWrapper(answer).warning_count
    return warnings


def _tab_separated(values: Sequence[Sequence[Any]]) -> bytes:
    """The columns as lines. Column by column is several times as quick as value by value."""
    lines = map("\t".join, zip(*map(_texts, values), strict=True))
    return ("\n".join(lines) + "\n").encode()


def _texts(values: Sequence[Any]) -> Sequence[str]:
    """One column as LOAD DATA reads it."""
    kinds = set(map(type, values))
    may_be_null = type(None) in kinds
    kinds.discard(type(None))
    if not kinds:
        return [_NULL] * len(values)
    if len(kinds) > 1:
        return list(map(_text, values))
    (kind,) = kinds
    if kind is str:
        if may_be_null:
            given = [value for value in values if value is not None]
            return list(map(_text, values)) if _has_escapes(given) else [_NULL if v is None else v for v in values]
        return list(map(_text, values)) if _has_escapes(values) else values
    write = _WRITE[kind]
    return [_NULL if v is None else write(v) for v in values] if may_be_null else list(map(write, values))


def _has_escapes(values: Sequence[str]) -> bool:
    text = "".join(values)
    return not text.isprintable() or "\\" in text


def _text(value: Any) -> str:
    if value is None:
        return _NULL
    return value.translate(_ESCAPES) if isinstance(value, str) else _WRITE[type(value)](value)


_NULL = "\\N"
_WRITE: dict[type, Callable[[Any], str]] = {int: str, bool: repr, float: repr, bytes: bytes.hex, datetime: str}
