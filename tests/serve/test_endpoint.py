"""What holds for every request, how the endpoint starts and how it stops."""

import json
import re
import signal
import socket
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import replace
from http.client import HTTPConnection
from pathlib import Path

import httpx
import pytest
from sqlalchemy import make_url
from support.databases import Ispyb
from support.endpoint import ORIGIN, ROOT, SYNC, Endpoint, run_held, serving, token, wait_for
from support.extras import uninstall
from support.issuer import AUDIENCE, issuing
from support.small import CommandLine, document, holds

from sync.serve.access import MOST_FAILURES
from sync.serve.server import MOST_CONNECTIONS

CLOSED = [
    ("POST", SYNC),
    ("POST", f"{ROOT}/userportalsync/sync_proposal"),
    ("POST", f"{ROOT}/exports"),
    ("POST", f"{ROOT}/proposals/MX-1/sync"),
    ("GET", f"{ROOT}/proposals/MX-1/sync"),
    ("GET", f"{ROOT}/proposals/MX-1/runs"),
    ("GET", f"{ROOT}/proposals/no~such~name/runs"),
    ("GET", f"{ROOT}/runs"),
    ("GET", f"{ROOT}/runs/1"),
    ("GET", f"{ROOT}/runs/none"),
]
OPEN = ["/", "/page.js", "/page.css", "/button.js", "/healthz", "/readyz", "/metrics", f"{ROOT}/openapi.json"]


@pytest.mark.parametrize(("method", "path"), CLOSED)
def test_without_a_token_nothing_is_told(endpoint: Endpoint, method: str, path: str) -> None:
    answer = httpx.request(method, endpoint.url + path)
    assert (answer.status_code, answer.json()) == (401, {"detail": "No token provided."})
    assert answer.headers["www-authenticate"] == "Bearer"


OF_GOOD_FORM = [asked for asked in CLOSED if not re.search("none|~", asked[1])]


@pytest.mark.parametrize(("method", "path"), OF_GOOD_FORM)
def test_without_the_permission_nothing_is_told_either(endpoint: Endpoint, dls: Ispyb, method: str, path: str) -> None:
    endpoint.client.post(SYNC, json=document(1))
    other = endpoint.with_token(token("manager", login="u1_0"))
    answer = other.request(method, path)
    assert (answer.status_code, answer.json()) == (403, {"detail": "Not Authorized"})
    assert "refused: 403, actor u1_0" in endpoint.log


@pytest.mark.parametrize("path", OPEN)
def test_what_is_open_holds_nobodys_data(endpoint: Endpoint, dls: Ispyb, path: str) -> None:
    endpoint.client.post(SYNC, json=document(1))
    answer = httpx.get(endpoint.url + path)
    assert answer.status_code == 200
    assert "u1_0" not in answer.text
    assert "Name 1." not in answer.text
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-frame-options"] == "DENY"
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


def test_answers_are_neither_kept_nor_framed_nor_sniffed(endpoint: Endpoint) -> None:
    for answer in (endpoint.client.get(f"{ROOT}/runs"), endpoint.client.get("/no/such/path")):
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-frame-options"] == "DENY"
        assert re.fullmatch("[0-9a-f]{32}", answer.headers["x-request-id"])
    answer = endpoint.client.get(f"{ROOT}/runs", headers={"X-Request-ID": "from-the-proxy"})
    assert answer.headers["x-request-id"] == "from-the-proxy"


def test_only_pages_of_named_origins_may_ask(endpoint: Endpoint, dls: Ispyb) -> None:
    foreign = endpoint.client.post(SYNC, json=document(1), headers={"Origin": "https://evil.example.org"})
    assert foreign.status_code == 403
    assert "access-control-allow-origin" not in foreign.headers
    assert holds(dls, 0)
    for origin in (ORIGIN, endpoint.url):
        assert endpoint.client.post(SYNC, json=document(1), headers={"Origin": origin}).status_code == 200
    wanted = "Access-Control-Request-"
    asked = {"Origin": ORIGIN, f"{wanted}Method": "POST", f"{wanted}Headers": "authorization"}
    preflight = httpx.options(f"{endpoint.url}{ROOT}/proposals/MX-1/sync", headers=asked)
    assert preflight.headers["access-control-allow-origin"] == ORIGIN
    assert "access-control-allow-credentials" not in preflight.headers


