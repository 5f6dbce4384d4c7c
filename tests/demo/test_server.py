"""A private server starts quickly and leaves nothing behind, however its user ends."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar, Self

import pytest
from docker.errors import ImageNotFound  # type: ignore[import-untyped]
from sqlalchemy import URL, create_engine, make_url
from support.small import CommandLine, hear_interrupts

from sync.demo import server as server_module
from sync.demo.server import FLAGS, IMAGE, RUNNING, _find, _reserved_port, server
from sync.model.errors import DatabaseError, SyncError, UsageError

needs_mariadbd = pytest.mark.skipif(_find("mariadbd") is None, reason="no mariadbd on this machine")

# Asks for a local server and sleeps in it; says the server's pid once it is up.
_USER = """
import time
from contextlib import ExitStack
from sqlalchemy import URL, create_engine
from sync.demo.server import _start_local

with ExitStack() as stack:
    print("starting", flush=True)
    url = _start_local(stack, [])
    with create_engine(url).connect() as connection:
        with open(connection.exec_driver_sql("SELECT @@pid_file").scalar_one()) as file:
            print(file.read().strip(), flush=True)
    time.sleep(60)
"""


@pytest.fixture
def temporary_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the servers of this test, and of its child processes, put their folders."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


@needs_mariadbd
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda s: s.name)
def test_server_ends_with_its_user(number: signal.Signals, temporary_folders: Path) -> None:
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", _USER], preexec_fn=hear_interrupts, **pipes) as user:
        assert user.stdout is not None
        user.stdout.readline()
        pid = int(user.stdout.readline())
        user.send_signal(number)
        user.wait(10)
    _wait_until(lambda: not any(temporary_folders.iterdir()))
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@needs_mariadbd
def test_nothing_is_left_when_killed_while_the_server_starts(temporary_folders: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", _USER], stdout=subprocess.PIPE) as user:
        assert user.stdout is not None
        user.stdout.readline()
        _wait_until(lambda: any(temporary_folders.glob("*/data")))
        user.kill()
    _wait_until(lambda: not any(temporary_folders.iterdir()))


def test_flags_reach_the_server(temporary_folders: Path) -> None:
    with server(extra=["--sql-mode=NO_ZERO_DATE"]) as url, create_engine(url).connect() as connection:
        assert connection.exec_driver_sql("SELECT @@GLOBAL.sql_mode").scalar() == "NO_ZERO_DATE"
        assert connection.exec_driver_sql("SELECT @@local_infile").scalar() == 1
    assert not any(temporary_folders.iterdir())


@needs_mariadbd
def test_servers_start_side_by_side(temporary_folders: Path) -> None:
    with ExitStack() as servers, ThreadPoolExecutor(6) as pool:
        urls = list(pool.map(lambda _: servers.enter_context(server(extra=["--sql-mode="])), range(6)))
        assert len({url.port for url in urls}) == 6
    assert not any(temporary_folders.iterdir())


@needs_mariadbd
def test_a_server_that_starts_leaves_the_temporary_tables_of_others(temporary_folders: Path) -> None:
    theirs = temporary_folders / "#sql-temptable-1-1-1.MAI"
    theirs.touch()
    with server(extra=["--sql-mode="]):
        assert theirs.exists()


def test_a_reserved_port_goes_to_nobody_else() -> None:
    with _reserved_port() as port, socket.socket() as other, socket.socket() as mariadbd:
        with pytest.raises(OSError, match="in use"):
            other.bind(("127.0.0.1", port))
        mariadbd.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as mariadbd does
        mariadbd.bind(("127.0.0.1", port))
        mariadbd.listen()


@needs_mariadbd
def test_a_server_that_does_not_start_says_why(temporary_folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sync.demo.server._start_docker", lambda *_: None)
    with (
        pytest.raises(DatabaseError, match="unknown option '--no-such-flag'"),
        server(extra=["--no-such-flag"]),
    ):
        pass
    assert not any(temporary_folders.iterdir())


def test_a_running_server_is_used_as_it_is(monkeypatch: pytest.MonkeyPatch, server_url: URL) -> None:
    monkeypatch.setenv(RUNNING, server_url.set(database="mysql").render_as_string(hide_password=False))
    with server() as url:
        assert url == server_url


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("root@localhost", UsageError, "not a SQLAlchemy URL"),
        ("nosuch://root@localhost/", UsageError, "not a SQLAlchemy URL"),
        ("mysql+pymysql://root:secret@127.0.0.1:1/", DatabaseError, "no answer"),
    ],
)
def test_a_running_server_that_cannot_be_used_is_an_error(
    text: str, error: type[SyncError], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(RUNNING, text)
    with pytest.raises(error, match=words) as caught, server():
        pass
    assert "secret" not in str(caught.value)


def test_without_any_mariadb_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(RUNNING, raising=False)
    monkeypatch.setattr("sync.demo.server._start_docker", lambda *_: None)
    monkeypatch.setattr("sync.demo.server._find", lambda _: None)
    with pytest.raises(SyncError, match="apt-get install mariadb-server"), server():
        pass


class _Container:
    """Stands in for a Docker container; remembers what was asked of it."""

    asked: ClassVar[list[object]] = []

    def __init__(self, image: str) -> None:
        self.asked[:] = [image]

    def with_env(self, name: str, value: str) -> Self:
        assert value
        self.asked.append(name)
        return self

    def with_command(self, command: list[str]) -> Self:
        self.asked.extend(command)
        return self

    def with_exposed_ports(self, port: int) -> Self:
        self.asked.append(port)
        return self

    def get_container_host_ip(self) -> str:
        return "10.0.0.1"

    def get_exposed_port(self, port: int) -> int:
        return port + 1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.asked.append("gone")


@pytest.fixture
def docker_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Docker engine that answers, as far as the server asks it."""
    monkeypatch.delenv(RUNNING, raising=False)
    monkeypatch.setattr("docker.from_env", lambda timeout: SimpleNamespace(ping=lambda: True))
    monkeypatch.setattr("testcontainers.core.container.DockerContainer", _Container)


