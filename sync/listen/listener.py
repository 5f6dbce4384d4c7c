"""`ispyb-sync listen`: starts the consumer with its health, and ends it when told to."""

import logging
import signal

from sync.database.engine import open_engine
from sync.listen.consumer import Consumer
from sync.listen.health import health
from sync.model.settings import Settings
from sync.show.server_log import log_to_standard_error

log = logging.getLogger("sync.listen")


def listen(settings: Settings, *, once: bool) -> None:
    """Listens until SIGTERM or Ctrl-C, or with `once` until the queue is empty. Raises SyncError."""
    open_engine(settings.database_url())  # says what is wrong with the URL, before the first event does
    log_to_standard_error(log)
    _silence_pika()
    consumer = Consumer(settings, once=once)
    before = {number: signal.signal(number, lambda *_: consumer.stop()) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        with health(settings.listen, consumer.state) as port:
            log.info("health on http://%s:%d/healthz", settings.listen.host, port)
            consumer.run()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _silence_pika() -> None:
    """It logs what is raised anyway, at length."""
    logging.getLogger("pika").addHandler(logging.NullHandler())
    logging.getLogger("pika").propagate = False
