"""Connections to ISPyB: one session setup, errors that say where they come from.

The session's own sql_mode, character set and isolation are set, whatever the server's are. A connection given by
a caller stays in the caller's transaction and gets its settings back.
"""

import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from typing import Any

import pymysql
from sqlalchemy import URL, Connection, CursorResult, Engine
from sqlalchemy.exc import DBAPIError

from sync.database.driver import called, sending_no_files
from sync.database.engine import open_engine
from sync.database.statement import TOOL_SCHEMA, Statement
from sync.model.conditions import NO_CONDITIONS, Conditions
from sync.model.errors import DatabaseError, SyncError, Unreachable, UsageError
from sync.model.settings import Settings

log = logging.getLogger("sync")

Database = str | URL | Engine | Connection

# Big enough for the groupings of a facility to stay in memory; both are per session and only an upper bound.
_MEMORY = 256 * 1024 * 1024
_SETTINGS = {
    "sql_mode": "STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION",
    "tmp_memory_table_size": _MEMORY,
    "max_heap_table_size": _MEMORY,
    "group_concat_max_len": 4096,
    "foreign_key_checks": 1,
    "unique_checks": 1,
    "max_recursive_iterations": 2**32 - 1,  # claims fall one after the other, as many as there are
    "sql_auto_is_null": 0,
    "sql_big_selects": 1,
    "sql_quote_show_create": 1,  # SHOW GRANTS is read
    "sql_safe_updates": 0,
    "sql_select_limit": 2**64 - 1,
    "completion_type": "NO_CHAIN",
    "optimizer_switch": "split_materialized=off",  # it loses rows where a LEFT JOIN meets a null: MDEV-37057
}
_LEAST_PACKET = 1 << 20
"""The driver joins rows into statements of nearly so many bytes."""

DEADLOCK, LOCK_WAIT = 1213, 1205
LOST = {0, 2006, 2013, 2014, 2055, 1927, 1047, 1053}  # the last two: a node or server that does not serve now
_NOT_THERE = LOST | {2002, 2003}
DUPLICATE, NO_PARENT = 1062, 1452
OVERTAKEN = (DEADLOCK, LOCK_WAIT, DUPLICATE, NO_PARENT)
"""What the server says when another writer came in between."""
_CHECK = "`ispyb-sync check` looks at the server, the migrations and the privileges."
_GRANT = "`ispyb-sync check` names each right that is missing; the role of `ispyb-sync grants` has them all."
_NO_SCHEMA_RIGHT = 1044
_NO_RIGHT = (1142, 1143, 1227, 1370)
DENIED = {_NO_SCHEMA_RIGHT, *_NO_RIGHT}
"""What the server says of a missing right."""
_REMEDIES = dict.fromkeys(_NO_RIGHT, _GRANT) | {
    _NO_SCHEMA_RIGHT: "Correct the schema in the URL, or grant the role of `ispyb-sync grants` and make it the "
    "account's default: SET DEFAULT ROLE.",
    1045: "Correct the account or the password in the URL.",
    DEADLOCK: "Others changed the same rows, each time. Try again.",
    LOCK_WAIT: "Others use the same rows for longer than innodb_lock_wait_timeout; SHOW PROCESSLIST names them. "
    "Try again.",
    2003: "Correct the host or the port in the URL, or start the server.",
    1049: "Correct the schema at the end of the URL.",
    1290: "Point --database at the primary server, or take the option away.",
    1665: "SET GLOBAL binlog_format = MIXED, or ROW.",
    1969: "Raise max_statement_time, for this account or for the server.",
}
_ORIGIN = re.compile(r"/\* (.+?) \*/")


def code_of(error: BaseException) -> int | None:
    """The server's or driver's error number."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(cause, pymysql.MySQLError) and cause.args and isinstance(cause.args[0], int):
        return cause.args[0]
    return None


def words_of(error: BaseException) -> str:
    """What the server or the driver says of an error."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    args: tuple[object, ...] = getattr(cause, "args", ())
    return str(args[1]) if len(args) > 1 else str(cause)


def failure(error: BaseException, origin: str | None = None, *, of: str = "database") -> DatabaseError:
    """What a user sees of a failing statement or connection (`of` which database): the server's words, and where."""
    words = words_of(error)
    if origin is None and (found := _ORIGIN.match(getattr(error, "statement", None) or "")):
        origin = found[1]
    if code_of(error) == _NO_SCHEMA_RIGHT and origin:
        words += ", where it needs CREATE TEMPORARY TABLES"
    remedy = _REMEDIES.get(code_of(error) or 0, _CHECK)
    told = words.splitlines()[0] if words else "the connection was lost"
    return DatabaseError(f"{origin or of}: {told}", hint=f"ISPyB is unchanged. {remedy}")


def as_told(error: SyncError | DBAPIError) -> SyncError:
    """What a user sees of an error that ended a run."""
    return failure(error) if isinstance(error, DBAPIError) else error


