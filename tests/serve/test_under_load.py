"""Many clients at once beside a run of the command line: nothing is doubled, nothing is lost."""

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx
from sqlalchemy import make_url
from support.databases import Ispyb
from support.endpoint import SYNC, Endpoint
from support.small import counts, export, sharing

import sync

CLIENTS, MOST = 50, 8


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


def test_many_clients_share_new_people_beside_a_run_of_everything(endpoint: Endpoint, dls: Ispyb) -> None:
    def post(sent: object) -> tuple[int, bool]:
        with httpx.Client(base_url=endpoint.url, headers=endpoint.client.headers, timeout=120) as client:
            answer = client.post(SYNC, json=sent)
        return answer.status_code, "Retry-After" in answer.headers

    documents = sharing(1, CLIENTS + 1)
    with connections_counted(dls) as seen, ThreadPoolExecutor(CLIENTS + 1) as pool:
        everything = pool.submit(
            sync.apply, [*export(60)], database=dls.role_url, staging_schema=dls.staging_schema, lock_timeout=120
        )
        answers = Counter(pool.map(post, documents))
        assert everything.result().status == "applied"
    assert set(answers) <= {(200, False), (503, True)}
    assert sum(answers.values()) == CLIENTS
    assert answers[200, False] > 0
    assert max(seen) <= MOST + 2  # those of the endpoint, and of the run beside it
    made = counts(dls)
    assert (made["Person"], made["Laboratory"]) == (60 * 3, 60)
    assert made["Proposal"] == 60
