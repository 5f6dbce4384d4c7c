"""What is only for a person at a terminal: a bar while an export is read, and the question before something is done.

Both go to standard error, so that standard output holds the report and nothing else.
"""

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from sync.model.errors import SyncError
from sync.model.report import COMMITTING, Report
from sync.model.text import printable
from sync.read.reader import Reader
from sync.show.console import render

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_HANGING = 2
_LEAST_ROOM = 20
"""Columns that words get, however deep a line stands on however narrow a terminal."""


class WordsConsole(Console):
    """Breaks a long line between words where a terminal would break it within one, and indents what follows.

    Elsewhere, in a file or a pipe, a line stays whole. Only for what is printed with `soft_wrap`: one Text a line.
    """

    def print(self, *objects: Any, soft_wrap: bool | None = None, **options: Any) -> None:
        if not (soft_wrap and self.is_terminal and len(objects) == 1 and isinstance(objects[0], Text)):
            super().print(*objects, soft_wrap=soft_wrap, **options)
            return
        text = objects[0]
        indent = len(text.plain) - len(text.plain.lstrip(" "))
        lines = text[indent:].wrap(self, max(self.width - indent - _HANGING, _LEAST_ROOM))
        for number, line in enumerate(lines):
            line.rstrip()
            spaces = " " * (indent + (_HANGING if number else 0))
            super().print(Text.assemble(spaces, line), soft_wrap=True, **options)


class Terminal:
    """What is done now, where standard error is a terminal; and who sits there. `quiet`: no bar.

    committing   whether the commit has begun: what comes before it has written nothing
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self.console = console = Console(stderr=True)
        self.committing = False
        self._documents = 0
        self._bar = _new_bar(console) if console.is_terminal and not quiet else None
        self._task: TaskID | None = None

    def __enter__(self) -> "Terminal":
        if self._bar is not None:
            self._bar.start()
            self._task = self._bar.add_task("reading", total=None, count="")
        return self

    def __exit__(self, *exc: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def show(self, reader: Reader) -> None:
        """Draws how much of the export is read."""
        self._documents += 1
        read, total = (f"{(n or 0) / 1e6:,.1f}" for n in (reader.bytes_read, reader.total_bytes))
        of_all = f"{read} of {total}" if reader.total_bytes else read
        self._draw("reading", reader.bytes_read, reader.total_bytes, f"{self._documents:,} documents, {of_all} MB")

    def waits(self, words: str) -> None:
        """Shows what the User Portal is waited for."""
        self._draw(words, 0, None, "")

    def phase(self, words: str, done: int, total: int | None) -> None:
        """Shows what is done after the reading, or waited for, and how many rows of how many are done."""
        self.committing |= words == COMMITTING
        self._draw(words, done, total, "" if total is None else f"{done:,} of {total:,} rows")

    def _draw(self, words: str, done: int, total: int | None, count: str) -> None:
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, description=printable(words), completed=done, total=total, count=count)

    def confirm(self, report: Report) -> bool:
        """Shows what an apply is about to write, as a plan does, and asks."""
        if self._bar is not None:
            self._bar.stop()
        return confirm_summary(replace(report, mode="plan", status="planned"))


def _new_bar(console: Console) -> "Progress":
    # A run of cron or of a pipe draws none, and need not wait until it is loaded.
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[count]}"),
        TimeElapsedColumn(),
        console=console,
        transient=True,
    )


def confirm_summary(report: Report) -> bool:
    """Shows what is about to be written, and asks."""
    render(report, error_console())
    return confirmed(f"Write this to {report.database}?")


def can_answer() -> bool:
    """Whether a question would be seen and could be answered."""
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stderr))


def confirmed(question: str) -> bool:
    """Asks; anything but a yes is a no, and so is an end of the input."""
    from rich.prompt import Confirm

    console = error_console()
    try:
        return Confirm.ask(question, console=console, default=False)
    except EOFError:
        console.print()
        return False


def print_error(error: SyncError) -> None:
    """Says on standard error what ended a command."""
    for line in f"error: {error}".split("\n"):
        error_console().print(Text(printable(line)), soft_wrap=True)


def error_console() -> Console:
    """Draws on standard error, for people."""
    return WordsConsole(stderr=True, highlight=False, markup=False, emoji=False)
