"""A User Portal of the test: a real HTTP server on the loopback, with TLS where it is wanted."""

import json
import ssl
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = Callable[[BaseHTTPRequestHandler], None]
"""Answers one request."""


@dataclass
class UserPortal:
    """Where it listens, how it answers, and the requests that came: path and headers."""

    url: str
    answers: list[Answer]
    requests: list[tuple[str, Mapping[str, str]]] = field(default_factory=list)

    @property
    def paths(self) -> list[str]:
        return [path for path, _ in self.requests]


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Is silent where who asked has gone: the test reads standard error."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


@contextmanager
def user_portal(*answers: Answer, tls: ssl.SSLContext | None = None) -> Iterator[UserPortal]:
    """A portal that gives these answers, one a request, the last one for ever."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            portal.requests.append((self.path, dict(self.headers)))
            answer = portal.answers.pop(0) if len(portal.answers) > 1 else portal.answers[0]
            try:
                answer(self)
            except OSError:  # who asked has gone
                self.close_connection = True

        def log_message(self, format: str, *args: Any) -> None:
            """Says nothing."""

    server = _Server(("127.0.0.1", 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    scheme = "http" if tls is None else "https"
    portal = UserPortal(f"{scheme}://127.0.0.1:{server.server_address[1]}", list(answers))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield portal
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def sends(body: bytes | list[dict[str, Any]], status: int = 200, **headers: str) -> Answer:
    """This body, or these documents, whole; `Retry_After` becomes the header Retry-After."""
    content = body if isinstance(body, bytes) else b"\n".join(json.dumps(one).encode() for one in body)

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(content)))
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(content)

    return answer


def breaks_off(body: bytes, *, announced: int) -> Answer:
    """Less than it announces, and then the connection is gone."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(announced))
        handler.end_headers()
        handler.wfile.write(body)
        handler.close_connection = True

    return answer


def goes_on(part: bytes, pause: Callable[[], object] = lambda: None) -> Answer:
    """The same part again and again, without an end."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        while True:
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
            pause()

    return answer


def hangs(until: threading.Event) -> Answer:
    """No answer, until the test is over."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        until.wait(20)
        handler.close_connection = True

    return answer
