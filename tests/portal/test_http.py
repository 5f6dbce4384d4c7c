"""An export by URL, from a real HTTP server: what is sent, what is tried again, and what ends the run unwritten."""

import gzip
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
import trustme
from support.databases import Ispyb
from support.portal import Answer, UserPortal, breaks_off, goes_on, hangs, sends, user_portal
from support.small import CommandLine, Done, document, export, holds

import sync
from sync import api
from sync.api import Request
from sync.model.errors import NoSuchProposal, PortalError
from sync.model.settings import load_settings
from sync.portal import http, limits

TOKEN = "eyJhbGciOi.s3cret"
GOOD = sends([document(1)])


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short pauses, and no proxy of the machine in between."""
    monkeypatch.setattr(http, "PAUSE_SECONDS", 0.01)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")


def ask(command: CommandLine, portal: UserPortal, what: str = "portal:MX-1", **more: object) -> Done:
    """Validates what this portal sends; shows it as JSON."""
    settings(portal, **more)
    return command("validate", what, "--json")


def settings(portal: UserPortal, **more: object) -> None:
    values = {"url": f"{portal.url}/of/{{code}}/{{number}}?name={{proposal}}", "all_url": f"{portal.url}/all"} | more
    lines = [f"{name} = {json.dumps(value)}" for name, value in values.items()]
    Path("ispyb-sync.toml").write_text("\n".join(["[portal]", *lines]))


def read(done: Done) -> int:
    assert done.code == 0, done
    return int(json.loads(done.out)["documents"]["read"])


def assert_explained(done: Done, code: int, *words: str) -> None:
    """One error with a remedy, and nothing of the token."""
    assert done.code == code, done
    for word in words:
        assert word in done.err, done.err
    what, remedy = done.err.strip().split("\n")
    assert what.startswith("error: ")
    assert remedy.startswith("  ")
    assert "s3cret" not in done.err + done.out


def test_one_proposal_is_asked_for_by_its_parts(command: CommandLine) -> None:
    with user_portal(GOOD) as portal:
        assert read(ask(command, portal)) == 1
        ask(command, portal, "portal:M&M/2-1?x")
    assert portal.paths[0] == "/of/MX/1?name=MX-1"
    assert portal.paths[1] == "/of/M%26M%2F2/1%3Fx?name=M%26M%2F2-1%3Fx"


def test_everything_is_asked_for_by_a_url_of_its_own(command: CommandLine) -> None:
    with user_portal(sends(export(3))) as portal:
        assert read(ask(command, portal, "portal:all")) == 3
    assert portal.paths == ["/all"]


def test_plan_and_apply_take_it_and_history_keeps_its_name(command: CommandLine, dls: Ispyb) -> None:
    with user_portal(GOOD) as portal:
        settings(portal)
        planned = json.loads(command("plan", "portal:MX-1", "--json").out)
        assert planned["entities"]["person"]["inserted"] == 3
        assert holds(dls, 0)
        applied = command("apply", "portal:MX-1", "--json")
    assert applied.code == 0
    assert holds(dls, 1)
    run = json.loads(command("history", str(json.loads(applied.out)["run"]), "--json").out)
    assert run["export"] == "portal:MX-1"
    assert run["export_bytes"] > 0
    assert "portal" not in run["settings"]


def test_the_python_interface_takes_it(dls: Ispyb) -> None:
    with user_portal(GOOD) as portal:
        report = sync.plan(
            "portal:MX-1",
            database=dls.role_url,
            staging_schema=dls.staging_schema,
            portal={"url": portal.url + "/{proposal}"},
        )
    assert report.entities["proposal"].inserted == 1


def test_documents_of_other_proposals_are_not_taken(command: CommandLine, dls: Ispyb) -> None:
    """A portal that ignores what it was asked for would else have everything written by who asked for one proposal."""
    with user_portal(sends(export(2))) as portal:
        settings(portal)
        done = command("apply", "portal:MX-2", "--yes", "--json")
    assert done.code == 0
    assert json.loads(done.out)["entities"]["proposal"]["inserted"] == 1


def test_an_answer_without_the_proposal_is_told(command: CommandLine) -> None:
    with user_portal(sends(export(2))) as portal:
        done = ask(command, portal, "portal:MX-7")
    assert done.code == 1
    assert "no document of MX-7" in done.out


def test_a_number_alone_may_be_a_name_of_the_portals_own(command: CommandLine) -> None:
    """User Offices know proposals by a short code that documents do not carry."""
    with user_portal(GOOD) as portal:
        assert read(ask(command, portal, "portal:20230001")) == 1


def test_proposal_selects_from_it(command: CommandLine) -> None:
    with user_portal(sends(export(3))) as portal:
        settings(portal)
        done = command("plan", "portal:all", "--proposal", "MX-2", "--json")
    assert json.loads(done.out)["entities"]["proposal"]["staged"] == 1


def test_a_proposal_that_is_not_the_one_asked_for(command: CommandLine, dls: Ispyb) -> None:
    """Of the answer nothing could be taken."""
    with user_portal(GOOD) as portal:
        settings(portal)
        for verb in ("validate", "plan", "apply"):
            done = command(verb, "portal:MX-1", "--proposal", "MX-2", "--proposal", "mx-1")
            assert_explained(done, 2, "portal:MX-1 with --proposal MX-2", "asked for another proposal")
        assert portal.requests == []
        assert read(command("validate", "portal:MX-1", "--proposal", "mx-1", "--json")) == 1
        assert read(command("validate", "portal:20230001", "--proposal", "MX-1", "--json")) == 1


def test_the_token_is_sent_and_never_shown(command: CommandLine) -> None:
    Path("token").write_text(f"{TOKEN}\n")
    with user_portal(GOOD, sends(b"", 403)) as portal:
        done = ask(command, portal, token_file="token")
        refused = ask(command, portal, token_file="token")
    assert portal.requests[0][1]["Authorization"] == f"Bearer {TOKEN}"
    assert "s3cret" not in done.out + done.err
    assert_explained(refused, 3, "403 Forbidden", "token", "token_file")


@pytest.mark.parametrize("text", ["", "two words", "caf\u00e9", "Bearer x"])
def test_a_token_file_without_a_token(command: CommandLine, text: str) -> None:
    Path("token").write_text(text)
    with user_portal(GOOD) as portal:
        assert_explained(ask(command, portal, token_file="token"), 2, "token_file")
    assert portal.requests == []


def test_a_token_file_that_is_missing(command: CommandLine) -> None:
    with user_portal(GOOD) as portal:
        assert_explained(ask(command, portal, token_file="nowhere"), 2, "nowhere", "No such file")


def redirects(url: str) -> Answer:
    return sends(b"", 302, Location=url)


def test_a_redirect_on_the_same_host_keeps_the_token(command: CommandLine) -> None:
    Path("token").write_text(TOKEN)
    with user_portal(redirects("/elsewhere"), GOOD) as portal:
        assert read(ask(command, portal, token_file="token")) == 1
    assert portal.paths[1] == "/elsewhere"
    assert portal.requests[1][1]["Authorization"] == f"Bearer {TOKEN}"


def test_another_host_gets_no_token(command: CommandLine) -> None:
    Path("token").write_text(TOKEN)
    with user_portal(GOOD) as other, user_portal(redirects(f"{other.url}/x")) as portal:
        assert read(ask(command, portal, token_file="token")) == 1
    assert "Authorization" not in other.requests[0][1]


def test_redirects_without_an_end(command: CommandLine) -> None:
    with user_portal(redirects("/again")) as portal:
        assert_explained(ask(command, portal), 3, "redirects without an end")


def test_404_is_no_such_proposal(command: CommandLine) -> None:
    with user_portal(sends(b"<html>", 404)) as portal:
        assert_explained(ask(command, portal), 2, "portal:MX-1: no such proposal", "404")
        assert_explained(ask(command, portal, "portal:all"), 3, "404 Not Found", "all_url")
    assert len(portal.requests) == 2


def test_the_errors_of_python_tell_the_two_apart(dls: Ispyb) -> None:
    with user_portal(sends(b"", 404), sends(b"", 500)) as portal:
        more = {"staging_schema": dls.staging_schema, "portal": {"url": portal.url + "/{proposal}"}}
        with pytest.raises(NoSuchProposal):
            sync.plan("portal:MX-1", database=dls.role_url, **more)
        with pytest.raises(PortalError):
            sync.plan("portal:MX-1", database=dls.role_url, **more)


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_what_may_pass_is_tried_again(command: CommandLine, status: int) -> None:
    with user_portal(sends(b"", status), sends(b"", status), GOOD) as portal:
        assert read(ask(command, portal)) == 1
    assert len(portal.requests) == 3


def test_it_is_tried_a_few_times_only(command: CommandLine) -> None:
    with user_portal(sends(b"", 503)) as portal:
        assert_explained(ask(command, portal), 3, "503 Service Unavailable (4 attempts)", "Nothing was written")
    assert len(portal.requests) == 4


@pytest.mark.parametrize("status", [400, 401, 410, 202, 204])
def test_what_does_not_pass_is_not_tried_again(command: CommandLine, status: int) -> None:
    with user_portal(sends(b"", status)) as portal:
        assert_explained(ask(command, portal), 3, str(status))
    assert len(portal.requests) == 1


def in_seconds(seconds: int) -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


@pytest.mark.parametrize("after", ["1", in_seconds])
def test_retry_after_is_kept(command: CommandLine, after: object) -> None:
    value = after if isinstance(after, str) else in_seconds(2)  # a date has no fractions: between 1 and 2 seconds
    with user_portal(sends(b"", 429, Retry_After=value), GOOD) as portal:
        start = time.monotonic()
        assert read(ask(command, portal)) == 1
    assert time.monotonic() - start >= 0.95


def test_a_retry_after_that_is_too_long_is_told(command: CommandLine) -> None:
    with user_portal(sends(b"", 503, Retry_After="7200")) as portal:
        assert_explained(ask(command, portal), 3, "asks to wait for 7,200 s")
    assert len(portal.requests) == 1


@pytest.mark.parametrize("after", ["soon", "-5", "", "Mon, 99 Foo"])
def test_a_retry_after_that_says_nothing_is_none(command: CommandLine, after: str) -> None:
    with user_portal(sends(b"", 503, Retry_After=after), GOOD) as portal:
        assert read(ask(command, portal)) == 1


def test_nobody_listens(command: CommandLine) -> None:
    with user_portal(GOOD) as portal:
        pass
    assert_explained(ask(command, portal), 3, "cannot be reached", "4 attempts")


def test_a_connection_that_dies_in_the_middle_writes_nothing(command: CommandLine, dls: Ispyb) -> None:
    body = b"\n".join(json.dumps(document(number)).encode() for number in (1, 2))
    with user_portal(breaks_off(body, announced=len(body) + 100)) as portal:
        settings(portal)
        done = command("apply", "portal:all", "--yes")
    assert_explained(done, 3, "broke off after", "Nothing was written")
    assert holds(dls, 0)


def test_half_a_document_writes_nothing(command: CommandLine, dls: Ispyb) -> None:
    """An answer that says itself that it is whole."""
    body = b"\n".join(json.dumps(document(number)).encode() for number in (1, 2))
    for cut in (body[:-100], b"[" + body.replace(b"\n", b",")):
        with user_portal(sends(cut)) as portal:
            settings(portal)
            done = command("apply", "portal:all", "--yes")
        assert_explained(done, 3, "ends in the middle of a document", "Nothing was written")
    assert holds(dls, 0)


@pytest.mark.parametrize("headers", [{}, {"Content_Encoding": "gzip"}])
def test_gzip(command: CommandLine, headers: dict[str, str]) -> None:
    packed = gzip.compress(json.dumps(document(1)).encode())
    with user_portal(sends(packed, **headers)) as portal:
        assert read(ask(command, portal)) == 1
        portal.answers = [sends(packed[:-20], **headers)]
        assert_explained(ask(command, portal), 3, "gzip file ends too early", "Nothing was written")
    assert portal.requests[0][1]["Accept-Encoding"] == "gzip"


@pytest.mark.parametrize("documents", [1, 3])
@pytest.mark.parametrize("damage", [lambda packed: packed[:-9], lambda packed: packed[:-8] + bytes(8)])
def test_gzip_that_is_not_whole_writes_nothing(
    command: CommandLine, dls: Ispyb, documents: int, damage: Callable[[bytes], bytes]
) -> None:
    """Cut off, or with another checksum: exit 3, however many documents came through."""
    packed = gzip.compress(b"\n".join(json.dumps(document(number)).encode() for number in range(1, documents + 1)))
    with user_portal(sends(damage(packed))) as portal:
        settings(portal)
        done = command("apply", "portal:all", "--yes")
    assert_explained(done, 3, "gzip", "Nothing was written")
    assert holds(dls, 0)


def test_another_packing_is_not_guessed(command: CommandLine) -> None:
    with user_portal(sends(b"xx", Content_Encoding="br")) as portal:
        assert_explained(ask(command, portal), 3, "packs its answer as br")


def test_an_answer_that_is_no_export(command: CommandLine) -> None:
    with user_portal(sends(b"<html><title>Log in</title></html>"), sends(b"")) as portal:
        assert_explained(ask(command, portal), 2, "no document in it", "<html>")
        assert_explained(ask(command, portal), 2, "is empty")


def test_an_endless_answer(command: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MOST_BYTES_OF_ONE", 200_000)
    with user_portal(goes_on(json.dumps(document(1)).encode() + b"\n")) as portal:
        assert_explained(ask(command, portal), 3, "more than 200,000 bytes", "does not stop")


@pytest.fixture
def over() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def test_a_portal_that_does_not_answer(command: CommandLine, over: threading.Event) -> None:
    with user_portal(hangs(over)) as portal:
        done = ask(command, portal, timeout=0.1)
        over.set()
    assert_explained(done, 3, "did not answer within 0.1 s (4 attempts)")


def test_an_answer_that_hardly_moves(command: CommandLine, over: threading.Event) -> None:
    with user_portal(goes_on(b"[", lambda: over.wait(0.05))) as portal:
        done = ask(command, portal, timeout=0.2)
        over.set()
    assert_explained(done, 3, "nearly nothing for 0.2 s", "portal.timeout")


def test_an_answer_that_stops(command: CommandLine, over: threading.Event) -> None:
    part = json.dumps(document(1)).encode() + b"\n"
    with user_portal(goes_on(part, lambda: over.wait(20))) as portal:
        done = ask(command, portal, timeout=0.2)
        over.set()
    assert_explained(done, 3, "nearly nothing for 0.2 s")


def drips(over: threading.Event) -> Answer:
    """A head that comes letter by letter, each well within the timeout."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        while not over.wait(0.03):
            handler.wfile.write(b"x")
        handler.close_connection = True

    return answer


