"""All or nothing: failures, other runs, other writers and lost connections in the middle of a run."""

import json
import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, create_engine, make_url
from sqlalchemy.pool import NullPool
from support.databases import Ispyb
from support.killing import forked
from support.small import ROWS, Json, export, holds, run, sharing, trigger

import sync
from sync.database import retry as patience
from sync.database.connection import connect
from sync.database.lock import server_lock
from sync.model.errors import DatabaseError
from sync.reconcile.plan import Plan
from sync.reconcile.reconciliation import Reconciliation


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor() as pool:
        yield pool


def apply(dls: Ispyb, documents: Any, **settings: Any) -> sync.Report:
    """Applies as the role, waiting one second for a row that others have locked."""
    url = make_url(dls.role_url).update_query_dict({"init_command": "SET SESSION innodb_lock_wait_timeout = 1"})
    return sync.apply(documents, database=url, staging_schema=dls.staging_schema, **settings)


@contextmanager
def other_writer(dls: Ispyb) -> Iterator[Connection]:
    """Another program's connection, in a transaction."""
    with create_engine(dls.url, poolclass=NullPool).connect() as connection:
        connection.exec_driver_sql("SET SESSION innodb_lock_wait_timeout = 20")
        yield connection


def wait_for(dls: Ispyb, query: str) -> None:
    """Waits until a query as root gives something else than 0."""
    deadline = time.monotonic() + 20
    with other_writer(dls) as connection:
        while not connection.exec_driver_sql(query).scalar():
            assert time.monotonic() < deadline
            # The server draws its picture of locks anew only where nobody looked for 0.1 s: two tests that look in
            # step would never see a change.
            time.sleep(random.uniform(0.15, 0.6))


LOCK_WAIT = """
    SELECT COUNT(*) FROM information_schema.INNODB_TRX AS t INNER JOIN information_schema.PROCESSLIST AS p
    ON p.ID = t.trx_mysql_thread_id WHERE t.trx_state = 'LOCK WAIT' AND p.DB = DATABASE()
"""
USER_LOCK = "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE STATE = 'User lock' AND DB = DATABASE()"


# Failures in the middle


@pytest.mark.parametrize(
    "event",
    [
        *(f"INSERT ON {table}" for table in ("Laboratory", "BLSession", "Session_has_Person", "LabContact")),
        "UPDATE ON Proposal",
    ],
)
def test_a_failure_anywhere_leaves_nothing(dls: Ispyb, event: str) -> None:
    apply(dls, export(1))
    before = {table: rows for table, (_, rows) in dls.snapshot().items()}
    changed = export(2, family="New", title="New")
    with (
        trigger(dls, f"AFTER {event}", "SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = 1030, MESSAGE_TEXT = 'not today'"),
        pytest.raises(DatabaseError, match="not today"),
    ):
        apply(dls, changed)
    assert {table: rows for table, (_, rows) in dls.snapshot().items()} == before
    assert len(runs(dls)) == 1
    assert apply(dls, changed).status == "applied"
    assert holds(dls, 2)


def runs(dls: Ispyb) -> list[Any]:
    with dls.engine.connect() as connection:
        return list(connection.exec_driver_sql(f"SELECT run FROM `{dls.staging_schema}`.run").scalars())


def swapped() -> tuple[Json, Json]:
    """A document, and the same once two cards have swapped their people."""
    (before,) = export(1)
    first, second = before["proposal"]["persons"][:2]

    def with_cards(*people: Json) -> Json:
        cards = [{"cardName": name, "person": person} for name, person in zip("ab", people, strict=True)]
        return before | {"proposal": before["proposal"] | {"labcontacts": cards}}

    return with_cards(first, second), with_cards(second, first)


NOT_NOW = """BEGIN
    DECLARE words VARCHAR(99) DEFAULT CONCAT('not now, with foreign_key_checks ', @@foreign_key_checks);
    SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = 1030, MESSAGE_TEXT = words;
END"""
"""A failure that is no row's fault."""


