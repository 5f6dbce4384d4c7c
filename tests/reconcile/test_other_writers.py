"""Other programs write, row by row, while runs do: nothing doubled, nothing lost, nobody waits longer than needed."""

import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy import Connection, create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool
from support.databases import Ispyb
from support.small import Json, export

import sync
from sync.database.connection import DEADLOCK, LOCK_WAIT, code_of
from sync.model.errors import DatabaseError

PROPOSALS = 40
HELD = 0.4
"""Seconds for which the long transactions keep what they changed."""
SLACK = 1.5
"""Seconds that two busy processors may add to anything."""


@dataclass
class Others:
    """Programs with connections of their own. They count what they did, and how long each statement took."""

    ispyb: Ispyb
    seed: int
    ended: threading.Event = field(default_factory=threading.Event)
    waits: list[float] = field(default_factory=list)
    shifts: int = 0

    def run(self, isolation: str, once: Callable[[Callable[..., Any], random.Random], None]) -> None:
        """Does something again and again, each time in one transaction; gives way to a deadlock, as programs do."""
        moments = random.Random(self.seed)
        engine = create_engine(self.ispyb.url, poolclass=NullPool, isolation_level=isolation)
        with engine.connect() as connection:
            while not self.ended.is_set():
                try:
                    once(lambda sql, *values: self._send(connection, sql, *values), moments)
                    connection.commit()
                except DBAPIError as error:
                    connection.rollback()
                    if code_of(error) not in (DEADLOCK, LOCK_WAIT):
                        raise
                time.sleep(0.005)

    def _send(self, connection: Connection, sql: str, *values: object) -> Any:
        start = time.monotonic()
        try:
            return connection.exec_driver_sql(sql, values)
        finally:
            self.waits.append(time.monotonic() - start)

    def dirty_reader(self, send: Callable[..., Any], moments: random.Random) -> None:
        """As SynchWeb: single statements on columns that ISPyB owns, and on some that are the portal's."""
        number = moments.randint(1, PROPOSALS)
        send("SELECT COUNT(*) FROM Person WHERE login LIKE %s", f"u{number}%")
        send("UPDATE Person SET phoneNumber = %s WHERE login = %s", str(moments.random())[:10], f"u{number}_1")
        send("UPDATE Proposal SET title = 'theirs' WHERE proposalCode = 'MX' AND proposalNumber = %s", number)

    def counter(self, send: Callable[..., Any], moments: random.Random) -> None:
        """Counts in a column that ISPyB owns: reads, adds one, writes."""
        session = 100 * moments.randint(1, PROPOSALS) + 1
        key = session.to_bytes(16, "big")
        row = send("SELECT sessionId FROM BLSession WHERE externalId = %s FOR UPDATE", key).first()
        if row is not None:
            more = "nbShifts = COALESCE(nbShifts, 0) + 1"
            send(f"UPDATE BLSession SET {more}, comments = 'theirs' WHERE sessionId = %s", row.sessionId)
            self.shifts += 1

    def long_transaction(self, send: Callable[..., Any], moments: random.Random) -> None:
        """Reads much, changes a few rows, and takes its time."""
        send("SELECT COUNT(*) FROM BLSession")
        send("UPDATE Person SET cache = 'theirs' WHERE login = %s", f"u{moments.randint(1, PROPOSALS)}_2")
        time.sleep(HELD)

    def linker(self, send: Callable[..., Any], moments: random.Random) -> None:
        """As py-ispyb: looks whether a person, a proposal, a link is there, and adds it; or takes a link away."""
        number = moments.randint(1, PROPOSALS)
        proposal = send("SELECT proposalId FROM Proposal WHERE proposalNumber = %s FOR UPDATE", number).scalar()
        person = send("SELECT personId FROM Person WHERE login = %s FOR UPDATE", f"u{number}_2").scalar()
        if proposal is None or person is None:
            return
        pair = (proposal, person)
        if send("SELECT 1 FROM ProposalHasPerson WHERE proposalId = %s AND personId = %s", *pair).first():
            send("DELETE FROM ProposalHasPerson WHERE proposalId = %s AND personId = %s", *pair)
        else:
            send("INSERT INTO ProposalHasPerson (proposalId, personId) VALUES (%s, %s)", *pair)

    def typist(self, send: Callable[..., Any], moments: random.Random) -> None:
        """Types in people before the portal tells of them, and proposals with sessions that it never will."""
        login = f"u{moments.randint(1, PROPOSALS)}_{moments.randint(0, 2)}"
        if not send("SELECT 1 FROM Person WHERE login = %s", login).first():
            send("INSERT IGNORE INTO Person (login, familyName) VALUES (%s, 'theirs')", login)
        number = moments.randint(1, 10**9)
        proposer = send("SELECT MIN(personId) FROM Person").scalar()
        send("INSERT INTO Proposal (proposalCode, proposalNumber, personId) VALUES ('XX', %s, %s)", number, proposer)
        proposal = send("SELECT LAST_INSERT_ID()").scalar()
        send("INSERT INTO BLSession (proposalId, visit_number, comments) VALUES (%s, 1, 'theirs')", proposal)
        send("DELETE FROM BLSession WHERE proposalId = %s", proposal)
        send("DELETE FROM Proposal WHERE proposalId = %s", proposal)


