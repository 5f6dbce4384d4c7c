"""Reads an export: one document, a JSON array of documents, or NDJSON; plain or gzip; or dicts from Python.

Yields each document in turn, or why it cannot be read, and goes on with the next one. Of equal keys in one
object the last one counts. Raises UsageError where the export as a whole cannot be read.
"""

import os
import reprlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import IO, Any, cast

import orjson
from msgspec import Struct

from sync.model.documents import Document
from sync.model.errors import NotWhole, UnreadableExport, UsageError
from sync.model.text import printable
from sync.read.closest import closest_key
from sync.read.levels import KEYS
from sync.read.parse import INVALID_DOCUMENT, INVALID_JSON, Fault, explain, kind_of, parse
from sync.read.slot import Prints, Slot
from sync.read.source import ByteSource, Path
from sync.read.split import split

_SHOWN = 60
"""Characters of what is no export at all."""

Export = Path | IO[Any] | dict[str, Any] | Iterable[dict[str, Any]]
"""A path, "-" for standard input, an open file, one document, or an iterable of documents."""


class RawDocument(Struct, gc=False):
    """A document as it was sent; `line` is where it starts, None for a dict.

    fitting  what msgspec made of its text; None where it does not fit, or is a dict
    """

    number: int
    line: int | None
    fingerprint: bytes | None = None
    text: bytes = b""
    fitting: Document | None = None
    _raw: dict[str, Any] | None = None

    @property
    def raw(self) -> dict[str, Any]:
        """The same as Python's dicts and lists; of a text that fits only when they are asked for. Raises ValueError."""
        if self._raw is None:
            self._raw = cast(dict[str, Any], parse(self.text))
        return self._raw

    def unreadable(self, error: ValueError) -> "Unreadable":
        """The same, where a part that msgspec had no use for turns out to be no JSON."""
        return _unreadable(self.number, self.line or 1, explain(self.text, error))


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A document that is as it was when a run last took it: only its text, not parsed."""

    number: int
    fingerprint: bytes
    text: bytes


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Something in the place of a document, why it is none, and what to do.

    no_document   it does not even look like a broken one
    path          where a form says that it stands in what the portal sent; empty for a document
    """

    number: int
    line: int | None
    message: str
    hint: str
    code: str
    no_document: bool = False
    path: str = ""


Item = RawDocument | LeftOut | Unreadable


@dataclass(frozen=True, slots=True)
class ExportInfo:
    """What is kept of an export in the history; `sha256` is of the stored bytes; None: dicts, or not wanted."""

    name: str
    bytes: int
    sha256: str | None