@pytest.mark.parametrize("before", [1, 0])
@pytest.mark.parametrize("own", [True, False], ids=["own connection", "caller's connection"])
def test_a_failure_while_cards_are_parked_leaves_rows_and_foreign_keys_as_they_were(
    dls: Ispyb, own: bool, before: int
) -> None:
    """Foreign keys are not switched off while a card has somebody else for a moment."""
    first, second = swapped()
    apply(dls, [first, *export(2)[1:]])
    rows = {table: held for table, (_, held) in dls.snapshot().items()}
    engine = create_engine(dls.role_url, pool_size=1, max_overflow=0)
    with engine.connect() as connection:
        connection.exec_driver_sql(f"SET SESSION foreign_key_checks = {before}")
    with trigger(dls, "BEFORE UPDATE ON LabContact", NOT_NOW), ExitStack() as stack:
        database: Engine | Connection = engine
        if not own:
            database = stack.enter_context(engine.connect())
            database.exec_driver_sql("INSERT INTO Laboratory (name) VALUES ('of the caller')")
        with pytest.raises(DatabaseError, match=r"^lab_contact\.sql:\d+ release_person: .*foreign_key_checks ON"):
            sync.apply([second], database=database, staging_schema=dls.staging_schema)
        if isinstance(database, Connection):
            assert [row.personId for row in database.exec_driver_sql("SELECT personId FROM LabContact")] == [
                row["personId"] for row in rows["LabContact"]
            ]
            database.commit()
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT @@foreign_key_checks").scalar() == before
    engine.dispose()
    held = {table: held for table, (_, held) in dls.snapshot().items()}
    if not own:
        assert held["Laboratory"].pop()["name"] == "of the caller"
    assert held == rows
    assert apply(dls, [second]).entities["lab_contact"].updated == 2


def test_a_swap_for_which_nobody_is_free_is_refused_and_all_else_is_written(dls: Ispyb) -> None:
    """Three people in all of ISPyB: one card of two could be parked."""
    first, second = swapped()
    apply(dls, [first])
    cards = dls.rows("LabContact")
    second["proposal"]["title"] = "New"
    report = apply(dls, [second])
    assert [(r.entity, r.code) for r in report.refusals] == [
        ("lab_contact", "refused_by_database"),
        ("lab_contact", "key_taken"),
    ]
    assert dls.rows("LabContact") == cards
    assert [row["title"] for row in dls.rows("Proposal")] == ["New"]


# Other runs


def test_a_run_waits_for_the_one_before(dls: Ispyb, pool: ThreadPoolExecutor) -> None:
    with connect(dls.role_url) as first:
        with server_lock(first, 0):
            second = pool.submit(apply, dls, export(1))
            wait_for(dls, USER_LOCK)
            assert holds(dls, 0)
        assert second.result(20).status == "applied"


def test_a_run_gives_up_when_the_one_before_takes_too_long(dls: Ispyb) -> None:
    with connect(dls.role_url) as first, server_lock(first, 0):
        number = first.exec_driver_sql("SELECT CONNECTION_ID()").scalar()
        with pytest.raises(DatabaseError, match=f"connection {number}.*within 1 s") as caught:
            apply(dls, export(1), lock_timeout=1)
        assert caught.value.exit_code == 3
        assert "lock_timeout" in str(caught.value.hint)
        assert sync.plan(export(1), database=dls.role_url, staging_schema=dls.staging_schema).status == "planned"
    assert holds(dls, 0)


def test_two_runs_of_one_export_at_the_same_time_write_it_once(dls: Ispyb, pool: ThreadPoolExecutor) -> None:
    together = threading.Barrier(2)

    def documents() -> Iterator[Json]:
        yield from export(5)
        together.wait(20)

    reports = [future.result(60) for future in [pool.submit(apply, dls, documents()) for _ in range(2)]]
    assert holds(dls, 5)
    first, second = sorted(reports, key=lambda report: report.run or 0)
    assert second.nothing_to_do
    assert [entity.inserted for entity in first.entities.values()] == [e.unchanged for e in second.entities.values()]


def test_runs_of_different_exports_at_the_same_time_share_new_people(dls: Ispyb, tmp_path: Path) -> None:
    """Each in a process of its own."""
    exports = [sharing(first, first + 6) for first in (10, 12, 14, 16)]

    def run_one(number: int) -> None:
        (tmp_path / str(number)).write_text(json.dumps(apply(dls, exports[number]).to_dict(), default=str))

    processes = [forked(partial(run_one, number)) for number in range(4)]
    assert [os.waitpid(process, 0)[1] for process in processes] == [0] * 4
    reports = [json.loads((tmp_path / str(number)).read_text())["entities"] for number in range(4)]
    for entity, rows in {"laboratory": 1, "person": 3, "proposal": 12, "proposal_has_person": 36}.items():
        assert sum(report[entity]["inserted"] for report in reports) == rows
        assert all(sum(report[entity][word] for word in _OUTCOMES) == report[entity]["staged"] for report in reports)
    assert {table: len(dls.rows(table)) for table in ("Laboratory", "Person", "ProposalHasPerson")} == {
        "Laboratory": 1,
        "Person": 3,
        "ProposalHasPerson": 36,
    }
    assert all(apply(dls, documents).nothing_to_do for documents in exports)