def test_past_runs_are_json_or_the_page(endpoint: Endpoint, dls: Ispyb) -> None:
    for number in (1, 2, 1):
        endpoint.client.post(SYNC, json=document(number))
    assert [run["run"] for run in endpoint.client.get(f"{ROOT}/runs").json()] == [3, 2, 1]
    assert [run["run"] for run in endpoint.client.get(f"{ROOT}/proposals/MX-1/runs").json()] == [3, 1]
    one = endpoint.client.get(f"{ROOT}/runs/1", headers={"Accept": "application/json"}).json()
    assert {"insert"} == {change["action"] for change in one["changes"]}
    page = endpoint.client.get(f"{ROOT}/runs/1", headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    assert page.headers["content-type"].startswith("text/html")
    assert "<h1>Run 1: apply" in page.text
    assert endpoint.client.get(f"{ROOT}/runs/99").status_code == 404
    assert endpoint.client.get(f"{ROOT}/runs/none").status_code == 422


def test_metrics_count_runs_and_requests(endpoint: Endpoint, dls: Ispyb) -> None:
    def metric(name: str) -> float:
        found = re.search(rf"^{re.escape(name)} (\S+)$", httpx.get(f"{endpoint.url}/metrics").text, re.MULTILINE)
        return float(found[1]) if found else 0

    names = [
        'ispyb_sync_runs_total{mode="apply",status="applied",trigger="http"}',
        'ispyb_sync_rows_total{action="inserted",entity="session"}',
        f'ispyb_sync_requests_total{{method="POST",route="{SYNC.removeprefix(ROOT)}",status="200"}}',
    ]
    before = [metric(name) for name in names]
    endpoint.client.post(SYNC, json=document(1))
    assert [metric(name) - was for name, was in zip(names, before, strict=True)] == [1, 2, 1]
    assert metric("ispyb_sync_last_success_timestamp_seconds") > 1e9


def test_a_stop_lets_what_is_at_work_end(dls: Ispyb, tmp_path: Path) -> None:
    with serving(dls, tmp_path) as running, ThreadPoolExecutor() as pool:
        idle = running.with_token(token("uportal_sync"))
        assert idle.get(f"{ROOT}/runs").status_code == 200
        with run_held(dls):
            answer = pool.submit(running.client.post, SYNC, json=document(1))
            wait_for(lambda: "1.0" in re.findall(r"at_work (\S+)", idle.get("/metrics").text))
            running.process.send_signal(signal.SIGTERM)
            wait_for(lambda: "stopping at SIGTERM" in running.log)
            try:
                late = httpx.post(running.url + SYNC, json=document(2), headers=dict(running.client.headers))
            except httpx.TransportError:
                pass  # it takes no connection any more
            else:
                assert late.status_code == 503
            assert not answer.done()
        assert answer.result().status_code == 200
        assert running.process.wait(20) == 0
    assert holds(dls, 1)
    assert not holds(dls, 2)


def test_while_the_database_is_away_all_are_told_to_come_again(dls: Ispyb, tmp_path: Path) -> None:
    away = make_url(dls.role_url).set(port=1).render_as_string(hide_password=False)
    with serving(replace(dls, role_url=away), tmp_path) as running:
        assert "the database cannot be used yet" in running.log

        host, _, port = running.url.removeprefix("http://").partition(":")
        headers = {"Authorization": f"Bearer {token('uportal_sync')}", "Content-Type": "application/json"}
        body = json.dumps(document(1))

        def ask(_: int) -> Counter[tuple[int, str | None]]:
            told: Counter[tuple[int, str | None]] = Counter()
            client = HTTPConnection(host, int(port), timeout=60)
            for _ in range(100):
                client.request("POST", SYNC, body, headers)
                answer = client.getresponse()
                answer.read()
                told[answer.status, answer.headers["Retry-After"]] += 1
            client.close()
            return told

        with ThreadPoolExecutor(10) as pool:
            assert sum(pool.map(ask, range(10)), Counter()) == {(503, "5"): 1000}
        running.portal_has("MX-1", [document(1)])
        for method, path in CLOSED[2:6]:
            answer = running.client.request(method, path, content=b"[]" if path.endswith("exports") else None)
            assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5"), path
        assert httpx.get(f"{running.url}/healthz").status_code == 200
        assert httpx.get(f"{running.url}/readyz").status_code == 503
        assert make_url(dls.role_url).password not in running.log


def test_an_issuers_token_opens_the_endpoint(dls: Ispyb, tmp_path: Path) -> None:
    with issuing() as issuer:
        auth = f'[auth]\nmode = "oidc"\nissuer = "{issuer.url}"\naudience = "{AUDIENCE}"\n'
        with serving(dls, tmp_path, settings=auth) as running:
            assert httpx.get(f"{running.url}/readyz").status_code == 200
            caller = running.with_token(issuer.token("uportal_sync"))
            assert caller.post(SYNC, json=document(1)).json()["report"]["actor"] == "alice"
            assert running.client.post(SYNC, json=document(1)).status_code == 401


def test_without_tokens_it_serves_this_machine_alone(dls: Ispyb, tmp_path: Path) -> None:
    with serving(dls, tmp_path, "--no-auth") as running:
        anyone = running.with_token(None)
        assert anyone.get(f"{ROOT}/runs").status_code == 200
        assert anyone.get(f"{ROOT}/runs", headers={"Host": "sync.example.org"}).status_code == 403


@pytest.mark.parametrize(
    ("flags", "env", "words"),
    [
        ([], {}, "auth is not set"),
        (["--no-auth"], {"SERVE__HOST": "0.0.0.0"}, "--no-auth, and serve.host is 0.0.0.0"),
        (["--no-auth"], {"AUTH__MODE": "shared"}, "--no-auth, and auth.mode is set"),
        ([], {"AUTH__MODE": "shared", "AUTH__SECRET_FILE": "none"}, "auth.secret_file: No such file"),
        ([], {"AUTH__MODE": "shared", "AUTH__SECRET": "x"}, "auth.SECRET"),
        ([], {"AUTH__MODE": "magic"}, "auth.mode"),
        (["--no-auth"], {"SERVE__MOST": "0"}, "serve.most"),
        (["--no-auth"], {"SERVE__ORIGINS": '["*"]'}, "serve.origins"),
        (["--no-auth"], {"SERVE__PROXIES": '["proxy.example.org"]'}, "serve.proxies"),
        (["--no-auth"], {"SERVE__PORT": "{taken}"}, "serve.port"),
        (["--no-auth"], {"DATABASE": "{unset}"}, "no database is set"),
    ],
)
def test_settings_that_cannot_work_are_refused_at_start(
    command: CommandLine,
    endpoint: Endpoint,
    monkeypatch: pytest.MonkeyPatch,
    flags: list[str],
    env: dict[str, str],
    words: str,
) -> None:
    for name, value in env.items():
        if value == "{unset}":
            monkeypatch.delenv(f"ISPYB_SYNC_{name}")
        else:
            monkeypatch.setenv(f"ISPYB_SYNC_{name}", value.replace("{taken}", endpoint.url.rpartition(":")[2]))
    done = command("serve", *flags)
    assert done.code == 2
    assert words.lower() in done.err.lower()


def address(endpoint: Endpoint) -> tuple[str, int]:
    host, _, port = endpoint.url.removeprefix("http://").partition(":")
    return host, int(port)


def whole_answer(client: socket.socket) -> bytes:
    """An answer whose body is a JSON object."""
    client.settimeout(20)
    answer = b""
    while not answer.endswith(b"}"):
        answer += client.recv(10_000)
    return answer


@pytest.mark.parametrize("before", ["", "a request"])
@pytest.mark.parametrize("sent", ["", "a byte now and then"])
def test_a_client_that_sends_no_whole_head_is_not_waited_for(impatient: Endpoint, before: str, sent: str) -> None:
    with socket.create_connection(address(impatient)) as client:
        if before:
            client.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert whole_answer(client).startswith(b"HTTP/1.1 200")
        client.settimeout(0.2)
        started, answer = time.monotonic(), None
        while answer is None and time.monotonic() - started < 10:
            if sent:
                client.sendall(b"G")
            with suppress(TimeoutError):
                answer = client.recv(1000)
    assert 0.5 < time.monotonic() - started < 4
    assert answer is not None
    assert answer.startswith(b"HTTP/1.1 408") if sent else answer == b""


def test_a_head_in_pieces_is_waited_for_in_each_request(impatient: Endpoint, dls: Ispyb) -> None:
    body = json.dumps(document(1)).encode()
    head = f"POST {SYNC} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token('uportal_sync')}\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection(address(impatient)) as client:
        client.settimeout(20)
        for _ in range(3):
            client.sendall(head[:50].encode())
            time.sleep(0.5)
            with run_held(dls):
                client.sendall(head[50:].encode() + body)
                assert whole_answer(client).startswith(b"HTTP/1.1 503")


def test_too_many_connections_are_told_to_come_again(endpoint: Endpoint) -> None:
    with ExitStack() as opened:
        for _ in range(MOST_CONNECTIONS):
            opened.enter_context(socket.create_connection(address(endpoint)))
        answer = httpx.get(f"{endpoint.url}/healthz")
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    wait_for(lambda: httpx.get(f"{endpoint.url}/healthz").status_code == 200)


def failed(endpoint: Endpoint, *clients: str) -> list[int]:
    """The codes of attempts that a proxy on this machine passes on for these clients."""
    with endpoint.with_token("forged") as proxy:
        asked = [{"X-Forwarded-For": f"198.51.100.9, {client}"} for client in clients]
        return [proxy.get(f"{ROOT}/runs", headers=headers).status_code for headers in asked]


def test_behind_a_proxy_each_client_has_its_own_failures(endpoint: Endpoint) -> None:
    assert failed(endpoint, *["203.0.113.1"] * (MOST_FAILURES + 1)) == [401] * MOST_FAILURES + [429]
    assert failed(endpoint, "203.0.113.2") == [401]
    assert endpoint.client.get(f"{ROOT}/runs").status_code == 200
    assert "from 203.0.113.1," in endpoint.log


def test_a_client_that_is_no_proxy_cannot_say_that_it_is_another(impatient: Endpoint) -> None:
    codes = failed(impatient, *(f"203.0.113.{number}" for number in range(MOST_FAILURES + 1)))
    assert codes == [401] * MOST_FAILURES + [429]


def test_without_the_extra_the_command_says_what_to_install(
    command: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    uninstall(monkeypatch, "sync.serve", "fastapi")
    done = command("serve")
    assert done.code == 2
    assert "pip install 'ispyb-sync[serve]'" in done.err