@pytest.mark.parametrize("encrypted", [False, True])
def test_a_head_that_drips(
    command: CommandLine,
    over: threading.Event,
    authority: trustme.CA,
    monkeypatch: pytest.MonkeyPatch,
    encrypted: bool,
) -> None:
    monkeypatch.setattr(http, "ATTEMPTS", 2)
    authority.cert_pem.write_to_path("ca.pem")
    with user_portal(drips(over), tls=served(authority, "127.0.0.1") if encrypted else None) as portal:
        done = ask(command, portal, timeout=0.3, ca="ca.pem")
        over.set()
    assert_explained(done, 3, "did not answer within 0.3 s (2 attempts)")


def test_a_deadline_ends_with_the_head(command: CommandLine, over: threading.Event) -> None:
    """A body may take longer, as long as it moves."""
    parts = [json.dumps(document(number)).encode() + b"\n" for number in range(1, 7)]

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(sum(map(len, parts))))
        handler.end_headers()
        for part in parts:
            handler.wfile.write(part)
            over.wait(0.1)

    with user_portal(answer) as portal:
        assert read(ask(command, portal, "portal:all", timeout=0.3)) == 6


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def served(authority: trustme.CA, name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


def test_tls_with_an_authority_of_its_own(command: CommandLine, authority: trustme.CA) -> None:
    authority.cert_pem.write_to_path("ca.pem")
    with user_portal(GOOD, tls=served(authority, "127.0.0.1")) as portal:
        assert read(ask(command, portal, ca="ca.pem")) == 1
        assert_explained(ask(command, portal), 3, "certificate that is not trusted", "portal.ca")
    with user_portal(GOOD, tls=served(authority, "portal.example.org")) as portal:
        assert_explained(ask(command, portal, ca="ca.pem"), 3, "certificate that is not trusted")


def test_what_is_encrypted_does_not_become_plain(command: CommandLine, authority: trustme.CA) -> None:
    authority.cert_pem.write_to_path("ca.pem")
    with (
        user_portal(GOOD) as plain,
        user_portal(redirects(plain.url), tls=served(authority, "127.0.0.1")) as portal,
    ):
        assert_explained(ask(command, portal, ca="ca.pem"), 3, "not encrypted")
    assert plain.requests == []


@pytest.mark.parametrize("text", ["", "no certificate"])
def test_an_authority_that_is_none(command: CommandLine, text: str) -> None:
    Path("ca.pem").write_text(text)
    with user_portal(GOOD) as portal:
        assert_explained(ask(command, portal, ca="ca.pem"), 2, "portal.ca ca.pem")
        assert_explained(ask(command, portal, ca="nowhere.pem"), 2, "portal.ca nowhere.pem")


def test_a_secret_in_the_query_is_not_shown(command: CommandLine) -> None:
    with user_portal(sends(b"", 500)) as portal:
        done = ask(command, portal, url=portal.url + "/{proposal}?key=s3cret")
    assert_explained(done, 3, f"{portal.url}/MX-1 answered 500")


def test_progress_shows_what_it_waits_for(dls: Ispyb) -> None:
    told: list[str] = []
    with user_portal(sends(b"", 503), GOOD) as portal:
        settings = load_settings(portal={"url": portal.url + "/{proposal}"})
        api.run(Request("validate", "portal:MX-1", settings, waits=told.append))
    assert told == [
        "waiting for 127.0.0.1",
        "127.0.0.1 answered 503 Service Unavailable: waiting 0 s before the next attempt",
        "waiting for 127.0.0.1, attempt 2 of 4",
        "reading from 127.0.0.1",
    ]
