"""Migrations: what Alembic does, as three functions.

The revisions are in `migrations/versions`, one change each; `sync.migrate.ddl` says how a change is made, guarded and
taken back. Refuses to touch anything where one of the changes could not be made.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from io import StringIO

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy.exc import DBAPIError

from sync.database.connection import Ispyb, as_told
from sync.database.revision import folder, head, is_current, revision
from sync.database.statement import TOOL_SCHEMA
from sync.migrate.ddl.change import COMMAND
from sync.migrate.ddl.pending import pending, titles
from sync.migrate.ddl.serve import of_others, server_sql
from sync.migrate.ddl.session import opened
from sync.model.errors import SyncError, UsageError
from sync.model.text import printable
from sync.schema.introspection import read_tables

__all__ = ["downgrade", "head", "is_current", "revision", "script", "upgrade"]


@dataclass(frozen=True)
class Migrated:
    """What a migration did.

    start, end  the revision before and after; None is before the first
    done        what was made, or taken back, by name; what was there already is not among it
    told        what it means that the tool schema was taken over, in lines
    """

    start: str | None
    end: str | None
    done: list[str]
    told: list[str]

    def lines(self) -> list[str]:
        """The same for people."""
        if self.start == self.end and not self.done:
            return [f"nothing to do: the database is at revision {self.end or 'base'} already", *self.told]
        verb = "made" if (self.end or "") >= (self.start or "") else "took back"
        head = f"migrated from {self.start or 'base'} to {self.end or 'base'}"
        return [f"{head}; {verb}:" if self.done else head, *(f"  {name}" for name in self.done), *self.told]


def upgrade(
    database_url: str, *, staging_schema: str = TOOL_SCHEMA, revision: str = "head", serve_this: bool = False
) -> Migrated:
    """Bring the database to a revision, also one whose tables were restored from an older dump.

    serve_this   take over a tool schema that serves another ISPyB: this is the same one, renamed, restored or moved

    Raises, with nothing changed, UsageError where the tool schema serves another ISPyB, and DatabaseError that lists
    what else stands in the way.
    """
    config = _config(staging_schema, database=database_url, heal=True, serve_this=serve_this)
    return _migrated(command.upgrade, config, revision)


def downgrade(database_url: str, revision: str, *, staging_schema: str = TOOL_SCHEMA, force: bool = False) -> Migrated:
    """Take back what the revisions after this one ("base": all of them) added.

    Raises, with nothing changed, LimitError where that holds data and is not forced, UsageError where the tool schema
    serves another ISPyB, and DatabaseError that lists what else stands in the way.
    """
    config = _config(staging_schema, database=database_url, force=force, command=command_of(revision))
    return _migrated(command.downgrade, config, revision)


def command_of(down: str | None) -> str:
    """Give the command of an upgrade, or of the way back to a revision, as it is given again after an error."""
    return COMMAND if down is None else f"{COMMAND} --down {down}"


def _migrated(act: Callable[..., None], config: Config, revision: str) -> Migrated:
    _run(act, config, revision)
    found = config.attributes
    return Migrated(found["start"], found["end"], found["done"], found.get("told", []))


def script(
    staging_schema: str = TOOL_SCHEMA,
    *,
    down: str | None = None,
    force: bool = False,
    serve_this: bool = False,
    database_name: str = "ispyb",
    database_url: str | None = None,
) -> str:
    """Give the upgrade, or the downgrade to a revision, as a script for the mariadb client.

    database_url   where it is going to run: an upgrade begins with what will change there

    Raises UsageError where the tool schema there serves another ISPyB: the script would fail.
    """
    text = StringIO()
    config = _config(staging_schema, database_name=database_name, force=force, serve_this=serve_this)
    config.output_buffer = text
    if database_url is not None:
        here = _here(database_url, config)
        config.attributes.update(here if down is None else {})
    if down is None:
        _run(command.upgrade, config, "head", sql=True)
    else:
        _run(command.downgrade, config, f"{head()}:{down}", sql=True)
    return text.getvalue()


def _here(database_url: str, config: Config) -> dict[str, str]:
    """What a script says at its head of that database. Raises UsageError where the tool schema serves another ISPyB."""
    try:
        with opened(database_url, config.attributes["tool_schema"]) as ispyb:
            ispyb.connection.exec_driver_sql(server_sql())
            other = None if config.attributes["serve_this"] else of_others(ispyb)
            if other is None:
                return _head_of(ispyb, config)
    except (SyncError, DBAPIError) as error:
        words = str(as_told(error)).splitlines()[0]
        return {"here": f"-- What will change is not known, as the database could not be asked: {printable(words)}\n"}
    raise other


def _head_of(ispyb: Ispyb, config: Config) -> dict[str, str]:
    """The way that the script goes there, and what it will change, as a comment."""
    schema, tool_schema = ispyb.schema, ispyb.tool_schema
    changes = [made.module.change for made in ScriptDirectory.from_config(config).walk_revisions()][::-1]
    if not any(table.columns for table in read_tables(ispyb.connection).tables.values()):
        return {"here": f"-- What will change in {schema} is not known: this account sees no table of ISPyB there.\n"}
    found = titles(changes, pending(ispyb, changes), tool_schema)
    at = revision(ispyb)
    way = f"to revision {head()}; {ispyb.called} is at {f'revision {at}' if at else 'base'}"
    if not found:
        return {"way": way, "here": f"-- Nothing will change: {schema} and {tool_schema} have it all.\n"}
    lines = [f"-- What will change in {schema} and {tool_schema}:", *(f"--   {name}" for name in found), ""]
    return {"way": way, "here": "\n".join(lines)}


def _run(act: Callable[..., None], config: Config, revision: str, **options: bool) -> None:
    try:
        act(config, revision, **options)
    except CommandError as error:
        raise UsageError(
            f"migrate: {error}", hint=f"Revisions go from 0001 to {head()}; base is before the first."
        ) from None


def _config(tool_schema: str, **attributes: object) -> Config:
    if not re.fullmatch(r"[A-Za-z0-9_]{1,64}", tool_schema):
        raise UsageError(f"{tool_schema!r} is not a schema name", hint="Use letters, digits and _.")
    config = Config()
    config.set_main_option("script_location", str(folder()).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes.update(attributes, tool_schema=tool_schema)
    return config
