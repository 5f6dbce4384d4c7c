"""The bytes of an export: from a file, standard input or an open file; plain or gzip.

Chunks are small and gzip is unpacked chunk by chunk, so memory does not grow with the export, whatever a
compressed file unpacks to. Refuses what cannot be an export: a missing file, a folder, another compression.
"""

import hashlib
import os
import stat
import sys
import zlib
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from itertools import chain
from typing import IO, Any

from sync.model.errors import NotWhole, UnreadableExport, UsageError
from sync.model.text import printable
from sync.read.buffer import GZIP, MARK, as_bytes

CHUNK_BYTES = 1 << 18
_MOST_WAITING = 16

_BEGINNING = 200
_FOREIGN = {
    GZIP: "packed with gzip twice",
    b"PK\x03\x04": "a zip archive",
    b"\xfd7zXZ": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"BZh": "bzip2",
    b"\xff\xfe": "UTF-16 text",
    b"\xfe\xff": "UTF-16 text",
}
_SIGNATURE_BYTES = 5
_CHECKSUMS = ("incorrect data check", "incorrect length check")

Path = str | os.PathLike[str]


class ByteSource:
    """Where an export's bytes come from, and how many were read.

    checksum     whether their SHA-256 is wanted

    bytes_read   as stored, so compressed ones of a gzip file
    total_bytes  size of the file; None where it is not known
    beginning    the first plain bytes
    problem      what ended the export too early, and what to do; None if nothing did
    """

    def __init__(self, source: Path | IO[Any], *, checksum: bool = True) -> None:
        self._source = source
        self._is_stdin = False
        self._checksum = _Checksum() if checksum else None
        self.bytes_read = 0
        self.beginning = b""
        self.total_bytes: int | None = None
        self.problem: tuple[str, str] | None = None
        if isinstance(source, str | os.PathLike):
            path = os.fsdecode(source)
            self._is_stdin = path == "-"
            self.name = "standard input" if self._is_stdin else printable(path)
            if not self._is_stdin:
                self.total_bytes = _size_of_path(path)
        else:
            name = getattr(source, "name", None)
            self.name = printable(name) if isinstance(name, str) else "the open file"
            self.total_bytes = _size_of_file(source)

    @property
    def sha256(self) -> str | None:
        """Of the bytes read so far, as stored; None where it is not wanted."""
        return None if self._checksum is None else self._checksum.hexdigest()

    def chunks(self) -> Iterator[bytes]:
        """The plain bytes. Raises UsageError where they cannot be read."""
        stored = self._stored()
        start = _at_least(stored, _SIGNATURE_BYTES)
        plain: Iterator[bytes] = chain([start], stored)
        if start[:2] in (GZIP, GZIP[:1]):
            plain = self._unpacked(plain)
            start = _at_least(plain, _SIGNATURE_BYTES)
            plain = chain([start], plain)
        for signature, name in _FOREIGN.items():
            if start.startswith(signature):
                raise UnreadableExport(
                    f"{self.name} is {name}, not JSON",
                    hint="Give UTF-8 JSON, plain or packed once with gzip.",
                )
        next(plain)
        blank = True
        for chunk in chain([start], plain):
            if blank:
                text = _without_blanks(chunk)
                blank = not text
                self.beginning = text[:_BEGINNING]
            yield chunk
        if blank and self.problem is None:
            raise UnreadableExport(f"{self.name} is empty", hint="An export without documents is written as [].")

    def _stored(self) -> Iterator[bytes]:
        """The bytes as stored, counted."""
        try:
            if self._is_stdin and sys.stdin is None:
                raise ValueError("it is closed")
            if self._is_stdin:
                yield from self._blocks(getattr(sys.stdin, "buffer", sys.stdin))
            elif isinstance(self._source, str | os.PathLike):
                with open(self._source, "rb", buffering=0) as file:
                    yield from self._blocks(file)
            else:
                yield from self._blocks(self._source)
        except (OSError, ValueError) as error:  # ValueError: a closed file, text in another encoding
            reason = getattr(error, "strerror", None) or error
            raise UsageError(
                f"cannot read {self.name}: {reason}", hint="Give a readable file, or an open binary file."
            ) from None

    def _blocks(self, file: IO[Any]) -> Iterator[bytes]:
        while block := file.read(CHUNK_BYTES):
            data = as_bytes(block)
            self.bytes_read += len(data)
            if self._checksum is not None:
                self._checksum.add(data)
            yield data

    def _unpacked(self, stored: Iterable[bytes]) -> Iterator[bytes]:
        """The plain bytes of gzip, all its members; what is broken ends them and is noted as the problem."""
        member = zlib.decompressobj(wbits=31)
        try:
            for block in stored:
                while block:
                    if member.eof:
                        block = block.lstrip(b"\0")  # padding, as from a tape
                        if not block:
                            break
                        member = zlib.decompressobj(wbits=31)
                    before = member.copy()
                    try:
                        plain = member.decompress(block, CHUNK_BYTES)
                    except zlib.error:
                        yield from _byte_by_byte(before, block)
                        raise
                    if plain:
                        yield plain
                    block = member.unused_data if member.eof else member.unconsumed_tail
        except zlib.error as error:
            if any(check in str(error) for check in _CHECKSUMS):
                raise NotWhole(
                    f"{self.name}: the gzip checksum is wrong, so any document may be altered",
                    hint="Copy or write the export again.",
                ) from None
            self.problem = (f"the gzip file is damaged ({error})", "Copy or write the export again.")
            return
        while not member.eof and (plain := member.decompress(b"", CHUNK_BYTES)):
            yield plain
        if not member.eof:
            self.problem = ("the gzip file ends too early", "It was cut off: copy or write the export again.")


