"""A whole facility: an export as body, or all of the User Portal; one at a time.

The answer is a stream of server-sent events: `progress` while documents are read, then `report`, or `error` with the
code that an answer would have had. Whoever hangs up ends the answer, not the run.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse
from sqlalchemy.exc import DBAPIError

from sync.model.errors import SyncError
from sync.read.reader import Reader
from sync.serve.access import Caller, Refused, demand
from sync.serve.body import Body, receive
from sync.serve.state import KnownCaller, State, look, state_of
from sync.serve.work import refusal_of

UNPACKS_TO = 40
"""How many times its size a gzip export may unpack to: JSON of a facility does so 10 to 30 times."""
EVERY_SECONDS = 0.2
QUIET_SECONDS = 10.0
"""After so long without an event a comment is sent, so that no proxy takes the stream for dead."""

router = APIRouter(tags=["exports"])


@router.post("/exports", response_class=StreamingResponse)
async def apply_export(request: Request, caller: KnownCaller) -> StreamingResponse:
    """Applies a facility-wide export: the body (an array or NDJSON, gzip allowed), or with an empty one the portal."""
    state = state_of(request)
    demand(request, caller)
    if state.exporting:
        raise Refused(409, "An export is at work already")
    state.exporting = True
    body = None
    try:
        most = int(state.settings.serve.max_body_mb * 1e6)
        body = await receive(request, most=most, unpacked=UNPACKS_TO * most, seconds=state.settings.serve.timeout)
        await state.work.ask(look, state)  # after the first event no code can tell any more
        run = _Run(state, caller, request.state.request_id, body)
    except BaseException as error:
        state.exporting = False
        if body is not None:
            body.close()
        if isinstance(error, SyncError | DBAPIError):
            raise refusal_of(error) from None
        raise
    return StreamingResponse(run.events(), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})


class _Run:
    """One run and its events."""

    def __init__(self, state: State, caller: Caller, request_id: str, body: Body) -> None:
        self._state = state
        self._body = body
        self._events: asyncio.Queue[tuple[str, Any] | None] = asyncio.Queue()
        self._loop = asyncio.get_running_loop()
        self._told = 0.0
        self._task = asyncio.ensure_future(self._work(caller, request_id))

    async def events(self) -> AsyncIterator[str]:
        """The text of the stream."""
        while True:
            event: tuple[str, Any] | None = ("", None)
            with suppress(TimeoutError):
                async with asyncio.timeout(QUIET_SECONDS):
                    event = await self._events.get()
            if event is None:
                return
            name, data = event
            yield f"event: {name}\ndata: {json.dumps(data, default=str)}\n\n" if name else ": at work\n\n"

    async def _work(self, caller: Caller, request_id: str) -> None:
        export = self._body if self._body.size else "portal:all"
        try:
            report = await self._state.work.run(export, caller, request_id, write=True, progress=self._progress)
            self._events.put_nowait(("report", report.to_dict()))
        except (SyncError, DBAPIError, Refused) as error:
            refused = error if isinstance(error, Refused) else refusal_of(error)
            self._events.put_nowait(("error", {"status": refused.status, "detail": refused.detail}))
        except Exception as error:
            detail = f"unexpected {type(error).__name__}; please report it with request {request_id}"
            self._events.put_nowait(("error", {"status": 500, "detail": detail}))
            raise
        finally:
            self._state.exporting = False
            self._body.close()
            self._events.put_nowait(None)

    def _progress(self, reader: Reader) -> None:
        """Called for each document, in the run's thread."""
        now = time.monotonic()
        if now - self._told >= EVERY_SECONDS:
            self._told = now
            told = {"bytes_read": reader.bytes_read, "total_bytes": self._body.size or reader.total_bytes}
            self._loop.call_soon_threadsafe(self._events.put_nowait, ("progress", told))
