"""The consumer on a real RabbitMQ: events of the User Office become runs, and nothing is lost on the way."""

import gzip
import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pika
import pytest
from pika.adapters.blocking_connection import BlockingChannel
from support.databases import Ispyb
from support.endpoint import PORTAL, run_held, wait_for, waits_for_its_turn
from support.extras import uninstall
from support.killing import forked, wait_until_gone
from support.rabbit import Rabbit, rabbit
from support.small import CommandLine, document, holds, run, trigger

from sync.database import retry
from sync.history import runs as history
from sync.listen import consumer as consuming
from sync.listen.broker import REASON, declared
from sync.listen.consumer import Consumer
from sync.listen.events import Asked, Event, asked_by
from sync.listen.health import health
from sync.listen.work import work
from sync.model.errors import UsageError
from sync.model.settings import SETTINGS_FILE, Settings, load_settings

EXCHANGE, QUEUE = "user_office_backend.fanout", "ispyb_sync.proposals"
TO_4 = range(1, 5)
BASIC = '[listen]\nurl_file = "amqp"\nquiet = 0.2\nport = 0\n'


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rabbit]:
    with rabbit(tmp_path_factory.mktemp("rabbit")) as running:
        yield running


@pytest.fixture
def settings(command: CommandLine, dls: Ispyb, broker: Rabbit) -> Settings:
    """Those of a consumer with empty queues, in a folder of its own."""
    Path("amqp").write_text(broker.url + "\n")
    loaded = configured()
    with broker.channel() as channel:
        for name in (QUEUE, f"DL__{QUEUE}"):
            channel.queue_delete(name)
        declared(channel.connection, loaded.listen)
    return loaded


def configured(more: str = "", basic: str = BASIC) -> Settings:
    Path(SETTINGS_FILE).write_text(basic + more + PORTAL)
    return load_settings(lock_timeout=0)


def portal_has(*numbers: int) -> None:
    for number in numbers:
        Path(f"portal:MX-{number}").write_text(json.dumps(document(number)))


def publish(broker: Rabbit, name: str, *bodies: Any) -> None:
    """As user-office-core does: the name in `type`, persistent, no content type, milliseconds."""
    properties = pika.BasicProperties(type=name, delivery_mode=2, timestamp=int(time.time() * 1000))
    with broker.channel() as channel:
        channel.confirm_delivery()
        for body in bodies:
            sent = body if isinstance(body, bytes) else json.dumps(body).encode()
            channel.basic_publish(EXCHANGE, "", sent, properties)


def proposal(number: int) -> dict[str, Any]:
    return {
        "proposalPk": number,
        "shortCode": f"MX-{number}",
        "title": "t",
        "callId": 1,
        "submitted": True,
        "members": [],
    }


def once(settings: Settings) -> None:
    Consumer(settings, once=True).run()


@contextmanager
def consuming_in_thread(settings: Settings) -> Iterator[Consumer]:
    consumer = Consumer(settings, once=False)
    with ThreadPoolExecutor(1) as pool:
        ended = pool.submit(consumer.run)
        try:
            yield consumer
        finally:
            consumer.stop()
            ended.result(60)


def left(broker: Rabbit, queue: str = QUEUE) -> int:
    with broker.channel() as channel:
        return int(channel.queue_declare(queue, passive=True).method.message_count)


def dead(broker: Rabbit) -> dict[bytes, str]:
    found = {}
    with broker.channel() as channel:
        while True:
            method, properties, body = channel.basic_get(f"DL__{QUEUE}", auto_ack=True)
            if method is None:
                return found
            found[body] = properties.headers[REASON]


def past(dls: Ispyb, settings: Settings) -> list[history.Run]:
    return history.runs(dls.role_url, settings)


