"""The command line: parses, calls, prints, and chooses the exit code.

Reports go to standard output, progress and errors to standard error; with `--json` there is one JSON object on
standard output and nothing else.
"""

import gc
import sys
from collections.abc import Callable
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from sqlalchemy.exc import DBAPIError

from sync import check as checks
from sync import columns as usage
from sync import documents, history, pipeline, revision
from sync.database import failure, open_engine
from sync.errors import SyncError, UsageError
from sync.files import NO_FILES, Files, make_folder
from sync.options import (
    CsvOption,
    DatabaseOption,
    ExportArgument,
    FullOption,
    HtmlOption,
    JsonOption,
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
    YesOption,
)
from sync.output import console_for_output, print_drawn, print_json, write_files, write_text
from sync.process import hide_passwords
from sync.profile import statement_log
from sync.refusals import printable
from sync.render import is_idle, render, render_row, render_run, render_runs, render_warnings
from sync.report import Mode, Report
from sync.settings import Settings, load_settings
from sync.terminal import Terminal
from sync.undo import undo

EXIT_CODES = (
    "Exit codes: 0 done; 1 done, but part of the export was refused; 2 wrong usage, settings or an unreadable "
    "export; 3 database unreachable, locked or failing; 4 a safety limit, or a no, stopped the run. "
    "With 2, 3 and 4 nothing was written."
)

