"""`ispyb-sync` as a process: how long it takes from its start to its end, and the most memory that it held.

What the system says of a new process begins with the memory of the one that started it. So a small Python starts it,
which imports nothing but what it needs, and tells what it saw.
"""

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.databases import Ispyb

SCRIPT = Path(sys.executable).parent / "ispyb-sync"
_SMALL = (sys.executable, "-I", "-S", "-c")
_STARTS = """\
import os, sys, time
start = time.perf_counter()
_, status, usage = os.wait4(os.posix_spawn(sys.argv[2], sys.argv[2:], os.environ), 0)
seconds = time.perf_counter() - start
with open(sys.argv[1], "w") as told:
    print(seconds, usage.ru_maxrss, file=told)
sys.exit(os.waitstatus_to_exitcode(status))
"""
"""Starts a command; tells the seconds it took and the most memory it held."""


@dataclass(frozen=True)
class Done:
    """What one process took, and its report."""

    seconds: float
    megabytes: float
    report: dict[str, Any]

    def count(self, what: str) -> int:
        """The sum over the eight entities: inserted, updated, refused, …"""
        return sum(int(counts[what]) for counts in self.report["entities"].values())


def apply(ispyb: Ispyb, export: Path, *flags: str) -> Done:
    """Applies a file; raises where anything was refused or failed."""
    return _run(ispyb, ["apply", str(export), *flags], None)


def validate(ispyb: Ispyb, export: Path) -> float:
    """The seconds in which a file is read and validated."""
    return _run(ispyb, ["validate", str(export)], None).seconds


def apply_one(ispyb: Ispyb, document: bytes) -> Done:
    """Applies one document from standard input."""
    return _run(ispyb, ["apply", "-"], document)


def _run(ispyb: Ispyb, arguments: list[str], given: bytes | None) -> Done:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ISPYB_SYNC_")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed tool has its bytecode; else each start compiles it
    environment |= {"ISPYB_SYNC_DATABASE": ispyb.role_url, "ISPYB_SYNC_STAGING_SCHEMA": ispyb.staging_schema}
    command = [str(SCRIPT), *arguments, "--json"]
    with tempfile.NamedTemporaryFile("r") as told:
        process = subprocess.run(
            [*_SMALL, _STARTS, told.name, *command], input=given or b"", capture_output=True, env=environment
        )
        if process.returncode:
            words = process.stderr.decode()[-2000:]
            raise RuntimeError(f"ispyb-sync {arguments[0]}: exit code {process.returncode}: {words}")
        seconds, peak = map(float, told.read().split())
    return Done(seconds, peak * _MAXRSS_BYTES / 1e6, json.loads(process.stdout))


_MAXRSS_BYTES = 1 if sys.platform == "darwin" else 1024
