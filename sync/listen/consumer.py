"""The consumer's loop: gather, work, acknowledge; hold and come back when something is away.

One thread talks to the broker all the time, so that its heartbeat never waits; work is done in another one. What is not
acknowledged when a connection is lost comes again, and is applied again, which changes nothing.
"""

import logging
import threading
from concurrent.futures import ThreadPoolExecutor

from pika.adapters.blocking_connection import BlockingChannel, BlockingConnection
from pika.exceptions import AMQPError

from sync.listen.batch import LONGEST_PAUSE, Batch
from sync.listen.broker import BrokerAway, connect, declared, parameters
from sync.model.errors import SyncError
from sync.model.settings import Settings

log = logging.getLogger("sync.listen")

TICK_SECONDS = 0.1


class Held(SyncError):
    """With --once: something is away, or refused, and its events stay with the broker. The exit code is the cause's."""

    def __init__(self, cause: SyncError) -> None:
        super().__init__(cause.message, hint="The events stay with the broker. Try again.")
        self.exit_code = cause.exit_code


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
        """Raises UsageError where the broker has other queues, SyncError where settings or database must be corrected.

        With `once` also BrokerAway and Held.
        """
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
        batch = Batch(self._settings, self._worker, once=self._once)
        channel.basic_consume(self._settings.listen.queue, batch.arrive)
        log.info("listening to %s", self._settings.listen.queue)
        while True:
            connection.process_data_events(time_limit=TICK_SECONDS)
            if not channel.is_open:
                raise BrokerAway("the broker closed the channel", hint="It waited too long for an acknowledgement.")
            batch.step(channel, start=not self._stopping.is_set())
            self._state = batch.state
            if self._stopping.is_set() and not batch.is_at_work:
                return
            if not self._once:
                continue
            if batch.away is not None:
                raise Held(batch.away)
            if batch.is_idle and (batch.is_full or self._is_drained(channel)):
                connection.process_data_events(time_limit=0)  # what came together with the broker's count
                if batch.is_idle:
                    if (why := batch.why_held) is not None:
                        raise Held(why)
                    return

    def _is_drained(self, channel: BlockingChannel) -> bool:
        return bool(channel.queue_declare(self._settings.listen.queue, passive=True).method.message_count == 0)


def _lost(error: AMQPError) -> BrokerAway:
    return BrokerAway(f"the broker broke off ({type(error).__name__})", hint="It keeps the events. Try again.")
