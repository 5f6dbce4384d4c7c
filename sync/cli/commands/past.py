"""Commands about past runs: history, undo."""

import sys
from typing import Annotated

import typer
from rich.console import Console

from sync.cli.app import AFTERWARDS, COMMITTING, app, exit_code, interruptible
from sync.cli.flags import OF_HISTORY, OF_UNDO, takes
from sync.cli.options import (
    CsvOption,
    HtmlOption,
    JsonOption,
    ListOption,
    VerboseOption,
    YesOption,
)
from sync.cli.output import print_drawn, print_json, write_files
from sync.cli.unexpected import Guard
from sync.history import purge, runs
from sync.history.undo import undo
from sync.model.errors import SyncError, UsageError
from sync.model.report import Report
from sync.model.settings import Settings
from sync.model.text import counted
from sync.show.console import render, render_row, render_run, render_runs
from sync.show.files import Files
from sync.show.slowest import statement_log
from sync.show.terminal import can_answer, confirm_summary, confirmed


@app.command("history")
@takes(*OF_HISTORY)
def history_command(
    settings: Settings,
    run: Annotated[
        str | None, typer.Argument(metavar="RUN", help="The number of a run, or purge. Without it: the latest runs.")
    ] = None,
    row: Annotated[
        str | None, typer.Option("--row", metavar="ENTITY:ID", help="What the tool ever did to one row.")
    ] = None,
    proposal: Annotated[
        str | None,
        typer.Option(
            "--proposal",
            metavar="CODE-NUMBER",
            help="Only runs that touched this proposal: changed or refused something of it, or were of few proposals.",
        ),
    ] = None,
    older_than: Annotated[
        str | None, typer.Option("--older-than", metavar="DAYS", help="With purge: forget runs older than this.")
    ] = None,
    plan: Annotated[bool, typer.Option("--plan", help="With purge: say what would be forgotten.")] = False,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="With purge: do not ask. On a terminal it says what goes, and asks.")
    ] = False,
    csv: CsvOption = None,
    html: HtmlOption = None,
    as_json: JsonOption = False,
    verbose: ListOption = 0,
) -> None:
    """Lists the latest 50 runs, or shows one and its changes.

    Examples: ispyb-sync history 42 -v

    ispyb-sync history 42 --html run42.html

    ispyb-sync history --row person:4711

    ispyb-sync history --proposal MX-2112

    ispyb-sync history purge --older-than 180d --plan
    """
    url = settings.database_url()
    files = Files(csv, html)
    if files and not (run or "").isdecimal():
        raise UsageError("--csv and --html show one run", hint="Give its number; `ispyb-sync history` lists them.")
    if run is not None and row is not None:
        raise UsageError(f"{run} and --row at once", hint="Ask for a run, or for a row.")
    if proposal is not None and (run is not None or row is not None):
        raise UsageError("--proposal lists runs", hint="Leave out the run, or --row.")
    if run != "purge" and (older_than is not None or plan or yes):
        raise UsageError(
            "--older-than, --plan and --yes go with purge",
            hint="`ispyb-sync history purge --older-than 180d` forgets runs.",
        )
    if run == "purge":
        if older_than is None:
            raise UsageError("history purge needs --older-than", hint="For instance --older-than 180d.")
        _purge(settings, older_than, plan=plan, ask=not yes, as_json=as_json)
    elif run is not None:
        if not run.isdecimal():
            raise UsageError(f"{run!r} is no run", hint="Give its number; `ispyb-sync history` lists them.")
        files.prepare()
        shown = runs.show(url, settings, int(run))
        if settings.mask:
            shown.report.mask()
        if as_json:
            print_json(shown.to_dict())
        else:
            print_drawn(lambda console: render_run(shown, console, verbose=verbose > 0))
        if files:
            write_files(lambda: files.write(shown, runs.runs(url, settings)))
    elif row is not None:
        changes = [
            (number, started, change.masked() if settings.mask else change)
            for number, started, change in runs.row(url, settings, row)
        ]
        if as_json:
            print_json([{"run": number, "started": started} | c.to_dict() for number, started, c in changes])
        else:
            print_drawn(lambda console: render_row(changes, console))
    else:
        listed = runs.runs(url, settings, proposal=proposal)
        if as_json:
            print_json([found.to_dict() for found in listed])
        else:
            print_drawn(lambda console: render_runs(listed, console))


def _purge(settings: Settings, older_than: str, *, plan: bool, ask: bool, as_json: bool) -> None:
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


@app.command("undo")
@takes(*OF_UNDO)
def undo_command(
    run: Annotated[int, typer.Argument(metavar="RUN", min=1, help="The number of a run; `history` lists them.")],
    settings: Settings,
    plan: Annotated[
        bool, typer.Option("--plan", help="Show what would be taken back, and what would be left.")
    ] = False,
    yes: YesOption = False,
    csv: CsvOption = None,
    html: HtmlOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> None:
    """Takes one run back, in one transaction.

    Updated rows return to their old values, inserted rows and links go, and links that it deleted come back. A row
    that anybody changed since is left and reported, and so is a new row that something refers to by now. Exits 0 when
    all is taken back, 1 when part of it was left.

    Examples: ispyb-sync undo 42 --plan

    ispyb-sync undo 42
    """
    files = Files(csv, html)
    files.prepare()
    try:
        with interruptible(COMMITTING), statement_log(Console(stderr=True), wanted=verbose > 1):
            confirm = confirm_summary if can_answer() and not yes else None
            report = undo(run, settings.database_url(), settings, write=not plan, confirm=confirm)
    except SyncError:
        if as_json:
            print_json(Report("undo", "failed", undoes=run).to_dict())
        raise
    with Guard(AFTERWARDS):
        if as_json:
            print_json(report.to_dict())
        else:
            print_drawn(lambda console: render(report, console, verbose=verbose > 0))
        if files:
            write_files(lambda: files.write_report(report, settings.database_url(), settings, None))
    raise typer.Exit(exit_code(report))
