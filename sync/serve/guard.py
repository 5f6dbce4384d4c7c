"""What every request goes through, whatever it asks for: its id, who may ask from where, and the headers of answers.

Refuses requests of pages of other origins that the settings do not name, and all while the server is stopping.
"""

import json
import logging
import re
import time
import traceback
from collections.abc import Callable
from urllib.parse import urlsplit
from uuid import uuid4

from prometheus_client import Counter
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sync.model.tables.triggers import Serve
from sync.model.text import printable
from sync.show.metrics import METRICS

log = logging.getLogger("sync.serve")

REQUESTS = Counter(
    "ispyb_sync_requests", "Requests to the endpoint", ["method", "route", "status"], registry=METRICS.registry
)
LOOPBACK = ("127.0.0.1", "::1", "localhost")
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}").fullmatch
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
}


class Guard:
    """The outermost layer of the endpoint.

    stopping  whether no new request is taken any more
    is_full   says whether too many connections are open for one
    """

    def __init__(self, app: ASGIApp, settings: Serve, *, only_loopback: bool) -> None:
        self._app = app
        self._origins = frozenset(settings.origins)
        self._root = settings.root
        self._only_loopback = only_loopback
        self.stopping = False
        self.is_full: Callable[[], bool] = lambda: False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        given = headers.get("x-request-id", "")
        request_id = given if _ID(given) else uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        answer = _Answer(send, request_id)
        started = time.perf_counter()
        try:
            if (refusal := self._refusal(scope, headers)) is not None:
                await answer.say(*refusal)
            else:
                await self._app(scope, receive, answer.send)
        except Exception as error:  # noqa: BLE001 (told in the log, without what it may say of data)
            _log_unexpected(error, request_id)
            if not answer.complete:
                raise BrokenOff from None
        finally:
            route = scope.get("route")
            path = getattr(route, "path", "other").removeprefix(self._root)
            REQUESTS.labels(scope["method"] if path != "other" else "any", path, str(answer.status)).inc()
            log.info(
                "%s %s %d, %.3f s, request %s",
                scope["method"],
                printable(scope["path"])[:200],
                answer.status,
                time.perf_counter() - started,
                request_id,
            )

    def _refusal(self, scope: Scope, headers: Headers) -> tuple[int, str] | None:
        """Why a request is not taken at all."""
        if self.stopping:
            return 503, "The server is stopping."
        if self.is_full():
            return 503, "Too many connections are open."
        host = headers.get("host", "")
        if self._only_loopback and urlsplit(f"//{host}").hostname not in LOOPBACK:
            return 403, "Not Authorized"  # a page elsewhere whose name was made to lead here
        origin = headers.get("origin")
        if origin is None or origin in self._origins or urlsplit(origin).netloc == host:
            return None
        return 403, "Not Authorized"


class BrokenOff(Exception):
    """An answer that had begun cannot be brought to its end."""


class _Answer:
    """Sends an answer with the headers that all have."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._id = request_id
        self.status = 0
        self.complete = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            headers["X-Request-ID"] = self._id
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
        elif message["type"] == "http.response.body":
            self.complete = not message.get("more_body", False)
        await self._send(message)

    async def say(self, status: int, detail: str) -> None:
        body = json.dumps({"detail": detail}).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        if status == 503:
            headers.append((b"retry-after", b"5"))
        await self.send({"type": "http.response.start", "status": status, "headers": headers})
        await self.send({"type": "http.response.body", "body": body})


def _log_unexpected(error: Exception, request_id: str) -> None:
    """Where it happened, without its message: that may hold values of a body."""
    where = "".join(traceback.format_tb(error.__traceback__))
    log.error("unexpected %s, request %s\n%s", type(error).__name__, request_id, where)
