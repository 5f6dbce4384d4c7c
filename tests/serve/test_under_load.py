"""Many clients at once beside a run of the command line: nothing is doubled, nothing is lost."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
from sqlalchemy import make_url
from support.databases import Ispyb
from support.endpoint import SYNC, Endpoint, run_held, wait_for, waits_for_its_turn
from support.small import counts, export, sharing

CLIENTS, MOST, BESIDE = 50, 8, 60


def command_line(ispyb: Ispyb, folder: Path, *arguments: str) -> "subprocess.Popen[bytes]":
    """`ispyb-sync` as a process of its own, in this folder."""
    given = {"ISPYB_SYNC_DATABASE": ispyb.role_url, "ISPYB_SYNC_STAGING_SCHEMA": ispyb.staging_schema}
    root = str(Path(__file__).parents[2])
    return subprocess.Popen(
        [sys.executable, "-m", "sync.cli", *arguments],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": root} | given,
        stdout=subprocess.DEVNULL,
    )


@contextmanager
def connections_counted(ispyb: Ispyb) -> Iterator[list[int]]:
    """How many connections the login had, looked at again and again."""
    seen, ended = [0], threading.Event()
    login = make_url(ispyb.role_url).username

    def look() -> None:
        with ispyb.engine.connect() as connection:
            while not ended.wait(0.02):
                sql = "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE USER = %s"
                seen.append(int(connection.exec_driver_sql(sql, (login,)).scalar_one()))

    thread = threading.Thread(target=look)
    thread.start()
    yield seen
    ended.set()
    thread.join()


def test_many_clients_share_new_people_beside_a_run_of_the_command_line(
    endpoint: Endpoint, dls: Ispyb, tmp_path: Path
) -> None:
    """The clients' proposals are their own; their people and laboratory are those of the run's first one."""

    def post(sent: object) -> tuple[int, bool]:
        with httpx.Client(base_url=endpoint.url, headers=endpoint.client.headers, timeout=120) as client:
            answer = client.post(SYNC, json=sent)
        return answer.status_code, "Retry-After" in answer.headers

    documents = sharing(1001, 1001 + CLIENTS)
    (tmp_path / "all.ndjson").write_text("\n".join(map(json.dumps, export(BESIDE))))
    with connections_counted(dls) as seen, ThreadPoolExecutor(CLIENTS) as pool:
        with run_held(dls):
            beside = command_line(dls, tmp_path, "apply", "all.ndjson", "--lock-timeout", "120")
            wait_for(lambda: waits_for_its_turn(dls))
            answers = pool.map(post, documents)
            wait_for(lambda: f"at_work {CLIENTS}.0" in endpoint.client.get("/metrics").text)
        told = list(answers)
        assert beside.wait(60) == 0
    assert set(told) <= {(200, False), (503, True)}
    assert told.count((200, False)) > CLIENTS / 2
    assert max(seen) <= MOST + 2  # those of the endpoint, and of the run beside it
    while sent := [one for one, (code, _) in zip(documents, told, strict=True) if code == 503]:
        documents, told = sent, [*map(post, sent)]
    proposals = BESIDE + CLIENTS
    assert counts(dls) == {
        "Laboratory": BESIDE,
        "Person": 3 * BESIDE,
        "Proposal": proposals,
        "ProposalHasPerson": 3 * proposals,
        "BLSession": 2 * BESIDE,
        "Session_has_Person": 2 * BESIDE,
        "Protein": proposals,
        "LabContact": proposals,
    }
