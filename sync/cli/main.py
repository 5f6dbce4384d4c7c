"""The command line: its commands are in `sync.cli.commands`, one module a kind."""

import gc
import sys
from io import TextIOWrapper

from rich.text import Text
from sqlalchemy.exc import DBAPIError

from sync.cli.app import app, refuse_misplaced
from sync.cli.commands import adopt, database, exports, mend, past, schema, sql, triggers
from sync.cli.unexpected import NOTHING_WRITTEN, Guard, errors_logged
from sync.database.connection import failure
from sync.demo.process import hide_passwords
from sync.model.errors import SyncError
from sync.model.refusals import printable
from sync.show.terminal import error_console

__all__ = ["adopt", "app", "database", "exports", "main", "mend", "past", "schema", "sql", "triggers"]


def main() -> None:
    """Runs the command line; what ends it becomes a message and an exit code, and a traceback only in the log."""
    gc.set_threshold(100_000)  # documents have no cycles; to look for them takes a twentieth of the reading
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a letter that the terminal lacks stops nothing
    if hide_passwords(sys.argv[1:]):
        print("warning: a password on the command line may be seen by others; set ISPYB_SYNC_DATABASE", file=sys.stderr)
    try:
        with errors_logged(sys.argv[1:]), Guard(NOTHING_WRITTEN):
            refuse_misplaced(sys.argv[1:])
            app(prog_name="ispyb-sync")
    except (SyncError, DBAPIError) as raised:
        error = failure(raised) if isinstance(raised, DBAPIError) else raised
        for line in f"error: {error}".split("\n"):
            error_console().print(Text(printable(line)), soft_wrap=True)
        sys.exit(error.exit_code)
