"""Finds the documents in a stream of bytes: NDJSON, a JSON array, or documents one after another, also on one line.

Memory holds one document and some buffers. A broken document does not stop those after it: NDJSON goes on at
the next line, an array at the next place that looks like the start of a document. That place is only trusted
where what stands before it is no valid JSON, so nothing valid is cut in two; only an array with very many
documents that do not end is not searched for their ends any more.
"""

import re
from collections.abc import Iterable, Iterator

from sync.read.buffer import BLANKS, MARK, Window
from sync.read.parse import INVALID_DOCUMENT
from sync.read.slot import KEY, Prints, Slot, misplaced, oversize, parsed

_START = rb"\{\s*+" + KEY
_NEXT_IN_ARRAY = re.compile(rb"," + BLANKS + rb"(?=" + _START + rb")")
_NEXT_OF_SEVERAL = re.compile(_START)
_BETWEEN = b" \t\r\n" + MARK
_FAR = 4096
"""Bytes that are looked at for what stands before a document."""
_BEHIND = re.compile(BLANKS + rb"\{")
_ONE_BEHIND_ANOTHER = re.compile(rb"\}" + BLANKS + rb"\{")
_PATIENCE = 32
"""How many documents of the largest size are searched for an end that they do not have."""


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
    """Whether the first document goes on after its first line, or another one begins on that line."""
    whole = True
    while (end := window.data.find(b"\n", window.pos)) < 0:
        if window.size > limit or not window.fill():
            whole, end = False, len(window.data)
            break
    first = window.data[window.pos : end].rstrip()
    size = Window(iter([first])).size_of_value(limit, in_array=False)
    if size is not None:
        return _BEHIND.match(first, size) is not None
    if not whole:
        return False
    following = window.byte_after(end - window.pos, limit)
    return following != b"" and (following != b"{" or first[-1:] in b"[:,")


def _lines(window: Window, limit: int, prints: Prints | None) -> Iterator[Slot]:
    """One document a line, or several; blank lines are nothing."""
    first = window.line()
    for line, (text, size) in enumerate(_texts(window.rest(), limit), first):
        if size > limit:
            yield oversize(line, size, limit)
            continue
        stripped = text.strip()
        while stripped.startswith(MARK):
            stripped = stripped.removeprefix(MARK).lstrip()
        if stripped:
            slot = parsed(line, stripped, limit, prints)
            if slot.fault is not None and _ONE_BEHIND_ANOTHER.search(stripped):
                yield from _several_on_a_line(slot, stripped, limit, prints)
            else:
                yield slot


def _several_on_a_line(broken: Slot, text: bytes, limit: int, prints: Prints | None) -> list[Slot]:
    """The documents of a line that is not one; if none of them is valid either, the line as it is."""
    window = Window(iter([text]))
    slots = []
    while window.peek():
        size = window.size_of_value(limit, in_array=False) or window.size
        piece = window.data[window.pos : window.pos + size]
        slots.append(parsed(broken.line, piece, limit, prints))
        window.pos += size
    return slots if any(slot.fault is None for slot in slots) else [broken]


def _texts(chunks: Iterable[bytes], limit: int) -> Iterator[tuple[bytes, int]]:
    """Each line and its size; of a line larger than the limit, the size only."""
    parts: list[bytes] = []
    size = 0
    for chunk in chunks:
        start = 0
        while (end := chunk.find(b"\n", start)) >= 0:  # several times as quick as to split it
            text = chunk[start:end]
            size += len(text)
            yield (b"".join([*parts, text]) if size <= limit else b""), size
            parts, size, start = [], 0, end + 1
        size += len(chunk) - start
        if size <= limit:
            parts.append(chunk[start:])
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
                yield misplaced(line, "the array is not closed: the export was cut off")
            return
        window.pos += 1
        if window.peek():
            yield misplaced(window.line(), "text after the end of the array")
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
        found = self._next_document(len(window.data))
        if found is None:
            self._searched = window.data
            return None
        slot = parsed(window.line(), window.data[window.pos : found], self._limit, self._prints)
        if slot.fault is not None:
            return None
        window.pos = found
        return slot

    def _next_document(self, end: int) -> int | None:
        """Where the document at the position seems to end, as another one starts behind it."""
        data, pos = self._window.data, self._window.pos
        if self._in_array:
            found = _NEXT_IN_ARRAY.search(data, pos, end)
            return None if found is None else found.start()
        for start in _NEXT_OF_SEVERAL.finditer(data, pos + 1, end):
            before = data[max(pos, start.start() - _FAR) : start.start()]
            text = before.rstrip(_BETWEEN)
            if text.endswith(b"}") or b"\n" in before[len(text) :]:
                return start.start() - len(before) + len(text)
        return None

    def _up_to_its_end(self) -> Slot:
        """The thorough way: counts brackets; what is broken ends at the next start of a document."""
        window, limit = self._window, self._limit
        line = window.line()
        size = self._size()
        slot = None
        if size is not None:
            slot = parsed(line, window.data[window.pos : window.pos + size].rstrip(), limit, self._prints)
            if slot.fault is None or slot.fault.code == INVALID_DOCUMENT:
                window.pos += size
                return slot
        end = len(window.data) if size is None else window.pos + size
        found = self._next_document(end)
        if found is not None:
            self._patience -= window.size
            slot = parsed(line, window.data[window.pos : found], limit, self._prints)
            window.pos = found
            return slot
        if slot is not None:
            window.pos = end
            return slot
        nbytes = window.size
        window.skip_value(in_array=self._in_array)
        return oversize(line, nbytes, limit)

    def _size(self) -> int | None:
        """The size of the document at the position, or of all the rest.

        None if the document is too large, or another one seems to start before it ends.
        """
        window, limit = self._window, self._limit
        if self._patience > 0:
            size = window.size_of_value(limit, in_array=self._in_array)
            if size is not None:
                return size
        while self._next_document(len(window.data)) is None:
            if window.size > limit:
                return None
            if not window.fill():
                return window.size
        return None
