"""The engine of a database's URL: what is wrong with the URL is said without repeating it."""

from typing import Any

from sqlalchemy import URL, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import NullPool

from sync.database.driver import opener
from sync.model.errors import UsageError


def open_engine(url: str | URL, *, kept: int = 0) -> Engine:
    """An engine for one command, or one that keeps connections open. Raises UsageError, which does not repeat the URL.

    kept   how many connections stay open; no more than twice as many are opened, which a lease needs
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise UsageError(
            "--database is not a SQLAlchemy URL",
            hint="It looks like mysql+pymysql://account:password@host:3306/ispyb",
        ) from None
    if parsed.get_backend_name() not in ("mysql", "mariadb"):
        raise UsageError(
            f"--database names {parsed.get_backend_name()}, and ISPyB lives in MariaDB",
            hint="Use mysql+pymysql://account:password@host:3306/ispyb",
        )
    if "@" in f"{parsed.host}{parsed.database}":
        raise UsageError("--database has an @ too many", hint="In a password, write @ as %40, / as %2F, and : as %3A.")
    return _usable(parsed.set(drivername="mysql+pymysql").update_query_dict({"charset": "utf8mb4"}), kept)


def _usable(url: URL, kept: int) -> Engine:
    """An engine whose URL the driver takes; raises UsageError for a host name or an option that it does not."""
    try:
        pool: dict[str, Any] = {"poolclass": NullPool}
        if kept:
            pool = {"pool_size": kept, "max_overflow": kept, "pool_pre_ping": True, "pool_recycle": 3600}
        engine = create_engine(url, hide_parameters=True, **pool)
        open_connection = opener(url, engine.dialect)
        (url.host or "").encode("idna")
    except (ArgumentError, AttributeError, OSError, TypeError, ValueError) as error:
        raise UsageError(
            f"--database: the driver does not take this URL: {error}",
            hint="Correct the host name, or what stands behind the question mark.",
        ) from None
    event.listen(engine, "do_connect", lambda *_: open_connection())
    return engine