class Reader:
    """Iterates once over the documents of an export, and tells how far it is.

    Raises UsageError at once for a file that is not there, at the first step for one that cannot be read.
    """

    def __init__(
        self, source: Export, *, max_document_bytes: int, prints: Prints | None = None, checksum: bool = True
    ) -> None:
        self._prints = prints
        self._limit = max_document_bytes
        self._bytes: ByteSource | None = None
        self._dicts: Iterable[object] = ()
        self._first: object = None
        if isinstance(source, str | os.PathLike) or hasattr(source, "read"):
            self._bytes = ByteSource(cast(Path | IO[Any], source), checksum=checksum)
        elif isinstance(source, dict):
            self._dicts = [source]
        elif isinstance(source, Iterable) and not isinstance(source, bytes | bytearray | memoryview):
            self._dicts = source
        else:
            raise UsageError(
                f"an export cannot be read from {type(source).__name__}",
                hint="Give a path, an open file, a dict or an iterable of dicts.",
            )

    @property
    def info(self) -> ExportInfo:
        """Name, size and checksum, as far as the export was read."""
        if self._bytes is None:
            return ExportInfo("documents from Python", 0, None)
        return ExportInfo(self._bytes.name, self._bytes.bytes_read, self._bytes.sha256)

    @property
    def bytes_read(self) -> int:
        """How many bytes were read, as stored."""
        return 0 if self._bytes is None else self._bytes.bytes_read

    @property
    def total_bytes(self) -> int | None:
        """How many bytes there are, as stored; None where this is not known."""
        return None if self._bytes is None else self._bytes.total_bytes

    def __iter__(self) -> Iterator[Item]:
        """Raises UnreadableExport at the end if nothing was a document."""
        item = None
        found = False
        for item in self._items():
            found = found or _is_document(item)
            yield item
        if item is not None and not found:
            raise UnreadableExport(
                f"{self.info.name}: there is no document in it; it begins with {self._beginning()}",
                hint="A document is a JSON object with a proposal. Look at what the User Portal sent.",
            )

    def _beginning(self) -> str:
        """The first characters, to be recognised by."""
        if self._bytes is None:
            text = reprlib.repr(self._first)
        else:
            text = self._bytes.beginning.decode(errors="backslashreplace")
        shown = printable(text.strip())
        return shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}…"

    def _items(self) -> Iterator[Item]:
        if self._bytes is not None:
            yield from self._from_bytes(self._bytes)
            return
        for number, value in enumerate(self._dicts, 1):
            if number == 1:
                self._first = value
            yield self._from_dict(number, value)

    def _from_dict(self, number: int, value: object) -> Item:
        if self._prints is not None:
            try:
                text = orjson.dumps(value)
            except TypeError:  # not of JSON's kinds
                return _item(number, None, value)
            fingerprint, left_out = self._prints(text)
            if left_out:
                return LeftOut(number, fingerprint, text)
            return _item(number, None, value, fingerprint=fingerprint)
        return _item(number, None, value)

    def _from_bytes(self, source: ByteSource) -> Iterator[Item]:
        number = 0
        line = None
        for slot in split(source.chunks(), self._limit, self._prints):
            line = slot.line
            if source.problem is not None and slot.fault is not None:
                break  # what is broken here is only cut off
            number += 1
            yield _from_slot(number, slot)
        if source.problem is not None:
            message, hint = source.problem
            if number == 0:
                raise NotWhole(f"{source.name}: {message}", hint=hint)
            yield Unreadable(number + 1, line, message, hint, INVALID_JSON, no_document=True)


def read(source: Export, *, max_document_bytes: int) -> Reader:
    """The documents of an export, those of more than `max_document_bytes` refused."""
    return Reader(source, max_document_bytes=max_document_bytes)


def _from_slot(number: int, slot: Slot) -> Item:
    fault = slot.fault
    if slot.left_out and slot.fingerprint is not None:
        return LeftOut(number, slot.fingerprint, slot.text)
    if fault is None:
        return _item(number, slot.line, slot.value, slot.text, slot.fingerprint)
    return _unreadable(number, slot.line, fault, slot.no_document)


def _unreadable(number: int, line: int, fault: Fault, no_document: bool = False) -> Unreadable:
    where = f"line {line + fault.lines}: {fault.message}"
    return Unreadable(number, line, where, fault.hint, fault.code, no_document)


def _item(
    number: int, line: int | None, value: object, text: bytes = b"", fingerprint: bytes | None = None
) -> RawDocument | Unreadable:
    if isinstance(value, Document):
        return RawDocument(number, line, fingerprint, text, value)
    if isinstance(value, dict):
        return RawDocument(number, line, fingerprint, text, None, value)
    where = "" if line is None else f"line {line}: "
    message = f"{where}{kind_of(value)} where a document is expected"
    hint = "A document is a JSON object with a proposal."
    return Unreadable(number, line, message, hint, INVALID_DOCUMENT, no_document=True)


def _is_document(item: Item) -> bool:
    """Whether it is a document, if a bad one: it has a key of a document, or one that is nearly such a key."""
    if isinstance(item, Unreadable):
        return not item.no_document
    known = KEYS[""]
    return (
        isinstance(item, LeftOut)
        or item.fitting is not None
        or any(isinstance(key, str) and (key in known or closest_key(key, known) is not None) for key in item.raw)
    )
