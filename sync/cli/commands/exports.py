"""Commands about exports: validate, plan, apply.

Reports go to standard output, progress and errors to standard error; with `--json` there is one JSON object on
standard output and nothing else.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy.exc import DBAPIError

from sync import api
from sync.api import Request
from sync.cli.app import AFTERWARDS, COMMITTING, app, exit_code, interruptible
from sync.cli.flags import OF_APPLY, OF_PLAN, OF_VALIDATE, takes
from sync.cli.options import (
    CsvOption,
    ExportArgument,
    HtmlOption,
    JsonOption,
    ListOption,
    MetricsOption,
    ProfileOption,
    ProposalOption,
    QuietOption,
    StrictOption,
    VerboseOption,
    YesOption,
)
from sync.cli.output import print_drawn, print_json, write_files
from sync.cli.unexpected import NOTHING_WRITTEN, Guard
from sync.model.errors import SyncError, UsageError
from sync.model.report import Report
from sync.model.settings import Settings
from sync.read.reader import RawDocument
from sync.show.console import is_idle, render, render_warnings
from sync.show.files import NO_FILES, Files
from sync.show.slowest import statement_log
from sync.show.terminal import Terminal, can_answer, error_console


@app.command()
@takes(*OF_VALIDATE)
def validate(
    export: ExportArgument,
    settings: Settings,
    proposal: ProposalOption = None,
    print_documents: Annotated[
        bool,
        typer.Option(
            "--print",
            help="Print the valid documents on standard output, one a line, as ispyb; the report on standard error.",
        ),
    ] = False,
    strict: StrictOption = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: ListOption = 0,
) -> None:
    """Reads and validates an export; asks no database.

    So lengths and character sets are not checked.

    Examples: ispyb-sync validate export.ndjson.gz

    ispyb-sync validate portal:all --strict

    ispyb-sync validate smis/ --format smis --print > documents.ndjson
    """
    if print_documents and as_json:
        raise UsageError("--print with --json", hint="Standard output is for the documents, or for the report.")
    request = Request("validate", export, settings, proposals=frozenset(proposal or ()))
    receives = _print if print_documents else None
    _reconcile(replace(request, receives=receives), as_json, verbose, quiet=quiet, strict=strict)


@app.command()
@takes(*OF_PLAN)
def plan(
    export: ExportArgument,
    settings: Settings,
    proposal: ProposalOption = None,
    csv: CsvOption = None,
    html: HtmlOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = 0,
    profile: ProfileOption = False,
) -> None:
    """Shows what apply would do; writes nothing to ISPyB.

    Examples: ispyb-sync plan export.ndjson --proposal MX-2112

    ispyb-sync plan export.ndjson --html plan.html

    ispyb-sync plan portal:MX-2112

    ispyb-sync plan MX-415.zip --format smis
    """
    request = Request("plan", export, settings, proposals=frozenset(proposal or ()))
    _reconcile(request, as_json, verbose, quiet=quiet, files=Files(csv, html), profile=profile)


@app.command()
@takes(*OF_APPLY)
def apply(
    export: ExportArgument,
    settings: Settings,
    proposal: ProposalOption = None,
    yes: YesOption = False,
    csv: CsvOption = None,
    html: HtmlOption = None,
    metrics: MetricsOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = 0,
    profile: ProfileOption = False,
) -> None:
    """Brings ISPyB in step with an export, in one transaction.

    Examples: ispyb-sync apply export.ndjson.gz

    ispyb-sync apply export.ndjson.gz --prune owned --prune-limit 2%

    ispyb-sync apply portal:all --leave laboratory --leave lab_contact --json

    ispyb-sync apply portal:all --yes --quiet

    curl -s https://portal.example.org/export | ispyb-sync apply - --json
    """
    request = Request("apply", export, settings, proposals=frozenset(proposal or ()))
    files = Files(csv, html)
    _reconcile(request, as_json, verbose, quiet=quiet, files=files, metrics=metrics, ask=not yes, profile=profile)


def _reconcile(
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
    except (SyncError, DBAPIError):
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


def _print(document: RawDocument) -> None:
    print_json(document.raw)


def _counting(file: Path | None) -> Callable[[Report], None]:
    """What counts a run in this file. Raises UsageError, before the run, where that cannot be."""
    if file is None:
        return lambda _: None
    from sync.show.metrics import MetricsFile  # it brings a library that only this needs

    return MetricsFile(file).write
