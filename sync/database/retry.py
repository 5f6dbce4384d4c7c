"""All of it or nothing: the transaction of what writes, and how often it is tried again when others come in between."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from sync.database.connection import DEADLOCK, Ispyb, code_of

ATTEMPTS = 5
PAUSE_SECONDS = 0.2
"""Before the second attempt; later pauses are longer."""


@contextmanager
def savepoint(ispyb: Ispyb) -> Iterator[None]:
    """In a caller's transaction, what is written here can be taken back without the caller's own work."""
    if ispyb.own:
        yield
        return
    point = ispyb.connection.begin_nested()
    try:
        yield
    except BaseException:
        with suppress(DBAPIError):  # after a deadlock there is none: the server has ended the transaction
            point.rollback()
        raise
    point.commit()


@contextmanager
def transaction(ispyb: Ispyb) -> Iterator[None]:
    """Commits at the end; after an error, takes back what was written. A caller's transaction is left to the caller."""
    try:
        with savepoint(ispyb):
            yield
    except BaseException:
        if ispyb.own:
            with suppress(DBAPIError):  # after a deadlock or a lost connection the server has done it
                ispyb.connection.rollback()
        raise
    if ispyb.own:
        ispyb.connection.commit()


def roll_back(connection: Connection) -> None:
    """Ends a transaction without its writes; a Galera node that has done so already answers with the deadlock."""
    try:
        connection.rollback()
    except DBAPIError as error:
        if code_of(error) != DEADLOCK:
            raise
