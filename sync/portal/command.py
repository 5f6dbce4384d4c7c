"""An export by command: what a program of the facility prints.

Its words on standard error are kept, and the last ones shown where it fails. It runs in a group of its own, which
ends with the run: a program that hangs, and what it started, does not stay.
"""

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress

from sync.model.errors import PortalError, UsageError
from sync.model.refusals import printable
from sync.portal.address import Address
from sync.portal.limits import Patience, Tell

_BLOCK = 1 << 16
_KEPT = 2000
_SHOWN_LINES = 5
_GRACE_SECONDS = 2.0


def chunks(address: Address, template: list[str], timeout: float, tell: Tell, most: int) -> Iterator[bytes]:
    """What the command prints, as it prints it. Raises PortalError, at the end too, where the command fails."""
    arguments = address.in_command(template)
    name = os.path.basename(arguments[0])
    patience = Patience(f"the command {printable(name)}", timeout, most)
    tell(f"waiting for {printable(name)}")
    try:
        process = subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(
            f"cannot start the command {printable(arguments[0])}: {reason}",
            hint="Correct portal.command or portal.all_command; it is no shell, so give each argument by itself.",
        ) from None
    with process:
        try:
            yield from _Printed(process, patience).parts()
        finally:
            _end(process)


class _Printed:
    """What a process prints; of standard error the last part."""

    def __init__(self, process: "subprocess.Popen[bytes]", patience: Patience) -> None:
        self._process = process
        self._patience = patience
        self._words = b""

    def parts(self) -> Iterator[bytes]:
        """Standard output until both are closed. Raises PortalError where the process failed."""
        process, patience = self._process, self._patience
        assert process.stdout is not None
        assert process.stderr is not None
        with selectors.DefaultSelector() as open_ones:
            open_ones.register(process.stdout, selectors.EVENT_READ)
            open_ones.register(process.stderr, selectors.EVENT_READ)
            while open_ones.get_map():
                start = time.monotonic()
                ready = open_ones.select(patience.timeout)
                waited = time.monotonic() - start
                if not ready:
                    raise self._failed(patience.over())
                for key, _ in ready:
                    part = os.read(key.fd, _BLOCK)
                    if not part:
                        open_ones.unregister(key.fileobj)
                    elif key.fileobj is process.stderr:
                        self._words = (self._words + part)[-_KEPT:]
                        patience.count(0, waited)
                    else:
                        patience.count(len(part), waited)
                        yield part
                    waited = 0.0
        try:
            code = process.wait(patience.timeout)
        except subprocess.TimeoutExpired:
            raise self._failed(patience.over()) from None
        if code:
            how = f"exit code {code}" if code > 0 else f"signal {-code}"
            raise self._failed(PortalError(f"{patience.who} failed: {how}", hint="Nothing was written. Correct it."))

    def _failed(self, error: PortalError) -> PortalError:
        """The same error, with the last words of the command."""
        lines = [line for line in self._words.decode(errors="backslashreplace").splitlines() if line.strip()]
        said = "".join(f"\n  {printable(line)}" for line in lines[-_SHOWN_LINES:])
        return PortalError(error.message + (f"; its last words:{said}" if said else ""), hint=error.hint)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Ends the process and all that it started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(_GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