def test_what_was_gathered_is_one_pull_for_each_proposal_and_one_run(
    broker: Rabbit, settings: Settings, dls: Ispyb
) -> None:
    portal_has(1, 2)
    publish(broker, "PROPOSAL_UPDATED", *[proposal(1)] * 30)
    publish(broker, "VISIT_CREATED", {"id": 4, "proposal": proposal(2)})
    publish(broker, "PROPOSAL_ACCEPTED", proposal(1))
    once(settings)
    assert holds(dls, 2)
    (only,) = past(dls, settings)
    assert (only.report.trigger, only.report.actor) == ("broker", "PROPOSAL_ACCEPTED, PROPOSAL_UPDATED, VISIT_CREATED")
    assert (only.export, only.report.documents_read) == ("proposals of the User Portal: 2", 2)
    assert left(broker) == 0


def test_other_events_are_acknowledged_and_never_shown(
    broker: Rabbit, settings: Settings, dls: Ispyb, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("sync.listen"), "propagate", True)
    caplog.set_level(logging.DEBUG)
    publish(broker, "USER_UPDATED", {"id": 1, "refreshToken": "hunter2"})
    publish(broker, "CALL_CREATED", b"not even json hunter2")
    publish(broker, "PROPOSAL_UPDATED", b"hunter2")
    once(settings)
    assert left(broker) == 0
    assert dead(broker) == {b"hunter2": "the body is not JSON"}
    assert past(dls, settings) == []
    assert "hunter2" not in caplog.text


def test_what_cannot_be_used_is_a_dead_letter_with_its_reason(broker: Rabbit, settings: Settings, dls: Ispyb) -> None:
    portal_has(1)
    bodies = [
        b"{",
        b"[]",
        b'{"shortCode": null}',
        b'{"shortCode": "../../x"}',
        b'{"shortCode": "MX-1; rm -rf"}',
        b"\xff",
    ]
    publish(broker, "PROPOSAL_UPDATED", *bodies, proposal(1))
    Path("portal:MX-9").write_text("<html>")
    Path("portal:MX-8").write_text(json.dumps(document(1)))
    publish(broker, "PROPOSAL_UPDATED", b'{"shortCode": "MX-9"}', b'{"shortCode": "MX-8"}')
    once(settings)
    found = dead(broker)
    assert set(found) == {*bodies, b'{"shortCode": "MX-9"}', b'{"shortCode": "MX-8"}'}
    assert found[b'{"shortCode": "MX-8"}'] == "the User Portal sent nothing of this proposal"
    assert found[b'{"shortCode": null}'] == "the body names no proposal at shortCode"
    assert found[b'{"shortCode": "../../x"}'] == "what stands at shortCode is no name of a proposal"
    assert "there is no document in it" in found[b'{"shortCode": "MX-9"}']
    assert holds(dls, 1)
    assert left(broker) == 0


def test_bodies_can_be_documents_of_any_form_and_are_then_one_run(
    broker: Rabbit, settings: Settings, dls: Ispyb
) -> None:
    def text(number: int, **form: Any) -> bytes:
        return json.dumps(document(number), **form).encode()

    sent = [text(1), text(2, indent=2), b"[" + text(3) + b"]", gzip.compress(text(4)), b"\xef\xbb\xbf" + text(5)]
    refused = json.dumps({"proposal": document(6, persons=[])["proposal"] | {"labcontacts": []}}).encode()
    two = text(7) + text(8)
    for first in (0, 2, 3):  # whatever form comes first
        publish(broker, "PROPOSAL_UPDATED", *sent[first:], *sent[:first], refused, b"{", two)
        once(configured('body = "document"\n'))
        assert holds(dls, 5)
        assert set(dead(broker)) == {b"{", two}  # what was refused is acknowledged: history holds it
        assert left(broker) == 0
    assert [run.report.documents_read for run in past(dls, settings)] == [6, 6, 6]


def test_a_document_that_cannot_be_read_whole_has_a_run_of_its_own(
    broker: Rabbit, settings: Settings, dls: Ispyb
) -> None:
    odd = document(2)
    odd["proteins"] = 5
    publish(broker, "PROPOSAL_UPDATED", document(1), odd, document(3))
    once(configured('body = "document"\n'))
    assert dead(broker) == {}
    assert [run.report.documents_read for run in past(dls, settings)] == [1, 2]
    assert [refusal.code for refusal in past(dls, settings)[0].report.refusals] == ["invalid_document"]
    assert holds(dls, 2)


