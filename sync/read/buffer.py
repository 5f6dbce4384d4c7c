"""A moving window on a stream of bytes, with its line number, and the sizes of the JSON values in it.

Sizes come from counting brackets outside strings; whether the text between is JSON, the parser decides.
"""

import re
from collections.abc import Iterator
from itertools import accumulate
from operator import indexOf

_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
MARK, GZIP = b"\xef\xbb\xbf", b"\x1f\x8b"
"""What stands first in text with a byte order mark, and in a gzip file."""
BLANKS = rb"[ \t\r\n]*+(?:" + MARK + rb"[ \t\r\n]*+)*+"
"""What may stand between documents; also a byte order mark, which comes into the middle where files are joined."""
_BLANK = re.compile(BLANKS)
_STRING_END = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)

# To the next bracket; outside all brackets, to the next bracket or comma. None in an unfinished string.
_INSIDE = re.compile(rb'[^"{}\[\]]*+(?:' + _STRING + rb'[^"{}\[\]]*+)*+[{}\[\]]', re.DOTALL)
_OUTSIDE = re.compile(rb'[^"{}\[\],]*+(?:' + _STRING + rb'[^"{}\[\],]*+)*+[{}\[\],]', re.DOTALL)
_TEXT = re.compile(rb'[^"{}\[\]]*+(?:' + _STRING + rb'[^"{}\[\]]*+)*+', re.DOTALL)

_CHANGE = [0] * 256
"""By how much a byte changes the depth."""
for _byte in b"{[":
    _CHANGE[_byte] = 1
for _byte in b"}]":
    _CHANGE[_byte] = -1
_NEAR, _SEVERAL = 4, 8
"""Brackets so near to each other, and so many of them, may go on for millions."""
_CROWD, _STRETCH = 64, 1 << 16


def as_bytes(block: bytes | str) -> bytes:
    """What a file gave: the bytes of one that was opened for text too."""
    return block.encode("utf-8", "surrogatepass") if isinstance(block, str) else block


class Window:
    """Bytes from `pos` on are still to be used; those before it are dropped at the next `fill`."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self.data = b""
        self.pos = 0
        self._chunks = chunks
        self._line = 1
        self._counted = 0
        self._close = 0

    @property
    def size(self) -> int:
        """How many bytes are at hand."""
        return len(self.data) - self.pos

    def fill(self) -> bool:
        """Drops what is used and at least doubles the rest; False if there is no more."""
        self.line()
        parts = [self.data[self.pos :]]
        wanted = max(1, self.size)
        while wanted > 0 and (chunk := next(self._chunks, None)) is not None:
            parts.append(chunk)
            wanted -= len(chunk)
        before = self.size
        self.data = b"".join(parts)
        self.pos = self._counted = 0
        return len(self.data) > before

    def line(self) -> int:
        """The 1-based line of the position."""
        self._line += self.data.count(b"\n", self._counted, self.pos)
        self._counted = self.pos
        return self._line

    def peek(self) -> bytes:
        """Moves over blanks; returns the byte there, or nothing at the end."""
        while True:
            self.pos = self._after_blanks(self.pos)
            if self.pos < len(self.data) and not self._is_half_mark(self.pos):
                return self.data[self.pos : self.pos + 1]
            if not self.fill():
                return self.data[self.pos : self.pos + 1]

    def byte_after(self, offset: int, limit: int) -> bytes:
        """The first byte that is no blank, so far behind the position or farther; the position stays."""
        while True:
            at = self._after_blanks(self.pos + offset)
            if at < len(self.data) and not self._is_half_mark(at):
                return self.data[at : at + 1]
            if self.size > limit or not self.fill():
                return b""

    def rest(self) -> Iterator[bytes]:
        """Everything from the position on; the window is of no use afterwards."""
        yield self.data[self.pos :]
        self.data, self.pos = b"", 0
        yield from self._chunks

    def size_of_value(self, limit: int, *, in_array: bool) -> int | None:
        """The size of the value at the position; None if the export, or `limit`, ends before it.

        In an array the value reaches to its comma or to the closing bracket of the array.
        """
        at = depth = 0
        ended = False
        while not ended:
            step = self._step(self.pos + at, depth, in_array)
            if step is not None:
                end, depth, ended = step
                at = end - self.pos
            elif self.size > limit or not self.fill():
                return None
        return at

    def skip_value(self, *, in_array: bool) -> None:
        """Moves behind the value at the position, however large it is."""
        depth = 0
        ended = False
        while not ended:
            step = self._step(self.pos, depth, in_array)
            if step is not None:
                self.pos, depth, ended = step
                continue
            found = _TEXT.match(self.data, self.pos)
            self.pos = found.end() if found else len(self.data)
            if self.pos < len(self.data):
                self.pos += 1
                ended = not self._skip_string()
            else:
                ended = not self.fill()

    def _is_half_mark(self, at: int) -> bool:
        """Whether all that is at hand from there on is the start of a byte order mark."""
        return len(self.data) - at < len(MARK) and MARK.startswith(self.data[at:])

    def _after_blanks(self, start: int) -> int:
        found = _BLANK.match(self.data, start)
        return found.end() if found else start

    def _step(self, start: int, depth: int, in_array: bool) -> tuple[int, int, bool] | None:
        """The next bracket: where it ends, the depth behind it, and whether the value ends there."""
        if self._close > _SEVERAL and depth:
            self._close = 0
            if (crowd := self._crowd(start, depth, in_array)) is not None:
                return crowd
        found = (_INSIDE if depth else _OUTSIDE).match(self.data, start)
        if found is None:
            return None
        end = found.end()
        self._close = self._close + 1 if end - start < _NEAR else 0
        byte = self.data[end - 1]
        if byte in b"{[":
            return end, depth + 1, False
        if depth:
            return end, depth - 1, depth == 1 and not in_array
        if in_array and byte in b",]":
            return end - 1, 0, True
        return end, 0, False

    def _crowd(self, start: int, depth: int, in_array: bool) -> tuple[int, int, bool] | None:
        """Many steps in one, over a stretch without strings; None where that is short."""
        quote = self.data.find(b'"', start, start + _STRETCH)
        text = self.data[start : quote if quote >= 0 else start + _STRETCH]
        if len(text) < _CROWD:
            return None
        depths = accumulate(map(_CHANGE.__getitem__, text), initial=depth)
        try:
            return start + indexOf(depths, 0), 0, not in_array
        except ValueError:
            return start + len(text), depth + sum(map(_CHANGE.__getitem__, text)), False

    def _skip_string(self) -> bool:
        """Moves behind the string that the position is in; False if the export ends in it."""
        while (found := _STRING_END.match(self.data, self.pos)) is None:
            tail = self.data[self.pos :]
            unpaired = (len(tail) - len(tail.rstrip(b"\\"))) % 2
            self.pos = len(self.data) - unpaired
            if not self.fill():
                self.pos = len(self.data)
                return False
        self.pos = found.end()
        return True