@dataclass(frozen=True)
class Ispyb:
    """One ISPyB, and the tool's schema beside it, on an open connection.

    schema       of ISPyB's own tables: the connection's default schema
    tool_schema  of the tool's tables
    account      as the server knows it
    own          whether the connection is the tool's own, which may commit; else it is in a caller's transaction
    """

    connection: Connection
    schema: str
    tool_schema: str
    account: str
    own: bool

    @property
    def called(self) -> str:
        """How people call the database: ispyb on db1:3306."""
        return called(self.connection.engine.url, self.schema)

    def text(self, statement: Statement, given: Conditions = NO_CONDITIONS) -> str | None:
        """A statement as it is sent here; None where its condition does not hold."""
        return statement.render(given, self.tool_schema)

    def ask(self, statement: Statement, given: Conditions = NO_CONDITIONS, /, **values: object) -> CursorResult[Any]:
        """The result of a statement whose condition holds; `values` stand in place of `%(run)s` and the like."""
        return self.connection.exec_driver_sql(self.text(statement, given) or "", values)


@contextmanager
def connect(database: Database) -> Iterator[Connection]:
    """An open, set-up connection for who asks nothing of the tool's tables.

    One of our own is closed afterwards, a caller's is given back as it was.
    """
    with _connected(database, TOOL_SCHEMA) as ispyb:
        yield ispyb.connection


@contextmanager
def connected(database: Database, settings: Settings) -> Iterator[Ispyb]:
    """The same, with all that the server and the settings say of this ISPyB."""
    with _connected(database, settings.staging_schema) as ispyb:
        yield ispyb


@contextmanager
def _connected(database: Database, tool_schema: str) -> Iterator[Ispyb]:
    if isinstance(database, Engine | Connection) and database.dialect.driver != "pymysql":
        raise UsageError(f"a connection by {database.dialect.driver}", hint="Open it as mysql+pymysql://…")
    if isinstance(database, Connection):
        with sending_no_files(database), _session(database, tool_schema, own=False) as ispyb:
            yield ispyb
        return
    engine = database if isinstance(database, Engine) else open_engine(database)
    try:
        connection = engine.connect()
    except (DBAPIError, pymysql.MySQLError, OSError, RuntimeError) as error:
        told = failure(error, of=called(engine.url))
        if code_of(error) in _NOT_THERE:
            raise Unreachable(told.message, hint=told.hint) from None
        raise told from None
    try:
        connection = _reading_committed(connection)
        with sending_no_files(connection), _session(connection, tool_schema, own=True) as ispyb:
            connection.commit()
            yield ispyb
    finally:
        if not connection.invalidated and not _is_open(connection):
            connection.invalidate()  # the driver has ended it: there is nothing to give back
        with suppress(DBAPIError, pymysql.MySQLError):  # lost only now: all that was to be done is done
            connection.close()


def _reading_committed(connection: Connection) -> Connection:
    """With the tool's own isolation, and able to write where transactions are read-only unless said otherwise."""
    try:
        connection = connection.execution_options(isolation_level="READ COMMITTED")
        connection.exec_driver_sql("SET SESSION TRANSACTION READ WRITE")
        return connection
    except (DBAPIError, pymysql.MySQLError) as error:  # SQLAlchemy lets the driver's errors through here
        raise failure(error) from None


def _is_open(connection: Connection) -> bool:
    driver = connection.connection.driver_connection
    return bool(driver is not None and driver.open)


@contextmanager
def _session(connection: Connection, tool_schema: str, *, own: bool) -> Iterator[Ispyb]:
    """The session settings of the tool, as long as it uses the connection."""
    names = ", ".join(f"@@SESSION.{name}" for name in _SETTINGS)
    facts = "@@max_allowed_packet, @@character_set_client, DATABASE(), CURRENT_USER()"
    row = connection.exec_driver_sql(f"SELECT {names}, {facts}, @@autocommit AND NOT @@in_transaction").one()
    *before, packet, charset, schema, account, commits_itself = row
    if commits_itself:
        raise UsageError(
            "the connection commits each statement by itself", hint="Open it without isolation_level AUTOCOMMIT."
        )
    if schema is None:
        raise UsageError("--database names no schema", hint="End the URL with the ISPyB schema: …:3306/ispyb")
    if charset != "utf8mb4":
        raise UsageError(
            f"the connection's character set is {charset}", hint="Open it with ?charset=utf8mb4 in the URL."
        )
    if packet < _LEAST_PACKET:
        raise DatabaseError(
            f"max_allowed_packet is {packet:,} bytes, and a run needs {_LEAST_PACKET:,}",
            hint="SET GLOBAL max_allowed_packet = 16777216, which is the default, and in the server's option file too.",
        )
    _set(connection, _SETTINGS)
    try:
        yield Ispyb(connection, schema, tool_schema, account, own)
    finally:
        if not (connection.closed or connection.invalidated):
            # Of our own it is lost after all was done; of a caller's, what was done in its transaction is lost too.
            with suppress(DBAPIError) if own else nullcontext():
                _set(connection, dict(zip(_SETTINGS, before, strict=True)))


def _set(connection: Connection, values: Mapping[str, object]) -> None:
    connection.exec_driver_sql("SET " + ", ".join(f"SESSION {name} = %({name})s" for name in values), dict(values))


def settings_as_sql() -> str:
    """The statement that sets a connection up as the tool does."""
    return "SET " + ", ".join(f"SESSION {name} = {value!r}" for name, value in _SETTINGS.items())