_OUTCOMES = ("inserted", "updated", "unchanged", "refused")


@pytest.mark.parametrize("in_a_transaction", [False, True], ids=["own connection", "caller's connection"])
def test_a_run_waits_for_a_callers_transaction(dls: Ispyb, pool: ThreadPoolExecutor, in_a_transaction: bool) -> None:
    engine = create_engine(dls.role_url, poolclass=NullPool)
    with engine.connect() as caller, engine.connect() as other:
        first = sync.apply(export(1), database=caller, staging_schema=dls.staging_schema)
        if in_a_transaction:
            run = pool.submit(sync.apply, export(2), database=other, staging_schema=dls.staging_schema)
        else:
            run = pool.submit(apply, dls, export(2))
        wait_for(dls, LOCK_WAIT)
        caller.commit()
        second = run.result(20)
        other.commit()
    assert (first.entities["laboratory"].inserted, second.entities["laboratory"].inserted) == (1, 1)
    assert holds(dls, 2)


def test_a_callers_transaction_that_takes_too_long_is_named(dls: Ispyb) -> None:
    with create_engine(dls.role_url, poolclass=NullPool).connect() as caller:
        sync.apply(export(1), database=caller, staging_schema=dls.staging_schema)
        with pytest.raises(DatabaseError, match=r"a transaction that is not ended.*within 1 s"):
            apply(dls, export(1), lock_timeout=1)
        caller.rollback()
    assert holds(dls, 0)


# Other writers


def test_matching_waits_for_nobody(dls: Ispyb) -> None:
    apply(dls, export(2))
    with other_writer(dls) as other:
        for table in ROWS:
            other.exec_driver_sql(f"SELECT COUNT(*) FROM `{table}` FOR UPDATE")
        report = sync.plan(export(3, title="New"), database=dls.role_url, staging_schema=dls.staging_schema)
    assert (report.entities["proposal"].updated, report.entities["proposal"].inserted) == (2, 1)


@pytest.mark.parametrize("verb", ["plan", "apply"])
def test_nobody_waits_for_matching(dls: Ispyb, monkeypatch: pytest.MonkeyPatch, verb: str) -> None:
    apply(dls, export(2))
    plan = Reconciliation.plan
    touched: list[str] = []

    def then_lock_everything(self: Reconciliation, *arguments: Any) -> Plan:
        found = plan(self, *arguments)
        with other_writer(dls) as other:
            other.exec_driver_sql("SET SESSION innodb_lock_wait_timeout = 1")
            for table in ROWS:
                other.exec_driver_sql(f"SELECT COUNT(*) FROM `{table}` FOR UPDATE")
                touched.append(table)
        return found

    monkeypatch.setattr(Reconciliation, "plan", then_lock_everything)
    changed = export(3, title="New")
    getattr(sync, verb)(changed, database=dls.role_url, staging_schema=dls.staging_schema)
    assert touched == [*ROWS]


def test_a_row_lock_that_ends_is_waited_for(dls: Ispyb, pool: ThreadPoolExecutor) -> None:
    apply(dls, export(1))
    with other_writer(dls) as other:
        other.exec_driver_sql("UPDATE Proposal SET title = 'theirs'")
        ours = pool.submit(apply, dls, export(2, title="ours"))
        wait_for(dls, LOCK_WAIT)
        time.sleep(1.2)
        other.commit()
        report = ours.result(20)
    assert (report.entities["proposal"].updated, report.entities["proposal"].inserted) == (1, 1)
    assert holds(dls, 2)
    assert {row["title"] for row in dls.rows("Proposal")} == {"ours"}


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "ATTEMPTS", 2)
    monkeypatch.setattr(patience, "PAUSE_SECONDS", 0.01)


@pytest.mark.usefixtures("impatient")
def test_a_row_lock_that_never_ends_ends_the_run(dls: Ispyb) -> None:
    apply(dls, export(1))
    with other_writer(dls) as other:
        other.exec_driver_sql("UPDATE Proposal SET title = 'theirs'")
        with pytest.raises(DatabaseError, match=r"proposal\.sql:.* Lock wait timeout exceeded") as caught:
            apply(dls, export(2, title="ours"))
    assert caught.value.exit_code == 3
    assert holds(dls, 1)


