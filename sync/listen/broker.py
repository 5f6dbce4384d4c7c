"""RabbitMQ: the queue with its dead letters, as it is declared and written to."""

from urllib.parse import urlsplit

import pika
from pika.adapters.blocking_connection import BlockingChannel, BlockingConnection
from pika.exceptions import (
    AMQPConnectionError,
    AuthenticationError,
    ChannelClosedByBroker,
    ProbableAccessDeniedError,
    ProbableAuthenticationError,
)

from sync.listen.events import Event
from sync.model.errors import SyncError, UsageError
from sync.model.tables.triggers import Listen

_OTHER_ARGUMENTS, _NOT_ALLOWED = 406, 403
_CONNECT_SECONDS = 10
_BLOCKED_SECONDS = 300
_BATCHES_AT_HAND, _MOST_AT_HAND = 10, 65_535
REASON = "x-ispyb-sync-reason"
"""Header of a dead letter that says why it is one."""


class BrokerAway(SyncError):
    """The broker does not answer; nothing is lost, it keeps what is not acknowledged."""

    exit_code = 3


def parameters(settings: Listen) -> pika.URLParameters:
    """How to connect. Raises UsageError where the file has no URL."""
    if settings.url_file is None:
        raise UsageError("listen.url_file is not set", hint="Name a file that holds amqp://user:password@host:5672/")
    try:
        url = settings.url_file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise UsageError(f"listen.url_file: {error.strerror}", hint="Make it readable for this account.") from None
    try:
        if urlsplit(url).scheme not in ("amqp", "amqps"):
            raise ValueError
        made = pika.URLParameters(url)
    except (ValueError, TypeError, AttributeError, KeyError):
        raise UsageError(
            "listen.url_file holds no URL of a broker", hint="It looks like amqps://user:password@host:5671/vhost"
        ) from None
    made.socket_timeout = made.stack_timeout = _CONNECT_SECONDS
    made.blocked_connection_timeout = _BLOCKED_SECONDS
    made.connection_attempts = 1
    return made


def connect(given: pika.URLParameters) -> BlockingConnection:
    """An open connection. Raises UsageError for a refused account, BrokerAway."""
    try:
        return BlockingConnection(given)
    except (AuthenticationError, ProbableAuthenticationError, ProbableAccessDeniedError):
        raise UsageError(
            "the broker refuses the account or the virtual host", hint="Correct the URL in listen.url_file."
        ) from None
    except (AMQPConnectionError, OSError) as error:
        raise BrokerAway(
            f"the broker at {given.host}:{given.port} does not answer ({type(error).__name__})",
            hint="It keeps the events until this consumer is back.",
        ) from None


def declared(connection: BlockingConnection, settings: Listen) -> BlockingChannel:
    """A channel on which queue, dead letters and binding are there. Raises UsageError where they cannot be."""
    channel = connection.channel()
    channel.confirm_delivery()
    queue, dead_exchange, dead_queue = settings.queue, f"DLX__{settings.queue}", f"DL__{settings.queue}"
    arguments = {"x-dead-letter-exchange": dead_exchange, "x-single-active-consumer": True}
    try:
        channel.exchange_declare(settings.exchange, "fanout", durable=True)
        channel.exchange_declare(dead_exchange, "fanout", durable=True)
        channel.queue_declare(dead_queue, durable=True)
        channel.queue_bind(dead_queue, dead_exchange)
        channel.queue_declare(queue, durable=True, arguments=arguments)
        channel.queue_bind(queue, settings.exchange)
    except ChannelClosedByBroker as error:
        if error.reply_code == _OTHER_ARGUMENTS:
            raise UsageError(
                f"the broker has it with other arguments: {error.reply_text}",
                hint=f"Let it run empty, then `rabbitmqctl delete_queue {queue}`; or name another one in listen.queue.",
            ) from None
        if error.reply_code == _NOT_ALLOWED:
            raise UsageError(
                f"the broker does not allow it: {error.reply_text}",
                hint=f"The account needs configure, write and read on {queue}, DLX__ and DL__ of it, and the exchange.",
            ) from None
        raise
    channel.basic_qos(prefetch_count=at_hand(settings))
    return channel


def at_hand(settings: Listen) -> int:
    """So many events the broker gives without an acknowledgement.

    Events of proposals that the portal does not give now are held, and others still come; documents may be large.
    """
    return min((1 if settings.body == "document" else _BATCHES_AT_HAND) * settings.most, _MOST_AT_HAND)


def bury(channel: BlockingChannel, settings: Listen, event: Event, reason: str) -> None:
    """Makes a message a dead letter, with its reason, and acknowledges it once the broker has it."""
    properties = event.properties
    properties.headers = {**(properties.headers or {}), REASON: reason}
    properties.delivery_mode = 2
    channel.basic_publish(f"DLX__{settings.queue}", "", event.body, properties)
    channel.basic_ack(event.tag)
