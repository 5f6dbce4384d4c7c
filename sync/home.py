"""Which ISPyB a tool schema serves: that of its last run.

Two that shared one would undo each other's runs, prune by each other's links, and leave out documents that only the
other one has.
"""

from sqlalchemy import Connection

from sync.database import SCHEMA
from sync.errors import UsageError
from sync.sqlfiles import named


def demand_own(connection: Connection, staging_schema: str) -> None:
    """Raises UsageError where the tool schema serves another ISPyB than the connection's."""
    if (other := other_served(connection, staging_schema)) is not None:
        raise UsageError(complaint(connection, staging_schema, other), hint=remedy(connection, staging_schema))


def other_served(connection: Connection, staging_schema: str) -> str | None:
    """The other ISPyB that the tool schema serves; None where it is the connection's, or no run says."""
    served = connection.exec_driver_sql(named("history", "served_schema").render((), staging_schema) or "").scalar()
    return None if served is None or served.lower() == connection.info[SCHEMA].lower() else str(served)


def complaint(connection: Connection, staging_schema: str, other: str) -> str:
    """What is wrong."""
    return f"schema {staging_schema} serves {other}, and this is {connection.info[SCHEMA]}"


def remedy(connection: Connection, staging_schema: str) -> str:
    """What to do, also where it is the same ISPyB under a new name."""
    value = f"JSON_SET(settings, '$.schema', '{connection.info[SCHEMA]}')"
    renamed = f"UPDATE {staging_schema}.run SET settings = {value}"  # noqa: S608 (for a DBA to read)
    return (
        "Each ISPyB needs a tool schema of its own: give --staging-schema, and migrate. If it was renamed or restored "
        f"under this name: {renamed}"
    )
