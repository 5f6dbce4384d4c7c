"""What a command writes: its report to standard output, and to files when all is done.

Whoever reads may go, a disk may be full: what the command has done by then stays done, and is not hidden.
"""

import json
import os
import re
import sys
from collections.abc import Callable
from io import StringIO
from typing import TYPE_CHECKING, Any, TextIO

import typer

from sync.model.errors import SyncError
from sync.model.text import printable

if TYPE_CHECKING:  # what draws and what speaks with a database is loaded when a command runs
    from rich.console import Console

    from sync.model.report import Report

_NOT_ASCII = re.compile(r"[^ -~]")


def console_for_output(file: TextIO | None = None) -> "Console":
    """Draws as for standard output; as wide as it needs to be where that is no terminal, so that lines stay whole."""
    from rich.console import Console

    from sync.show.terminal import WordsConsole

    terminal = Console().is_terminal
    width = None if terminal else 200
    return WordsConsole(file=file, force_terminal=terminal, width=width, highlight=False, markup=False, emoji=False)


def headed(command: str, database_url: str) -> str:
    """The first line of what a command tells of a database: `check: ispyb on db1:3306`. Asks no database."""
    from sync.database.driver import called
    from sync.database.engine import open_engine

    return f"{command}: {printable(called(open_engine(database_url).url))}\n"


def print_drawn(draw: "Callable[[Console], None]", head: str = "") -> None:
    """What a function draws, below a line that is there already, all at once."""
    drawn = StringIO()
    drawn.write(head)
    draw(console_for_output(drawn))
    write_text(drawn.getvalue())


def print_report(report: "Report", *, as_json: bool, verbose: bool) -> None:
    """A report as JSON, or drawn."""
    if as_json:
        print_json(report.to_dict())
        return
    from sync.show.console import render

    print_drawn(lambda console: render(report, console, verbose=verbose))


def print_json(value: Any) -> None:
    """One JSON value on one line."""
    utf8 = sys.stdout is not None and sys.stdout.encoding.lower().replace("-", "") == "utf8"
    text = json.dumps(value, ensure_ascii=not utf8, default=str)
    write_text(_NOT_ASCII.sub(_escaped, text) + "\n")


def _escaped(found: re.Match[str]) -> str:
    """JSON lets letters through that steer a terminal."""
    letter = found[0]
    return letter if letter.isprintable() else json.dumps(letter)[1:-1]


def write_text(text: str) -> None:
    """Writes to standard output; a reader that has gone, as `head` goes, is no fault of the run."""
    try:
        typer.echo(text, nl=False)
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            print(f"error: standard output: {error.strerror}\n  What was done stays done.", file=sys.stderr)
            raise typer.Exit(1) from None


def write_files(write: Callable[[], None]) -> None:
    """Writes files after a run; one that cannot be written is told, and ends the command with 1."""
    try:
        write()
    except (OSError, SyncError) as error:
        print("\n".join(map(printable, f"error: the report's files: {error}".split("\n"))), file=sys.stderr)
        hint = "What was done stays done; `ispyb-sync history RUN --html FILE` writes the report of a run again."
        print(f"  {hint}", file=sys.stderr)
        raise typer.Exit(1) from None
