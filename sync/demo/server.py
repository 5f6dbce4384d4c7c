"""A private MariaDB for the demo and the tests: started when asked for, gone afterwards.

The first of these that is there is taken: the running server named by ISPYB_SYNC_TEST_SERVER (a URL
with admin rights), Docker, the machine's own mariadbd in a temporary folder. It listens on this machine
only. Nothing outlives the program that asked for it, also when that program is killed.
It refuses to touch a MariaDB that it did not start, except the one named.
"""

import os
import secrets
import shlex
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

from sqlalchemy import URL, NullPool, create_engine, make_url
from sqlalchemy.exc import ArgumentError, OperationalError

from sync.model.errors import DatabaseError, SyncError, UsageError

RUNNING = "ISPYB_SYNC_TEST_SERVER"
IMAGE = "mariadb:10.11"
FLAGS = ["--local-infile=1", "--skip-log-bin", "--innodb-flush-log-at-trx-commit=0"]
# Nothing is kept, so nothing needs to be on the disk; --loose, since not every version has these.
FLAGS += ["--loose-innodb-flush-method=nosync", "--loose-debug-no-sync"]
FLAGS += ["--innodb-stats-persistent=0"]  # to keep statistics in tables costs a quarter of a CREATE or ALTER TABLE
PATIENCE = 60.0  # seconds to wait for a server that is starting

# mariadbd is not a child of Python but of this shell, which waits for the end of its input. The system
# closes that pipe when Python ends in whatever way; then server and folder go.
_KEEPER = """
exec 3<&0 </dev/null
if {install}; then
    {start} 3<&- & server=$!
    (read -r _; kill -{signal} $server) <&3 & guard=$!
    wait $server
    kill $guard
fi
{forget}
"""

_START = """#!/bin/sh
# Starts the database that the demo has left here; Ctrl-C ends it.
{command} & server=$!
trap 'kill $server' INT TERM
wait $server
wait $server
"""


@contextmanager
def server(*, extra: Sequence[str] = (), parent: str | None = None, keep: str | None = None) -> Iterator[URL]:
    """Yield an admin URL, without a database, of a MariaDB under which schemas may be created.

    `keep` is a folder in which its data stay, with `start`, a script that starts it again; only the machine's own
    mariadbd can do so.

    `extra` are flags for mariadbd, such as "--sql-mode="; a running server cannot take them, so
    ISPYB_SYNC_TEST_SERVER is passed over then. `parent` is where the machine's own mariadbd gets its folder, else
    where temporary files are. `str(url)` hides a password: pass the URL itself on.
    """
    with ExitStack() as stack:
        url = None if extra or keep else _running()
        url = url or (None if keep else _start_docker(stack, extra)) or _start_local(stack, extra, parent, keep)
        if url is None:
            raise SyncError(
                "no MariaDB to start",
                hint="Install one: apt-get install mariadb-server."
                if keep
                else f"Install one (apt-get install mariadb-server), or start Docker, or set {RUNNING}.",
            )
        yield url


def _running() -> URL | None:
    """Give the URL of the server that the environment names, once it has answered."""
    text = os.environ.get(RUNNING)
    if not text:
        return None
    try:
        given = make_url(text)
        url = URL.create(given.drivername, given.username, given.password, given.host, given.port, query=given.query)
        answers = _answers(url, patience=0)
    except ArgumentError:
        hint = "Give one such as mysql+pymysql://root:password@127.0.0.1:3306/"
        raise UsageError(f"{RUNNING} is not a SQLAlchemy URL", hint=hint) from None
    if not answers:
        raise DatabaseError(f"{RUNNING}: no answer from {url!r}", hint=f"Start it, or unset {RUNNING}.")
    return url


def _start_docker(stack: ExitStack, extra: Sequence[str]) -> URL | None:
    """Start a container if the engine answers at once and has, or can fetch, the image."""
    try:
        from docker import from_env  # type: ignore[import-untyped]
        from docker.errors import DockerException  # type: ignore[import-untyped]
        from testcontainers.core.container import DockerContainer
    except ImportError:
        return None
    password = secrets.token_urlsafe(16)
    try:
        from_env(timeout=3).ping()
        container = DockerContainer(IMAGE).with_env("MARIADB_ROOT_PASSWORD", password)
        container.with_command([*FLAGS, *extra]).with_exposed_ports(3306)
        stack.enter_context(container)
        host, port = container.get_container_host_ip(), container.get_exposed_port(3306)
    except (DockerException, OSError, RuntimeError):  # no engine, no image, or no port
        return None
    url = URL.create("mysql+pymysql", "root", password, host, port)
    if not _answers(url):
        raise DatabaseError(f"{IMAGE} in Docker did not answer within {PATIENCE:.0f} s")
    return url


