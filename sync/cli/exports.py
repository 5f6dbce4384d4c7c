"""Commands about exports: validate, plan, apply.

Reports go to standard output, progress and errors to standard error; with `--json` there is one JSON object on
standard output and nothing else.
"""

from collections.abc import Callable
from typing import Annotated, Any

import typer
from rich.console import Console

from sync import pipeline
from sync.cli.app import AFTERWARDS, COMMITTING, app, exit_code, interruptible
from sync.cli.options import (
    CsvOption,
    DatabaseOption,
    ExportArgument,
    FormatOption,
    FullOption,
    HtmlOption,
    JsonOption,
    ListOption,
    LockTimeoutOption,
    MaskOption,
    NullsOption,
    ProfileOption,
    ProposalOption,
    PruneLimitOption,
    PruneOption,
    SchemaOption,
    SkipOption,
    StrictOption,
    TimezoneOption,
    VerboseOption,
    VerifiedOption,
    YesOption,
)
from sync.cli.output import print_drawn, print_json, write_files
from sync.cli.unexpected import NOTHING_WRITTEN, Guard
from sync.model.errors import SyncError, UsageError
from sync.model.report import Mode, Report
from sync.model.settings import Settings, load_settings
from sync.show.console import is_idle, render, render_warnings
from sync.show.files import NO_FILES, Files
from sync.show.slowest import statement_log
from sync.show.terminal import Terminal, can_answer


@app.command()
def validate(
    export: ExportArgument,
    proposal: ProposalOption = None,
    form: FormatOption = None,
    print_documents: Annotated[
        bool,
        typer.Option(
            "--print",
            help="Print the valid documents on standard output, one a line, as ispyb; the report on standard error.",
        ),
    ] = False,
    timezone: TimezoneOption = None,
    mask: MaskOption = False,
    as_json: JsonOption = False,
    verbose: ListOption = 0,
) -> None:
    """Reads and validates an export; asks no database.

    So lengths and character sets are not checked.

    Examples: ispyb-sync validate export.ndjson.gz

    ispyb-sync validate portal:all

    ispyb-sync validate smis/ --format smis --print > documents.ndjson
    """
    settings = load_settings(format=form, timezone=timezone, mask=mask or None)
    if print_documents and as_json:
        raise UsageError("--print with --json", hint="Standard output is for the documents, or for the report.")
    prints = print_json if print_documents else None
    _reconcile(pipeline.validate, export, settings, proposal, as_json, verbose, write=False, prints=prints)


@app.command()
def plan(
    export: ExportArgument,
    database: DatabaseOption = None,
    staging_schema: SchemaOption = None,
    proposal: ProposalOption = None,
    form: FormatOption = None,
    strict: StrictOption = False,
    skip_unchanged: SkipOption = False,
    skip_verified: VerifiedOption = False,
    nulls: NullsOption = None,
    timezone: TimezoneOption = None,
    prune: PruneOption = None,
    prune_limit: PruneLimitOption = None,
    full: FullOption = False,
    mask: MaskOption = False,
    csv: CsvOption = None,
    html: HtmlOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = 0,
    profile: ProfileOption = False,
) -> None:
    """Shows what apply would do; writes nothing to ISPyB.

    Examples: ispyb-sync plan export.ndjson --proposal MX-2112

    ispyb-sync plan export.ndjson --html plan.html

    ispyb-sync plan portal:MX-2112

    ispyb-sync plan MX-415.zip --format smis
    """
    settings = load_settings(
        database=database,
        staging_schema=staging_schema,
        format=form,
        strict=strict or None,
        skip_unchanged=skip_unchanged or None,
        skip_verified=skip_verified or None,
        nulls=nulls,
        timezone=timezone,
        prune=prune,
        prune_limit=prune_limit,
        full=full or None,
        mask=mask or None,
    )
    files = Files(csv, html)
    _reconcile(pipeline.run, export, settings, proposal, as_json, verbose, write=False, files=files, profile=profile)


@app.command()
def apply(
    export: ExportArgument,
    database: DatabaseOption = None,
    staging_schema: SchemaOption = None,
    proposal: ProposalOption = None,
    form: FormatOption = None,
    strict: StrictOption = False,
    skip_unchanged: SkipOption = False,
    skip_verified: VerifiedOption = False,
    nulls: NullsOption = None,
    timezone: TimezoneOption = None,
    prune: PruneOption = None,
    prune_limit: PruneLimitOption = None,
    full: FullOption = False,
    mask: MaskOption = False,
    lock_timeout: LockTimeoutOption = None,
    yes: YesOption = False,
    csv: CsvOption = None,
    html: HtmlOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = 0,
    profile: ProfileOption = False,
) -> None:
    """Brings ISPyB in step with an export, in one transaction.

    Examples: ispyb-sync apply export.ndjson.gz

    ispyb-sync apply export.ndjson.gz --prune owned --prune-limit 2%

    ispyb-sync apply portal:all --prune owned --json

    curl -s https://portal.example.org/export | ispyb-sync apply - --json
    """
    settings = load_settings(
        database=database,
        staging_schema=staging_schema,
        format=form,
        strict=strict or None,
        skip_unchanged=skip_unchanged or None,
        skip_verified=skip_verified or None,
        nulls=nulls,
        timezone=timezone,
        prune=prune,
        prune_limit=prune_limit,
        full=full or None,
        mask=mask or None,
        lock_timeout=lock_timeout,
    )
    _reconcile(
        pipeline.run,
        export,
        settings,
        proposal,
        as_json,
        verbose,
        write=True,
        files=Files(csv, html),
        ask=not yes,
        profile=profile,
    )


def _reconcile(
    call: Callable[[pipeline.Job], Report],
    export: str,
    settings: Settings,
    proposals: list[str] | None,
    as_json: bool,
    verbose: int,
    *,
    write: bool,
    files: Files = NO_FILES,
    ask: bool = False,
    profile: bool = False,
    prints: Callable[[dict[str, Any]], None] | None = None,
) -> None:
    files.prepare()
    try:
        state = COMMITTING if write else NOTHING_WRITTEN
        with (
            interruptible(state),
            Terminal() as terminal,
            statement_log(terminal.console, wanted=profile or verbose > 1),
        ):
            asks = ask and export != "-" and can_answer()
            report = call(
                pipeline.Job(
                    export=export,
                    database=settings.database_url() if call is pipeline.run else "",
                    settings=settings,
                    write=write,
                    proposals=frozenset(proposals or ()),
                    progress=terminal.show,
                    waits=terminal.waits,
                    prints=prints,
                    confirm=terminal.confirm if asks else None,
                )
            )
    except SyncError:
        if as_json:
            mode: Mode = "apply" if write else "plan" if call is pipeline.run else "validate"
            print_json(Report(mode, "failed").to_dict())
        raise
    with Guard(AFTERWARDS if write else NOTHING_WRITTEN):
        if as_json:
            print_json(report.to_dict())
        elif prints is not None:
            render(report, Console(stderr=True, highlight=False, markup=False, emoji=False), verbose=verbose > 0)
        else:
            print_drawn(lambda console: render(report, console, verbose=verbose > 0))
            if is_idle(report):  # standard output has its one line
                render_warnings(report, Console(stderr=True, highlight=False, markup=False, emoji=False))
        if files:
            write_files(lambda: files.write_report(report, settings.database_url(), settings, export))
    raise typer.Exit(exit_code(report))