@pytest.mark.parametrize(
    ("more", "code", "words"),
    [
        ("", 2, "is not told where the User Portal is"),
        ('[portal]\ncommand = ["no-such-program", "{proposal}"]\n', 2, "cannot start the command"),
        ('[portal]\nurl = "http://127.0.0.1:1/{proposal}"\ntoken_file = "none"\n', 2, "portal.token_file none"),
        ('[portal]\nurl = "https://127.0.0.1:1/{proposal}"\nca = "none"\n', 2, "portal.ca none"),
    ],
)
def test_what_is_wrong_with_the_settings_stops_the_consumer_and_buries_nothing(
    broker: Rabbit, settings: Settings, command: CommandLine, more: str, code: int, words: str
) -> None:
    Path(SETTINGS_FILE).write_text(BASIC + more)
    publish(broker, "PROPOSAL_UPDATED", proposal(1), proposal(2))
    done = command("listen")
    assert (done.code, words in done.err) == (code, True), done.err
    wait_for(lambda: left(broker) == 2)
    assert dead(broker) == {}


def test_a_tool_schema_of_another_ispyb_stops_the_consumer_and_buries_nothing(
    broker: Rabbit, settings: Settings, dls: Ispyb, command: CommandLine
) -> None:
    portal_has(1, 2)
    publish(broker, "PROPOSAL_UPDATED", proposal(1), proposal(2))
    run(dls, f"UPDATE `{dls.staging_schema}`.served SET schema_name = CONCAT('not_', schema_name)")
    try:
        done = command("listen")
    finally:
        run(dls, f"UPDATE `{dls.staging_schema}`.served SET schema_name = SUBSTR(schema_name, 5)")
    assert (done.code, " serves not_" in done.err) == (2, True), done.err
    wait_for(lambda: left(broker) == 2)
    assert dead(broker) == {}
    assert command("listen", "--once").code == 0
    assert holds(dls, 2)


def test_a_limit_holds_only_what_goes_beyond_it(
    broker: Rabbit, settings: Settings, dls: Ispyb, command: CommandLine
) -> None:
    portal_has(1, 2)
    publish(broker, "PROPOSAL_UPDATED", proposal(1), proposal(2))
    once(settings)
    fewer = document(1)
    fewer["proposal"]["persons"] = fewer["proposal"]["persons"][:1]
    Path("portal:MX-1").write_text(json.dumps(fewer))
    Path("portal:MX-2").write_text(json.dumps(document(2, title="another")))
    publish(broker, "PROPOSAL_UPDATED", proposal(1), proposal(2))
    Path(SETTINGS_FILE).write_text('prune = "owned"\nprune_limit = 1\n' + BASIC + PORTAL)
    done = command("listen", "--once")
    assert done.code == 4
    assert "portal:MX-2" in {run.export for run in past(dls, settings)}
    wait_for(lambda: left(broker) == 1)
    assert dead(broker) == {}
    assert holds(dls, 2)


def test_with_strict_one_refusal_does_not_take_the_others_back(
    broker: Rabbit, settings: Settings, dls: Ispyb, command: CommandLine
) -> None:
    portal_has(1, 2)
    Path("portal:MX-3").write_text(json.dumps(document(3, persons=[])))
    publish(broker, "PROPOSAL_UPDATED", *map(proposal, (1, 3, 2)))
    Path(SETTINGS_FILE).write_text("strict = true\n" + BASIC + PORTAL)
    assert command("listen", "--once").code == 0
    assert holds(dls, 2)
    assert left(broker) == 0


