"""The events that were delivered on one channel and are not acknowledged yet: those that wait, and those that are held.

A proposal that the portal does not give now, or that the database fails at, is held by itself, each time for longer,
and its later events with it. All are held where the database is away.
"""

import logging
import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from pika.adapters.blocking_connection import BlockingChannel
from prometheus_client import Counter

from sync.listen.broker import at_hand, bury
from sync.listen.events import Asked, Event, Unusable, asked_by, is_listed
from sync.listen.work import Outcome, work
from sync.model.errors import DatabaseError, SyncError, Unreachable
from sync.model.settings import Settings
from sync.show.metrics import METRICS

log = logging.getLogger("sync.listen")

EVENTS = Counter("ispyb_sync_events", "Events of the broker", ["queue", "status"], registry=METRICS.registry)
LONGEST_PAUSE = 60.0


class Batch:
    """What one channel brought. With `once`, what is held is not tried again.

    away      why nothing can be done for now; None where something can
    why_held  why the proposal that was tried last is held; None where none is
    """

    def __init__(self, settings: Settings, worker: ThreadPoolExecutor, *, once: bool) -> None:
        self._settings = settings
        self._worker = worker
        self._once = once
        self._waiting: dict[str, Asked] = {}
        self._held: dict[str, Asked] = {}
        self._unusable: list[tuple[Event, str]] = []
        self._future: Future[Outcome] | None = None
        self._last = time.monotonic()
        self._not_before = 0.0
        self._pause = 1.0
        self._alone = False
        self._given_up = False
        self.away: SyncError | None = None
        self.why_held: SyncError | None = None

    @property
    def is_at_work(self) -> bool:
        return self._future is not None

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to do but what is held."""
        return not self._waiting and not self._unusable and self._future is None

    @property
    def is_full(self) -> bool:
        """Whether so much is held that the broker gives no more."""
        return sum(len(one.events) for one in self._held.values()) >= at_hand(self._settings.listen)

    @property
    def state(self) -> tuple[bool, str]:
        """Whether it can work now, and what it does."""
        if self.away is not None:
            return False, f"held: {self.away.message}"
        if self._held and self.why_held is not None:
            return not self._given_up, f"listening; {len(self._held)} held: {self.why_held.message}"
        return True, "listening"

    def arrive(self, channel: BlockingChannel, delivery: Any, properties: Any, body: bytes) -> None:
        """Takes a delivery; what is not listed is done with at once."""
        event = Event(delivery.delivery_tag, properties.type or "", body, properties)
        self._last = time.monotonic()
        if not is_listed(event, self._settings.listen):
            channel.basic_ack(event.tag)
            self._count("ignored")
            return
        try:
            self._add(asked_by(event, self._settings.listen))
        except Unusable as unusable:
            self._unusable.append((event, str(unusable)))

    def step(self, channel: BlockingChannel, *, start: bool) -> None:
        """Settles what is done, and with `start` starts what is due. Raises SyncError, what `Outcome.stop` has."""
        self._bury(channel, self._unusable)
        self._unusable = []
        if self._future is not None:
            if not self._future.done():
                return
            outcome, self._future = self._future.result(), None
            self._settle(channel, outcome)
        now, listen = time.monotonic(), self._settings.listen
        if not start or now < self._not_before:
            return
        due = [] if self._once else [one for one in self._held.values() if now >= one.again]
        count = sum(len(one.events) for one in self._waiting.values())
        if count and (count >= listen.most or now - self._last >= listen.quiet):
            due = [*self._waiting.values(), *due]
        if due := due[: listen.most]:
            for one in due:
                self._waiting.pop(one.key, None)
                self._held.pop(one.key, None)
            self._future = self._worker.submit(work, due, self._settings, alone=self._alone)

    def _add(self, asked: Asked) -> None:
        """Lets it wait; with what is held of the same proposal, if something is."""
        place = self._held if asked.key in self._held else self._waiting
        if asked.key in place:
            place[asked.key].events += asked.events
        else:
            place[asked.key] = asked

    def _settle(self, channel: BlockingChannel, outcome: Outcome) -> None:
        for event in outcome.done:
            channel.basic_ack(event.tag)
            self._count("applied")
        self._bury(channel, outcome.dead)
        if outcome.stop is not None:
            raise outcome.stop
        now = time.monotonic()
        self.away = outcome.away
        self._alone = isinstance(outcome.away, DatabaseError) and not isinstance(outcome.away, Unreachable)
        if outcome.away is not None:
            self._not_before = now + self._pause
            log.warning("all is held: %s; again in %.0f s", outcome.away.message, self._pause)
            self._pause = min(2 * self._pause, LONGEST_PAUSE)
        else:
            self._pause = 1.0
        self._given_up = bool(outcome.untried)
        for one in outcome.untried:  # they come first, the next time
            self._hold(one, 0 if self.away else now + 1)
        for one, why in outcome.held:
            self.why_held = why
            self._hold(one, 0 if self.away else now + one.pause)
            if self.away is None:
                log.warning("%s is held: %s; again in %.0f s", one.proposal or "a document", why.message, one.pause)
                one.pause = min(2 * one.pause, LONGEST_PAUSE)
        if not self._held:
            self.why_held = None

    def _hold(self, one: Asked, again: float) -> None:
        one.again = again
        if (later := self._waiting.pop(one.key, None)) is not None:
            one.events += later.events
        self._held[one.key] = one

    def _bury(self, channel: BlockingChannel, dead: list[tuple[Event, str]]) -> None:
        for event, reason in dead:
            log.warning("dead letter: %s, %s", event.name, reason)
            bury(channel, self._settings.listen, event, reason)
            self._count("dead")

    def _count(self, status: str) -> None:
        EVENTS.labels(self._settings.listen.queue, status).inc()
