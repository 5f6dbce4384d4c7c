"""The documents that several events ask for, made one export: an array, in which each stands as it was sent."""

import tempfile
from collections.abc import Callable
from typing import Self

from sync.model.report import Report
from sync.read.reader import RawDocument

Read = Callable[[Callable[[RawDocument], None]], Report]
"""Reads an export; calls what it is given with each document."""
_IN_MEMORY = 1 << 20


class Joined:
    """An open file of documents, with a name for history; leaving the context removes it.

    Documents are joined as parts of an array, since only there each may stand on one line or on many.
    """

    def __init__(self) -> None:
        self.name = ""
        self._file = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 (closed with the context)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def add(self, read: Read, keep: Callable[[Report], bool]) -> Report:
        """The report of a reading; `keep` says by it whether its documents stay."""
        before = self._file.tell()
        try:
            report = read(self._append)
        except BaseException:
            self._cut(before)
            raise
        if not keep(report):
            self._cut(before)
        return report

    def read(self, size: int) -> bytes:
        """The next bytes, once `rewind` was called."""
        return self._file.read(size)

    def rewind(self, name: str) -> None:
        """Closes the array; it can be read now, under this name."""
        self._file.write(b"]" if self._file.tell() else b"[]")
        self._file.seek(0)
        self.name = name

    def _append(self, document: RawDocument) -> None:
        self._file.write(b",\n" if self._file.tell() else b"[")
        self._file.write(document.text)

    def _cut(self, size: int) -> None:
        self._file.seek(size)
        self._file.truncate()
