"""The runs that the endpoint has at work: a bounded number, each in a thread, each through `sync.api`.

A run that has begun ends, whether or not somebody still waits for its answer: ISPyB is before or after it.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal, TypeVar

from prometheus_client import Gauge
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from sync import api
from sync.api import Request
from sync.database.connection import as_told
from sync.model.errors import DatabaseError, NoSuchProposal, PortalError, SyncError, Unreachable, UsageError
from sync.model.report import AskedBy, Report
from sync.model.settings import Settings
from sync.serve.access import Caller, Refused
from sync.show.metrics import METRICS

log = logging.getLogger("sync.serve")

AT_WORK = Gauge("ispyb_sync_requests_at_work", "Runs at work, or waiting for their turn", registry=METRICS.registry)
AWAY_SECONDS = 1.0
"""How long a database that could not be reached is taken for away, without asking again."""

Result = TypeVar("Result")


class Work:
    """Runs and questions to the database, so many at once, on one engine; made where a loop runs."""

    def __init__(self, settings: Settings, engine: Engine) -> None:
        self.settings = settings
        self.engine = engine
        self._threads = ThreadPoolExecutor(settings.serve.most, thread_name_prefix="run")
        self._slots = asyncio.Semaphore(settings.serve.most)
        self._loop = asyncio.get_running_loop()
        self._away: Unreachable | None = None
        self._away_until = 0.0
        self._shared: dict[tuple[str, bool], asyncio.Task[Report]] = {}

    async def ask(self, question: Callable[..., Result], *arguments: Any) -> Result:
        """The answer of a function that waits for the database or reads much; raises what it raises."""
        if time.monotonic() < self._away_until and self._away is not None:
            raise self._away
        AT_WORK.inc()
        try:
            try:
                async with asyncio.timeout(self.settings.serve.timeout):
                    await self._slots.acquire()
            except TimeoutError:
                raise Refused(503, "Too many requests are at work", {"Retry-After": "5"}) from None
            future = self._threads.submit(question, *arguments)
            future.add_done_callback(lambda _: self._loop_call(self._slots.release))
            return await asyncio.shield(asyncio.wrap_future(future))
        except Unreachable as error:
            self._away, self._away_until = error, time.monotonic() + AWAY_SECONDS
            raise
        finally:
            AT_WORK.dec()

    async def run(
        self,
        export: Any,
        caller: Caller,
        request_id: str,
        *,
        write: bool,
        progress: Callable[[Any], None] | None = None,
    ) -> Report:
        """Plans or applies an export; raises SyncError."""
        started = time.monotonic()

        def work() -> Report:
            left = int(self.settings.serve.timeout - (time.monotonic() - started))
            settings = self.settings.model_copy(update={"lock_timeout": max(0, min(self.settings.lock_timeout, left))})
            mode: Literal["apply", "plan"] = "apply" if write else "plan"
            request = Request(
                mode,
                export,
                settings,
                database=self.engine,
                progress=progress,
                asked_by=AskedBy("http", caller.actor),
            )
            try:
                report = api.run(request)
            except (SyncError, DBAPIError) as error:
                log.info("run failed: %s, actor %s, request %s", type(error).__name__, caller.actor, request_id)
                METRICS.note(Report(mode, "failed", trigger="http"))
                raise
            log.info(
                "run %s: %s, %s, actor %s, request %s", report.run, report.mode, report.status, caller.actor, request_id
            )
            METRICS.note(report)
            return report

        return await self.ask(work)

    async def shared(self, name: str, write: bool, run: Callable[[], Awaitable[Report]]) -> Report:
        """The report of a run for this proposal: of one that is at work already, or of a new one."""
        key = (name, write)
        task = self._shared.get(key)
        if task is None:
            task = asyncio.ensure_future(_awaited(run))
            self._shared[key] = task
            task.add_done_callback(lambda _: self._shared.pop(key, None))
        return await asyncio.shield(task)

    async def validate(self, export: Any) -> Report:
        """What reading an export alone finds; asks no database."""
        return await asyncio.to_thread(api.run, Request("validate", export, self.settings))

    def close(self) -> None:
        """Waits for what is at work."""
        self._threads.shutdown(wait=True)
        self.engine.dispose()

    def _loop_call(self, call: Callable[[], None]) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(call)


async def _awaited(run: Callable[[], Awaitable[Report]]) -> Report:
    return await run()


def refusal_of(error: SyncError | DBAPIError) -> Refused:
    """What an error of a run is to a client."""
    told = as_told(error)
    if isinstance(told, DatabaseError):
        return Refused(503, str(told), {"Retry-After": "5"})
    if isinstance(told, PortalError):
        return Refused(502, str(told))
    if isinstance(told, NoSuchProposal):
        return Refused(404, told.message)
    if isinstance(told, UsageError):
        return Refused(400, str(told))
    return Refused(409, str(told))
