"""A transaction of our own is tried again where another writer, or the server, came in between."""

import time
from collections.abc import Callable, Collection

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from sync.database import retry
from sync.database.connection import Database, Ispyb, code_of, connected, failure
from sync.model.errors import Unreachable
from sync.model.report import Report
from sync.model.settings import Settings
from sync.statements.send import origin_of


def tried(once: Callable[[Ispyb], Report], database: Database, settings: Settings, again: Collection[int]) -> Report:
    """What `once` gives; in a caller's transaction it is tried once.

    again   the server's error numbers after which it is worth another attempt

    Raises DatabaseError with the server's words.
    """
    own = not isinstance(database, Connection)
    for attempt in range(1, retry.ATTEMPTS + 1):
        try:
            with connected(database, settings) as ispyb:
                return once(ispyb)
        except DBAPIError as error:
            if not own or code_of(error) not in again or attempt == retry.ATTEMPTS:
                raise failure(error, origin_of(error)) from None
        except Unreachable:
            if attempt in (1, retry.ATTEMPTS):  # in between, a server that was lost may be starting again
                raise
        time.sleep(retry.PAUSE_SECONDS * 2**attempt)
    raise AssertionError("the last attempt returns or raises")
