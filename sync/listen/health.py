"""Health and metrics of the consumer, on a port of their own."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from sync.model.errors import UsageError
from sync.model.tables.triggers import Listen
from sync.show.metrics import METRICS


@contextmanager
def health(settings: Listen, state: Callable[[], tuple[bool, str]]) -> Iterator[int]:
    """Answers while a consumer runs; gives the port. `state` tells whether it can work now, and what it does."""

    class Handler(BaseHTTPRequestHandler):
        timeout = 5

        def do_GET(self) -> None:
            ready, words = state()
            match self.path:
                case "/healthz":
                    self._answer(200, "application/json", json.dumps({"status": "ok"}).encode())
                case "/readyz":
                    self._answer(200 if ready else 503, "application/json", json.dumps({"status": words}).encode())
                case "/metrics":
                    self._answer(200, CONTENT_TYPE_LATEST, generate_latest(METRICS.registry))
                case _:
                    self._answer(404, "application/json", b'{"detail": "Not Found"}')

        def _answer(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing: monitors ask all the time."""

    try:
        server = ThreadingHTTPServer((settings.host, settings.port), Handler)
    except OSError as error:
        raise UsageError(
            f"listen.host {settings.host}, listen.port {settings.port}: {error.strerror}", hint="Set another one."
        ) from None
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
