"""The command schema: what a document is, for the exporters of User Portals."""

import json
from typing import Annotated

import typer

from sync.cli.group import commands
from sync.cli.output import write_text

app = commands()


@app.command()
def schema(
    example: Annotated[
        bool, typer.Option("--example", help="Instead, print a whole document that can be applied.")
    ] = False,
) -> None:
    """Prints the JSON Schema of a document.

    It has the kind of each field, its usual length or choices, one example, and what names a thing. The live table
    decides what fits; `plan` tells.

    Examples: ispyb-sync schema > document.schema.json

    ispyb-sync schema --example > example.json
    """
    from sync.model.published import json_schema

    told = json_schema.example() if example else json_schema.schema()
    write_text(json.dumps(told, indent=2) + "\n")
