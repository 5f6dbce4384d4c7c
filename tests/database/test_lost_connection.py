"""A connection that is lost in the middle of a run: the run starts anew, or ends with nothing written."""

import io
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import make_url
from support.databases import Ispyb
from support.killing import Story
from support.small import document, export, holds, run, trigger

import sync
from sync.database import retry as patience
from sync.model.errors import DatabaseError
from sync.stage import load

DOCUMENTS = 3


@pytest.fixture
def dls(databases: Callable[[str], Ispyb], monkeypatch: pytest.MonkeyPatch) -> Ispyb:
    monkeypatch.setattr(patience, "PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(load, "FEW_ROWS", 0)  # so that there is a LOAD DATA
    ispyb = databases("dls")
    ispyb.reset()
    return ispyb


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "export.ndjson"
    path.write_text("\n".join(map(json.dumps, export(DOCUMENTS))))
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
                broken = threading.Event()
                for way in ((client, server, True, broken), (server, client, False, broken)):
                    threading.Thread(target=self._carry, args=way, daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket, outward: bool, broken: threading.Event) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                breaks = outward and self._breaks(data)
                if (breaks and not self.delivered) or (broken.is_set() and not outward):
                    break
                if breaks:
                    broken.set()
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
    ("words", "delivered"),
    [
        (["@@SESSION.sql_mode"], False),
        (["CREATE TEMPORARY TABLE"], False),
        (["LOAD DATA LOCAL"], False),
        (["LOAD DATA LOCAL"], True),
        (["GET_LOCK"], True),
        (["match_login"], False),
        (["INSERT INTO LabContact"], True),
        (["record_run", "COMMIT"], False),
        (["record_run", "COMMIT"], True),
        (["record_run", "COMMIT", "RELEASE_LOCK"], False),
        (["record_run", "COMMIT", "RELEASE_LOCK", "ISOLATION LEVEL"], False),
    ],
    ids=lambda value: value[-1] if isinstance(value, list) else "on the way back" if value else "on the way",
)
def test_a_file_is_read_again_and_written_once(dls: Ispyb, path: Path, words: list[str], delivered: bool) -> None:
    wire = Wire(dls.role_url, words, delivered=delivered)
    with wire.laid() as url:
        report = sync.apply(path, database=url, staging_schema=dls.staging_schema)
    assert (report.status, report.documents_read) == ("applied", DOCUMENTS)
    assert report.entities["person"].inserted == 3 * DOCUMENTS
    assert wire._left == []
    assert holds(dls, DOCUMENTS)
    assert runs(dls) == [report.run]


def runs(dls: Ispyb) -> list[int]:
    with dls.engine.connect() as connection:
        return list(connection.exec_driver_sql(f"SELECT run FROM `{dls.staging_schema}`.run").scalars())


