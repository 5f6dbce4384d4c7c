"""The one door: `plan`, `apply` and `undo` for Python; `run` and `Request` for the command line and other triggers."""

from collections.abc import Iterable
from typing import Any

from sync import pipeline
from sync.database.connection import Database
from sync.history import undo as undoing
from sync.model.report import Report
from sync.model.settings import load_settings
from sync.read.reader import Export
from sync.reconcile.request import Request

__all__ = ["Request", "apply", "plan", "run", "undo"]


def plan(export: Export, *, database: Database | None = None, proposals: Iterable[str] = (), **settings: Any) -> Report:
    """What `apply` would do with this export; writes nothing to ISPyB.

    export      a path, "-", an open file, a dict (one document) or an iterable of dicts
    database    a SQLAlchemy URL, an Engine, or a Connection in the caller's transaction; default: the setting
    proposals   only these documents, as CODE-NUMBER
    settings    as in `sync.model.settings`, over environment and file

    Raises UsageError, DatabaseError or LimitError (`sync.model.errors`).
    """
    return run(Request("plan", export, load_settings(**settings), database, frozenset(proposals)))


def apply(
    export: Export, *, database: Database | None = None, proposals: Iterable[str] = (), **settings: Any
) -> Report:
    """Reconciles ISPyB with this export, in one transaction; arguments and errors are those of `plan`.

    A Connection is left in its transaction: the caller commits or rolls back, and what was written goes with it. After
    a small export it keeps the tool's temporary tables, empty, which makes the next call on it quicker.
    """
    return run(Request("apply", export, load_settings(**settings), database, frozenset(proposals)))


def run(request: Request) -> Report:
    """Does what is asked for; errors are those of `plan`."""
    return pipeline.validate(request) if request.mode == "validate" else pipeline.run(request)


def undo(run: int, *, database: Database | None = None, plan: bool = False, **settings: Any) -> Report:
    """Takes one run back, as far as nobody has built on it since; with `plan`, says what that would be.

    What is left is in the report's refusals. Raises UsageError for a run that cannot be taken back, DatabaseError.
    """
    loaded = load_settings(**settings)
    return undoing.undo(run, database if database is not None else loaded.database_url(), loaded, write=not plan)
