"""Kills clients and servers in the middle of a run, and says what is left."""

import ctypes
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pymysql
from sqlalchemy import URL, make_url
from support.databases import Ispyb
from support.small import Json, export, holds
from support.variants import TABLES

import sync
from sync.demo.server import _answers, _find, _reserved_port
from sync.history import runs as history
from sync.model.entities import ENTITIES
from sync.model.settings import load_settings

_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG of prctl(2)
LINKS = {"proposal_has_person", "session_has_person"}


def forked(work: Callable[[], object]) -> int:
    """Does some work in a process of its own, which has all modules loaded; gives its number."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        work()
        code = 0
    except BaseException:  # noqa: BLE001 (nothing may get back into pytest)
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(code)


def killed_after(work: Callable[[], object], seconds: float) -> bool:
    """Kills forked work after so long; False where it had ended before."""
    pid = forked(work)
    time.sleep(seconds)
    os.kill(pid, signal.SIGKILL)
    return os.WIFSIGNALED(os.waitpid(pid, 0)[1])


def killed_at(work: Callable[[], object], statement: int, *, sent: bool) -> bool:
    """Kills forked work before its nth statement, or when that is sent; False where it has fewer."""

    def counted() -> None:
        execute = pymysql.Connection._execute_command  # type: ignore[attr-defined]
        left = [statement]

        def maybe_the_last(self: Any, command: int, sql: Any) -> None:
            left[0] -= 1
            if left[0] == 0 and not sent:
                os.kill(os.getpid(), signal.SIGKILL)
            execute(self, command, sql)
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)

        pymysql.Connection._execute_command = maybe_the_last  # type: ignore[attr-defined]
        work()

    return os.WIFSIGNALED(os.waitpid(forked(counted), 0)[1])


def wait_until_gone(ispyb: Ispyb) -> None:
    """Waits until the server has ended the connections of the sync's login, and taken back what was not committed."""
    login = make_url(ispyb.role_url).username
    deadline = time.monotonic() + 20
    with ispyb.engine.connect() as connection:
        while connection.exec_driver_sql(
            "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE USER = %s", (login,)
        ).scalar():
            assert time.monotonic() < deadline
            time.sleep(0.002)


@dataclass(frozen=True)
class State:
    """All rows of ISPyB's eight tables, and of the tool's history."""

    rows: dict[str, list[dict[str, Any]]]
    runs: list[int]
    statuses: list[str]
    changes: int

    @classmethod
    def of(cls, ispyb: Ispyb) -> "State":
        with ispyb.engine.connect() as connection:
            found = connection.exec_driver_sql(f"SELECT run, status FROM `{ispyb.staging_schema}`.run ORDER BY 1").all()
            changes = connection.exec_driver_sql(f"SELECT COUNT(*) FROM `{ispyb.staging_schema}`.`change`").scalar_one()
        return cls(
            {table: ispyb.rows(table) for table in TABLES.values()},
            [run for run, _ in found],
            [status for _, status in found],
            changes,
        )


def check_history(ispyb: Ispyb, state: State) -> None:
    """Whether each change of the last run is what the rows hold, and its counts are those of the report."""
    if not state.runs:
        assert state.changes == 0
        return
    settings = load_settings(staging_schema=ispyb.staging_schema)
    report = history.show(ispyb.url, settings, state.runs[-1]).report
    for entity in ENTITIES:
        changes = [change for change in report.changes if change.entity == entity.name]
        counts = report.entities[entity.name]
        assert len(changes) == counts.inserted + counts.updated + counts.deleted
        if entity.name in LINKS or not changes:
            continue
        id_name = next(iter(state.rows[entity.table][0]))
        rows = {row[id_name]: row for row in state.rows[entity.table]}
        for change in changes:
            for name, values in change.fields.items():
                assert _text(rows[change.id][ispyb.column(entity.table, name)]) == str(values["new"]), (change, name)


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return str(int.from_bytes(value, "big"))
    if isinstance(value, datetime):
        return value.isoformat(" ")
    return str(value)


def apply(ispyb: Ispyb, documents: list[Json]) -> sync.Report:
    # ten seconds: what a killed run left would be a lock that does not end
    return sync.apply(documents, database=ispyb.role_url, staging_schema=ispyb.staging_schema, lock_timeout=10)


class Story:
    """Exports that each change every proposal and person and add a document; how far ISPyB has come."""

    def __init__(self, ispyb: Ispyb) -> None:
        self.ispyb = ispyb
        self.chapter = 1
        self.before = State.of(ispyb)

    @property
    def export(self) -> list[Json]:
        return export(2 + self.chapter % 3, family=f"Family{self.chapter}", title=f"Title {self.chapter}")

    def settle(self) -> bool:
        """Looks at what a kill left: nothing, or all; gives which."""
        wait_until_gone(self.ispyb)
        now = State.of(self.ispyb)
        if now.runs == self.before.runs:
            assert now == self.before
            return False
        check_history(self.ispyb, now)
        assert len(now.runs) == len(self.before.runs) + 1
        assert apply(self.ispyb, self.export).nothing_to_do
        self.turn_page()
        return True

    def turn_page(self) -> None:
        self.before = State.of(self.ispyb)
        self.chapter += 1

    def end(self) -> None:
        """A run after all the kills does what is left to do."""
        apply(self.ispyb, self.export)
        assert apply(self.ispyb, self.export).nothing_to_do
        assert holds(self.ispyb, 4)


@dataclass
class Server:
    """A MariaDB that may be killed and started again on the same data; each commit is on disk when it is answered."""

    folder: Path
    port: int
    flags: list[str] = field(default_factory=list)

    @property
    def url(self) -> URL:
        return URL.create("mysql+pymysql", "root", host="127.0.0.1", port=self.port)

    def start(self) -> None:
        program = _find("mariadbd")
        assert program is not None
        own = [f"--port={self.port}", f"--socket={self.folder}/socket", f"--pid-file={self.folder}/pid"]
        safe = ["--innodb-flush-log-at-trx-commit=1", "--local-infile=1", "--skip-name-resolve", "--skip-log-bin"]
        with open(self.folder / "log", "ab") as log:
            self._process = subprocess.Popen(
                [program, *self.flags, *own, *safe, "--bind-address=127.0.0.1"],
                stdout=log,
                stderr=log,
                preexec_fn=lambda: ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL),
            )
        assert _answers(self.url, alive=lambda: self._process.poll() is None), (self.folder / "log").read_text()[-2000:]

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


@contextmanager
def restartable(folder: Path) -> Iterator[Server]:
    """A server in an empty folder, killed at the end."""
    install = _find("mariadb-install-db")
    assert install is not None
    with ExitStack() as stack:
        flags = ["--no-defaults", f"--datadir={folder}/data", f"--tmpdir={folder}", "--innodb-log-file-size=16M"]
        flags += ["--user=root"] if os.geteuid() == 0 else []
        empty = [install, *flags, "--auth-root-authentication-method=normal", "--skip-test-db"]
        subprocess.run(empty, check=True, capture_output=True)
        server = Server(folder, stack.enter_context(_reserved_port()), flags)
        server.start()
        stack.callback(server.kill)
        yield server
