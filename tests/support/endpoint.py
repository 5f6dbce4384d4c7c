"""`ispyb-sync serve` as a process of its own, on a free port of this machine; tokens for it."""

import ctypes
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import jwt
from support.databases import Ispyb

from sync.model.settings import SETTINGS_FILE

ROOT = "/ispyb/api/v1"
SYNC = f"{ROOT}/webservices/userportalsync/sync_proposal"
ORIGIN = "https://synchweb.example.org"
"""Of pages that may embed the button."""
SECRET = "a secret of py-ispyb's own, long enough"
_DIE_WITH_PARENT = 1
PORTAL = '\n[portal]\ncommand = ["cat", "portal:{proposal}"]\nall_command = ["cat", "portal:all"]\n'
"""The User Portal of the tests: files of these names in the endpoint's folder."""


def token(*permissions: str, login: str = "portal", secret: str = SECRET, **claims: Any) -> str:
    """A token as py-ispyb makes them; a claim that is None is left out."""
    now = int(time.time())
    made = {"login": login, "personId": 7, "permissions": list(permissions), "iat": now, "exp": now + 86_400} | claims
    return jwt.encode({k: v for k, v in made.items() if v is not None}, secret, algorithm="HS256")


@dataclass
class Endpoint:
    """A running endpoint. `client` has a token for everything."""

    url: str
    process: "subprocess.Popen[bytes]"
    folder: Path
    client: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        self.client = self.with_token(token("uportal_sync"))

    def with_token(self, given: str | None, **headers: str) -> httpx.Client:
        sent = headers if given is None else {"Authorization": f"Bearer {given}"} | headers
        return httpx.Client(base_url=self.url, headers=sent, timeout=60)

    def portal_has(self, name: str, documents: list[dict[str, Any]]) -> None:
        """What the User Portal answers for CODE-NUMBER, or for all."""
        (self.folder / f"portal:{name}").write_text("\n".join(map(json.dumps, documents)))

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    def stop(self, by: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(by)
        return self.process.wait(30)


@contextmanager
def run_held(ispyb: Ispyb) -> Iterator[None]:
    """Keeps every run waiting for its turn, as another run would."""
    name = "CONCAT('ispyb_sync_', LEFT(SHA2(LOWER(DATABASE()), 256), 32))"
    with ispyb.engine.connect() as connection:
        assert connection.exec_driver_sql(f"SELECT GET_LOCK({name}, 10)").scalar() == 1
        try:
            yield
        finally:
            connection.exec_driver_sql(f"DO RELEASE_LOCK({name})")


def waits_for_its_turn(ispyb: Ispyb) -> bool:
    """Whether a run on this ISPyB waits for another one; others use the server too."""
    with ispyb.engine.connect() as connection:
        sql = (
            "SELECT COUNT(*) FROM information_schema.PROCESSLIST"
            " WHERE DB = DATABASE() AND INFO LIKE 'SELECT GET_LOCK(CONCAT%'"
        )
        return bool(connection.exec_driver_sql(sql).scalar())


def wait_for(met: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not met():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@contextmanager
def serving(
    ispyb: Ispyb, folder: Path, *flags: str, settings: str = "", env: Mapping[str, str] | None = None
) -> Iterator[Endpoint]:
    """An endpoint on this database, with these tables in its settings file; shared tokens unless they say else."""
    folder.mkdir(exist_ok=True)
    if "[auth]" not in settings and "--no-auth" not in flags:
        (folder / "secret").write_text(SECRET + "\n")
        settings += '\n[auth]\nmode = "shared"\nsecret_file = "secret"\n'
    if "[serve]" not in settings:
        settings = "[serve]\nport = 0\n" + settings
    (folder / SETTINGS_FILE).write_text(settings + PORTAL)
    given = {name: value for name, value in os.environ.items() if not name.startswith("ISPYB_SYNC_")}
    given |= {"ISPYB_SYNC_DATABASE": ispyb.role_url, "ISPYB_SYNC_STAGING_SCHEMA": ispyb.staging_schema}
    given |= {"PYTHONPATH": os.getcwd() if "PYTHONPATH" not in given else given["PYTHONPATH"]} | dict(env or {})
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "sync.cli", "serve", *flags],
            cwd=folder,
            env=given,
            stderr=log,
            preexec_fn=lambda: ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL),
        )
    try:
        yield Endpoint(_address(process, folder / "log"), process, folder)
    finally:
        process.kill()
        process.wait()


def _address(process: "subprocess.Popen[bytes]", log: Path) -> str:
    deadline = time.monotonic() + 30
    while (found := re.search(r"serving on (http://\S+)/", log.read_text(errors="replace"))) is None:
        assert process.poll() is None, log.read_text(errors="replace")
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found[1]
