"""What nobody expected: a command ends with 3 and says where it happened; the whole goes to the log."""

import logging
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import NoReturn

import typer

import sync
from sync.model.errors import SyncError
from sync.model.text import printable

log = logging.getLogger("sync")

NOTHING_WRITTEN = "nothing was written"

_EXPECTED = (SyncError, typer.Exit, typer.Abort)
_PACKAGE = Path(sync.__file__).parent
_is_verbose = re.compile(r"-v+|--verbose").fullmatch


class Unexpected(SyncError):
    """A fault of the tool."""

    exit_code = 3


class Guard:
    """Makes an error of what the server or the driver says, and of what nobody expected.

    state   what was written by then

    The message of the exception may hold values of an export, so only the log has it.
    """

    def __init__(self, state: str | Callable[[], str]) -> None:
        self._state = state

    def __enter__(self) -> None:
        return

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not isinstance(error, Exception) or isinstance(error, _EXPECTED):
            return
        from sqlalchemy.exc import DBAPIError  # loaded where something failed: most commands need no database

        from sync.database.connection import failure

        if isinstance(error, DBAPIError):
            raise failure(error) from None
        self._tell(error)

    def _tell(self, error: Exception) -> NoReturn:
        words = f"unexpected {type(error).__name__} in {_place(error)}"
        log.error("%s", words, exc_info=error)
        words_of_state = self._state if isinstance(self._state, str) else self._state()
        state = words_of_state[:1].upper() + words_of_state[1:]
        raise Unexpected(
            f"{words}; please report it", hint=f"{state}. `ispyb-sync -v …` shows the whole error."
        ) from None


@contextmanager
def errors_logged(arguments: list[str]) -> Iterator[None]:
    """Shows on standard error what is logged as an error, if -v is among the arguments; else nothing of it."""
    wanted = any(map(_is_verbose, arguments))
    handler = _OnStandardError() if wanted else logging.NullHandler()
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)


class _OnStandardError(logging.Handler):
    """Prints the whole of an error, made safe to show."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)

    def emit(self, record: logging.LogRecord) -> None:
        print("\n".join(map(printable, self.format(record).split("\n"))), file=sys.stderr)


def _place(error: Exception) -> str:
    """The last line of this package that an exception went through, or of another one where it was in none of ours."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if _PACKAGE in Path(frame.filename).parents]
    frame = (ours or frames)[-1]
    path = Path(frame.filename)
    return f"{path.relative_to(_PACKAGE.parent) if ours else path.name}:{frame.lineno}"
