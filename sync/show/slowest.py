"""The log of SQL statements on standard error: origin, rows and milliseconds of each, and the slowest at the end.

It holds no value of an export or of the database, as the statements of `sql/*.sql` hold none.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

from sync.database.connection import log
from sync.statements.send import Profile

SLOWEST = 10


@contextmanager
def statement_log(console: Console, *, wanted: bool) -> Iterator[None]:
    """Prints each statement that runs meanwhile, then how long all took and which took longest; if wanted."""
    if not wanted:
        yield
        return
    lines, level = _Lines(console), log.level
    log.addHandler(lines)
    log.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        log.removeHandler(lines)
        log.setLevel(level)
        lines.show_slowest()


class _Lines(logging.Handler):
    """Prints a statement as one line, above a bar that may be drawn, and keeps it."""

    def __init__(self, console: Console) -> None:
        super().__init__(logging.DEBUG)
        self._console = console
        self._ran: list[Profile] = []

    def emit(self, record: logging.LogRecord) -> None:
        self._print(record.getMessage())
        if isinstance(record.args, tuple):
            self._ran += [ran for ran in record.args if isinstance(ran, Profile)]

    def show_slowest(self) -> None:
        slowest = sorted(self._ran, key=lambda ran: ran.milliseconds, reverse=True)
        total = sum(ran.milliseconds for ran in slowest)
        self._print(f"{len(slowest)} statements in {total:,.1f} ms; the slowest, with their share of it:")
        for ran in slowest[:SLOWEST]:
            self._print(f"{ran} {ran.milliseconds / (total or 1):5.0%}")

    def _print(self, line: str) -> None:
        self._console.print(line, soft_wrap=True, markup=False, highlight=False, emoji=False)
