"""Finds the documents in a stream of bytes: NDJSON, a JSON array, or documents one after another.

Memory holds one document and some buffers. A broken document does not stop those after it: NDJSON goes on at
the next line, an array at the next place that looks like the start of a document. That place is only trusted
where what stands before it is no valid JSON, so nothing valid is cut in two; only an array with very many
documents that do not end is not searched for their ends any more.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from sync.parse import INVALID_DOCUMENT, INVALID_JSON, Fault, explain, parse
from sync.window import Window

Prints = Callable[[bytes], tuple[bytes, bool]]
"""Gives the fingerprint of a document's text, and whether the document is left out."""

_START = rb'(?=\{\s*+"(?:proposal|sessions|proteins)"\s*+:)'
_NEXT_IN_ARRAY = re.compile(rb",\s*+" + _START)
_NEXT_OF_SEVERAL = re.compile(rb"\n\s*+" + _START)
_PATIENCE = 32
"""How many documents of the largest size are searched for an end that they do not have."""


@dataclass(frozen=True, slots=True)
class Slot:
    """The place of one document: the line it starts on, its size, and its value or what is wrong with it.

    One that is left out has no value.
    """

    line: int
    nbytes: int
    value: object = None
    fault: Fault | None = None
    fingerprint: bytes | None = None
    left_out: bool = False


def split(chunks: Iterator[bytes], limit: int, prints: Prints | None = None) -> Iterator[Slot]:
    """The documents of an export; those of more than `limit` bytes are refused."""
    window = Window(chunks)
    start = window.peek()
    if start == b"[":
        return _Splitter(window, limit, prints, in_array=True).array()
    if start == b"{" and _is_spread_over_lines(window, limit):
        return _Splitter(window, limit, prints, in_array=False).several()
    return _lines(window, limit, prints)


def _is_spread_over_lines(window: Window, limit: int) -> bool:
    """Whether the first document goes on after its first line."""
    while (end := window.data.find(b"\n", window.pos)) < 0:
        if window.size > limit or not window.fill():
            return False
    first = window.data[window.pos : end].rstrip()
    if Window(iter([first])).size_of_value(limit, in_array=False) is not None:
        return False
    following = window.byte_after(end - window.pos, limit)
    return following != b"" and (following != b"{" or first[-1:] in b"[:,")


def _lines(window: Window, limit: int, prints: Prints | None) -> Iterator[Slot]:
    """One document a line; blank lines are nothing."""
    first = window.line()
    for line, (text, size) in enumerate(_texts(window.rest(), limit), first):
        if size > limit:
            yield _oversize(line, size, limit)
        elif stripped := text.strip():
            yield _parsed(line, stripped, limit, prints)


def _texts(chunks: Iterable[bytes], limit: int) -> Iterator[tuple[bytes, int]]:
    """Each line and its size; of a line larger than the limit, the size only."""
    parts: list[bytes] = []
    size = 0
    for chunk in chunks:
        *ended, unfinished = chunk.split(b"\n")
        for text in ended:
            size += len(text)
            yield (b"".join([*parts, text]) if size <= limit else b""), size
            parts, size = [], 0
        size += len(unfinished)
        if size <= limit:
            parts.append(unfinished)
        else:
            parts.clear()
    yield b"".join(parts), size


class _Splitter:
    """Documents in an array, or one after another, each over as many lines as it likes."""

    def __init__(self, window: Window, limit: int, prints: Prints | None, *, in_array: bool) -> None:
        self._window = window
        self._limit = limit
        self._prints = prints
        self._in_array = in_array
        self._next_document = _NEXT_IN_ARRAY if in_array else _NEXT_OF_SEVERAL
        self._searched: bytes | None = None
        self._patience = _PATIENCE * limit

    def array(self) -> Iterator[Slot]:
        """The elements of an array; what is wrong with the array itself comes last."""
        window = self._window
        window.pos += 1
        slot = None
        if window.peek() not in (b"]", b""):
            yield (slot := self._slot())
            while window.peek() == b",":
                window.pos += 1
                if not window.peek():
                    break
                yield (slot := self._slot())
        line = window.line()
        if not window.peek():
            if slot is None or slot.fault is None:
                yield _misplaced(line, "the array is not closed: the export was cut off")
            return
        window.pos += 1
        if window.peek():
            yield _misplaced(window.line(), "text after the end of the array")
            for _ in window.rest():
                pass

    def several(self) -> Iterator[Slot]:
        """Documents one after another."""
        while self._window.peek():
            yield self._slot()

    def _slot(self) -> Slot:
        """The document at the window's position; leaves the position behind it."""
        self._window.peek()
        return self._up_to_next_document() or self._up_to_its_end()

    def _up_to_next_document(self) -> Slot | None:
        """The quick way: what reaches to the next start of a document and is valid is one document."""
        window = self._window
        if self._searched is window.data:
            return None
        found = self._next_document.search(window.data, window.pos)
        if found is None:
            self._searched = window.data
            return None
        slot = _parsed(window.line(), window.data[window.pos : found.start()], self._limit, self._prints)
        if slot.fault is not None:
            return None
        window.pos = found.start()
        return slot

    def _up_to_its_end(self) -> Slot:
        """The thorough way: counts brackets; what is broken ends at the next start of a document."""
        window, limit = self._window, self._limit
        line = window.line()
        size = self._size()
        slot = None
        if size is not None:
            slot = _parsed(line, window.data[window.pos : window.pos + size].rstrip(), limit, self._prints)
            if slot.fault is None or slot.fault.code == INVALID_DOCUMENT:
                window.pos += size
                return slot
        end = len(window.data) if size is None else window.pos + size
        found = self._next_document.search(window.data, window.pos, end)
        if found is not None:
            self._patience -= window.size
            slot = _parsed(line, window.data[window.pos : found.start()], limit, self._prints)
            window.pos = found.start()
            return slot
        if slot is not None:
            window.pos = end
            return slot
        nbytes = window.size
        window.skip_value(in_array=self._in_array)
        return _oversize(line, nbytes, limit)

    def _size(self) -> int | None:
        """The size of the document at the position, or of all the rest.

        None if the document is too large, or another one seems to start before it ends.
        """
        window, limit = self._window, self._limit
        if self._patience > 0:
            size = window.size_of_value(limit, in_array=self._in_array)
            if size is not None:
                return size
        while self._next_document.search(window.data, window.pos) is None:
            if window.size > limit:
                return None
            if not window.fill():
                return window.size
        return None


def _parsed(line: int, text: bytes, limit: int, prints: Prints | None) -> Slot:
    if len(text) > limit:
        return _oversize(line, len(text), limit)
    fingerprint = None
    if prints is not None:
        fingerprint, left_out = prints(text)
        if left_out:
            return Slot(line, len(text), left_out=True)
    try:
        return Slot(line, len(text), parse(text), fingerprint=fingerprint)
    except ValueError as error:
        return Slot(line, len(text), fault=explain(text, error))


def _oversize(line: int, nbytes: int, limit: int) -> Slot:
    fault = Fault(
        INVALID_DOCUMENT,
        f"larger than {limit:,} bytes",
        "A document is one proposal; if this is one, raise the setting max_document_mb.",
    )
    return Slot(line, nbytes, fault=fault)


def _misplaced(line: int, message: str) -> Slot:
    return Slot(line, 0, fault=Fault(INVALID_JSON, message, "Write the export again."))
