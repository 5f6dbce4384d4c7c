"""A connection whose client has so many seconds for the head of a request, from its start or from the last answer.

uvicorn itself waits without an end for a client that sends nothing, or a byte now and then.
"""

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS = 10.0


def with_deadline(seconds: float) -> type[H11Protocol]:
    """The protocol for uvicorn whose heads are there within so many seconds, or are answered with 408."""

    class Connection(H11Protocol):
        _deadline: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._watch()

        def handle_events(self) -> None:
            super().handle_events()
            self._watch()

        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            self._forget()

        def _watch(self) -> None:
            """Starts the clock where a head is waited for, and stops it where one is there."""
            if self.conn.their_state is not h11.IDLE or self.transport.is_closing():
                self._forget()
            elif self._deadline is None:
                self._deadline = self.loop.call_later(seconds, self._too_slow)

        def _forget(self) -> None:
            if self._deadline is not None:
                self._deadline.cancel()
                self._deadline = None

        def _too_slow(self) -> None:
            self._deadline = None
            if self.transport.is_closing():
                return
            if self.conn.trailing_data[0]:
                body = f"The head of the request was not there within {seconds:g} s".encode()
                headers = [("Content-Type", "text/plain"), ("Content-Length", str(len(body))), ("Connection", "close")]
                events = [
                    h11.Response(status_code=408, headers=headers, reason=b"Request Timeout"),
                    h11.Data(data=body),
                ]
                self.transport.write(b"".join(self.conn.send(event) or b"" for event in [*events, h11.EndOfMessage()]))
            self.transport.close()

    return Connection
