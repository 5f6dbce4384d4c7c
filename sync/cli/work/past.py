"""What history and undo do."""

import sys
from pathlib import Path

import typer
from rich.console import Console

from sync.api import run_undo
from sync.cli.app import AFTERWARDS, COMMITTING, exit_code, interruptible
from sync.cli.output import headed, print_drawn, print_json, print_report, write_files
from sync.cli.unexpected import Guard
from sync.history import purge, runs
from sync.history.questions import rows
from sync.history.questions.listing import listing
from sync.model.errors import SyncError
from sync.model.report import Report
from sync.model.settings import Settings
from sync.model.text import counted
from sync.show.files import Files
from sync.show.past.rows import render_row
from sync.show.past.runs import render_run, render_runs
from sync.show.slowest import statement_log
from sync.show.terminal import can_answer, confirm_summary, confirmed


def show_runs(
    settings: Settings, limit: int, *, since: str | None, proposal: str | None, idle_too: bool, as_json: bool
) -> None:
    """Lists the latest runs; `idle_too`: also those that changed and refused nothing."""
    listed = listing(settings.database_url(), settings, limit=limit, since=since, proposal=proposal, idle_too=idle_too)
    if as_json:
        print_json(listed.to_dict())
    else:
        print_drawn(lambda console: render_runs(listed, console))


def show_run(
    settings: Settings, number: int, csv: Path | None, html: Path | None, *, as_json: bool, verbose: int
) -> None:
    """Shows one run and its changes, also in files."""
    url = settings.database_url()
    files = Files(csv, html)
    files.prepare()
    shown = runs.show(url, settings, number)
    if settings.mask:
        shown.report.mask()
    if as_json:
        print_json(shown.to_dict())
    else:
        print_drawn(lambda console: render_run(shown, console, verbose=verbose > 0))
    if files:
        write_files(lambda: files.write(shown, runs.runs(url, settings)))


def show_row(settings: Settings, asked: str, *, run: int | None, is_person: bool, as_json: bool) -> None:
    """Shows what was done to one row, by any run or by one; `asked` is a login or an id, else ENTITY:ID."""
    ask = rows.person if is_person else rows.row
    done = ask(settings.database_url(), settings, asked, run=run)
    if settings.mask:
        done = [(number, started, what.masked()) for number, started, what in done]
    if as_json:
        print_json([{"run": number, "started": started} | what.to_dict() for number, started, what in done])
    else:
        print_drawn(lambda console: render_row(done, console), headed("history", settings.database_url()))


def forget(settings: Settings, older_than: str, *, plan: bool, ask: bool, as_json: bool) -> None:
    """Forgets old runs, or says which these are, and ends the command with its exit code."""
    url = settings.database_url()
    old = purge.find_old(url, settings, older_than)
    what = f"{counted(old.runs, 'run')} from before {old.before:%Y-%m-%d %H:%M} UTC, {counted(old.changes, 'change')}"
    status = "planned" if plan else "forgotten"
    if not plan and ask and old.runs and can_answer():
        print(f"{what}: no undo takes them back then.", file=sys.stderr)
        with interruptible("nothing is forgotten"):
            status = status if confirmed("Forget them?") else "declined"
    forgotten = purge.purge(url, settings, old) if status == "forgotten" else 0
    if as_json:
        print_json({"status": status, "runs": old.runs, "changes": old.changes, "forgotten": forgotten})
    elif status == "forgotten":
        typer.echo(f"{counted(forgotten, 'run')} forgotten")
    else:
        typer.echo(f"{what}: " + ("would be forgotten" if plan else "nothing is forgotten"))
    raise typer.Exit(4 if status == "declined" else 0)


def undo(
    settings: Settings,
    run: int,
    csv: Path | None,
    html: Path | None,
    *,
    plan: bool,
    ask: bool,
    as_json: bool,
    verbose: int,
) -> None:
    """Takes one run back, tells it, also in files, and ends the command with its exit code."""
    files = Files(csv, html)
    files.prepare()
    try:
        with interruptible(COMMITTING), statement_log(Console(stderr=True), wanted=verbose > 1):
            confirm = confirm_summary if can_answer() and ask else None
            report = run_undo(run, settings, write=not plan, confirm=confirm)
    except SyncError:
        if as_json:
            print_json(Report("undo", "failed", undoes=run).to_dict())
        raise
    with Guard(AFTERWARDS):
        print_report(report, as_json=as_json, verbose=verbose > 0)
        if files:
            write_files(lambda: files.write_report(report, settings.database_url(), settings, None))
    raise typer.Exit(exit_code(report))