def test_what_can_be_read_only_once_is_not_tried_again(dls: Ispyb, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    lines = "\n".join(map(json.dumps, export(2)))
    threading.Thread(target=pipe.write_text, args=(lines,), daemon=True).start()
    for once in ((one for one in export(2)), io.BytesIO(lines.encode()), pipe):
        with (
            Wire(dls.role_url, ["record_run", "COMMIT"]).laid() as url,
            pytest.raises(DatabaseError, match=r"Lost connection|gone away") as caught,
        ):
            sync.apply(once, database=url, staging_schema=dls.staging_schema)
        assert caught.value.exit_code == 3
        assert holds(dls, 0)


def test_what_was_committed_is_done_though_nobody_said_so(dls: Ispyb) -> None:
    with Wire(dls.role_url, ["record_run", "COMMIT"], delivered=True).laid() as url:
        report = sync.apply((one for one in export(2)), database=url, staging_schema=dls.staging_schema)
    assert (report.status, report.entities["person"].inserted) == ("applied", 6)
    assert holds(dls, 2)
    assert runs(dls) == [report.run]


@pytest.mark.parametrize("delivered", [False, True])
def test_whether_it_was_committed_may_stay_unknown(dls: Ispyb, delivered: bool) -> None:
    wire = Wire(dls.role_url, ["record_run", "COMMIT"], delivered=delivered, for_good=True)
    with wire.laid() as url, pytest.raises(DatabaseError, match="is written is not known") as caught:
        sync.apply(document(1), database=url, staging_schema=dls.staging_schema)
    assert "Apply the export again" in str(caught.value)
    assert "unchanged" not in str(caught.value)
    assert holds(dls, 1 if delivered else 0)


def test_a_connection_that_is_killed_each_time_ends_the_run(dls: Ispyb, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "ATTEMPTS", 2)
    with (
        trigger(dls, "BEFORE INSERT ON LabContact", "KILL CONNECTION_ID()"),
        pytest.raises(DatabaseError, match=r"lab_contact\.sql:.*insert: Connection was killed"),
    ):
        sync.apply(document(1), database=dls.role_url, staging_schema=dls.staging_schema)
    assert holds(dls, 0)


def test_a_connection_that_is_killed_once_is_replaced(dls: Ispyb) -> None:
    run(dls, "CREATE SEQUENCE attempts NOCACHE")
    once = "IF NEXTVAL(attempts) = 1 THEN KILL CONNECTION_ID(); END IF"
    with trigger(dls, "BEFORE INSERT ON LabContact", once):
        report = sync.apply(document(1), database=dls.role_url, staging_schema=dls.staging_schema)
    run(dls, "DROP SEQUENCE attempts")
    assert (report.status, report.documents_read) == ("applied", 1)
    assert holds(dls, 1)


@dataclass
class Cut(Wire):
    """A wire that breaks once, at the nth statement a client sends.

    how   "before" the server gets it; "after" it, without the answer; "half": the answer comes, and nothing more
          reaches the server; "unnoticed" by the server, which goes on waiting; "late": the answer comes after a pause
    """

    at: int = 0
    how: str = "before"
    statements: int = 0

    def __post_init__(self) -> None:
        self.delivered = self.how != "before"
        self._kept: list[socket.socket] = []

    def _breaks(self, data: bytes) -> bool:
        self.statements += data[3:4] == b"\0"  # a packet that starts something new
        return self.statements == self.at and data[3:4] == b"\0"

    def _carry(self, source: socket.socket, target: socket.socket, outward: bool, broken: threading.Event) -> None:
        if self.how in ("before", "after"):
            return super()._carry(source, target, outward, broken)
        ended = False
        with suppress(OSError):
            while not ended and (data := source.recv(1 << 16)):
                if not outward and broken.is_set() and self.how == "late":
                    time.sleep(0.3)
                    broken.clear()
                if outward and self._breaks(data):
                    broken.set()
                    ended = self.how != "late"
                if not (broken.is_set() and not outward and self.how == "unnoticed"):
                    target.sendall(data)
        if ended:  # the other way may have closed both ends by now
            with suppress(OSError):
                if self.how == "half":
                    target.shutdown(socket.SHUT_WR)
                else:  # the server keeps its end
                    self._kept.append(target)
                    source.shutdown(socket.SHUT_RDWR)
            return None
        if not (broken.is_set() and self.how == "unnoticed"):
            for end in (source, target):
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
                end.close()
        return None

    def end(self) -> None:
        """Lets the server notice."""
        for kept in self._kept:
            with suppress(OSError):
                kept.shutdown(socket.SHUT_RDWR)
            kept.close()


STEPS = [pytest.param(97, id="some"), pytest.param(1, id="each", marks=pytest.mark.soak)]
HOWS = ["before", "after", "half", "unnoticed", "late"]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("how", HOWS)
def test_a_connection_lost_at_any_statement(dls: Ispyb, tmp_path: Path, how: str, step: int) -> None:
    """Applied once, or refused with nothing written; and the next run works."""
    sync.apply(export(4), database=dls.role_url, staging_schema=dls.staging_schema)
    story = Story(dls)
    path = tmp_path / "export.ndjson"
    whole = Cut(dls.role_url, [])
    with whole.laid() as url:
        sync.apply(story.export, database=url, staging_schema=dls.staging_schema)
    story.turn_page()
    assert whole.statements > 40
    outcomes = []
    # It, and what comes after it: in the suite, what is not tried in one way is tried in the next one.
    around_the_commit = range(whole.statements - 8 + HOWS.index(how) % 2, whole.statements + 1, min(step, 2))
    for at in sorted({*range(step, whole.statements, step), *around_the_commit}):
        path.write_text("\n".join(map(json.dumps, story.export)))
        cut = Cut(dls.role_url, [], at=at, how=how)
        error = None
        with cut.laid() as url:
            try:
                sync.apply(path, database=url, staging_schema=dls.staging_schema, lock_timeout=0)
            except DatabaseError as raised:
                error = raised
        cut.end()
        done = story.settle()
        assert error is not None if not done else error is None or "is written is not known" in str(error)
        outcomes.append(done)
    assert any(outcomes) if how == "unnoticed" else sum(outcomes) > len(outcomes) / 2
    story.end()
