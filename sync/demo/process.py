"""Hides what must not be seen in the list of processes: passwords in the command line of this one.

Linux shows what stands in the memory that the arguments were handed over in; it is overwritten there, as the
database clients do. Other systems, and whoever looks in the moment before that, see the password.
"""

import os
import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

_PASSWORDS = re.compile(r"://[^:/@]*:(?P<url>.+)@|[?&](?:ssl_key_)?passw(?:or)?d=(?P<query>[^&]+)")
_ARG_START, _ARG_END = 48 - 3, 49 - 3
"""Places in /proc/self/stat behind the name of the program; see proc(5)."""


def hide_passwords(arguments: Iterable[str]) -> bool:
    """Overwrites the passwords of database URLs among the arguments; tells whether there were any."""
    found = [
        match["url"] or match["query"]
        for argument in arguments
        if "://" in argument
        for match in _PASSWORDS.finditer(argument)
    ]
    if found:
        with suppress(OSError, ValueError, IndexError):  # no Linux, or one that keeps a process off its own memory
            _overwrite(found)
    return bool(found)


def _overwrite(secrets: list[str]) -> None:
    numbers = Path("/proc/self/stat").read_text(errors="replace").rpartition(")")[2].split()
    start, end = int(numbers[_ARG_START]), int(numbers[_ARG_END])
    with open("/proc/self/mem", "r+b", buffering=0) as memory:
        memory.seek(start)
        line = memory.read(end - start)
        for secret in map(os.fsencode, secrets):
            line = line.replace(secret, b"x" * len(secret))
        memory.seek(start)
        memory.write(line)
