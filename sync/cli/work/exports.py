"""What validate, plan and apply do: a run, its progress, its report.

Reports go to standard output, progress and errors to standard error; with `--json` there is one JSON object on
standard output and nothing else.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import typer

from sync import api
from sync.api import Request
from sync.cli.app import AFTERWARDS, COMMITTING, exit_code, interruptible
from sync.cli.output import print_drawn, print_json, write_files
from sync.cli.unexpected import NOTHING_WRITTEN, Guard
from sync.model.errors import SyncError, UsageError
from sync.model.report import Report
from sync.read.reader import RawDocument
from sync.show.console import is_idle, render, render_warnings
from sync.show.files import NO_FILES, Files
from sync.show.slowest import statement_log
from sync.show.terminal import Terminal, can_answer, error_console


def reconcile(
    request: Request,
    as_json: bool,
    verbose: int,
    *,
    quiet: bool,
    files: Files = NO_FILES,
    metrics: Path | None = None,
    ask: bool = False,
    profile: bool = False,
    strict: bool = False,
) -> None:
    """Does what is asked for, tells it, and ends the command with its exit code.

    files     where the report is also written to
    metrics   file in which the run is counted
    ask       whether somebody who sits there is asked before it writes
    strict    whether unknown keys make the exit code 1
    """
    if quiet and as_json:
        raise UsageError("--quiet with --json", hint="Whoever reads JSON expects one object of each run.")
    files.prepare()
    counting = _counting(metrics)
    try:
        terminal = Terminal(quiet=quiet)
        with (
            interruptible(lambda: COMMITTING if terminal.committing else NOTHING_WRITTEN),
            terminal,
            statement_log(terminal.console, wanted=profile or verbose > 1),
        ):
            asks = ask and request.export != "-" and can_answer()
            confirm = terminal.confirm if asks else None
            asking = replace(request, progress=terminal.show, waits=terminal.waits, phase=terminal.phase)
            report = api.run(replace(asking, confirm=confirm))
    except SyncError:
        counting(Report(request.mode, "failed"))
        if as_json:
            print_json(Report(request.mode, "failed").to_dict())
        raise
    with Guard(AFTERWARDS if request.write else NOTHING_WRITTEN):
        if as_json:
            print_json(report.to_dict())
        elif quiet and not exit_code(report):
            pass
        elif request.receives is not None:
            render(report, error_console(), verbose=verbose > 0)
        else:
            print_drawn(lambda console: render(report, console, verbose=verbose > 0))
            if is_idle(report):  # standard output has its one line
                render_warnings(report, error_console())
        write_files(lambda: counting(report))
        if files:
            settings = request.settings
            write_files(lambda: files.write_report(report, settings.database_url(), settings, str(request.export)))
    unknown = strict and any(warning.code == "unknown_key" for warning in report.warnings)
    raise typer.Exit(exit_code(report) or int(unknown))


def print_document(document: RawDocument) -> None:
    """Prints a document as one line."""
    print_json(document.raw)


def _counting(file: Path | None) -> Callable[[Report], None]:
    """What counts a run in this file. Raises UsageError, before the run, where that cannot be."""
    if file is None:
        return lambda _: None
    from sync.show.metrics import MetricsFile  # it brings a library that only this needs

    return MetricsFile(file).write
