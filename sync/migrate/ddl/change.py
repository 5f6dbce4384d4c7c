"""What a change is, and how its SQL reaches the server or the printed script.

Refuses to wait long for a table: a statement that alters one and has to wait makes everybody else wait
behind it, so it gives way and tries again.
"""

import time
from dataclasses import dataclass
from typing import Protocol

from alembic import op
from alembic.runtime.migration import MigrationContext
from sqlalchemy.exc import DBAPIError

from sync.database.connection import DENIED, LOCK_WAIT, code_of
from sync.model.errors import DatabaseError

COMMAND = "ispyb-sync migrate"
"""The command of an upgrade, which is given again after an error."""

ATTEMPTS = 12
PAUSE = 5.0
"""Attempts at a change, and the seconds between them, in which others get through."""


@dataclass(frozen=True)
class Guard:
    """A query that must return no rows; a row is one text, `found`.

    when     conditions on which it is asked, each of which may rely on those before it
    refusal  what its rows are
    remedy   what to do about them
    by_force --force would leave it out: a safety limit
    """

    query: str
    refusal: str
    remedy: str
    when: tuple[str, ...] = ()
    by_force: bool = False


class Change(Protocol):
    """What one revision does, and takes back."""

    @property
    def title(self) -> str:
        """Name the change in errors."""

    @property
    def ispyb_table(self) -> str | None:
        """Name the table of ISPyB that it alters; None for one of the tool's own."""

    def needed(self) -> str:
        """Give the condition that it is not made yet, once all changes before it are."""

    def up_sql(self) -> str:
        """Give the statement that makes the change."""

    def down_sql(self, *, force: bool) -> str:
        """Give the statement that takes it back, with its data if forced."""

    def up_guards(self) -> list[Guard]:
        """List what must not be found before the change is made."""

    def down_guards(self, *, force: bool) -> list[Guard]:
        """List what must not be found before it is taken back."""


def in_schema(sql: str, tool_schema: str) -> str:
    """Put the name of the tool's schema in place of the default name that the texts carry."""
    return sql.replace("ispyb_sync.", f"`{tool_schema}`.").replace("'ispyb_sync'", f"'{tool_schema}'")


def run_up(change: Change) -> None:
    """Make a change; called by a revision."""
    execute(op.get_context(), change.up_sql(), change.title)


def run_down(change: Change) -> None:
    """Take a change back; called by a revision."""
    context = op.get_context()
    assert context.config is not None
    force = bool(context.config.attributes.get("force"))
    execute(context, change.down_sql(force=force), f"{change.title}, back")


def execute(context: MigrationContext, sql: str, title: str) -> None:
    """Run one statement, or print it in a form that the mariadb client takes."""
    assert context.config is not None
    sql = in_schema(sql, context.config.attributes["tool_schema"])
    if context.as_sql:
        compound = sql.startswith("BEGIN")
        sql = f"DELIMITER //\n{sql} //\nDELIMITER ;" if compound else f"{sql};"
        context.impl.static_output(f"-- {title}\n{sql}")
        return
    assert context.connection is not None
    for attempt in range(1, ATTEMPTS + 1):
        try:
            context.connection.exec_driver_sql(sql)
        except DBAPIError as error:
            if code_of(error) != LOCK_WAIT or attempt == ATTEMPTS:
                raise failed(error, title, context.config.attributes.get("command", COMMAND)) from None
            time.sleep(PAUSE)
        else:
            return


def failed(error: DBAPIError, title: str, command: str) -> DatabaseError:
    """Say which change of a command failed, in the server's own words."""
    code = code_of(error)
    words = error.orig.args[-1] if error.orig is not None and error.orig.args else "no answer"
    if code in DENIED:
        hint = "Use an account that may ALTER and CREATE, or give a DBA the script of `ispyb-sync migrate --sql`."
    elif code == LOCK_WAIT:
        hint = "A long transaction uses this table; SHOW PROCESSLIST names it."
    else:
        hint = "What was done before stays, and does no harm."
    return DatabaseError(f"migration: {title}: {words} ({code})", hint=f"{hint} Then run {command} again.")
