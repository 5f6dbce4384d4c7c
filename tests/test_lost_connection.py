"""A connection that is lost in the middle of a run: the run starts anew, or ends with nothing written."""

import json
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from databases import Ispyb
from small import export, holds, run, trigger
from sqlalchemy import make_url

import sync
from sync import pipeline
from sync.errors import DatabaseError

MANY = 200
"""Documents whose people are loaded by LOAD DATA."""


@pytest.fixture
def dls(databases: Callable[[str], Ispyb], monkeypatch: pytest.MonkeyPatch) -> Ispyb:
    monkeypatch.setattr(pipeline, "_PAUSE_SECONDS", 0.01)
    ispyb = databases("dls")
    ispyb.reset()
    return ispyb


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "export.ndjson"
    path.write_text("\n".join(map(json.dumps, export(MANY))))
    return path


@dataclass
class Wire:
    """A wire to the server that breaks once what a client sends has held these words, in this order.

    delivered   whether the server still gets the last of them, though its answer is lost
    for_good    whether the wire stays broken
    """

    url: str
    words: Sequence[str]
    delivered: bool = False
    for_good: bool = False
    lengths: list[int] = field(default_factory=list)

    @contextmanager
    def laid(self) -> Iterator[str]:
        """Gives the URL of its near end."""
        url = make_url(self.url)
        self._left = [word.encode() for word in self.words]
        with socket.create_server(("127.0.0.1", 0)) as self._near:
            threading.Thread(target=self._accept, args=(url.host, url.port), daemon=True).start()
            near = url.set(host="127.0.0.1", port=self._near.getsockname()[1])
            yield near.render_as_string(hide_password=False)

    def _accept(self, host: str, port: int) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._near.accept()
                if self.for_good and not self._left:
                    client.close()
                    continue
                server = socket.create_connection((host, port))
                for way in ((client, server, True), (server, client, False)):
                    threading.Thread(target=self._carry, args=way, daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket, outward: bool) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                breaks = outward and self._breaks(data)
                if breaks and self.delivered:
                    target.sendall(data)
                    target.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\5\0\0\0")
                    threading.Event().wait(0.3)
                if breaks:
                    break
                target.sendall(data)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _breaks(self, data: bytes) -> bool:
        while self._left and self._left[0] in data:
            del self._left[0]
            if not self._left:
                return True
        return False


@pytest.mark.parametrize(
    "words",
    [
        ["@@SESSION.sql_mode"],
        ["alembic_version"],
        ["CREATE TEMPORARY TABLE"],
        ["LOAD DATA LOCAL"],
        ["GET_LOCK"],
        ["match_login"],
        ["INSERT INTO LabContact"],
        ["record_run"],
        ["record_run", "COMMIT"],
        ["record_run", "COMMIT", "RELEASE_LOCK"],
    ],
    ids=lambda words: words[-1],
)
@pytest.mark.parametrize("delivered", [False, True], ids=["on the way", "on the way back"])
def test_a_file_is_read_again_and_written_once(dls: Ispyb, path: Path, words: list[str], delivered: bool) -> None:
    wire = Wire(dls.role_url, words, delivered=delivered)
    with wire.laid() as url:
        report = sync.apply(path, database=url, staging_schema=dls.staging_schema)
    assert (report.status, report.documents_read) == ("applied", MANY)
    assert report.entities["person"].inserted == 3 * MANY
    assert wire._left == []
    assert holds(dls, MANY)
    assert runs(dls) == [report.run]


def runs(dls: Ispyb) -> list[int]:
    with dls.engine.connect() as connection:
        return list(connection.exec_driver_sql(f"SELECT run FROM `{dls.staging_schema}`.run").scalars())
