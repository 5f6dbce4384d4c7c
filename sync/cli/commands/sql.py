"""The command that prints what runs: sql."""

from typing import Annotated

import typer

from sync.cli.flags import takes
from sync.cli.group import commands
from sync.cli.output import write_text
from sync.model.entities import BY_NAME
from sync.model.errors import UsageError
from sync.model.settings import Settings

app = commands()


@app.command("sql")
@takes("database", "staging_schema", "nulls", "timezone", "prune")
def sql_command(
    settings: Settings,
    entity: Annotated[
        str | None, typer.Argument(metavar="ENTITY", help="Only its statements, to be read. Without it: the whole run.")
    ] = None,
    export: Annotated[
        str | None, typer.Option("--export", metavar="FILE", help="Also print the rows of this export, as INSERTs.")
    ] = None,
    write: Annotated[
        bool, typer.Option("--apply", help="Print what apply runs. It ends before the commit. Without it: a plan.")
    ] = False,
) -> None:
    """Prints the SQL of a run, as it runs on this database.

    The statements come in the order of a run, each under its file, its name and its sentence. With --export the script
    is complete: pasted into the mariadb client it does what plan or apply would do with this export.

    Examples: ispyb-sync sql person

    ispyb-sync sql --export export.ndjson > plan.sql
    """
    if entity is not None and entity not in BY_NAME:
        raise UsageError(f"{entity} is no entity", hint=f"One of {', '.join(BY_NAME)}.")
    if entity is not None and export is not None:
        raise UsageError(f"{entity} and --export at once", hint="Staged rows belong to a whole run: leave out one.")
    from sync.api import script

    write_text("".join(script(settings, BY_NAME.get(entity or ""), export, write=write)))
