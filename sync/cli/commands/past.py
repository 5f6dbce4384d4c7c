"""Commands about past runs: history, undo."""

from typing import Annotated

import typer

from sync.cli.flags import OF_HISTORY, OF_UNDO, takes
from sync.cli.group import commands
from sync.cli.options import (
    CsvOption,
    HtmlOption,
    JsonOption,
    ListOption,
    VerboseOption,
    YesOption,
)
from sync.model.errors import UsageError
from sync.model.settings import LISTED_RUNS, Settings

app = commands()


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
    one = row if row is not None else person
    number = int(run) if run is not None and run.isdecimal() else None
    if (csv is not None or html is not None) and (number is None or one is not None):
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
    from sync.cli.work import past

    if run == "purge" and one is None:
        if older_than is None:
            raise UsageError("history purge needs --older-than", hint="For instance --older-than 180d.")
        past.forget(settings, older_than, plan=plan, ask=not yes, as_json=as_json)
    elif run is not None and number is None:
        raise UsageError(f"{run!r} is no run", hint="Give its number; `ispyb-sync history` lists them.")
    elif one is not None:
        past.show_row(settings, one, run=number, is_person=row is None, as_json=as_json)
    elif number is not None:
        past.show_run(settings, number, csv, html, as_json=as_json, verbose=verbose)
    else:
        most = limit or LISTED_RUNS
        past.show_runs(settings, most, since=since, proposal=proposal, idle_too=everything, as_json=as_json)


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
    from sync.cli.work.past import undo

    undo(settings, run, csv, html, plan=plan, ask=not yes, as_json=as_json, verbose=verbose)
