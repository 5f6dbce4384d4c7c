"""Which statements of sql/*.sql ran: what `--profile` prints, as values."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from sync.database.connection import log
from sync.statements.send import Profile


class _Kept(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.ran: list[Profile] = []

    def emit(self, record: logging.LogRecord) -> None:
        if isinstance(record.args, tuple):
            self.ran += [ran for ran in record.args if isinstance(ran, Profile)]


@contextmanager
def statements_run() -> Iterator[list[Profile]]:
    """Collects what runs meanwhile."""
    kept, level = _Kept(), log.level
    log.addHandler(kept)
    log.setLevel(logging.DEBUG)
    try:
        yield kept.ran
    finally:
        log.removeHandler(kept)
        log.setLevel(level)
