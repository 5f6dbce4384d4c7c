"""Commands about past runs: history, undo."""

import sys
from typing import Annotated

import typer
from rich.console import Console

from sync.api import run_undo
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
from sync.cli.output import headed, print_drawn, print_json, write_files
from sync.cli.unexpected import Guard
from sync.history import purge, runs
from sync.history.questions import rows
from sync.history.questions.listing import listing
from sync.history.runs import LISTED_RUNS
from sync.model.errors import SyncError, UsageError
from sync.model.report import Report
from sync.model.settings import Settings
from sync.model.text import counted
from sync.show.console import render
from sync.show.files import Files
from sync.show.past.rows import render_row
from sync.show.past.runs import render_run, render_runs
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
        str | None,
        typer.Option("--row", metavar="ENTITY:ID", help="What was done to one row, and to what refers to it."),
    ] = None,
    person: Annotated[
        str | None,
        typer.Option("--person", metavar="LOGIN", help="The same for a person, by login or personId."),
    ] = None,
    proposal: Annotated[
        str | None,
        typer.Option(
            "--proposal",
            metavar="CODE-NUMBER",
            help="Only runs that touched this proposal: changed or refused something of it, or were of few proposals.",
        ),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="WHEN", help="Only runs since 2026-11-27, 2026-11-27T08:00 (UTC), or 7d."),
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", metavar="N", min=1, help=f"List so many runs. Default: {LISTED_RUNS}.")
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="List also runs that changed and refused nothing; else they are counted.")
    ] = False,
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
    """Lists the latest runs that did something, or shows one and its changes.

    Examples: ispyb-sync history 42 -v

    ispyb-sync history 42 --html run42.html

    ispyb-sync history --since 7d --all

    ispyb-sync history --proposal MX-2112

    ispyb-sync history --person aweaver

    ispyb-sync history 42 --row person:4711

    ispyb-sync history purge --older-than 180d --plan
    """
    files = Files(csv, html)
    one = row if row is not None else person
    number = int(run) if run is not None and run.isdecimal() else None
    if files and (number is None or one is not None):
        raise UsageError("--csv and --html show one run", hint="Give its number; `ispyb-sync history` lists them.")
    if row is not None and person is not None:
        raise UsageError("--row and --person at once", hint="Ask for one of the two.")
    narrows = proposal is not None or since is not None or limit is not None or everything
    if narrows and (run is not None or one is not None):
        raise UsageError(
            "--proposal, --since, --limit and --all list runs", hint="Leave out the run, --row and --person."
        )
    if run != "purge" and (older_than is not None or plan or yes):
        raise UsageError(
            "--older-than, --plan and --yes go with purge",
            hint="`ispyb-sync history purge --older-than 180d` forgets runs.",
        )
    if run == "purge" and one is None:
        if older_than is None:
            raise UsageError("history purge needs --older-than", hint="For instance --older-than 180d.")
        _purge(settings, older_than, plan=plan, ask=not yes, as_json=as_json)
    elif run is not None and number is None:
        raise UsageError(f"{run!r} is no run", hint="Give its number; `ispyb-sync history` lists them.")
    elif one is not None:
        ask = rows.row if row is not None else rows.person
        _show_row(ask(settings.database_url(), settings, one, run=number), settings, as_json)
    elif number is not None:
        _show_run(settings, number, files, as_json, verbose)
    else:
        listed = listing(
            settings.database_url(),
            settings,
            limit=limit or LISTED_RUNS,
            since=since,
            proposal=proposal,
            idle_too=everything,
        )
        if as_json:
            print_json(listed.to_dict())
        else:
            print_drawn(lambda console: render_runs(listed, console))


def _show_run(settings: Settings, number: int, files: Files, as_json: bool, verbose: int) -> None:
    url = settings.database_url()
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


def _show_row(done: rows.Done, settings: Settings, as_json: bool) -> None:
    if settings.mask:
        done = [(number, started, what.masked()) for number, started, what in done]
    if as_json:
        print_json([{"run": number, "started": started} | what.to_dict() for number, started, what in done])
    else:
        print_drawn(lambda console: render_row(done, console), headed("history", settings.database_url()))


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
    all is taken back, 1 when part of it was left. The next apply of the same export writes it again.

    Examples: ispyb-sync undo 42 --plan

    ispyb-sync undo 42
    """
    files = Files(csv, html)
    files.prepare()
    try:
        with interruptible(COMMITTING), statement_log(Console(stderr=True), wanted=verbose > 1):
            confirm = confirm_summary if can_answer() and not yes else None
            report = run_undo(run, settings, write=not plan, confirm=confirm)
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
