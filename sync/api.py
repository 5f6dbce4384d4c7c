"""The one door: `plan`, `apply` and `undo` for Python; for the command line and other triggers `run` with a `Request`,
`run_undo`, `run_adopt` and `script`.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from sync import pipeline
from sync.database.connection import Database, connected
from sync.model.entities import Entity
from sync.model.errors import SyncError
from sync.model.report import Report
from sync.model.settings import Settings, load_settings
from sync.read.reader import Export
from sync.reconcile.request import Request

__all__ = ["Request", "apply", "plan", "run", "run_adopt", "run_undo", "script", "undo"]

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
        return run_undo(run, load_settings(**settings), database, write=not plan)


def run_undo(
    run: int,
    settings: Settings,
    database: Database | None = None,
    *,
    write: bool,
    confirm: Callable[[Report], bool] | None = None,
) -> Report:
    """The same with settings that are loaded; `confirm` is shown what is about to be taken back, and answers."""
    from sync.history import undo as undoing  # loaded where it is needed, as the next ones are: apply starts quicker

    return undoing.undo(run, _given_or_set(database, settings), settings, write=write, confirm=confirm)


def run_adopt(entity: str, key: str, settings: Settings, database: Database | None = None, *, write: bool) -> Report:
    """Moves a deprecated key over to externalId, or says what that would be. Raises UsageError, DatabaseError."""
    from sync.history import adopt as adopting

    return adopting.adopt(entity, key, _given_or_set(database, settings), settings, write=write)


def script(
    settings: Settings, entity: Entity | None = None, export: str | None = None, *, write: bool
) -> Iterator[str]:
    """The SQL of a plan or an apply as it runs on the database of the settings, in pieces that end with their line.

    entity   only the statements of this one; None: the whole run
    export   its rows are staged by INSERTs; None: a line says where staged rows would stand
    """
    from sync.reconcile.script import Script
    from sync.schema.introspection import introspect
    from sync.statements.live_ispyb import with_target

    with connected(settings.database_url(), settings) as opened:
        ispyb = with_target(opened, introspect(opened.connection))
    request = None if export is None else Request("apply" if write else "plan", export, settings)
    return Script(ispyb, settings, entity).lines(request, write=write)


def _given_or_set(database: Database | None, settings: Settings) -> Database:
    return settings.database_url() if database is None else database


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
