"""The body of a request: received whole before anything is done with it, within its time and its size.

Small ones stay in memory, others go to a temporary file. A gzip body counts twice: as it was sent, and unpacked.
"""

import asyncio
import tempfile
import zlib
from contextlib import suppress
from typing import IO

from fastapi import Request
from starlette.requests import ClientDisconnect

from sync.read.buffer import GZIP
from sync.serve.access import Refused

IN_MEMORY = 1 << 20
_STEP = 1 << 18
_DRAIN_SECONDS = 2.0


class Gone(Exception):
    """The client hung up before it had sent all."""


class Body:
    """What was sent, as an open file with a name for history. `size` is in bytes, as sent."""

    def __init__(self, file: IO[bytes], name: str, size: int) -> None:
        self._file = file
        self.name = name
        self.size = size

    def read(self, size: int = -1) -> bytes:
        return self._file.read(size)

    def close(self) -> None:
        self._file.close()


async def receive(request: Request, *, most: int, unpacked: int, seconds: float) -> Body:
    """Receives a body of at most so many bytes, within so many seconds. Raises Refused (408, 413, 415), Gone.

    unpacked    bytes that a gzip body may unpack to
    """
    if (coding := request.headers.get("content-encoding", "identity").lower()) not in ("identity", "gzip"):
        raise Refused(415, f"Content-Encoding {coding[:20]!r} is not known; send it plain, or gzip")
    length = request.headers.get("content-length", "0")
    if length.isdecimal() and int(length) > most:
        await _drain(request)
        raise too_large(most)
    file = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115 (closed by Body)
    body = Body(file, f"body of {request.method} {request.url.path}", 0)
    bound = _Unpacked(unpacked)
    try:
        async with asyncio.timeout(seconds):
            async for chunk in request.stream():
                body.size += len(chunk)
                if body.size > most or bound.exceeded(chunk):
                    await _drain(request)
                    raise too_large(most if body.size > most else unpacked)
                file.write(chunk)
    except TimeoutError:
        body.close()
        raise Refused(408, f"The body was not there within {seconds:g} s", {"Connection": "close"}) from None
    except ClientDisconnect:
        body.close()
        raise Gone from None
    except BaseException:
        body.close()
        raise
    file.seek(0)
    return body


def too_large(most: int) -> Refused:
    """What a body is answered that is larger than it may be."""
    return Refused(413, f"The body has more than {most / 1e6:g} MB", {"Connection": "close"})


async def _drain(request: Request) -> None:
    """Reads on for a moment: most clients look for an answer only when they have sent all."""
    with suppress(TimeoutError, ClientDisconnect, RuntimeError):
        async with asyncio.timeout(_DRAIN_SECONDS):
            async for _ in request.stream():
                pass


class _Unpacked:
    """Counts what a gzip body unpacks to; whether it is good gzip, the reader of the export says."""

    def __init__(self, most: int) -> None:
        self._left = most
        self._held = b""
        self._plain = False
        self._member: zlib._Decompress | None = None

    def exceeded(self, chunk: bytes) -> bool:
        """Takes the next bytes; whether all of them so far unpack to more than they may."""
        if self._plain:
            return False
        if self._member is None:
            self._held += chunk
            if len(self._held) < len(GZIP):
                return False
            self._plain = not self._held.startswith(GZIP)
            chunk, self._held = self._held, b""
            if self._plain:
                return False
            self._member = zlib.decompressobj(wbits=31)
        with suppress(zlib.error):
            self._count(chunk)
        return self._left < 0

    def _count(self, chunk: bytes) -> None:
        assert self._member is not None
        while chunk and self._left >= 0:
            if self._member.eof:
                chunk = chunk.lstrip(b"\0")  # padding, which the reader of the export skips too
                if not chunk:
                    return
                self._member = zlib.decompressobj(wbits=31)
            self._left -= len(self._member.decompress(chunk, _STEP))
            chunk = self._member.unused_data if self._member.eof else self._member.unconsumed_tail
