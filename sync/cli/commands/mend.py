"""The commands that print SQL for a DBA, and change nothing: merge, move."""

from typing import Annotated

import typer

from sync.cli.flags import OF_MEND, takes
from sync.cli.group import commands
from sync.cli.output import write_text
from sync.model.errors import UsageError
from sync.model.settings import Settings

app = commands()


@app.command("merge")
@takes(*OF_MEND)
def merge_command(
    entity: Annotated[str, typer.Argument(metavar="ENTITY", help="person or laboratory.")],
    keep: Annotated[int, typer.Argument(metavar="STAYS", min=1, help="The id of the row that stays.")],
    gone: Annotated[int, typer.Argument(metavar="GOES", min=1, help="The id of the row that goes.")],
    settings: Settings,
) -> None:
    """Prints the SQL that makes one row of two; changes nothing.

    It moves all that refers to the second row over to the first, as the foreign keys of this database say, and names
    what both rows hold and what would collide. A DBA reads it and runs it. The account must see every table.

    Examples: ispyb-sync merge person 12 34 > merge.sql

    ispyb-sync merge laboratory 5 8
    """
    from sync.mend.merge import merge

    write_text(merge(entity, keep, gone, settings.database_url(), settings))


@app.command("move")
@takes(*OF_MEND)
def move_command(
    entity: Annotated[str, typer.Argument(metavar="ENTITY", help="session.")],
    number: Annotated[int, typer.Argument(metavar="ID", min=1, help="Its sessionId.")],
    proposal: Annotated[str, typer.Argument(metavar="CODE-NUMBER", help="The proposal that it belongs to.")],
    settings: Settings,
) -> None:
    """Prints the SQL that moves a session to another proposal; changes nothing.

    It names what the session holds and takes along. A DBA reads it and runs it. The account must see every table.

    Example: ispyb-sync move session 4711 MX-4002 > move.sql
    """
    from sync.mend.move import move

    if entity != "session":
        raise UsageError(f"{entity} cannot be moved", hint="A session can: move session 4711 MX-4002.")
    write_text(move(number, proposal, settings.database_url(), settings))
