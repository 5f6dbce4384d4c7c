"""`ispyb-sync serve`: starts the endpoint, tells where it is, and ends it with what is at work brought to its end."""

import logging
import signal
import socket
from collections.abc import Callable
from types import FrameType

import uvicorn
from sqlalchemy.exc import DBAPIError

from sync.database.connection import as_told
from sync.history.runs import opened
from sync.model.errors import SyncError, UsageError
from sync.model.settings import Settings
from sync.serve.app import build
from sync.serve.connection import HEAD_SECONDS, with_deadline
from sync.serve.guard import LOOPBACK, Guard
from sync.show.server_log import log_to_standard_error

log = logging.getLogger("sync.serve")

MOST_CONNECTIONS = 1000
"""Of clients; uvicorn's own limit answers without a Retry-After."""


def serve(settings: Settings, *, no_auth: bool, announce: Callable[[str], None] = lambda _: None) -> None:
    """Serves until SIGTERM or Ctrl-C; announces its address. Raises UsageError where the settings cannot work."""
    if settings.auth is None and not no_auth:
        raise UsageError(
            "auth is not set: whoever reaches the endpoint could write to ISPyB",
            hint="Set auth.mode; or give --no-auth, to try it on this machine alone.",
        )
    if settings.auth is not None and no_auth:
        raise UsageError("--no-auth, and auth.mode is set", hint="Leave out one of the two.")
    if no_auth and settings.serve.host not in LOOPBACK:
        raise UsageError(
            f"--no-auth, and serve.host is {settings.serve.host}", hint="Without tokens it serves 127.0.0.1 alone."
        )
    app = build(settings)
    log_to_standard_error(log, "uvicorn.error")
    _look(settings)
    config = uvicorn.Config(
        app,
        host=settings.serve.host,
        port=settings.serve.port,
        http=with_deadline(min(HEAD_SECONDS, settings.serve.timeout)),
        ws="none",
        lifespan="on",
        access_log=False,
        log_config=None,
        server_header=False,
        forwarded_allow_ips=list(settings.serve.proxies),
    )
    server = _Server(config, app, announce)
    server.run(sockets=[_bound(config)])


def _bound(config: uvicorn.Config) -> socket.socket:
    """The socket to listen on. Raises UsageError where the address cannot be had."""
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    listening = socket.socket(family)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((config.host, config.port))
    except OSError as error:
        raise UsageError(
            f"serve.host {config.host}, serve.port {config.port}: {error.strerror}", hint="Set another one."
        ) from None
    return listening


class _Server(uvicorn.Server):
    """Takes no new request once it is told to stop; what is at work ends within its transaction."""

    def __init__(self, config: uvicorn.Config, guard: Guard, announce: Callable[[str], None]) -> None:
        super().__init__(config)
        self._guard = guard
        guard.is_full = lambda: len(self.server_state.connections) > MOST_CONNECTIONS
        self._announce = announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and sockets:
            host, port = sockets[0].getsockname()[:2]
            address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
            log.info("serving on %s/", address)
            self._announce(address)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Unlike uvicorn's own, ends the process with 0; a second Ctrl-C waits for nothing."""
        self._guard.stopping = True
        log.info("stopping at %s: what is at work ends first", signal.Signals(sig).name)
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True


def _look(settings: Settings) -> None:
    """Tells at start what is wrong with the database; it may come later, and requests wait for that with 503."""
    try:
        with opened(settings.database_url(), settings):
            pass
    except UsageError:
        raise
    except (SyncError, DBAPIError) as error:
        log.warning("the database cannot be used yet: %s", " ".join(str(as_told(error)).split()))
