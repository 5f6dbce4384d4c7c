"""A RabbitMQ of the tests: Debian's own programs, on ports and in a folder of its own, gone afterwards."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pika
import pytest
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import AMQPError

PROGRAM = "/usr/lib/rabbitmq/bin/rabbitmq-server"
PATIENCE_SECONDS = 5
"""How long this broker waits for an acknowledgement; others wait for half an hour."""
_START_SECONDS = 120


def _free_port() -> int:
    with closing(socket.socket()) as holder:
        holder.bind(("127.0.0.1", 0))
        return int(holder.getsockname()[1])


@dataclass
class Rabbit:
    """A broker that can be killed and started again on the same data."""

    folder: Path
    port: int = field(default_factory=_free_port)
    distribution: int = field(default_factory=_free_port)
    names: int = field(default_factory=_free_port)
    process: Any = None
    epmd: Any = None

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.port}/%2F"

    def start(self) -> None:
        log = self.folder / "log"
        given = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "LANG": "C.UTF-8",
            "ERL_EPMD_PORT": str(self.names),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_ALLOW_INPUT": "1",
            "RABBITMQ_NODENAME": "ispyb_sync_test@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(self.distribution),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "data"),
            "RABBITMQ_LOG_BASE": str(log),
            "RABBITMQ_PID_FILE": str(self.folder / "pid"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "plugins"),
            "RABBITMQ_CONF_ENV_FILE": str(self.folder / "none"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": f"-rabbit consumer_timeout {PATIENCE_SECONDS * 1000} "
            "-rabbit channel_tick_interval 500 -kernel inet_dist_use_interface {127,0,0,1}",
        }
        with open(self.folder / "out", "ab") as out:
            if self.epmd is None:
                self.epmd = subprocess.Popen(["epmd", "-port", str(self.names), "-address", "127.0.0.1"], env=given)
            self.process = subprocess.Popen(
                [PROGRAM], env=given, stdin=subprocess.PIPE, stdout=out, stderr=out, start_new_session=True
            )
        deadline = time.monotonic() + _START_SECONDS
        while True:
            assert self.process.poll() is None, (self.folder / "out").read_text()[-2000:]
            assert time.monotonic() < deadline
            with suppress(AMQPError, OSError), self.channel():
                return
            time.sleep(0.1)

    def kill(self) -> None:
        """The broker only, at once."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def end(self) -> None:
        self.kill()
        self.epmd.kill()
        self.epmd.wait()

    @contextmanager
    def channel(self) -> Iterator[BlockingChannel]:
        given = pika.URLParameters(self.url)
        given.socket_timeout = given.stack_timeout = given.blocked_connection_timeout = 5
        with closing(pika.BlockingConnection(given)) as connection:
            yield connection.channel()


@contextmanager
def rabbit(folder: Path) -> Iterator[Rabbit]:
    """A broker in an empty folder; the test is skipped where there is none to start."""
    if not os.path.exists(PROGRAM) or shutil.which("epmd") is None:
        pytest.skip("no RabbitMQ; scripts/setup --tests installs it where it may")
    made = Rabbit(folder)
    try:
        made.start()
        yield made
    finally:
        made.end()
