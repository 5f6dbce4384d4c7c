"""A command on a real pseudo-terminal."""

import os
import pty
import select
import subprocess
import sys
from types import TracebackType

QUESTION = "? [y/n] (n): "


class AtTerminal:
    """A command whose standard input and error are a terminal, and its standard output a pipe."""

    def __init__(self, *arguments: str, stdin: int | None = None, stderr: int | None = None) -> None:
        self._own, terminal = pty.openpty()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "sync.cli", *arguments],
            stdin=terminal if stdin is None else stdin,
            stdout=subprocess.PIPE,
            stderr=terminal if stderr is None else stderr,
            text=True,
        )
        os.close(terminal)
        self.seen = ""

    def __enter__(self) -> "AtTerminal":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._own)

    def asked(self, question: str = QUESTION) -> str:
        """Waits for a question; gives what the terminal showed since the last."""
        while not self.seen.endswith(question):
            assert self._read(), self.seen
        seen, self.seen = self.seen, ""
        return seen

    def answer(self, text: str) -> None:
        os.write(self._own, text.encode())

    def ended(self) -> tuple[int, str]:
        """The exit code, and all of standard output."""
        assert self._process.stdout is not None
        out = self._process.stdout.read()
        while self._read():
            pass
        return self._process.wait(timeout=20), out

    def _read(self, seconds: float = 10) -> bool:
        if not select.select([self._own], [], [], seconds)[0]:
            return False
        try:
            data = os.read(self._own, 65536)
        except OSError:  # Linux says so when the last one has closed the terminal
            return False
        self.seen += data.decode().replace("\r\n", "\n")
        return bool(data)
