"""A server that lies, or one that does not speak the protocol: it gets no file, and no other error than exit 3."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url
from support.databases import Ispyb
from support.liar import Liar, local_request
from support.small import document, export, holds

import sync
from sync.database import retry as patience
from sync.model.errors import DatabaseError
from sync.stage import load

SECRET = "the content of a file that no server may have"
MOMENTS = ["", "SET NAMES", "autocommit", "@@SESSION", "SELECT", "information_schema", "CREATE TEMPORARY", "GET_LOCK"]
MOMENTS += ["INSERT INTO Person", "COMMIT"]


@pytest.fixture
def py(databases: Callable[[str], Ispyb], monkeypatch: pytest.MonkeyPatch) -> Ispyb:
    monkeypatch.setattr(patience, "PAUSE_SECONDS", 0.001)
    ispyb = databases("py")
    ispyb.reset()
    return ispyb


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "passwd"
    file.write_text(SECRET)
    return file


@pytest.mark.parametrize("query", ["", "?local_infile=1", "?local_infile=1&client_flag=128"])
@pytest.mark.parametrize("words", MOMENTS)
def test_a_server_that_asks_for_a_file_gets_none(py: Ispyb, file: Path, words: str, query: str) -> None:
    liar = Liar(py.role_url, words, local_request(str(file)), again=True)
    with liar.listening() as url, pytest.raises(DatabaseError) as caught:
        sync.apply(document(1), database=url + query, staging_schema=py.staging_schema)
    assert liar.lied
    assert SECRET.encode() not in liar.heard
    assert SECRET not in str(caught.value)
    if words not in ("", "SET NAMES", "autocommit", "COMMIT"):
        assert "asked for a file of this machine; it was not sent" in str(caught.value)
    assert holds(py, 0)


@pytest.mark.parametrize("options", [{}, {"local_infile": True}])
def test_a_callers_connection_sends_no_file_either(py: Ispyb, file: Path, options: dict[str, bool]) -> None:
    engine = create_engine(py.role_url, connect_args=options)
    with engine.connect() as connection:
        driver = connection.connection.driver_connection
        assert driver is not None
        before = driver._local_infile
        assert before is bool(options)
        liar = Liar(py.role_url, "information_schema", local_request(str(file)))
        with liar.listening() as url:
            other = create_engine(url, connect_args=options)
            with other.connect() as lied_to, pytest.raises((DatabaseError, RuntimeError)):
                sync.apply(document(1), database=lied_to, staging_schema=py.staging_schema)
        assert liar.lied
        assert SECRET.encode() not in liar.heard
        sync.plan(document(1), database=connection, staging_schema=py.staging_schema)
        assert driver._local_infile is before


@pytest.mark.parametrize("query", ["", "?local_infile=1"])
def test_the_rows_are_sent_whatever_file_the_server_names(
    py: Ispyb, file: Path, monkeypatch: pytest.MonkeyPatch, query: str
) -> None:
    monkeypatch.setattr(load, "FEW_ROWS", 0)
    liar = Liar(py.role_url, instead=local_request(str(file)))
    with liar.listening() as url:
        report = sync.apply(export(3), database=url + query, staging_schema=py.staging_schema)
    assert liar.lied >= 8
    assert report.status == "applied"
    assert holds(py, 3)
    assert b"u1_0" in liar.heard
    assert SECRET.encode() not in liar.heard


NOT_ANSWERS = [
    *(b"", b"\x01", b"\xff", b"\xfe", b"\xfc", b"\xff\x15", b"\x02\x03def", b"\xfd\xff\xff\xff", b"\xff" * 300),
    *(b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff", b"\x80" * 70_000, b"\x01\x00\x00\x01"),
]


@pytest.mark.parametrize("words", ["", "@@SESSION", "information_schema", "LOAD DATA", "INSERT INTO Person"])
def test_an_answer_that_is_none_ends_the_run_with_nothing_written(
    py: Ispyb, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    monkeypatch.setattr(load, "FEW_ROWS", 0)
    monkeypatch.setattr(patience, "ATTEMPTS", 1)
    for answer in NOT_ANSWERS:
        liar = Liar(py.role_url, words, answer, again=True)
        with liar.listening() as url, pytest.raises(DatabaseError) as caught:
            sync.apply(export(2), database=url, staging_schema=py.staging_schema)
        assert len(str(caught.value).splitlines()) == 2
        assert liar.lied
        assert holds(py, 0)


@contextmanager
def answering(talk: Callable[[socket.socket], None]) -> Iterator[str]:
    """An address at which something answers that is no database."""
    with socket.create_server(("127.0.0.1", 0)) as near:

        def accept() -> None:
            with suppress(OSError):
                while True:
                    client, _ = near.accept()
                    with client, suppress(OSError):
                        talk(client)

        threading.Thread(target=accept, daemon=True).start()
        yield f"mysql+pymysql://u:s3cret@127.0.0.1:{near.getsockname()[1]}/ispyb?connect_timeout=1"


@pytest.mark.parametrize(
    "greeting",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.2p1\r\n",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\x05\x00\x00\x00abcde",
        b"\x01\x00\x00\x00\x0a",
        b"\x10\x00\x00\x00\x0a10.11.6-MariaDB",
        b"\xff\xff\xff\x00" + b"\x0a" * 1000,
    ],
)
def test_what_answers_is_no_mariadb(monkeypatch: pytest.MonkeyPatch, greeting: bytes) -> None:
    monkeypatch.setattr(patience, "PAUSE_SECONDS", 0.001)
    with answering(lambda client: client.sendall(greeting)) as url, pytest.raises(DatabaseError) as caught:
        sync.apply(document(1), database=url)
    assert "s3cret" not in str(caught.value)


def test_what_answers_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "ATTEMPTS", 1)
    ended = threading.Event()
    with answering(lambda client: ended.wait(20) and None) as url, pytest.raises(DatabaseError):
        sync.apply(document(1), database=url)
    ended.set()


@pytest.mark.parametrize("plugin", ["mysql_clear_password", "dialog"])
def test_a_password_is_not_sent_in_clear(py: Ispyb, plugin: str) -> None:
    switch = b"\xfe" + plugin.encode() + b"\0" + b"\x02Password: "
    liar = Liar(py.role_url, "", switch)
    with liar.listening() as url, pytest.raises(DatabaseError, match="asks for the password in clear"):
        sync.apply(document(1), database=url, staging_schema=py.staging_schema)
    secret = make_url(py.role_url).password
    assert secret
    assert secret.encode() not in liar.heard
