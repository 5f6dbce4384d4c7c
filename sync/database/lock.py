"""One run at a time on one ISPyB: the server's own lock, and in a Galera cluster a lease besides.

GET_LOCK holds on one server, and ends with its connection. In a cluster a row of the tool's schema names the run
that may write: taken and renewed in short transactions of their own, it runs out where its holder was killed.
A run in a caller's transaction cannot commit that row, on no server; it keeps it locked until the transaction ends,
and other runs wait for that.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from uuid import uuid4

import pymysql
from sqlalchemy import Connection, CursorResult
from sqlalchemy.exc import DBAPIError

from sync.database.connection import DEADLOCK, LOCK_WAIT, Ispyb, code_of
from sync.database.retry import roll_back
from sync.database.sqlfiles import named
from sync.model.errors import DatabaseError

LEASE_SECONDS = 30
"""How long the lease of a killed run keeps others waiting; a living one renews it three times as often."""

_POLL_SECONDS = 0.3
_NAME = "CONCAT('ispyb_sync_', LEFT(SHA2(LOWER(DATABASE()), 256), 32))"
# Absent where the server was built without Galera.
_CLUSTERED = """
SELECT COUNT(*) FROM information_schema.GLOBAL_STATUS
WHERE VARIABLE_NAME = 'wsrep_cluster_size' AND VARIABLE_VALUE > 0
"""


# Without PROCESS an account sees its own connections.
_USED_BY = """
SELECT l.holder, p.USER, p.HOST
FROM (SELECT IS_USED_LOCK(CONCAT('ispyb_sync_', LEFT(SHA2(LOWER(DATABASE()), 256), 32))) AS holder) AS l
LEFT JOIN information_schema.PROCESSLIST AS p ON p.ID = l.holder
"""


class Turn:
    """The right to write now."""

    def __init__(self, lease: "_Lease | None") -> None:
        self._lease = lease

    def confirm(self, run: int) -> None:
        """Makes sure, in the transaction of what was written, that nobody else has taken over."""
        if self._lease is not None:
            self._lease.confirm(run)


Waits = Callable[[str], None]
"""Is told who holds the lock, where it is waited for."""


def _nobody_listens(holder: str) -> None:
    """Where nobody is told."""


@contextmanager
def run_lock(ispyb: Ispyb, timeout: int, waits: Waits = _nobody_listens) -> Iterator[Turn]:
    """Waits up to timeout seconds for another run on this ISPyB to end; raises DatabaseError then."""
    start, connection = time.monotonic(), ispyb.connection
    with server_lock(connection, timeout, waits):
        lease = _Lease(ispyb, timeout, waits)
        if ispyb.own and not connection.exec_driver_sql(_CLUSTERED).scalar():
            lease.see(start + timeout)
            yield Turn(None)
            return
        lease.take(start + timeout)
        if not ispyb.own:
            yield Turn(None)
            return
        renewal = threading.Thread(target=lease.keep, daemon=True)
        renewal.start()
        try:
            yield Turn(lease)
        finally:
            lease.ended.set()
            if not (connection.closed or connection.invalidated):
                roll_back(connection)  # what was not committed would keep the row locked
            renewal.join()
            lease.release()


@contextmanager
def server_lock(connection: Connection, timeout: int, waits: Waits = _nobody_listens) -> Iterator[None]:
    """The same on this server alone: it takes no lease, which would need the tool's tables."""
    if not connection.exec_driver_sql(f"SELECT GET_LOCK({_NAME}, 0)").scalar():
        waits(f"waiting for another run: {_holder(connection)}")
        if not connection.exec_driver_sql(f"SELECT GET_LOCK({_NAME}, %s)", (timeout,)).scalar():
            raise _too_long(_holder(connection), timeout)
    try:
        yield
    finally:
        if not (connection.closed or connection.invalidated):
            with suppress(DBAPIError):  # a lost connection gives up its lock
                connection.exec_driver_sql(f"DO RELEASE_LOCK({_NAME})")


def _holder(connection: Connection) -> str:
    """Who has the server's lock: the connection, and its account where this one may see that."""
    row = connection.exec_driver_sql(_USED_BY).one()
    who = f"{row.USER} from {row.HOST}, " if row.USER else ""
    return f"{who}connection {row.holder}"


def _too_long(holder: str, timeout: int) -> DatabaseError:
    return DatabaseError(
        f"another run holds the lock ({holder}), and did not end within {timeout} s",
        hint="Try again, or set --lock-timeout higher.",
    )


class _Lease:
    """The row that names the run that may write. `ended` is set when the run is over."""

    def __init__(self, ispyb: Ispyb, timeout: int, waits: Waits) -> None:
        self._ispyb = ispyb
        self._connection = ispyb.connection
        self._timeout = timeout
        self._waits = waits
        self._me = {"holder": str(uuid4()), "seconds": LEASE_SECONDS if ispyb.own else 0}
        self.ended = threading.Event()

    def see(self, deadline: float) -> None:
        """Waits for a caller's transaction that has the row, until a deadline of the monotonic clock."""
        while True:
            try:
                self._send(self._connection, "show").first()
                return
            except DBAPIError as error:
                if code_of(error) != LOCK_WAIT:
                    raise
            self._wait("a transaction that is not ended", deadline)

    def take(self, deadline: float) -> None:
        """Waits for the lease until then."""
        while True:
            who, found = self._try_to_take()
            if who == self._me["holder"]:
                return
            self._wait(found, deadline)
            time.sleep(_POLL_SECONDS)

    def _wait(self, holder: str, deadline: float) -> None:
        if time.monotonic() >= deadline:
            raise _too_long(holder, self._timeout)
        self._waits(f"waiting for another run: {holder}")

    def _try_to_take(self) -> tuple[str | None, str]:
        """Who has the lease now, and how an error would name them."""
        try:
            self._send(self._connection, "take")
            row = self._send(self._connection, "show").one()
            if self._ispyb.own:
                self._connection.commit()
        except DBAPIError as error:
            if code_of(error) == LOCK_WAIT and not self._ispyb.own:
                raise _too_long("a transaction that is not ended", self._timeout) from None
            if code_of(error) not in (DEADLOCK, LOCK_WAIT) or not self._ispyb.own:
                raise
            roll_back(self._connection)
            return None, "a transaction that is not ended"
        return row.holder, f"{row.account} on {row.node}, since {row.since:%Y-%m-%d %H:%M:%S} UTC"

    def confirm(self, run: int) -> None:
        if not self._send(self._connection, "confirm", run=run).rowcount:
            raise DatabaseError(
                f"this run did not renew its lease for {LEASE_SECONDS} s, and another one took it",
                hint="ISPyB is unchanged. Apply the export again.",
            )

    def keep(self) -> None:
        """Renews the lease on a connection of its own until the run has ended."""
        while not self.ended.wait(LEASE_SECONDS / 3):
            self._apart("renew")

    def release(self) -> None:
        """Lets the next run in at once; where that fails, the lease runs out."""
        self._apart("release")

    def _apart(self, name: str) -> None:
        with (
            suppress(DBAPIError, pymysql.MySQLError, OSError, RuntimeError),  # the next attempt, or its end, will do
            self._connection.engine.connect() as connection,
        ):
            self._send(connection, name)
            connection.commit()

    def _send(self, connection: Connection, name: str, **more: object) -> CursorResult[Any]:
        return connection.exec_driver_sql(self._ispyb.text(named("lease", name)) or "", self._me | more)
