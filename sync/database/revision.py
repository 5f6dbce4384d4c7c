"""The revisions of this release and of a database: without Alembic, which takes long to load, as runs look only."""

from functools import cache
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from sync.database.connection import Ispyb, code_of, failure
from sync.model.errors import DatabaseError

NOT_THERE = {1146, 1049, 1054}
"""What the server says of a table, a schema or a column that is not there."""
_NO_RIGHT = {1044, 1142}


@cache
def head() -> str:
    """Give the latest revision of this release."""
    return max(path.name[:4] for path in (folder() / "versions").glob("[0-9][0-9][0-9][0-9]_*.py"))


def is_current(ispyb: Ispyb) -> bool:
    """Tell whether the database is at the latest revision of this release."""
    return revision(ispyb) == head()


def revision(ispyb: Ispyb) -> str | None:
    """Give the revision the database is at, or None before the first migration."""
    query = f"SELECT MAX(version_num) FROM `{ispyb.tool_schema}`.alembic_version"  # noqa: S608
    try:
        return ispyb.connection.exec_driver_sql(query).scalar()
    except DBAPIError as error:
        if code_of(error) in NOT_THERE:
            return None
        raise unreadable(error, ispyb) from None


def unreadable(error: DBAPIError, ispyb: Ispyb) -> DatabaseError:
    """Give the error of a tool's schema that cannot be read."""
    if code_of(error) in _NO_RIGHT:
        return DatabaseError(
            f"no right to read schema {ispyb.tool_schema}",
            hint="Grant the role that `ispyb-sync grants` prints; if the schema is not there, run ispyb-sync migrate.",
        )
    return failure(error, "migrations")


def not_migrated(ispyb: Ispyb) -> DatabaseError:
    """Give the error of a database that lacks what this release has made of the tool's schema."""
    return DatabaseError(
        f"{ispyb.called} is not migrated, or not to this version of the tool",
        hint="Run `ispyb-sync migrate`, or give a DBA the script of `ispyb-sync migrate --sql`.",
    )


def folder() -> Path:
    """Find the revisions: inside the installed package, or beside it in a checkout."""
    inside = Path(__file__).parents[1] / "migrations"
    return inside if inside.is_dir() else Path(__file__).parents[2] / "migrations"
