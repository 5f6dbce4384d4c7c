"""Fixtures: one MariaDB for the whole run, and ISPyB databases on it.

Under pytest-xdist the process that hands out the tests starts the server, and tells the workers by environment.
"""

import gc
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pymysql
import pytest
from sqlalchemy import URL, Engine, create_engine
from support import soak
from support.databases import Ispyb, create, drop, quick_context
from support.small import CommandLine, in_folder
from support.variants import USUAL

from sync.demo.server import RUNNING, server

# A plain connection of the driver reads all certificates that the machine trusts and looks at none of them: 30 ms.
# Those of the sync do not.
pymysql.Connection._create_ssl_ctx = quick_context(pymysql.Connection._create_ssl_ctx)  # type: ignore[attr-defined]

MEMORY, ROOM = "/dev/shm", 2 << 30


def in_memory() -> str | None:
    """A folder whose files are in memory, if there is one with room: tables are made there in half the time."""
    with suppress(OSError):
        if os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ROOM:
            return MEMORY
    return None


def pytest_configure(config: pytest.Config) -> None:
    """Start the server that the workers share; tell which tests are wanted."""
    soak.ask(config.getoption("markexpr"))
    if config.getoption("numprocesses", None):
        stack = ExitStack()
        url = stack.enter_context(server(parent=in_memory()))
        os.environ[RUNNING] = url.render_as_string(hide_password=False)
        config.add_cleanup(stack.close)


def pytest_collection_finish() -> None:
    """What is there now stays: the garbage collector need not look at it again and again."""
    gc.freeze()


@pytest.fixture(scope="session")
def server_url() -> Iterator[URL]:
    """Admin URL, without a database, of a MariaDB under which a test may create schemas."""
    with server(parent=in_memory()) as url:
        yield url


@pytest.fixture(scope="session")
def databases(server_url: URL) -> Iterator[Callable[[str], Ispyb]]:
    """Give the database of a variant, built when first asked for; its rows are those of the last test."""
    built: dict[str, Ispyb] = {}

    def get(variant: str) -> Ispyb:
        if variant not in built:
            built[variant] = create(server_url, variant)
        return built[variant]

    yield get
    for ispyb in built.values():
        drop(ispyb)


@pytest.fixture(scope="module")
def engines() -> Iterator[Callable[[str], Engine]]:
    """Give the engine of a URL: runs that use the same one find an open connection."""
    made: dict[str, Engine] = {}

    def get(url: str) -> Engine:
        if url not in made:
            made[url] = create_engine(url)
        return made[url]

    yield get
    for engine in made.values():
        engine.dispose()


@pytest.fixture(params=USUAL)
def ispyb(request: pytest.FixtureRequest, databases: Callable[[str], Ispyb]) -> Ispyb:
    """An empty, migrated ISPyB; the test runs once for each of the usual variants."""
    database = databases(request.param)
    database.reset()
    return database


@pytest.fixture
def dls(databases: Callable[[str], Ispyb]) -> Ispyb:
    """An empty, migrated ISPyB as Diamond has it, where a test needs one variant only."""
    ispyb = databases("dls")
    ispyb.reset()
    return ispyb


@pytest.fixture
def py(databases: Callable[[str], Ispyb]) -> Ispyb:
    """An empty, migrated ISPyB as py-ispyb has it."""
    ispyb = databases("py")
    ispyb.reset()
    return ispyb


@pytest.fixture
def command(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> CommandLine:
    """The command line in a folder of its own, on the database that the test asks for, else on that of Diamond."""
    name = next((name for name in ("ispyb", "py") if name in request.fixturenames), "dls")
    in_folder(tmp_path, request.getfixturevalue(name), monkeypatch)
    return CommandLine(monkeypatch, capsys)
