"""`ispyb-sync demo --serve`: a private MariaDB, a User Portal of fifty proposals, and the endpoint between them."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import uuid4

from rich.console import Console
from rich.text import Text

from sync.demo import sample
from sync.demo.demonstration import forget, legacy
from sync.demo.server import server
from sync.migrate import commands as migrate
from sync.model.settings import load_settings
from sync.serve.server import serve

Document = dict[str, Any]


def run(console: Console) -> None:
    """Serves until Ctrl-C, and leaves nothing behind."""
    schema = f"ispyb_demo_{uuid4().hex[:8]}"
    tool = f"{schema}_sync"
    documents = {_name(document): document for document in sample.changed_export()}
    with server() as admin, _portal(documents) as portal:
        url = legacy(admin, schema)
        try:
            migrate.upgrade(url, staging_schema=tool)
            settings = load_settings(
                database=url,
                staging_schema=tool,
                serve={"port": 0},
                portal={"url": f"{portal}/{{proposal}}", "all_url": f"{portal}/"},
            )
            example = next(iter(documents))

            def announce(address: str) -> None:
                sync = f"{address}{settings.serve.root}/proposals/{example}/sync"
                console.print(Text(f"The page:   {address}/"), soft_wrap=True)
                console.print(Text(f"One sync:   curl -X POST {sync}"), soft_wrap=True)
                console.print(Text(f"Proposals:  {', '.join(list(documents)[:5])} and {len(documents) - 5} more"))
                console.print(Text("Ctrl-C ends it; nothing stays."))
                console.file.flush()

            serve(settings, no_auth=True, announce=announce)
        finally:
            forget(admin, schema, tool)


def _name(document: Document) -> str:
    return f"{document['proposal']['proposalCode']}-{document['proposal']['proposalNumber']}"


@contextmanager
def _portal(documents: dict[str, Document]) -> Iterator[str]:
    """A User Portal on this machine; gives its address. It answers /CODE-NUMBER, and / with everything."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.removeprefix("/")
            found = list(documents.values()) if not name else documents.get(name)
            body = json.dumps(found).encode()
            self.send_response(404 if found is None else 200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing: the endpoint's log tells what was pulled."""

    portal = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    portal.daemon_threads = True
    threading.Thread(target=portal.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{portal.server_address[1]}"
    finally:
        portal.shutdown()
        portal.server_close()