def deadlock(dls: Ispyb, run: Callable[[], sync.Report], pool: ThreadPoolExecutor) -> "Future[sync.Report]":
    """Lets a run that updates people, then proposals, meet a writer that goes the other way and has changed more."""
    with other_writer(dls) as other:
        other.exec_driver_sql("INSERT INTO Laboratory (city) SELECT 'x' FROM seq_1_to_3000")
        other.exec_driver_sql("UPDATE Proposal SET title = 'theirs'")
        ours = pool.submit(run)
        wait_for(dls, LOCK_WAIT)
        other.exec_driver_sql("UPDATE Person SET familyName = 'Theirs'")
        other.rollback()
    return ours


def test_a_deadlock_is_tried_again(dls: Ispyb, pool: ThreadPoolExecutor) -> None:
    apply(dls, export(1))
    report = deadlock(dls, lambda: apply(dls, export(2, family="Ours", title="ours")), pool).result(20)
    assert report.entities["proposal"].updated == 1
    assert holds(dls, 2)
    assert {row["title"] for row in dls.rows("Proposal")} == {"ours"}


def test_a_deadlock_in_a_callers_transaction_is_told(dls: Ispyb, pool: ThreadPoolExecutor) -> None:
    apply(dls, export(1))
    changed = export(2, family="Ours", title="ours")
    with create_engine(dls.role_url).connect() as connection:
        run = deadlock(dls, lambda: sync.apply(changed, database=connection, staging_schema=dls.staging_schema), pool)
        with pytest.raises(DatabaseError, match="Deadlock found"):
            run.result(20)
        connection.rollback()
        assert holds(dls, 1)


@pytest.mark.parametrize("theirs", [{"login": "u2_0"}, {"externalId": (200).to_bytes(16, "big")}])
def test_a_row_that_another_writer_adds_in_between_is_found(
    dls: Ispyb, monkeypatch: pytest.MonkeyPatch, theirs: dict[str, Any]
) -> None:
    write = Reconciliation.apply
    once = iter([theirs])

    def after_the_other(self: Reconciliation, *arguments: Any) -> Plan:
        for row in once:
            with dls.engine.begin() as connection:
                dls.insert(connection, "Person", row)
        return write(self, *arguments)

    monkeypatch.setattr(Reconciliation, "apply", after_the_other)
    report = apply(dls, export(2))
    assert (report.entities["person"].inserted, report.entities["person"].updated) == (5, 1)
    assert holds(dls, 2)


@pytest.mark.parametrize("variant", ["py", "dls"])
def test_a_link_that_another_writer_is_adding_is_waited_for(
    databases: Callable[[str], Ispyb], pool: ThreadPoolExecutor, variant: str
) -> None:
    """The pair is not unique in the table."""
    ispyb = databases(variant)
    ispyb.reset()
    apply(ispyb, export(2))
    run(ispyb, "DELETE FROM ProposalHasPerson WHERE proposalId = 1 AND personId = 2")
    with other_writer(ispyb) as other:
        other.exec_driver_sql("INSERT INTO ProposalHasPerson (proposalId, personId) VALUES (1, 2)")
        ours = pool.submit(apply, ispyb, export(2))
        wait_for(ispyb, LOCK_WAIT)
        other.commit()
    assert ours.result(20).nothing_to_do
    assert holds(ispyb, 2)


@pytest.mark.parametrize(
    "theirs",
    [
        "INSERT INTO Person (login, familyName) VALUES ('u2_1', 'theirs')",
        "INSERT INTO Proposal (proposalCode, proposalNumber, personId, title) VALUES ('MX', '2', 1, 'theirs')",
    ],
    ids=["person", "proposal"],
)
def test_a_row_that_another_writer_is_adding_is_waited_for(
    databases: Callable[[str], Ispyb], pool: ThreadPoolExecutor, theirs: str
) -> None:
    """Neither login nor code and number are unique in the table."""
    ispyb = databases("py")
    ispyb.reset()
    apply(ispyb, export(1))
    with other_writer(ispyb) as other:
        other.exec_driver_sql(theirs)
        ours = pool.submit(apply, ispyb, export(2))
        wait_for(ispyb, LOCK_WAIT)
        other.commit()
    report = ours.result(20)
    assert report.entities["person"].updated + report.entities["proposal"].updated == 1
    assert holds(ispyb, 2)
