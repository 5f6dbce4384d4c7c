"""The command adopt: a facility moves a deprecated key over to externalId."""

from typing import Annotated

import typer

from sync.cli.app import AFTERWARDS, COMMITTING, exit_code, interruptible
from sync.cli.flags import OF_ADOPT, takes
from sync.cli.group import commands
from sync.cli.options import JsonOption, VerboseOption, YesOption
from sync.cli.output import print_json, print_report
from sync.cli.unexpected import Guard
from sync.model.errors import SyncError
from sync.model.settings import Settings

app = commands()


@app.command("adopt")
@takes(*OF_ADOPT)
def adopt_command(
    entity: Annotated[str, typer.Argument(metavar="ENTITY", help="session, person or laboratory.")],
    key: Annotated[
        str, typer.Argument(metavar="KEY", help="Its deprecated key: expSessionPk, siteId or laboratoryExtPk.")
    ],
    settings: Settings,
    plan: Annotated[bool, typer.Option("--plan", help="Show what would be filled, and what would be left.")] = False,
    yes: YesOption = False,
    as_json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> None:
    """Fills an empty externalId with the number of a deprecated key.

    A row whose number another row holds or shares is left and reported. It is a run in history, which undo takes back.
    Afterwards `check --columns` says whether a row still needs the key. Exits 0 when every row is filled, 1 when part
    of them was left.

    Examples: ispyb-sync adopt session expSessionPk --plan

    ispyb-sync adopt session expSessionPk
    """
    from sync.api import run_adopt
    from sync.model.report import Report
    from sync.show.terminal import can_answer, confirm_summary

    url = settings.database_url()
    try:
        with interruptible(COMMITTING):
            report = run_adopt(entity, key, settings, url, write=False)
            asks = not plan and not yes and not report.nothing_to_do and can_answer()
            if asks and not confirm_summary(report):
                report = Report("adopt", "declined", database=report.database)
            if not plan and report.status == "planned":
                report = run_adopt(entity, key, settings, url, write=True)
    except SyncError:
        if as_json:
            print_json(Report("adopt", "failed").to_dict())
        raise
    with Guard(AFTERWARDS):
        print_report(report, as_json=as_json, verbose=verbose > 0)
    raise typer.Exit(exit_code(report))
