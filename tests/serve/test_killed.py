"""A server that is killed in the middle of its work: ISPyB is before or after each document, and each export."""

import random
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.databases import Ispyb
from support.endpoint import ROOT, SYNC, Endpoint, serving, wait_for
from support.killing import State, check_history, wait_until_gone
from support.small import document, export, holds, trigger


@pytest.mark.parametrize("what", ["a document", "an export"])
def test_a_server_that_is_killed_while_it_writes_leaves_ispyb_as_it_was(dls: Ispyb, tmp_path: Path, what: str) -> None:
    """The last table of a run is slow: all others are written, and nothing is committed."""
    asked: dict[str, Any] = {"json": document(1)} if what == "a document" else {"json": export(3)}
    slow = trigger(dls, "BEFORE INSERT ON LabContact", "SET @slow = SLEEP(0.5)")
    with slow, serving(dls, tmp_path) as running, ThreadPoolExecutor(1) as pool:
        answer = pool.submit(running.client.post, SYNC if what == "a document" else f"{ROOT}/exports", **asked)
        wait_for(lambda: _is_writing(dls))
        running.process.kill()
        with suppress(httpx.TransportError):
            assert answer.result().status_code == 200  # an export's answer begins before its run ends
        wait_until_gone(dls)
    state = State.of(dls)
    assert state.runs == []
    assert holds(dls, 0)


def test_a_server_that_is_killed_at_any_moment_leaves_each_document_whole(dls: Ispyb, tmp_path: Path) -> None:
    chance = random.Random(17)
    done = 0
    for attempt in range(2):
        with serving(dls, tmp_path / str(attempt)) as running, ThreadPoolExecutor(1) as pool:
            running.client.get("/readyz")
            answer = pool.submit(running.client.post, SYNC, json=document(done + 1))
            wait_for(partial(_is_at_work_or_done, running, answer))
            time.sleep(chance.uniform(0, 0.3))
            running.process.kill()
            try:
                answered = answer.result().status_code == 200
            except httpx.TransportError:
                answered = False
        wait_until_gone(dls)
        state = State.of(dls)
        assert len(state.runs) in (done, done + 1)
        assert not answered or len(state.runs) == done + 1
        done = len(state.runs)
        assert holds(dls, done)
        check_history(dls, state)


def _is_at_work_or_done(running: Endpoint, answer: Future[httpx.Response]) -> bool:
    return answer.done() or "at_work 1.0" in httpx.get(f"{running.url}/metrics").text


def _is_writing(ispyb: Ispyb) -> bool:
    """Whether a run writes the last table."""
    with ispyb.engine.connect() as connection:
        sql = "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE STATE = 'User sleep' AND DB = DATABASE()"
        return bool(connection.exec_driver_sql(sql).scalar())
