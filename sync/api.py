"""The one door: `plan`, `apply` and `undo` for Python; `run` and `Request` for the command line and other triggers."""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from sync import pipeline
from sync.database.connection import Database
from sync.history import undo as undoing
from sync.model.errors import SyncError
from sync.model.report import Report
from sync.model.settings import Settings, load_settings
from sync.read.reader import Export
from sync.reconcile.request import Request

__all__ = ["Request", "apply", "plan", "run", "undo"]

_ARGUMENTS = {name.replace("_", "-"): name for name in Settings.model_fields} | {
    "proposal": "proposals",
    "plan": "plan",
}
_FLAG = re.compile(r"--(?P<flag>[a-z]+(?:-[a-z]+)*)(?: (?P<value>URL|NAME|owned|all|[a-z]+_[a-z_]+))?")


def plan(export: Export, *, database: Database | None = None, proposals: Iterable[str] = (), **settings: Any) -> Report:
    """What `apply` would do with this export; writes nothing to ISPyB.

    export      a path, "-", an open file, a dict (one document) or an iterable of dicts
    database    a SQLAlchemy URL, an Engine, or a Connection in the caller's transaction; default: the setting
    proposals   only these documents, as CODE-NUMBER
    settings    as in `sync.model.settings`, over environment and file

    Raises UsageError, DatabaseError, PortalError or LimitError, all of them a SyncError; nothing was written then.
    """
    with _speaking_of_arguments():
        return run(Request("plan", export, load_settings(**settings), database, frozenset(proposals)))


def apply(
    export: Export, *, database: Database | None = None, proposals: Iterable[str] = (), **settings: Any
) -> Report:
    """Reconciles ISPyB with this export, in one transaction; arguments and errors are those of `plan`.

    A Connection is left in its transaction: the caller commits or rolls back, and what was written goes with it. After
    a small export it keeps the tool's temporary tables, empty, which makes the next call on it quicker.
    """
    with _speaking_of_arguments():
        return run(Request("apply", export, load_settings(**settings), database, frozenset(proposals)))


def run(request: Request) -> Report:
    """Does what is asked for; errors are those of `plan`."""
    return pipeline.validate(request) if request.mode == "validate" else pipeline.run(request)


def undo(run: int, *, database: Database | None = None, plan: bool = False, **settings: Any) -> Report:
    """Takes one run back, as far as nobody has built on it since; with `plan`, says what that would be.

    What is left is in the report's refusals. Raises UsageError for a run that cannot be taken back, DatabaseError.
    """
    with _speaking_of_arguments():
        loaded = load_settings(**settings)
        return undoing.undo(run, database if database is not None else loaded.database_url(), loaded, write=not plan)


@contextmanager
def _speaking_of_arguments() -> Iterator[None]:
    """Errors name flags, as a command line has them; to a program they name its arguments."""
    try:
        yield
    except SyncError as error:
        error.message, error.hint = _as_arguments(error.message), error.hint and _as_arguments(error.hint)
        error.args = (error.message,)
        raise


def _as_arguments(text: str) -> str:
    """A text with database=URL in place of --database URL; flags of other commands stay."""
    return _FLAG.sub(_as_argument, text.replace("Correct the flag,", "Correct the argument,"))


def _as_argument(flag: re.Match[str]) -> str:
    name = _ARGUMENTS.get(flag["flag"])
    if name is None:  # a flag of a command, or a whole command
        return flag[0]
    if flag["value"] is None:
        return name
    value = flag["value"] if flag["value"].isupper() else f'"{flag["value"]}"'
    return f"{name}=[{value}]" if name in ("leave", "proposals") else f"{name}={value}"
