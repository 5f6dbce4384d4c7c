"""Commands around a database: demo, check, migrate, grants."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from sync.cli.app import interruptible, needs
from sync.cli.flags import OF_CHECK, OF_MIGRATE, takes
from sync.cli.group import commands
from sync.cli.options import JsonOption
from sync.cli.output import console_for_output, headed, print_drawn, print_json, write_files, write_text
from sync.model.errors import UsageError
from sync.model.settings import Settings

app = commands()


@app.command()
def demo(
    serve: Annotated[
        bool, typer.Option("--serve", help="Instead, serve the page and the endpoint, with a User Portal beside it.")
    ] = False,
    keep: Annotated[
        Path | None,
        typer.Option(
            "--keep", metavar="DIR", help="Leave exports, plan, pages and the database in this new folder, to look at."
        ),
    ] = None,
) -> None:
    """Shows the tool at work, on a MariaDB of its own.

    Starts it, makes a legacy ISPyB, migrates, applies three exports, and leaves nothing behind unless --keep says so.

    Examples: ispyb-sync demo

    ispyb-sync demo --keep demo/

    ispyb-sync demo --serve
    """
    if serve and keep is not None:
        raise UsageError("--keep with --serve", hint="Leave out one of the two.")
    if serve:
        with needs("serve"):
            from sync.serve import demonstration as served
        served.run(console_for_output())
        return
    from sync.demo import demonstration

    demonstration.run(console_for_output(), keep)


@app.command()
@takes(*OF_CHECK)
def check(
    settings: Settings,
    columns: Annotated[
        bool,
        typer.Option("--columns", help="Instead, find columns that hold nothing, and deprecated keys nobody needs."),
    ] = False,
    csv: Annotated[
        Path | None, typer.Option("--csv", metavar="DIR", help="With --columns: also columns.csv and keys.csv.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Checks whether a run is possible; writes nothing.

    Looks at the server, the schema, the migrations, the privileges and duplicate rows.

    Exits 0 when apply can run, 1 when something is in its way.

    Examples: ispyb-sync check

    ispyb-sync check --leave laboratory --leave lab_contact

    ispyb-sync check --columns --csv columns/
    """
    if columns:
        _check_columns(settings, csv, as_json)
        return
    if csv is not None:
        raise UsageError("check --csv needs --columns", hint="Without it, --json is the machine's form.")
    from sync.check.findings import check as look
    from sync.check.findings import show

    findings = look(settings.database_url(), settings)
    if as_json:
        print_json([finding.to_dict() for finding in findings])
    else:
        print_drawn(lambda console: show(findings, console), headed("check", settings.database_url()))
    raise typer.Exit(any(finding.level == "error" for finding in findings))


def _check_columns(settings: Settings, csv: Path | None, as_json: bool) -> None:
    from sync.check import show_unused, unused_columns
    from sync.show.files import make_folder

    if csv is not None:
        make_folder(csv, "--csv")
    found = unused_columns.columns(settings.database_url())
    if as_json:
        print_json(found.to_dict())
    else:
        print_drawn(lambda console: show_unused.show_columns(found, console))
    if csv is not None:
        write_files(lambda: show_unused.write_columns(found, csv))


@app.command("migrate")
@takes(*OF_MIGRATE)
def migrate_command(
    settings: Settings,
    sql: Annotated[bool, typer.Option("--sql", help="Print the script for a DBA instead of running it.")] = False,
    down: Annotated[
        str | None, typer.Option("--down", metavar="REV", help="Go back to this revision; base undoes all.")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="With --down: drop our columns and tables even if they hold data.")
    ] = False,
    serve_this: Annotated[
        bool,
        typer.Option(
            "--serve-this",
            help="Take over a tool schema that serves another ISPyB: this one is the same, renamed, restored or moved. "
            "Its old runs count for this one from then on.",
        ),
    ] = False,
) -> None:
    """Adds what the tool needs; --down takes it back.

    That is externalId columns, indexes, and a schema of the tool's own, which serves this ISPyB and no other.

    Needs an account that may alter tables. Readers and writers are not blocked.

    Examples: ispyb-sync migrate

    ispyb-sync migrate --sql > migrate.sql
    """
    from sync.database.engine import open_engine
    from sync.migrate import commands as migrations

    if force and down is None:
        raise UsageError("--force without --down", hint="Only a way back can lose data: --down base --force.")
    if serve_this and down is not None:
        raise UsageError("--serve-this with --down", hint="Take the tool schema over first, then go back.")
    if sql:
        url = settings.database_url() if settings.database else None
        name = open_engine(url).url.database if url else None
        script = migrations.script(
            settings.staging_schema,
            down=down,
            force=force,
            serve_this=serve_this,
            database_name=name or "ispyb",
            database_url=url,
        )
        write_text(script)
        return
    again = migrations.command_of(down)
    with interruptible(f"what was done before stays, and does no harm; run {again} again"):
        url, schema = settings.database_url(), settings.staging_schema
        if down is not None:
            done = migrations.downgrade(url, down, staging_schema=schema, force=force)
        else:
            done = migrations.upgrade(url, staging_schema=schema, serve_this=serve_this)
        write_text(headed("migrate", url) + "\n".join(done.lines()) + "\n")


@app.command("grants")
@takes(*OF_MIGRATE)
def grants_command(
    settings: Settings,
    role: Annotated[
        str | None,
        typer.Option("--role", metavar="NAME", help="What to call the role. Default: the name of the staging schema."),
    ] = None,
    account: Annotated[
        str | None,
        typer.Option("--account", metavar="NAME@HOST", help="Also make this account, and give it the role."),
    ] = None,
) -> None:
    """Prints the role of the account for daily use, for a DBA to read and run.

    It has the names of the two schemas, and asks no database: the name of ISPyB's is the end of the database's URL. The
    comments say how an account gets the role; with --account the script makes it, and its password is yours to set.

    Examples: ispyb-sync grants --account portal_sync@sync.example.org > grants.sql

    ispyb-sync grants --role portal_sync
    """
    from sync.database.engine import open_engine
    from sync.migrate.grants import grants

    schema = open_engine(settings.database_url()).url.database if settings.database else None
    if not schema:
        why = "the database's URL names no schema" if settings.database else "no database is set"
        names = "End the URL with it: …:3306/ispyb" if settings.database else "--database URL names it."
        print(f"note: {why}; ISPyB's schema is written as ispyb. {names}", file=sys.stderr)
    write_text(grants(schema or "ispyb", staging_schema=settings.staging_schema, role=role, account=account))
