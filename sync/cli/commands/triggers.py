"""Commands that wait for others to start runs: serve, listen. What they need comes with extras of the package."""

from typing import Annotated

import typer

from sync.cli.app import needs
from sync.cli.flags import OF_CHECK, takes
from sync.cli.group import commands
from sync.model.settings import Settings

app = commands()


@app.command()
@takes(*OF_CHECK)
def serve(
    settings: Settings,
    no_auth: Annotated[
        bool, typer.Option("--no-auth", help="Ask for no token. Only on this machine's own address, to try it.")
    ] = False,
) -> None:
    """Serves the endpoint sync_proposal, the button and the page.

    Its address, tokens and limits are the tables serve and auth of ispyb-sync.toml. Ends with SIGTERM or Ctrl-C, once
    what is at work has ended.

    Examples: ispyb-sync serve

    ISPYB_SYNC_SERVE__PORT=8080 ispyb-sync serve --no-auth
    """
    with needs("serve"):
        from sync.serve import server
    server.serve(settings, no_auth=no_auth)


@app.command()
@takes(*OF_CHECK)
def listen(
    settings: Settings,
    once: Annotated[bool, typer.Option("--once", help="Work off what is in the queue, then end.")] = False,
) -> None:
    """Listens to the User Office's events on RabbitMQ, and pulls the proposals that they name.

    Broker, queue and events are the table listen of ispyb-sync.toml. Ends with SIGTERM or Ctrl-C, once what is at work
    is done. What it cannot use is in the queue DL__QUEUE, with the reason in a header.

    Examples: ispyb-sync listen

    ispyb-sync listen --once
    """
    with needs("listen"):
        from sync.listen import listener
    listener.listen(settings, once=once)
