"""The command line: its commands are in `sync.cli.commands`, one module a kind.

What a command works with is loaded when it runs: `ispyb-sync --help` and the completion of a shell do without.
"""

import atexit
import gc
import sys
from io import TextIOWrapper

from sync.cli.app import app, refuse_misplaced
from sync.cli.unexpected import NOTHING_WRITTEN, Guard, errors_logged
from sync.demo.process import hide_passwords
from sync.model.errors import SyncError


def main() -> None:
    """Runs the command line; what ends it becomes a message and an exit code, and a traceback only in the log."""
    gc.set_threshold(200_000)  # documents have no cycles; to look for them takes a twentieth of start and reading
    atexit.register(gc.freeze)  # nor is it worth a fifth of a second to look for them in what the end frees anyway
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a letter that the terminal lacks stops nothing
    if hide_passwords(sys.argv[1:]):
        print("warning: a password on the command line may be seen by others; set ISPYB_SYNC_DATABASE", file=sys.stderr)
    try:
        with errors_logged(sys.argv[1:]), Guard(NOTHING_WRITTEN):
            refuse_misplaced(sys.argv[1:])
            app(prog_name="ispyb-sync")
    except SyncError as error:
        from sync.show.terminal import print_error

        print_error(error)
        sys.exit(error.exit_code)