def _start_local(
    stack: ExitStack, extra: Sequence[str], parent: str | None = None, keep: str | None = None
) -> URL | None:
    """Start the machine's own mariadbd with an empty data folder, in a folder that goes, or in one that is kept."""
    install, mariadbd = _find("mariadb-install-db"), _find("mariadbd")
    if install is None or mariadbd is None:
        return None
    folder = keep or tempfile.mkdtemp(prefix="ispyb-sync-", dir=parent)
    if keep is None:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
    log = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 (closed by the stack)
    port = stack.enter_context(_reserved_port())
    # Every mariadbd that starts, the one of the installation too, deletes what others have in its tmpdir.
    common = ["--no-defaults", f"--datadir={folder}/data", f"--tmpdir={folder}"]
    common += ["--user=root"] if os.geteuid() == 0 else []
    script = _KEEPER.format(
        install=shlex.join([install, *common, "--auth-root-authentication-method=normal", "--skip-test-db"]),
        start=shlex.join([mariadbd, *common, *_local_flags(folder, port), *FLAGS, *extra]),
        signal="TERM" if keep else "KILL",  # what is kept is written down first
        forget="" if keep else f"rm -rf {shlex.quote(folder)}",
    )
    if keep:
        start = Path(keep) / "start"
        command = shlex.join([mariadbd, *common, *_local_flags(folder, port), "--local-infile=1"])
        start.write_text(_START.format(command=command), encoding="utf-8")
        start.chmod(0o700)
    keeper = subprocess.Popen(
        ["/bin/sh", "-c", script], stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True
    )
    stack.callback(_stop, keeper)
    url = URL.create("mysql+pymysql", "root", host="127.0.0.1", port=port)
    if not _answers(url, alive=lambda: keeper.poll() is None):
        raise DatabaseError("the private MariaDB did not start", hint=_complaint(log))
    return url


def _local_flags(folder: str, port: int) -> list[str]:
    """List the flags that keep a server to this machine and to its own folder."""
    return [
        "--bind-address=127.0.0.1",
        f"--port={port}",
        f"--socket={folder}/socket",
        f"--pid-file={folder}/pid",
        f"--secure-file-priv={folder}/data",  # its root has no password: keep other users off the files
        "--skip-name-resolve",
    ]


def _stop(keeper: subprocess.Popen[bytes]) -> None:
    """Close the keeper's input, on which it ends the server, and wait for it."""
    assert keeper.stdin is not None
    keeper.stdin.close()
    keeper.wait()


def _find(program: str) -> str | None:
    """Find a program, also where servers are kept off an ordinary user's PATH."""
    return shutil.which(program) or shutil.which(program, path="/usr/sbin:/usr/local/sbin:/usr/local/bin")


@contextmanager
def _reserved_port() -> Iterator[int]:
    """Give a port that only a server may take: programs that ask for any free port do not get it."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # after bind: that one was exclusive
        yield int(holder.getsockname()[1])


def _answers(url: URL, *, patience: float = PATIENCE, alive: Callable[[], bool] = lambda: True) -> bool:
    """Tell whether a server answers within `patience` seconds; stop asking when it is not alive."""
    engine = create_engine(url, poolclass=NullPool, connect_args={"connect_timeout": 3})
    deadline = time.monotonic() + patience
    while alive():
        try:
            engine.connect().close()
        except OperationalError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.05)
        else:
            return True
    return False


def _complaint(log: IO[bytes], count: int = 5) -> str:
    """Give the lines of a log that say what is wrong, or its last ones; advice follows them and is left out."""
    log.seek(0)
    lines = log.read().decode(errors="replace").splitlines()
    return "\n  ".join([line for line in lines if "ERROR" in line][:count] or lines[-count:])
