"""What is only for a person at a terminal: a bar while an export is read, and the question before something is done.

Both go to standard error, so that standard output holds the report and nothing else.
"""

import sys
from dataclasses import replace

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.prompt import Confirm

from sync.model.report import Report
from sync.model.text import printable
from sync.read.reader import Reader
from sync.show.console import render


class Terminal:
    """A bar while an export is read, where standard error is a terminal; and who sits there. `quiet`: no bar."""

    def __init__(self, *, quiet: bool = False) -> None:
        self.console = console = Console(stderr=True)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=quiet or not console.is_terminal,
        )
        self._task: TaskID | None = None

    def __enter__(self) -> "Terminal":
        self._bar.start()
        self._task = self._bar.add_task("reading", total=None)
        return self

    def __exit__(self, *exc: object) -> None:
        self._bar.stop()

    def show(self, reader: Reader) -> None:
        """Draws how much of the export is read."""
        if self._task is not None and not self._bar.disable:
            self._bar.update(self._task, completed=reader.bytes_read, total=reader.total_bytes)

    def waits(self, words: str) -> None:
        """Shows what the User Portal is waited for."""
        if self._task is not None and not self._bar.disable:
            self._bar.update(self._task, description=printable(words))

    def confirm(self, report: Report) -> bool:
        """Shows what an apply is about to write, as a plan does, and asks."""
        self._bar.stop()
        return confirm_summary(replace(report, mode="plan", status="planned"))


def confirm_summary(report: Report) -> bool:
    """Shows what is about to be written, and asks."""
    render(report, _console())
    return confirmed("Write this to ISPyB?")


def can_answer() -> bool:
    """Whether a question would be seen and could be answered."""
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stderr))


def confirmed(question: str) -> bool:
    """Asks; anything but a yes is a no, and so is an end of the input."""
    console = _console()
    try:
        return Confirm.ask(question, console=console, default=False)
    except EOFError:
        console.print()
        return False


def _console() -> Console:
    return Console(stderr=True, highlight=False, markup=False, emoji=False)
