"""A whole facility in one request: received whole, applied once, told as it goes."""

import gzip
import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import httpx
import pytest
from support.databases import Ispyb
from support.endpoint import ROOT, SYNC, Endpoint, run_held, token, wait_for, waits_for_its_turn
from support.small import document, export, holds

EXPORTS = f"{ROOT}/exports"


def ndjson(documents: list[dict[str, Any]]) -> bytes:
    return "\n".join(map(json.dumps, documents)).encode()


def events(answer: httpx.Response) -> list[tuple[str, Any]]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/event-stream")
    found = []
    for block in answer.text.split("\n\n"):
        if block.startswith("event: "):
            name, data = block.split("\n", 1)
            found.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return found


@pytest.mark.parametrize("packed", [False, True])
def test_an_export_is_applied_and_its_report_is_the_last_event(endpoint: Endpoint, dls: Ispyb, packed: bool) -> None:
    body = ndjson(export(3))
    told = events(endpoint.client.post(EXPORTS, content=gzip.compress(body) if packed else body))
    assert {name for name, _ in told[:-1]} <= {"progress"}
    name, report = told[-1]
    assert (name, report["documents"]["read"], report["trigger"]) == ("report", 3, "http")
    assert holds(dls, 3)


def test_what_is_no_export_is_told_as_an_error(endpoint: Endpoint, dls: Ispyb) -> None:
    *_, (name, told) = events(endpoint.client.post(EXPORTS, content=b"<html>"))
    assert (name, told["status"]) == ("error", 400)
    assert "there is no document in it" in told["detail"]
    # Nothing is at work any more.
    assert events(endpoint.client.post(EXPORTS, content=ndjson(export(1))))[-1][0] == "report"


def test_one_export_at_a_time(endpoint: Endpoint, dls: Ispyb) -> None:
    with ThreadPoolExecutor() as pool:
        with run_held(dls):
            first = pool.submit(endpoint.client.post, EXPORTS, content=ndjson(export(2)))
            wait_for(lambda: waits_for_its_turn(dls))
            assert endpoint.client.post(EXPORTS, content=ndjson(export(1))).status_code == 409
        assert events(first.result())[-1][0] == "report"
    assert holds(dls, 2)


def test_who_hangs_up_ends_the_answer_and_not_the_run(endpoint: Endpoint, dls: Ispyb) -> None:
    with run_held(dls):
        with endpoint.client.stream("POST", EXPORTS, content=ndjson(export(2))) as answer:
            assert answer.status_code == 200
            wait_for(lambda: waits_for_its_turn(dls))
        with pytest.raises(httpx.ReadTimeout):
            endpoint.client.post(SYNC, json=document(3), timeout=0.5)
    wait_for(lambda: holds(dls, 3))
    wait_for(lambda: len(endpoint.client.get(f"{ROOT}/runs").json()) == 2)
    assert {run["actor"] for run in endpoint.client.get(f"{ROOT}/runs").json()} == {"portal"}


@pytest.mark.parametrize("path", [EXPORTS, SYNC])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_large_body_is_413(endpoint: Endpoint, dls: Ispyb, path: str, chunked: bool) -> None:
    size = 60_000_000
    block = b" " * 1_000_000
    content: Any = (block for _ in range(60)) if chunked else b" " * size
    answer = endpoint.client.post(path, content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code == 413
    assert "MB" in answer.json()["detail"]


def test_a_bomb_is_413(impatient: Endpoint, dls: Ispyb) -> None:
    blanks = gzip.compress(b" " * 60_000_000)
    for bomb in (blanks, gzip.compress(ndjson(export(1))) + b"\0" * 600 + blanks):
        assert len(bomb) < 100_000
        assert impatient.client.post(EXPORTS, content=bomb).status_code == 413


@pytest.mark.parametrize("path", [EXPORTS, SYNC])
def test_who_hangs_up_within_the_body_starts_no_run(endpoint: Endpoint, dls: Ispyb, path: str) -> None:
    body = ndjson(export(1))
    host, _, port = endpoint.url.removeprefix("http://").partition(":")
    head = f"POST {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token('uportal_sync')}\r\n"
    head += f"X-Request-ID: gone{path.count('/')}\r\nContent-Length: {len(body) + 10}\r\n\r\n"
    with socket.create_connection((host, int(port))) as client:
        client.sendall(head.encode() + body)  # all of a document, and not all that was announced
    wait_for(lambda: f"request gone{path.count('/')}" in endpoint.log)
    assert f"POST {path} 499" in endpoint.log
    assert endpoint.client.get(f"{ROOT}/runs").json() == []
    assert events(endpoint.client.post(EXPORTS, content=body))[-1][0] == "report"  # none is at work


@pytest.mark.parametrize("path", [EXPORTS, SYNC])
def test_a_slow_client_is_not_waited_for(impatient: Endpoint, path: str) -> None:
    host, _, port = impatient.url.removeprefix("http://").partition(":")
    head = f"POST {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token('uportal_sync')}\r\n"
    with socket.create_connection((host, int(port))) as client:
        client.sendall(f"{head}Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n".encode())
        started = time.monotonic()
        client.settimeout(0.25)
        answer = ""
        while not answer and time.monotonic() - started < 10:
            with suppress(TimeoutError):
                answer = client.recv(1000).decode()
            if not answer:
                client.sendall(b"{")
    assert answer.startswith("HTTP/1.1 408")
    assert time.monotonic() - started < 4


def test_a_run_that_gets_no_turn_is_told_to_come_again(impatient: Endpoint, dls: Ispyb) -> None:
    with run_held(dls):
        answer = impatient.client.post(SYNC, json=document(1))
    assert answer.status_code == 503
    assert "another run holds the lock" in answer.json()["detail"]
    assert int(answer.headers["Retry-After"]) > 0
    assert holds(dls, 0)
