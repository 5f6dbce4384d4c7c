"""Which ISPyB a tool schema serves: that of its last run.

Two that share one share their history. Runs that do not ask history may do that; but one would undo the other's runs,
prune by its links, and leave out documents that only the other one has.
"""

from sqlalchemy import Connection

from sync.database import SCHEMA
from sync.errors import UsageError
from sync.sqlfiles import named


def demand_own(connection: Connection, staging_schema: str, run: int | None = None) -> None:
    """Raises UsageError where the run, or the last one, was on another ISPyB than the connection's."""
    if (other := other_served(connection, staging_schema, run)) is not None:
        raise UsageError(complaint(connection, staging_schema, other), hint=remedy(connection, staging_schema))


def other_served(connection: Connection, staging_schema: str, run: int | None = None) -> str | None:
    """The other ISPyB that the tool schema serves; None where it is the connection's, or no run says."""
    sql = named("history", "served_schema").render(staging_schema=staging_schema) or ""
    served = connection.exec_driver_sql(sql, {"run": run}).scalar()
    return None if served is None or served.lower() == connection.info[SCHEMA].lower() else str(served)


def complaint(connection: Connection, staging_schema: str, other: str) -> str:
    """What is wrong."""
    return f"schema {staging_schema} serves {other}, and this is {connection.info[SCHEMA]}"


def remedy(connection: Connection, staging_schema: str) -> str:
    """What to do, also where it is the same ISPyB under a new name."""
    value = f"JSON_SET(settings, '$.schema', '{connection.info[SCHEMA]}')"
    renamed = f"UPDATE {staging_schema}.run SET settings = {value}"  # noqa: S608 (for a DBA to read)
    return (
        "Give each ISPyB a tool schema of its own: --staging-schema, and migrate. If it was renamed or restored "
        f"under this name: {renamed}"
    )