class _Checksum:
    """SHA-256 of blocks; of many, in a second thread, since hashing leaves Python to others."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._thread: ThreadPoolExecutor | None = None
        self._waiting: deque[Future[None]] = deque()

    def add(self, block: bytes) -> None:
        """Adds a block."""
        if self._thread is None:
            if len(block) < CHUNK_BYTES:
                self._hash.update(block)
                return
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="checksum")
        if len(self._waiting) == _MOST_WAITING:
            self._waiting.popleft().result()
        self._waiting.append(self._thread.submit(self._hash.update, block))

    def hexdigest(self) -> str:
        """Of the blocks so far."""
        while self._waiting:
            self._waiting.popleft().result()
        return self._hash.hexdigest()


def _without_blanks(chunk: bytes) -> bytes:
    """The chunk without blanks and byte order marks at its start."""
    while (text := chunk.lstrip().removeprefix(MARK)) != chunk:
        chunk = text
    return chunk


def _byte_by_byte(member: "zlib._Decompress", block: bytes) -> Iterator[bytes]:
    """What a damaged block still gives before the damage."""
    with suppress(zlib.error):
        for at in range(len(block)):
            waiting = block[at : at + 1]
            while plain := member.decompress(waiting, CHUNK_BYTES):
                yield plain
                waiting = member.unconsumed_tail


def _at_least(chunks: Iterator[bytes], size: int) -> bytes:
    """The first chunks, joined until there are so many bytes."""
    start = b""
    while len(start) < size and (chunk := next(chunks, b"")):
        start += chunk
    return start


def _size_of_path(name: str) -> int | None:
    """The size of a regular file. Raises UsageError if it is none that can be read."""
    try:
        status = os.stat(name)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"cannot read {printable(name)}: {reason}", hint="Check the name of the export.") from None
    if stat.S_ISDIR(status.st_mode):
        raise UsageError(f"{printable(name)} is a folder", hint="Give one file, or - for standard input.")
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def _size_of_file(file: IO[Any]) -> int | None:
    try:
        status = os.fstat(file.fileno())
    except (AttributeError, OSError, ValueError):
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None
