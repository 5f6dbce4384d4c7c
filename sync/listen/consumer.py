"""The consumer's loop: gather, work, acknowledge; hold and come back when something is away.

One thread talks to the broker all the time, so that its heartbeat never waits; work is done in another one. What is not
acknowledged when a connection is lost comes again, and is applied again, which changes nothing.
"""

import logging
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from pika.adapters.blocking_connection import BlockingChannel, BlockingConnection
from pika.exceptions import AMQPError
from prometheus_client import Counter

from sync.listen.broker import BrokerAway, bury, connect, declared, parameters
from sync.listen.events import Event, is_listed
from sync.listen.work import Outcome, work
from sync.model.settings import Settings
from sync.show.metrics import METRICS

log = logging.getLogger("sync.listen")

EVENTS = Counter("ispyb_sync_events", "Events of the broker", ["queue", "status"], registry=METRICS.registry)
TICK_SECONDS = 0.1
LONGEST_PAUSE = 60.0


class Held(BrokerAway):
    """With --once: something is away, and the events stay with the broker."""


class Consumer:
    """Consumes until `stop`; with `once` until the queue is empty."""

    def __init__(self, settings: Settings, *, once: bool) -> None:
        self._settings = settings
        self._once = once
        self._parameters = parameters(settings.listen)
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="work")
        self._stopping = threading.Event()
        self._state = (False, "not connected")

    def stop(self) -> None:
        """Ends once what is at work is done and acknowledged."""
        self._stopping.set()

    def state(self) -> tuple[bool, str]:
        """Whether it can work now, and what it does."""
        return self._state

    def run(self) -> None:
        """Raises UsageError where the broker has other queues, and with `once` BrokerAway."""
        pause = 1.0
        try:
            while not self._stopping.is_set():
                try:
                    with connect(self._parameters) as connection:
                        pause = 1.0
                        self._consume(connection)
                        return
                except (AMQPError, BrokerAway) as error:
                    self._state = (False, "the broker is away")
                    if self._once:
                        raise error if isinstance(error, BrokerAway) else _lost(error) from None
                    log.warning("the broker is away (%s); again in %.0f s", type(error).__name__, pause)
                self._stopping.wait(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
        finally:
            self._worker.shutdown(wait=True)

    def _consume(self, connection: BlockingConnection) -> None:
        channel = declared(connection, self._settings.listen)
        batch = _Batch(self._settings, self._worker)
        channel.basic_consume(self._settings.listen.queue, batch.arrive)
        log.info("listening to %s", self._settings.listen.queue)
        while True:
            connection.process_data_events(time_limit=TICK_SECONDS)
            batch.step(channel, last=self._stopping.is_set())
            self._state = (not batch.why_held, f"held: {batch.why_held}" if batch.why_held else "listening")
            if self._once and batch.why_held:
                raise Held(batch.why_held, hint="The events stay with the broker. Try again.")
            if self._stopping.is_set() and not batch.is_at_work:
                return
            if self._once and batch.is_empty and self._is_drained(channel):
                connection.process_data_events(time_limit=0)  # what came together with the broker's count
                if batch.is_empty:
                    return

    def _is_drained(self, channel: BlockingChannel) -> bool:
        return bool(channel.queue_declare(self._settings.listen.queue, passive=True).method.message_count == 0)


class _Batch:
    """The events that were delivered on one channel and are not acknowledged yet."""

    def __init__(self, settings: Settings, worker: ThreadPoolExecutor) -> None:
        self._settings = settings
        self._worker = worker
        self._waiting: list[Event] = []
        self._held: list[Event] = []
        self._future: Future[Outcome] | None = None
        self._last = time.monotonic()
        self._again = 0.0
        self._pause = 1.0
        self.why_held = ""

    @property
    def is_at_work(self) -> bool:
        return self._future is not None

    @property
    def is_empty(self) -> bool:
        return not self._waiting and not self._held and self._future is None

    def arrive(self, channel: BlockingChannel, delivery: Any, properties: Any, body: bytes) -> None:
        """Takes a delivery; what is not listed is done with at once."""
        event = Event(delivery.delivery_tag, properties.type or "", body, properties)
        self._last = time.monotonic()
        if is_listed(event, self._settings.listen):
            self._waiting.append(event)
        else:
            channel.basic_ack(event.tag)
            self._count("ignored")

    def step(self, channel: BlockingChannel, *, last: bool) -> None:
        """Settles what is done, and starts what is due; with `last` it does not wait for more."""
        if self._future is not None:
            if not self._future.done():
                return
            outcome, self._future = self._future.result(), None
            self._settle(channel, outcome)
        now, listen = time.monotonic(), self._settings.listen
        if self._held:
            if now >= self._again:
                self._start(self._held)
        elif self._waiting and (last or len(self._waiting) >= listen.most or now - self._last >= listen.quiet):
            self._start(self._waiting)
            self._waiting = []

    def _start(self, events: list[Event]) -> None:
        self._future = self._worker.submit(work, events, self._settings)

    def _settle(self, channel: BlockingChannel, outcome: Outcome) -> None:
        for event in outcome.done:
            channel.basic_ack(event.tag)
            self._count("applied")
        for event, reason in outcome.dead:
            log.warning("dead letter: %s, %s", event.name, reason)
            bury(channel, self._settings.listen, event, reason)
            self._count("dead")
        self._held, self.why_held = outcome.held, outcome.why_held
        if self._held:
            self._again = time.monotonic() + self._pause
            log.warning("%d events held: %s; again in %.0f s", len(self._held), self.why_held, self._pause)
            self._pause = min(2 * self._pause, LONGEST_PAUSE)
        else:
            self._pause = 1.0

    def _count(self, status: str) -> None:
        EVENTS.labels(self._settings.listen.queue, status).inc()


def _lost(error: AMQPError) -> BrokerAway:
    return BrokerAway(f"the broker broke off ({type(error).__name__})", hint="It keeps the events. Try again.")
