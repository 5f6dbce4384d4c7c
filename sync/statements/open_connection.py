"""What a run leaves behind on a connection that stays open, for the next run on it; it goes with the connection."""

from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import Connection

from sync.schema.target import Target


@dataclass
class Kept:
    """What is known of one connection of the driver.

    seen    by what a run asked when it looked at the database: when, by the monotonic clock in seconds, and what it saw
    tables  by group of temporary tables that are there and empty, for which tool schema and live columns they were made
    """

    seen: dict[object, tuple[float, Target]] = field(default_factory=dict)
    tables: dict[object, tuple[str, Target]] = field(default_factory=dict)


_KEPT: WeakKeyDictionary[Any, Kept] = WeakKeyDictionary()


def kept(connection: Connection) -> Kept:
    """What the last run on this connection has left; nothing, where this is the first one."""
    return _KEPT.setdefault(connection.connection.driver_connection, Kept())