def test_docker_is_taken_before_the_own_mariadbd(docker_engine: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sync.demo.server._answers", lambda url: True)
    with server(extra=["--sql-mode="]) as url:
        assert (url.host, url.port, url.username) == ("10.0.0.1", 3307, "root")
        assert url.password
    assert _Container.asked == [IMAGE, "MARIADB_ROOT_PASSWORD", *FLAGS, "--sql-mode=", 3306, "gone"]


@needs_mariadbd
def test_without_the_image_the_own_mariadbd_is_taken(docker_engine: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_image(_: object) -> None:
        raise ImageNotFound("no such image")

    monkeypatch.setattr(_Container, "__enter__", no_image)
    with server() as url:
        assert url.host == "127.0.0.1"


def _wait_until(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.02)


@needs_mariadbd
def test_the_demo_keeps_what_somebody_may_look_at(tmp_path: Path, command: CommandLine) -> None:
    """The database starts again with the command that is left there, and holds the runs of the pages."""
    folder = tmp_path / "kept"
    done = command("demo", "--keep", str(folder))
    assert (done.code, done.err) == (0, "")
    assert f"{folder}/start" in done.out
    names = {path.name for path in folder.iterdir() if path.is_file()}
    pages = {f"{name}.{kind}" for name in ("first", "again", "plan", "changed") for kind in ("html", "json")}
    assert pages | {"first.ndjson", "changed.ndjson", "ispyb-sync.toml", "start"} <= names
    with subprocess.Popen([str(folder / "start")], stderr=subprocess.DEVNULL) as mariadbd:
        try:
            url = tomllib.loads((folder / "ispyb-sync.toml").read_text())["database"]
            _wait_until(lambda: server_module._answers(make_url(url), patience=0))
            listed = command("history", "--all", "--json", "--database", url, "--staging-schema", "ispyb_sync")
            assert [run["run"] for run in json.loads(listed.out)] == [3, 2, 1]
            plan = command("plan", f"{folder}/changed.ndjson", "--database", url, "--staging-schema", "ispyb_sync")
            assert plan.code == 1
        finally:
            mariadbd.terminate()
    assert "not empty" in command("demo", "--keep", str(folder)).err
