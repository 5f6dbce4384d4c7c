"""A stream that may have to be read once more: what is read of it is copied into a temporary file."""

import os
import pickle
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from typing import IO, Any, Self, cast

from sync.read.buffer import as_bytes
from sync.read.reader import Export


class Copied:
    """An export that can be opened several times, one after the other; leaving the context removes the copy.

    A file or a folder is opened again. Of anything else the first reading copies what it reads.
    """

    def __init__(self) -> None:
        self._copy: IO[bytes] | None = None
        self._name: str | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._copy is not None:
            self._copy.close()

    @property
    def has_copy(self) -> bool:
        """Whether the export is read from its copy from now on."""
        return self._copy is not None

    def open(self, export: Export) -> Export:
        """The export, to be read from its start."""
        if self._copy is not None:
            self._copy.seek(0)
            return _values(self._copy) if self._name is None else cast(IO[Any], _Bytes(self._copy, None, self._name))
        if _can_be_opened_again(export):
            return export
        self._copy = tempfile.TemporaryFile(prefix="ispyb-sync-")  # noqa: SIM115 (closed with the context)
        if isinstance(export, str | os.PathLike):
            self._name = "standard input"
            return cast(IO[Any], _Bytes(sys.stdin.buffer, self._copy, self._name))
        if hasattr(export, "read"):
            name = getattr(export, "name", None)
            self._name = name if isinstance(name, str) else "the open file"
            return cast(IO[Any], _Bytes(export, self._copy, self._name))
        return _copying(export, self._copy)


class _Bytes:
    """An open file; what is read of it goes into another one."""

    def __init__(self, source: Any, copy: IO[bytes] | None, name: str) -> None:
        self.name = name
        self._source = source
        self._copy = copy

    def read(self, size: int) -> bytes:
        """The next bytes, as many as have come; none at the end."""
        data = as_bytes(self._source.read(size))
        if self._copy is not None:
            self._copy.write(data)
        return data


def _copying(values: Any, copy: IO[bytes]) -> Iterator[Any]:
    for value in values:
        pickle.dump(value, copy)
        yield value


def _values(copy: IO[bytes]) -> Iterator[Any]:
    """What `_copying` has written, which nobody else could write to."""
    while True:
        try:
            yield pickle.load(copy)
        except EOFError:
            return


def _can_be_opened_again(export: Export) -> bool:
    if isinstance(export, str | os.PathLike):
        return export != "-" or getattr(sys.stdin, "buffer", None) is None  # closed: reading says so
    return isinstance(export, dict | Sequence) or not (hasattr(export, "read") or isinstance(export, Iterable))
