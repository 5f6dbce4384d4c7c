"""How long the head of an answer may take as a whole: httpx limits the wait for each next byte, so a slow drip gets by.

At its end the connection is shut down, and whoever reads from it gets an error.
"""

import socket
import threading
from contextlib import suppress
from typing import Any, Self

_OPENED = (".connect_tcp.complete", ".start_tls.complete")


class Deadline:
    """Of one request: `trace` is what httpx tells about its connection; `is_over` whether the time was not enough."""

    def __init__(self, seconds: float) -> None:
        self.is_over = False
        self._socket: socket.socket | None = None
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._timer.cancel()

    def trace(self, event: str, info: dict[str, Any]) -> None:
        """Takes an event of httpx's extension `trace`: a connection that is opened, or encrypted, has its socket."""
        if event.endswith(_OPENED):
            self._socket = info["return_value"].get_extra_info("socket")
            if self.is_over:
                self._shut()

    def _end(self) -> None:
        self.is_over = True
        self._shut()

    def _shut(self) -> None:
        if self._socket is not None:
            with suppress(OSError):  # it is closed already
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)  # of TLS too: nothing is said any more