def test_a_proposal_that_the_portal_does_not_give_holds_no_other(
    broker: Rabbit, settings: Settings, dls: Ispyb, command: CommandLine
) -> None:
    portal_has(1, 2)
    with consuming_in_thread(settings) as consumer:
        publish(broker, "PROPOSAL_UPDATED", *map(proposal, (1, 7, 2)))
        wait_for(lambda: holds(dls, 2))
        wait_for(lambda: "1 held: " in consumer.state()[1])
        assert consumer.state()[0]
        portal_has(3)
        publish(broker, "PROPOSAL_UPDATED", *map(proposal, (7, 3)))
        wait_for(lambda: holds(dls, 3))
        portal_has(7)
        wait_for(lambda: holds(dls, 4))
        wait_for(lambda: consumer.state() == (True, "listening"))
    assert left(broker) == 0
    assert dead(broker) == {}


def test_what_the_database_always_fails_at_holds_no_other(
    command: CommandLine, dls: Ispyb, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a failure each proposal has a run of its own; of two in a row it is the database that fails."""
    monkeypatch.setattr(retry, "ATTEMPTS", 1)
    loaded = configured()
    portal_has(1, 2, 3, 4)
    asked = [asked_by(Event(number, "", json.dumps(proposal(number)).encode(), None), loaded.listen) for number in TO_4]
    fails = "IF NEW.proposalNumber = '2' THEN SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = 1213; END IF"
    with trigger(dls, "BEFORE INSERT ON Proposal", fails):
        together = work(asked[:3], loaded, alone=False)
        assert (together.done, together.away is not None, len(together.held)) == ([], True, 3)
        apart = work(asked[:3], loaded, alone=True)
        assert ([event.tag for event in apart.done], apart.away, len(apart.held)) == ([1, 3], None, 1)
        again = work([apart.held[0][0], asked[3]], loaded, alone=False)
        assert ([event.tag for event in again.done], again.away, len(again.held)) == ([4], None, 1)
    assert holds(dls, 3)
    with trigger(dls, "BEFORE INSERT ON Proposal", fails.replace("= '2'", "<> '0'")):
        portal_has(5, 6)
        new = [Asked("MX-5"), Asked("MX-6"), Asked("MX-7")]
        away = work([*new], loaded, alone=True)
    assert (away.away is not None, [one for one, _ in away.held], away.untried) == (True, new[:2], new[2:])


def test_after_three_in_a_row_others_wait_a_moment_and_then_come_first(
    broker: Rabbit, settings: Settings, dls: Ispyb, command: CommandLine
) -> None:
    portal_has(11)
    with consuming_in_thread(settings) as consumer:
        publish(broker, "PROPOSAL_UPDATED", *map(proposal, (8, 9, 10, 11)))
        wait_for(lambda: consumer.state()[1].startswith("listening; 4 held: "))
        assert not consumer.state()[0]
        wait_for(lambda: holds(dls, 1))
    wait_for(lambda: left(broker) == 3)


def test_with_once_what_the_portal_does_not_give_stays_and_the_others_go(
    broker: Rabbit, settings: Settings, dls: Ispyb, command: CommandLine
) -> None:
    portal_has(5, 6)
    publish(broker, "PROPOSAL_UPDATED", *map(proposal, (1, 2, 5, 3, 4, 6)))
    done = command("listen", "--once")
    assert done.code == 3
    assert "the command cat failed" in done.err
    assert holds(dls, 2)
    wait_for(lambda: left(broker) == 4)


def test_with_once_it_ends_although_the_broker_has_more_than_can_be_held(
    broker: Rabbit, settings: Settings, command: CommandLine
) -> None:
    publish(broker, "PROPOSAL_UPDATED", *[proposal(1)] * 12)
    configured("most = 1\n")
    assert command("listen", "--once").code == 3
    wait_for(lambda: left(broker) == 12)


def test_an_event_that_would_ask_for_everything_is_a_dead_letter(
    broker: Rabbit, settings: Settings, dls: Ispyb
) -> None:
    Path("portal:all").write_text(json.dumps(document(1)))
    publish(broker, "PROPOSAL_UPDATED", b'{"shortCode": "all"}')
    once(settings)
    assert list(dead(broker)) == [b'{"shortCode": "all"}']
    assert holds(dls, 0)


def test_killed_before_the_acknowledgement_it_applies_again_which_changes_nothing(
    broker: Rabbit, settings: Settings, dls: Ispyb, monkeypatch: pytest.MonkeyPatch
) -> None:
    portal_has(1)
    publish(broker, "PROPOSAL_UPDATED", proposal(1))

    def killed() -> None:
        def die(*_: object, **__: object) -> None:
            os.kill(os.getpid(), signal.SIGKILL)

        BlockingChannel.basic_ack = die
        once(settings)

    assert os.WIFSIGNALED(os.waitpid(forked(killed), 0)[1])
    wait_until_gone(dls)
    assert holds(dls, 1)
    wait_for(lambda: left(broker) == 1)
    once(settings)
    assert left(broker) == 0
    assert [run.report.nothing_to_do for run in past(dls, settings)] == [True, False]


def test_what_cannot_be_done_now_is_held_longer_than_the_broker_waits(
    broker: Rabbit, settings: Settings, dls: Ispyb, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database by another run, the portal by one proposal; the broker closes the channel meanwhile."""
    channels: list[BlockingChannel] = []

    def counted(*given: Any) -> BlockingChannel:
        channels.append(declared(*given))
        return channels[-1]

    monkeypatch.setattr(consuming, "declared", counted)
    portal_has(1)
    publish(broker, "PROPOSAL_UPDATED", proposal(1), proposal(2))
    with consuming_in_thread(settings) as consumer, health(settings.listen, consumer.state) as port:
        with run_held(dls):
            wait_for(lambda: httpx.get(f"http://127.0.0.1:{port}/readyz").status_code == 503 and _is_held(port))
            wait_for(lambda: len(channels) == 2)
            assert httpx.get(f"http://127.0.0.1:{port}/healthz").status_code == 200
        wait_for(lambda: holds(dls, 1))
        portal_has(2)
        wait_for(lambda: holds(dls, 2))
        wait_for(lambda: httpx.get(f"http://127.0.0.1:{port}/readyz").json() == {"status": "listening"})
        metrics = httpx.get(f"http://127.0.0.1:{port}/metrics").text
    assert f'ispyb_sync_events_total{{queue="{QUEUE}",status="applied"}}' in metrics
    for status in ("applied", "failed"):
        assert f'ispyb_sync_runs_total{{mode="apply",status="{status}",trigger="broker"}}' in metrics
    assert left(broker) == 0
    assert dead(broker) == {}


def _is_held(port: int) -> bool:
    return str(httpx.get(f"http://127.0.0.1:{port}/readyz").json()["status"]).startswith("held: another run")


def test_with_once_what_is_away_ends_it_and_the_events_stay(
    broker: Rabbit, settings: Settings, command: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    portal_has(1)
    publish(broker, "PROPOSAL_UPDATED", proposal(1))
    with monkeypatch.context() as away:
        away.setenv("ISPYB_SYNC_DATABASE", "mysql+pymysql://nobody@127.0.0.1:1/ispyb")
        assert command("listen", "--once").code == 3
    wait_for(lambda: left(broker) == 1)
    Path("portal:MX-1").rename("away")
    assert command("listen", "--once").code == 3
    Path("away").rename("portal:MX-1")
    wait_for(lambda: left(broker) == 1)
    assert command("listen", "--once").code == 0
    assert left(broker) == 0


def test_a_queue_with_other_arguments_is_an_error_that_says_what_to_do(broker: Rabbit, settings: Settings) -> None:
    with broker.channel() as channel:
        channel.queue_delete(QUEUE)
        channel.queue_declare(QUEUE, durable=True)
    with pytest.raises(UsageError, match="other arguments") as caught:
        once(settings)
    assert f"rabbitmqctl delete_queue {QUEUE}" in str(caught.value)
    with broker.channel() as channel:
        channel.queue_delete(QUEUE)


def test_of_two_consumers_the_second_gets_nothing_as_long_as_the_first_is_there(
    broker: Rabbit, settings: Settings
) -> None:
    came: dict[str, list[bytes]] = {"first": [], "second": []}

    def wait(channel: BlockingChannel, name: str, *bodies: bytes) -> None:
        channel.basic_consume(QUEUE, lambda _channel, _delivery, _properties, body: came[name].append(body))
        wait_for(lambda: channel.connection.process_data_events(0) or came[name] == list(bodies))

    with broker.channel() as second:
        with broker.channel() as first:
            wait(first, "first")
            wait(second, "second")
            publish(broker, "PROPOSAL_UPDATED", b"1", b"2", b"3")
            wait_for(lambda: first.connection.process_data_events(0) or came["first"] == [b"1", b"2", b"3"])
            second.connection.process_data_events(0.2)
            assert came["second"] == []
        wait_for(lambda: second.connection.process_data_events(0) or came["second"] == [b"1", b"2", b"3"])


def test_of_two_consumers_one_works_and_the_other_takes_over(broker: Rabbit, settings: Settings, dls: Ispyb) -> None:
    portal_has(1, 2)
    with consuming_in_thread(settings) as first, consuming_in_thread(settings) as second:
        wait_for(lambda: first.state()[0] and second.state()[0])
        publish(broker, "PROPOSAL_UPDATED", proposal(1))
        wait_for(lambda: holds(dls, 1))
        first.stop()
        publish(broker, "PROPOSAL_UPDATED", proposal(2))
        wait_for(lambda: holds(dls, 2))
    assert len(past(dls, settings)) == 2
    assert left(broker) == 0


def test_a_broker_that_comes_back_is_listened_to_again(broker: Rabbit, settings: Settings, dls: Ispyb) -> None:
    portal_has(1, 2)
    with consuming_in_thread(settings) as consumer:
        wait_for(lambda: consumer.state()[0])
        publish(broker, "PROPOSAL_UPDATED", proposal(1))
        wait_for(lambda: holds(dls, 1))
        publish(broker, "PROPOSAL_UPDATED", proposal(3))
        wait_for(lambda: "1 held" in consumer.state()[1])
        broker.kill()
        wait_for(lambda: consumer.state() == (False, "the broker is away"))
        with pytest.raises(consuming.BrokerAway):
            once(settings)
        broker.start()
        publish(broker, "PROPOSAL_UPDATED", proposal(2))
        wait_for(lambda: holds(dls, 2))
        portal_has(3)  # whose event was not acknowledged when the broker was killed
        wait_for(lambda: holds(dls, 3))
    assert left(broker) == 0


def test_a_stop_of_the_process_lets_what_is_at_work_end(broker: Rabbit, settings: Settings, dls: Ispyb) -> None:
    portal_has(1)
    publish(broker, "PROPOSAL_UPDATED", proposal(1))
    with open("log", "wb") as log:
        env = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
        process = subprocess.Popen([sys.executable, "-m", "sync.cli", "listen"], env=env, stderr=log)
    try:
        with run_held(dls):
            wait_for(lambda: waits_for_its_turn(dls) or process.poll() is not None)
            process.send_signal(signal.SIGTERM)
            time.sleep(0.3)
            assert process.poll() is None
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
    assert holds(dls, 1)
    assert left(broker) == 0
    assert "run 1: applied, for 1 events (PROPOSAL_UPDATED)" in Path("log").read_text()
    assert "Traceback" not in Path("log").read_text()


def test_without_the_extra_the_command_says_what_to_install(
    command: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    uninstall(monkeypatch, "sync.listen", "pika")
    done = command("listen")
    assert done.code == 2
    assert "pip install 'ispyb-sync[listen]'" in done.err


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "No such file"),
        ("http://127.0.0.1/", "no URL of a broker"),
        ("amqp://guest:wrong@127.0.0.1:{port}/%2F", "refuses the account"),
    ],
)
def test_settings_that_cannot_work_are_told(
    settings: Settings, broker: Rabbit, command: CommandLine, content: str | None, words: str
) -> None:
    Path("amqp").unlink()
    if content is not None:
        Path("amqp").write_text(content.replace("{port}", str(broker.port)))
    done = command("listen", "--once")
    assert done.code == 2
    assert words in done.err
    assert "wrong" not in done.err
