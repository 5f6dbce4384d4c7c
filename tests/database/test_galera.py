"""A Galera cluster of three nodes: what one server's locks do not see is retried, waited for, or refused."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, make_url
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool
from support.databases import Ispyb, create
from support.small import Json, export, sharing
from support.small import holds as holds_now

import sync
from sync.database import lock
from sync.database import retry as patience
from sync.database.connection import DEADLOCK, connected
from sync.database.lock import run_lock
from sync.model.errors import DatabaseError
from sync.model.settings import Settings
from sync.reconcile import transaction as writing
from sync.reconcile.plan import Plan
from sync.reconcile.reconciliation import Overtaken, Reconciliation
from sync.stage import load

SCRIPT = Path(__file__).parents[2] / "scripts" / "galera"
NOT_INSTALLED = 69
SOON = 60


@pytest.fixture(scope="module")
def nodes() -> Iterator[list[tuple[Ispyb, int]]]:
    """The same ISPyB on each of three nodes, with the node's process id."""
    with subprocess.Popen([SCRIPT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as cluster:
        assert cluster.stdin is not None
        assert cluster.stdout is not None
        assert cluster.stderr is not None
        lines = [cluster.stdout.readline().decode().split() for _ in range(3)]
        if not lines[0]:
            error = cluster.stderr.read().decode()
            assert cluster.wait() == NOT_INSTALLED, error
            pytest.skip(error.strip())
        first = create(make_url(lines[0][0]), "dls")
        yield [(_on(first, make_url(url).port), int(pid)) for url, pid in lines]
        cluster.stdin.close()


def _on(ispyb: Ispyb, port: int | None) -> Ispyb:
    urls = (make_url(text).set(port=port).render_as_string(hide_password=False) for text in (ispyb.url, ispyb.role_url))
    return replace(ispyb, **dict(zip(("url", "role_url"), urls, strict=True)))


@pytest.fixture
def trio(nodes: list[tuple[Ispyb, int]], monkeypatch: pytest.MonkeyPatch) -> list[Ispyb]:
    """The three nodes, empty; rows go in by LOAD DATA, and pauses are short."""
    monkeypatch.setattr(load, "FEW_ROWS", 0)
    monkeypatch.setattr(patience, "PAUSE_SECONDS", 0.05)
    nodes[0][0].reset()
    for node, _ in nodes[1:]:
        synced(node, "SELECT 1")  # a node that still rebuilds an emptied table shows no columns of it
    return [node for node, _ in nodes]


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor() as pool:
        yield pool


def apply(node: Ispyb, documents: Any, **settings: Any) -> sync.Report:
    return sync.apply(documents, database=node.role_url, staging_schema=node.staging_schema, **settings)


def synced(node: Ispyb, query: str) -> Any:
    """What a query as root gives once this node has all that was committed before on any."""
    with node.engine.connect() as connection:
        connection.exec_driver_sql("SET SESSION wsrep_sync_wait = 1")
        return connection.exec_driver_sql(query).scalar()


def holds(node: Ispyb, documents: int) -> bool:
    """Whether this node's tables hold what so many documents make, once it has all that was committed on any."""
    synced(node, "SELECT 1")
    return holds_now(node, documents)


def run_on(node: Ispyb, statement: str) -> None:
    with create_engine(node.url, poolclass=NullPool).begin() as connection:
        connection.exec_driver_sql(statement)


@contextmanager
def before_commit(monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[[int], None]) -> Iterator[None]:
    """Lets something happen when a run has written and is about to commit; it is told which attempt this is."""
    commit = writing._commit
    attempts: list[int] = []

    def commit_later(*arguments: Any) -> None:
        attempts.append(len(attempts) + 1)
        meanwhile(attempts[-1])
        commit(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(writing, "_commit", commit_later)
        yield


def test_each_node_sees_what_another_wrote(trio: list[Ispyb]) -> None:
    assert apply(trio[0], export(30)).entities["person"].inserted == 90
    for node in trio[1:]:
        assert synced(node, "SELECT COUNT(*) FROM Proposal") == 30
        assert apply(node, export(30)).nothing_to_do
        assert str(synced(node, f"SELECT server FROM `{node.staging_schema}`.served")).startswith("cluster ")
    assert apply(trio[2], export(31, title="New")).entities["proposal"].updated == 30


def test_a_conflict_that_shows_at_the_commit_is_retried(trio: list[Ispyb], monkeypatch: pytest.MonkeyPatch) -> None:
    apply(trio[0], export(2))
    codes: list[int | None] = []
    gave_up = writing.code_of
    monkeypatch.setattr(writing, "code_of", lambda error: codes.append(gave_up(error)) or gave_up(error))

    def theirs(attempt: int) -> None:
        if attempt == 1:
            run_on(trio[1], "UPDATE Proposal SET title = 'theirs'")

    with before_commit(monkeypatch, theirs):
        report = apply(trio[0], export(3, title="ours"))
    assert DEADLOCK in codes
    assert (report.entities["proposal"].updated, report.entities["proposal"].inserted) == (2, 1)
    assert holds(trio[0], 3)
    assert synced(trio[1], "SELECT GROUP_CONCAT(DISTINCT title) FROM Proposal") == "ours"


def test_it_works_beside_a_writer_on_another_node(trio: list[Ispyb], pool: ThreadPoolExecutor) -> None:
    ended = threading.Event()

    def write() -> int:
        written = 0
        with create_engine(trio[1].url, isolation_level="AUTOCOMMIT", poolclass=NullPool).connect() as connection:
            while not ended.is_set():
                for statement in (
                    f"UPDATE Person SET familyName = 'theirs', phoneNumber = '{written}' WHERE login LIKE 'u%%_0'",
                    "UPDATE Proposal SET title = 'theirs' ORDER BY proposalId DESC LIMIT 2",
                    f"INSERT IGNORE INTO Person (login) VALUES ('u{written % 40 + 1}_1')",
                ):
                    with suppress(OperationalError):  # their deadlocks are theirs
                        connection.exec_driver_sql(statement)
                        written += 1
                time.sleep(0.1)  # one that never pauses would win each time
        return written

    def done(documents: list[Json]) -> bool:
        try:
            return apply(trio[0], documents).status == "applied"
        except DatabaseError as error:
            if "Deadlock" not in str(error):
                raise
            return False

    writer = pool.submit(write)
    try:
        for last in range(5, 45, 5):
            while not done(export(last)):
                pass
    finally:
        ended.set()
    assert writer.result(SOON) > 8, "the writer hardly wrote, so nothing was tried"
    apply(trio[2], export(45))
    assert apply(trio[0], export(45)).nothing_to_do
    assert holds(trio[0], 45)
    assert synced(trio[1], "SELECT SUM(familyName = 'theirs') FROM Person") == 0


@pytest.mark.parametrize(
    ("one", "other", "rows"),
    [
        (export(20), export(20), {"Person": 60, "Laboratory": 20, "Proposal": 20}),
        (sharing(10, 20), sharing(15, 30), {"Person": 3, "Laboratory": 1, "Proposal": 20, "ProposalHasPerson": 60}),
    ],
    ids=["same export", "new people shared"],
)
def test_two_runs_on_two_nodes_take_turns(
    trio: list[Ispyb], pool: ThreadPoolExecutor, one: list[Json], other: list[Json], rows: dict[str, int]
) -> None:
    together = threading.Barrier(2)

    def documents(export: list[Json]) -> Iterator[Json]:
        yield from export
        together.wait(SOON)

    runs = [pool.submit(apply, node, documents(export)) for node, export in zip(trio, (one, other), strict=False)]
    reports = [run.result(SOON) for run in runs]
    assert {table: synced(trio[2], f"SELECT COUNT(*) FROM {table}") for table in rows} == rows
    assert sum(report.entities["person"].inserted for report in reports) == rows["Person"]
    assert all(apply(trio[2], export).nothing_to_do for export in (one, other))


@contextmanager
def killed_holder(node: Ispyb) -> Iterator[None]:
    """A lease whose holder is no more."""
    settings = Settings(staging_schema=node.staging_schema)
    with (
        connected(node.role_url, settings) as ispyb,
        suppress(ZeroDivisionError),
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(lock._Lease, "release", lambda _: None)
        with run_lock(ispyb, 0):
            raise ZeroDivisionError
    yield


def test_a_killed_runs_lease_is_named_and_runs_out(trio: list[Ispyb], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "LEASE_SECONDS", 4)
    start = time.monotonic()
    with killed_holder(trio[0]):
        with pytest.raises(DatabaseError, match=r"sync_\w+@% on .*:\d+, since 20.* UTC.*within 1 s") as caught:
            apply(trio[1], export(1), lock_timeout=1)
        assert caught.value.exit_code == 3
        assert holds(trio[1], 0)
        apply(trio[2], export(1), lock_timeout=20)
    assert 4 <= time.monotonic() - start < 20
    assert holds(trio[0], 1)


def test_a_killed_runs_lease_does_not_bind_its_own_node(trio: list[Ispyb]) -> None:
    with killed_holder(trio[0]):
        assert apply(trio[0], export(1), lock_timeout=0).status == "applied"
    assert apply(trio[1], export(2), lock_timeout=0).status == "applied"  # and a run that ends gives it back


def test_an_undo_takes_its_turn_too(trio: list[Ispyb], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "LEASE_SECONDS", 2)
    apply(trio[0], export(1))
    run = apply(trio[0], export(2, title="New")).run
    undo = partial(sync.undo, run, database=trio[1].url, staging_schema=trio[1].staging_schema)
    with killed_holder(trio[2]), pytest.raises(DatabaseError, match="another run holds the lock"):
        undo(lock_timeout=0)
    assert undo(lock_timeout=20).status == "applied"
    assert holds(trio[0], 1)


def test_a_long_run_keeps_its_lease(trio: list[Ispyb], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "LEASE_SECONDS", 1)
    write = Reconciliation.apply

    def slowly(self: Reconciliation, *arguments: Any) -> Plan:
        plan = write(self, *arguments)
        time.sleep(2)
        with pytest.raises(DatabaseError, match="another run holds the lock"):
            apply(trio[1], export(1), lock_timeout=0)
        return plan

    monkeypatch.setattr(Reconciliation, "apply", slowly)
    assert apply(trio[0], export(1)).status == "applied"


def test_a_run_that_lost_its_lease_writes_nothing(trio: list[Ispyb], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "LEASE_SECONDS", 1)
    monkeypatch.setattr(lock._Lease, "keep", lambda _: None)
    write = Reconciliation.apply
    first = iter([True])

    def overtaken(self: Reconciliation, *arguments: Any) -> Plan:
        for _ in first:
            time.sleep(1.1)
            apply(trio[1], export(1, title="theirs"))
        return write(self, *arguments)

    monkeypatch.setattr(Reconciliation, "apply", overtaken)
    with pytest.raises(DatabaseError, match="did not renew its lease"):
        apply(trio[0], export(2, title="ours"))
    assert holds(trio[0], 1)
    assert synced(trio[2], "SELECT title FROM Proposal") == "theirs"


def test_a_rollback_of_what_is_rolled_back_already_is_none(trio: list[Ispyb], monkeypatch: pytest.MonkeyPatch) -> None:
    apply(trio[0], export(1))
    write = Reconciliation.apply
    first = iter([True])

    def overtaken(self: Reconciliation, *arguments: Any) -> Plan:
        plan = write(self, *arguments)
        for _ in first:
            run_on(trio[1], "UPDATE Proposal SET title = 'theirs'")
            synced(trio[0], "SELECT 1")
            raise Overtaken("Proposal")
        return plan

    monkeypatch.setattr(Reconciliation, "apply", overtaken)
    assert apply(trio[0], export(1, title="ours")).entities["proposal"].updated == 1


def test_a_node_killed_in_the_middle_leaves_nothing(
    trio: list[Ispyb], nodes: list[tuple[Ispyb, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last test: afterwards the cluster has two nodes."""
    monkeypatch.setattr(lock, "LEASE_SECONDS", 3)
    apply(trio[0], export(1))
    with before_commit(monkeypatch, lambda _: os.kill(nodes[2][1], signal.SIGKILL)):
        with pytest.raises(DatabaseError) as caught:
            apply(trio[2], export(2, title="ours"))
        assert caught.value.exit_code == 3
    assert holds(trio[1], 1)
    assert apply(trio[1], export(2, title="ours"), lock_timeout=20).status == "applied"
    assert holds(trio[0], 2)
