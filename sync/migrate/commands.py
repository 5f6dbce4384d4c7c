"""Migrations: what Alembic does, as three functions.

The revisions are in `migrations/versions`, one change each; `sync.migrate.ddl` says how a change is made, guarded and
taken back. Refuses to touch anything where one of the changes could not be made.
"""

import re
from collections.abc import Callable
from io import StringIO

from alembic import command
from alembic.config import Config
from alembic.util import CommandError

from sync.database.revision import folder, head, is_current, revision
from sync.database.statement import STAGING_SCHEMA
from sync.model.errors import UsageError

__all__ = ["downgrade", "head", "is_current", "revision", "script", "upgrade"]


def upgrade(
    database_url: str, *, staging_schema: str = STAGING_SCHEMA, revision: str = "head", serve_this: bool = False
) -> list[str]:
    """Bring the database to a revision, also one whose tables were restored from an older dump.

    serve_this   take over a tool schema that serves another ISPyB: this is the same one, renamed, restored or moved

    Returns what it means that the schema was taken over, in lines. Raises, with nothing changed, UsageError where the
    tool schema serves another ISPyB, and DatabaseError that lists what else stands in the way.
    """
    config = _config(staging_schema, database=database_url, heal=True, serve_this=serve_this)
    _run(command.upgrade, config, revision)
    told: list[str] = config.attributes.get("told", [])
    return told


def downgrade(database_url: str, revision: str, *, staging_schema: str = STAGING_SCHEMA, force: bool = False) -> None:
    """Take back what the revisions after this one ("base": all of them) added.

    Raises, with nothing changed, DatabaseError where that holds data and is not forced, and UsageError where the tool
    schema serves another ISPyB.
    """
    _run(command.downgrade, _config(staging_schema, database=database_url, force=force), revision)


def script(
    staging_schema: str = STAGING_SCHEMA,
    *,
    down: str | None = None,
    force: bool = False,
    serve_this: bool = False,
    database_name: str = "ispyb",
) -> str:
    """Give the upgrade, or the downgrade to a revision, as a script for the mariadb client."""
    text = StringIO()
    config = _config(staging_schema, database_name=database_name, force=force, serve_this=serve_this)
    config.output_buffer = text
    if down is None:
        _run(command.upgrade, config, "head", sql=True)
    else:
        _run(command.downgrade, config, f"{head()}:{down}", sql=True)
    return text.getvalue()


def _run(act: Callable[..., None], config: Config, revision: str, **options: bool) -> None:
    try:
        act(config, revision, **options)
    except CommandError as error:
        raise UsageError(
            f"migrate: {error}", hint=f"Revisions go from 0001 to {head()}; base is before the first."
        ) from None


def _config(staging_schema: str, **attributes: object) -> Config:
    if not re.fullmatch(r"[A-Za-z0-9_]{1,64}", staging_schema):
        raise UsageError(f"{staging_schema!r} is not a schema name", hint="Use letters, digits and _.")
    config = Config()
    config.set_main_option("script_location", str(folder()).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes.update(attributes, staging_schema=staging_schema)
    return config
