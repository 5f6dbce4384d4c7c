"""The command schema: what a document is, for the exporters of User Portals."""

from sync.cli.app import app
from sync.cli.output import print_json
from sync.model import documents


@app.command()
def schema() -> None:
    """Prints the JSON Schema of a document.

    Example: ispyb-sync schema > document.schema.json
    """
    print_json(documents.schema())