def apply(ispyb: Ispyb, documents: list[Json]) -> sync.Report:
    return sync.apply(documents, database=ispyb.role_url, staging_schema=ispyb.staging_schema)


@pytest.mark.parametrize(("seed", "runs"), [(1, 6), pytest.param(2, 150, marks=pytest.mark.soak)], ids=["few", "many"])
def test_runs_and_other_writers_leave_each_other_whole(databases: Callable[[str], Ispyb], seed: int, runs: int) -> None:
    ispyb = databases("dls")
    ispyb.reset()
    apply(ispyb, export(10))
    others = Others(ispyb, seed)
    programs = [
        ("READ UNCOMMITTED", others.dirty_reader),
        ("REPEATABLE READ", others.counter),
        ("REPEATABLE READ", others.long_transaction),
        ("READ COMMITTED", others.linker),
        ("REPEATABLE READ", others.typist),
    ]
    moments, phases, gave_up = random.Random(seed), [0.0], 0
    with ThreadPoolExecutor(len(programs)) as pool:
        writers: list[Future[None]] = [pool.submit(others.run, *program) for program in programs]
        try:
            for run in range(runs):
                last = 10 + run * (PROPOSALS - 10) // runs
                documents = moments.sample(export(last, family=f"Family{run}", title=f"Title {run}"), last)
                start = time.monotonic()
                try:
                    phases.append(apply(ispyb, documents).seconds.get("apply", 0))
                except DatabaseError:  # exit code 3, nothing written
                    gave_up += 1
                    phases.append(time.monotonic() - start)
        finally:
            others.ended.set()
        for writer in writers:
            writer.result(30)
    assert gave_up <= runs // 4
    assert max(others.waits) < max(phases) + HELD + SLACK
    apply(ispyb, export(PROPOSALS))
    assert apply(ispyb, export(PROPOSALS)).nothing_to_do
    _nothing_is_doubled(ispyb)
    sessions = ispyb.rows("BLSession")
    assert sum(int(str(row["nbShifts"])) for row in sessions if row["nbShifts"]) == others.shifts > 5
    assert {row["comments"] for row in sessions} == {None, "theirs"}
    assert any(row["cache"] for row in ispyb.rows("Person"))


def _nothing_is_doubled(ispyb: Ispyb) -> None:
    for table, key in (
        ("Person", "login"),
        ("Person", "externalId"),
        ("Proposal", "proposalCode, proposalNumber"),
        ("BLSession", "externalId"),
        ("ProposalHasPerson", "proposalId, personId"),
        ("Session_has_Person", "sessionId, personId"),
        ("Laboratory", "name"),
        ("LabContact", "proposalId, cardName"),
    ):
        with ispyb.engine.connect() as connection:
            doubled = f"SELECT {key}, COUNT(*) FROM `{table}` GROUP BY {key} HAVING COUNT(*) > 1"
            assert connection.exec_driver_sql(doubled).all() == []
