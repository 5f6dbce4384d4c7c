"""What a form is given: a folder, bytes from a file or a stream, or values from Python; counted, for the history."""

import hashlib
import os
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from sync.model.errors import NotWhole, UnreadableExport, UsageError
from sync.model.text import printable
from sync.read.buffer import GZIP, as_bytes
from sync.read.reader import ExportInfo

MOST_BYTES = 1_000_000_000
"""Of one piece, unpacked: a form holds it in memory."""
_BLOCK = 1 << 18


class Sent:
    """What was sent, as it is.

    name    how it is called in reports
    folder  the folder, if it is one
    values  what Python gave: a dict, or any iterable; None for a folder or bytes
    """

    def __init__(self, source: Any) -> None:
        self._source = source
        self._hash = hashlib.sha256()
        self.bytes_read = 0
        self.folder: Path | None = None
        self.values: Any = None
        self.name = "documents from Python"
        if isinstance(source, str | os.PathLike):
            path = os.fsdecode(source)
            self.name = "standard input" if path == "-" else printable(path)
            self.folder = Path(path) if os.path.isdir(path) else None
        elif hasattr(source, "read"):
            name = getattr(source, "name", None)
            self.name = printable(name) if isinstance(name, str) else "the open file"
        else:
            self.values = source

    @property
    def info(self) -> ExportInfo:
        """As history keeps it."""
        return ExportInfo(self.name, self.bytes_read, None if self.values is not None else self._hash.hexdigest())

    def files(self) -> list[Path]:
        """The files of the folder, by name. Raises UsageError."""
        assert self.folder is not None
        try:
            return sorted(path for path in self.folder.iterdir() if path.is_file() and not path.name.startswith("."))
        except OSError as error:
            raise _unreadable(self.name, error) from None

    def read(self, file: Path | None = None) -> bytes:
        """All bytes: of this file of the folder, or of what is no folder; gzip is unpacked. Raises UsageError."""
        name = self.name if file is None else f"{self.name}/{printable(file.name)}"
        try:
            if file is not None:
                with file.open("rb") as opened:
                    data = self._all(opened, name)
            elif isinstance(self._source, str | os.PathLike) and os.fspath(self._source) != "-":
                with open(self._source, "rb") as opened:
                    data = self._all(opened, name)
            else:
                data = self._all(sys.stdin.buffer if isinstance(self._source, str) else self._source, name)
        except (OSError, ValueError, AttributeError) as error:  # AttributeError: no standard input
            raise _unreadable(name, error) from None
        return unpacked(data, name) if data.startswith(GZIP) else data

    def _all(self, file: IO[Any], name: str) -> bytes:
        return b"".join(self._blocks(file, name))

    def _blocks(self, file: IO[Any], name: str) -> Iterator[bytes]:
        size = 0
        while block := file.read(_BLOCK):
            data = as_bytes(block)
            size += len(data)
            if size > MOST_BYTES:
                raise too_large(name)
            self.bytes_read += len(data)
            self._hash.update(data)
            yield data


def unpacked(data: bytes, name: str) -> bytes:
    """The plain bytes of gzip. Raises UnreadableExport; NotWhole where it is cut off or damaged."""
    member = zlib.decompressobj(wbits=31)
    try:
        plain = member.decompress(data, MOST_BYTES)
    except zlib.error as error:
        raise NotWhole(f"{name}: the gzip file is damaged ({error})", hint="Copy or write it again.") from None
    if member.unconsumed_tail:
        raise too_large(name)
    if not member.eof:
        raise NotWhole(f"{name}: the gzip file ends too early", hint="It was cut off: copy or write it again.")
    return plain


def too_large(name: str) -> UnreadableExport:
    """The error of a piece that memory should not hold."""
    return UnreadableExport(f"{name} has more than {MOST_BYTES:,} bytes", hint="Send fewer proposals in one piece.")


def _unreadable(name: str, error: Exception) -> UsageError:
    reason = getattr(error, "strerror", None) or error
    return UsageError(f"cannot read {name}: {reason}", hint="Give a readable file or folder.")
