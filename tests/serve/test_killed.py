"""A server that is killed at any moment: ISPyB is before or after each document."""

import random
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
from support.databases import Ispyb
from support.endpoint import SYNC, serving
from support.killing import State, check_history, wait_until_gone
from support.small import document, holds


def test_a_server_that_is_killed_leaves_each_document_whole(dls: Ispyb, tmp_path: Path) -> None:
    chance = random.Random(17)
    done = 0
    for attempt in range(3):
        with serving(dls, tmp_path / str(attempt)) as running, ThreadPoolExecutor(1) as pool:
            running.client.get("/readyz")
            answer = pool.submit(running.client.post, SYNC, json=document(done + 1))
            time.sleep(chance.uniform(0.02, 0.3))
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
