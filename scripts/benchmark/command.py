"""`ispyb-sync` as a process: how long it takes from its start to its end, and the most memory that it held.

What the system says of a new process begins with the memory of the one that started it, so the benchmark itself must
stay small: it never holds an export, and says how big it is itself.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.databases import Ispyb

SCRIPT = Path(sys.executable).parent / "ispyb-sync"


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
    return _run(ispyb, [str(export), *flags], None)


def apply_one(ispyb: Ispyb, document: bytes) -> Done:
    """Applies one document from standard input."""
    return _run(ispyb, ["-"], document)


def _run(ispyb: Ispyb, arguments: list[str], given: bytes | None) -> Done:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ISPYB_SYNC_")}
    environment |= {"ISPYB_SYNC_DATABASE": ispyb.role_url, "ISPYB_SYNC_STAGING_SCHEMA": ispyb.staging_schema}
    with tempfile.TemporaryFile() as source, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        source.write(given or b"")
        source.seek(0)
        start = time.perf_counter()
        process = subprocess.Popen(
            [SCRIPT, "apply", *arguments, "--json"], stdin=source, stdout=out, stderr=err, env=environment
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        for file in (out, err):
            file.seek(0)
        if process.returncode:
            raise RuntimeError(f"ispyb-sync apply: exit code {process.returncode}: {err.read().decode()[-2000:]}")
        return Done(seconds, usage.ru_maxrss * _MAXRSS_BYTES / 1e6, json.loads(out.read()))


def own_megabytes() -> float:
    """The most memory that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _MAXRSS_BYTES / 1e6


_MAXRSS_BYTES = 1 if sys.platform == "darwin" else 1024
