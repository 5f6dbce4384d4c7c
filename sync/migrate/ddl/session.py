"""The connection of a migration, and what a script sets in its place."""

from collections.abc import Iterator
from contextlib import closing, contextmanager

from pymysql import MySQLError
from sqlalchemy import event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError

from sync.database.connection import Ispyb, failure
from sync.database.driver import called
from sync.database.engine import open_engine
from sync.model.errors import UsageError

# The server's sql_mode may refuse any change of BLSession (NO_ZERO_DATE). A change that waits for its table
# makes everybody wait behind it, so it gives up soon.
SESSION = """\
SET SESSION sql_mode = 'STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION',
  group_concat_max_len = 1048576, lock_wait_timeout = 5, sql_safe_updates = 0"""

READ_WRITE = "SET SESSION TRANSACTION READ WRITE"


@contextmanager
def opened(url: str, tool_schema: str) -> Iterator[Ispyb]:
    """Open an ISPyB on a connection on which every statement is its own transaction."""
    engine = open_engine(url)
    event.listen(engine, "connect", _set_session, insert=True)  # before SQLAlchemy looks at the sql_mode
    try:
        connection = engine.connect()
    except (DBAPIError, MySQLError, OSError, RuntimeError) as error:
        raise failure(error, of=called(engine.url)) from None
    with connection.execution_options(isolation_level="AUTOCOMMIT"):
        schema, account = connection.exec_driver_sql("SELECT DATABASE(), CURRENT_USER()").one()
        if schema is None:
            hint = "End the URL with the ISPyB schema: …:3306/ispyb"
            raise UsageError("--database names no schema", hint=hint)
        yield Ispyb(connection, schema, tool_schema, account, own=True)


def _set_session(connection: DBAPIConnection, record: object) -> None:
    with closing(connection.cursor()) as cursor:
        cursor.execute(SESSION)
        cursor.execute(READ_WRITE)