app = typer.Typer(
    help="Keeps an ISPyB database in step with a facility's User Portal.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.command()
def demo() -> None:
    """Shows the tool at work: a private MariaDB, a legacy ISPyB, migrate, and three exports.

    Example: ispyb-sync demo
    """
    from sync import demo as demonstration  # it brings Alembic, which takes long to load

    demonstration.run(console_for_output())


@app.command()
def validate(
    export: ExportArgument,
    proposal: ProposalOption = None,
    timezone: TimezoneOption = None,
    mask: MaskOption = False,
    as_json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> None:
    """Reads and validates an export; asks no database, so lengths and character sets are not checked.

    Example: ispyb-sync validate export.ndjson.gz
    """
    settings = load_settings(timezone=timezone, mask=mask or None)
    _reconcile(pipeline.validate, export, settings, proposal, as_json, verbose, write=False)


@app.command()
def plan(
    export: ExportArgument,
    database: DatabaseOption = None,
    staging_schema: SchemaOption = None,
    proposal: ProposalOption = None,
    strict: StrictOption = False,
    skip_unchanged: SkipOption = False,
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
    """
    settings = load_settings(
        database=database,
        staging_schema=staging_schema,
        strict=strict or None,
        skip_unchanged=skip_unchanged or None,
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
    strict: StrictOption = False,
    skip_unchanged: SkipOption = False,
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

    curl -s https://portal.example.org/export | ispyb-sync apply - --json
    """
    settings = load_settings(
        database=database,
        staging_schema=staging_schema,
        strict=strict or None,
        skip_unchanged=skip_unchanged or None,
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


@app.command()
def check(
    database: DatabaseOption = None,
    staging_schema: SchemaOption = None,
    columns: Annotated[
        bool,
        typer.Option("--columns", help="Instead, find columns that hold nothing, and deprecated keys nobody needs."),
    ] = False,
    csv: Annotated[
        Path | None, typer.Option("--csv", metavar="DIR", help="With --columns: also columns.csv and keys.csv.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Looks at the server, the schema, the migrations, the privileges and duplicate rows; writes nothing.

    Exits 0 when apply can run, 1 when something is in its way.

    Examples: ispyb-sync check

    ispyb-sync check --columns --csv columns/
    """
    settings = load_settings(database=database, staging_schema=staging_schema)
    if columns:
        _check_columns(settings, csv, as_json)
        return
    if csv is not None:
        raise UsageError("check --csv needs --columns", hint="Without it, --json is the machine's form.")
    findings = checks.check(settings.database_url(), settings)
    if as_json:
        print_json([finding.to_dict() for finding in findings])
    else:
        print_drawn(lambda console: checks.show(findings, console))
    raise typer.Exit(any(finding.level == "error" for finding in findings))


def _check_columns(settings: Settings, csv: Path | None, as_json: bool) -> None:
    if csv is not None:
        make_folder(csv, "--csv")
    found = usage.columns(settings.database_url())
    if as_json:
        print_json(found.to_dict())
    else:
        print_drawn(lambda console: usage.show_columns(found, console))
    if csv is not None:
        write_files(lambda: usage.write_columns(found, csv))


@app.command("migrate")
def migrate_command(
    database: DatabaseOption = None,
    staging_schema: SchemaOption = None,
    sql: Annotated[bool, typer.Option("--sql", help="Print the script for a DBA instead of running it.")] = False,
    down: Annotated[
        str | None, typer.Option("--down", metavar="REV", help="Go back to this revision; base undoes all.")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="With --down: drop our columns and tables even if they hold data.")
    ] = False,
) -> None:
    """Adds the externalId columns, the indexes and the tool's own schema; --down takes them back.

    Needs an account that may alter tables. Readers and writers are not blocked.

    Examples: ispyb-sync migrate

    ispyb-sync migrate --sql > migrate.sql
    """
    from sync import migrate  # it brings Alembic, which takes long to load

    settings = load_settings(database=database, staging_schema=staging_schema)
    if sql:
        name = open_engine(settings.database_url()).url.database if settings.database else None
        write_text(migrate.script(settings.staging_schema, down=down, force=force, database_name=name or "ispyb"))
    elif down is not None:
        migrate.downgrade(settings.database_url(), down, staging_schema=settings.staging_schema, force=force)
        typer.echo(f"migrated down to {down}")
    else:
        migrate.upgrade(settings.database_url(), staging_schema=settings.staging_schema)
        typer.echo(f"migrated to {revision.head()}")


@app.command("history")
def history_command(
    run: Annotated[
        str | None, typer.Argument(metavar="[RUN]", help="The number of a run, or purge. Without it: the latest runs.")
    ] = None,
    row: Annotated[
        str | None, typer.Option("--row", metavar="ENTITY:ID", help="What the tool ever did to one row.")
    ] = None,
    older_than: Annotated[
        str | None, typer.Option("--older-than", metavar="DAYS", help="With purge: forget runs older than this.")
    ] = None,
    database: DatabaseOption = None,
    staging_schema: SchemaOption = None,
    csv: CsvOption = None,
    html: HtmlOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> None:
    """Lists past runs; with a number, shows that run and its changes.

    Examples: ispyb-sync history 42 -v

    ispyb-sync history 42 --html run42.html

    ispyb-sync history --row person:4711

    ispyb-sync history purge --older-than 180d
    """
    settings = load_settings(database=database, staging_schema=staging_schema)
    url = settings.database_url()
    files = Files(csv, html)
    if files and not (run or "").isdecimal():
        raise UsageError("--csv and --html show one run", hint="Give its number; `ispyb-sync history` lists them.")
    if run == "purge":
        if older_than is None:
            raise UsageError("history purge needs --older-than", hint="For instance --older-than 180d.")
        typer.echo(f"{history.purge(url, settings, older_than):,} runs forgotten")
    elif run is not None:
        if not run.isdecimal():
            raise UsageError(f"{run!r} is no run", hint="Give its number; `ispyb-sync history` lists them.")
        files.prepare()
        shown = history.show(url, settings, int(run))
        if as_json:
            print_json(shown.to_dict())
        else:
            print_drawn(lambda console: render_run(shown, console, verbose=verbose > 0))
        if files:
            write_files(lambda: files.write(shown, history.runs(url, settings)))
    elif row is not None:
        changes = history.row(url, settings, row)
        if as_json:
            print_json([{"run": number, "started": started} | c.to_dict() for number, started, c in changes])
        else:
            print_drawn(lambda console: render_row(changes, console))
    else:
        runs = history.runs(url, settings)
        if as_json:
            print_json([found.to_dict() for found in runs])
        else:
            print_drawn(lambda console: render_runs(runs, console))


@app.command("undo")
def undo_command(
    run: Annotated[int, typer.Argument(metavar="RUN", min=1, help="The number of a run; `history` lists them.")],
    plan: Annotated[
        bool, typer.Option("--plan", help="Show what would be taken back, and what would be left.")
    ] = False,
    database: DatabaseOption = None,
    staging_schema: SchemaOption = None,
    mask: MaskOption = False,
    lock_timeout: LockTimeoutOption = None,
    csv: CsvOption = None,
    html: HtmlOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> None:
    """Takes one run back, in one transaction: updated rows return to their old values, inserted rows and links go,
    and links that it deleted come back.

    A row that anybody changed since is left and reported, and so is a new row that something refers to by now. Exits 0
    when all is taken back, 1 when part of it was left.

    Examples: ispyb-sync undo 42 --plan

    ispyb-sync undo 42
    """
    settings = load_settings(
        database=database, staging_schema=staging_schema, mask=mask or None, lock_timeout=lock_timeout
    )
    files = Files(csv, html)
    files.prepare()
    try:
        with statement_log(Console(stderr=True), wanted=verbose > 1):
            report = undo(run, settings.database_url(), settings, write=not plan)
    except SyncError:
        if as_json:
            print_json(Report("undo", "failed", undoes=run).to_dict())
        raise
    if as_json:
        print_json(report.to_dict())
    else:
        print_drawn(lambda console: render(report, console, verbose=verbose > 0))
    if files:
        write_files(lambda: files.write_report(report, settings.database_url(), settings, None))
    raise typer.Exit(_exit_code(report))


@app.command()
def schema() -> None:
    """Prints the JSON Schema of a document.

    Example: ispyb-sync schema > document.schema.json
    """
    print_json(documents.schema())


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
) -> None:
    files.prepare()
    try:
        with Terminal() as terminal, statement_log(terminal.console, wanted=profile or verbose > 1):
            asks = ask and export != "-" and terminal.can_answer()
            report = call(
                pipeline.Job(
                    export=export,
                    database=settings.database_url() if call is pipeline.run else "",
                    settings=settings,
                    write=write,
                    proposals=frozenset(proposals or ()),
                    progress=terminal.show,
                    confirm=terminal.confirm if asks else None,
                )
            )
    except SyncError:
        if as_json:
            mode: Mode = "apply" if write else "plan" if call is pipeline.run else "validate"
            print_json(Report(mode, "failed").to_dict())
        raise
    except KeyboardInterrupt:
        print("interrupted: ISPyB is unchanged, unless the commit had begun", file=sys.stderr)
        raise typer.Exit(130) from None
    if as_json:
        print_json(report.to_dict())
    else:
        print_drawn(lambda console: render(report, console, verbose=verbose > 0))
        if is_idle(report):  # standard output has its one line
            render_warnings(report, Console(stderr=True, highlight=False, markup=False, emoji=False))
    if files:
        write_files(lambda: files.write_report(report, settings.database_url(), settings, export))
    raise typer.Exit(_exit_code(report))


def _exit_code(report: Report) -> int:
    if report.status in ("rolled_back", "declined"):
        return 4
    return 1 if report.refusals else 0


def main() -> None:
    """Runs the command line; a `SyncError` becomes its message and exit code, never a traceback."""
    gc.set_threshold(100_000)  # documents have no cycles; to look for them takes a twentieth of the reading
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a letter that the terminal lacks stops nothing
    if hide_passwords(sys.argv[1:]):
        print("warning: a password on the command line may be seen by others; set ISPYB_SYNC_DATABASE", file=sys.stderr)
    try:
        app()
    except (SyncError, DBAPIError) as raised:
        error = failure(raised) if isinstance(raised, DBAPIError) else raised
        print("\n".join(printable(line) for line in f"error: {error}".split("\n")), file=sys.stderr)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
