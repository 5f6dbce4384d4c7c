"""What the table refuses: a row that breaks a rule of the site's own is refused alone, and all else is written."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import URL, create_engine
from support.databases import NUMBERED_LINKS, Ispyb
from support.migrating import fresh, up
from support.small import ROWS, Json, counts, document, run, trigger

import sync
from sync.check.findings import check
from sync.model.errors import DatabaseError
from sync.model.settings import Settings


@contextmanager
def rules(ispyb: Ispyb, *statements: str) -> Iterator[None]:
    """Statements of the site's DBA; each pair is done, and taken back afterwards."""
    run(ispyb, "SET sql_mode = ''", *statements[::2])
    try:
        yield
    finally:
        ispyb.reset()
        run(ispyb, "SET sql_mode = ''", *statements[1::2])


def settings(ispyb: Ispyb) -> Json:
    return {"database": ispyb.role_url, "staging_schema": ispyb.staging_schema}


def foretold(ispyb: Ispyb, level: str, words: str) -> bool:
    """Whether `check` says so, to the account that runs."""
    found = check(ispyb.role_url, Settings(staging_schema=ispyb.staging_schema))
    return any(finding.level == level and re.search(words, finding.message) for finding in found)


def refused(report: Any) -> list[tuple[str, str, int]]:
    return [(r.entity, r.code, r.document) for r in report.refusals]


def untitled() -> list[Json]:
    first, second = document(1), document(2)
    del second["proposal"]["title"]
    return [first, second, document(3)]


def same_mail() -> list[Json]:
    documents = [document(number) for number in (1, 2, 3)]
    for one in documents[:2]:
        one["proposal"]["persons"][2]["emailAddress"] = "secret@example.org"
    return documents


def too_early() -> list[Json]:
    documents = [document(number) for number in (1, 2, 3)]
    documents[1]["sessions"][0]["endDate"] = "2020-01-01"
    return documents


def bad_name() -> list[Json]:
    documents = [document(number) for number in (1, 2, 3)]
    documents[1]["proposal"]["persons"][2]["familyName"] = "Bad"
    return documents


def many_shifts() -> list[Json]:
    documents = [document(number) for number in (1, 2, 3)]
    documents[1]["sessions"][0]["nbShifts"] = 99
    return documents


def bad_role() -> list[Json]:
    documents = [document(number) for number in (1, 2, 3)]
    documents[1]["sessions"][0]["persons"][0]["session_options"]["role"] = "Team Leader"
    return documents


TITLE = "ALTER TABLE Proposal MODIFY title VARCHAR(200) NOT NULL", "ALTER TABLE Proposal MODIFY title VARCHAR(200) NULL"
MAIL = "ALTER TABLE Person ADD UNIQUE KEY one_mail (emailAddress)", "ALTER TABLE Person DROP KEY one_mail"
DATES = (
    "ALTER TABLE BLSession ADD CONSTRAINT in_order CHECK (endDate >= startDate)",
    "ALTER TABLE BLSession DROP CONSTRAINT in_order",
)
NAME = (
    "CREATE TRIGGER in_the_way BEFORE INSERT ON Person FOR EACH ROW IF NEW.familyName = 'Bad' THEN"
    " SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'Bad is no name'; END IF",
    "DROP TRIGGER in_the_way",
)
LINK = (
    "CREATE TRIGGER in_the_way BEFORE INSERT ON ProposalHasPerson FOR EACH ROW"
    " IF (SELECT familyName FROM Person WHERE personId = NEW.personId) = 'Bad' THEN"
    " SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'nobody Bad here'; END IF",
    "DROP TRIGGER in_the_way",
)
ROLE = (
    "ALTER TABLE Session_has_Person ADD CONSTRAINT no_leader CHECK (role <> 'Team Leader')",
    "ALTER TABLE Session_has_Person DROP CONSTRAINT no_leader",
)
SHIFTS = (
    "ALTER TABLE BLSession MODIFY nbShifts INT UNSIGNED NULL COMMENT 'it''s no CHECK (1)' CHECK (nbShifts < 50)",
    "ALTER TABLE BLSession MODIFY nbShifts INT UNSIGNED NULL",
)
ALONE = "a row that breaks one of these is refused alone"
FORETOLD = {
    "a value that the table demands": (
        "warning",
        "Proposal.title must have a value: a new row whose document gives none",
    ),
    "a unique key": ("ok", f"{ALONE}.*Person: unique key one_mail"),
    "a check": ("ok", f"{ALONE}.*BLSession: check in_order"),
    "a trigger": ("ok", f"{ALONE}.*Person: trigger in_the_way"),
    "a trigger of links": ("ok", f"{ALONE}.*ProposalHasPerson: trigger in_the_way"),
    "a check of links": ("ok", f"{ALONE}.*Session_has_Person: check no_leader"),
    "a check of a column": ("ok", f"{ALONE}.*BLSession: check nbShifts"),
}
"""What `check` says of each beforehand, and how bad it is."""
CASES = {
    "a value that the table demands": (TITLE, untitled, ("proposal", 2), "Column 'title' cannot be null"),
    "a unique key": (MAIL, same_mail, ("person", 2), "Duplicate entry 'secret@example.org' for key 'one_mail'"),
    "a check": (DATES, too_early, ("session", 2), "CONSTRAINT `in_order` failed"),
    "a trigger": (NAME, bad_name, ("person", 2), "error 1644: Bad is no name"),
    "a trigger of links": (LINK, bad_name, ("proposal_has_person", 2), "error 1644: nobody Bad here"),
    "a check of a column": (SHIFTS, many_shifts, ("session", 2), "CONSTRAINT `BLSession.nbShifts` failed"),
    "a check of links": (ROLE, bad_role, ("session_has_person", 2), "CONSTRAINT `no_leader` failed"),
}


@pytest.mark.parametrize("which", CASES)
def test_such_a_row_is_refused_alone(dls: Ispyb, which: str) -> None:
    rule, make, (entity, number), words = CASES[which]
    documents = make()
    assert not foretold(dls, *FORETOLD[which])
    with rules(dls, *rule):
        assert foretold(dls, *FORETOLD[which])
        report = sync.apply(documents, **settings(dls))
        first = [r for r in report.refusals if r.code == "refused_by_database"]
        assert [(r.entity, r.document) for r in first] == [(entity, number)]
        assert words in first[0].message
        assert all(r.code == "parent_refused" for r in report.refusals if r not in first)
        held = dls.snapshot()
        assert {row["proposalNumber"] for row in held["Proposal"][1]} >= {"1", "3"}

        again = sync.apply(documents, **settings(dls))
        assert dls.snapshot() == {table: (counter, rows) for table, (counter, rows) in _burnt(held, dls).items()}
        assert refused(again) == refused(report)

        corrected = sync.apply([document(number) for number in (1, 2, 3)], **settings(dls))
        assert corrected.refusals == []
        assert counts(dls)["Person"] == 9


def _burnt(held: Any, ispyb: Ispyb) -> Any:
    """What was tried in vain burns ids, as the server keeps no id of a row that it takes back."""
    now = ispyb.snapshot()
    return {table: (now[table][0], rows) for table, (_, rows) in held.items()}


def test_an_update_is_refused_alone_and_the_row_keeps_what_it_has(dls: Ispyb) -> None:
    with rules(dls, *DATES):
        sync.apply([document(number) for number in (1, 2, 3)], **settings(dls))
        changed = too_early()
        changed[2]["sessions"][0]["beamLineName"] = "ID2"
        report = sync.apply(changed, **settings(dls))
        assert refused(report)[0] == ("session", "refused_by_database", 2)
        sessions = {row["beamLineName"]: row for row in dls.rows("BLSession")}
        assert "ID2" in sessions
        assert str(min(row["endDate"] for row in dls.rows("BLSession"))).startswith("2024")


def test_in_a_callers_transaction_too(dls: Ispyb) -> None:
    with rules(dls, *MAIL):
        engine = create_engine(dls.role_url)
        with engine.connect() as connection:
            report = sync.apply(same_mail(), database=connection, staging_schema=dls.staging_schema)
            connection.commit()
        engine.dispose()
        assert ("person", "refused_by_database", 2) in refused(report)
        assert {row["proposalNumber"] for row in dls.rows("Proposal")} == {"1", "2", "3"}


def test_each_row_of_a_table_that_takes_none_is_refused(dls: Ispyb) -> None:
    with rules(dls, "ALTER TABLE Protein ADD batch INT NOT NULL", "ALTER TABLE Protein DROP batch"):
        assert foretold(dls, "error", "Protein.batch must have a value .*each new row of Protein is refused")
        report = sync.apply([document(number) for number in (1, 2, 3)], **settings(dls))
        assert refused(report) == [("protein", "refused_by_database", number) for number in (1, 2, 3)]
        assert "batch" in report.refusals[0].message


def test_links_without_auto_increment_are_refused_and_all_else_is_written(server_url: URL) -> None:
    """Diamond's schema of 2017, as it was published."""
    with fresh(server_url, "diamond_2017") as database:
        up(database)
        (error,) = [
            f for f in check(database.url, Settings(staging_schema=database.staging_schema)) if f.level == "error"
        ]
        assert error.message == (
            "ProposalHasPerson.proposalHasPersonId has no AUTO_INCREMENT: each new row of ProposalHasPerson is refused"
        )
        given = {"database": database.url, "staging_schema": database.staging_schema}
        for _ in range(2):
            report = sync.apply([document(1), document(2)], **given)
            assert refused(report) == [("proposal_has_person", "refused_by_database", n) for n in (1, 1, 1, 2, 2, 2)]
            assert "proposalHasPersonId" in report.refusals[0].message
        assert report.nothing_to_do
        database.run(NUMBERED_LINKS)
        assert sync.apply([document(1), document(2)], **given).refusals == []
        for table, rows in ROWS.items():
            assert database.ask(f"SELECT COUNT(*) FROM {table}") == [(2 * rows,)]


@pytest.mark.parametrize(("which", "hidden"), [("a unique key", "secret@example.org"), ("a trigger", "Bad is no name")])
def test_masked_words_hold_no_value(dls: Ispyb, which: str, hidden: str) -> None:
    rule, make, _, _ = CASES[which]
    with rules(dls, *rule):
        report = sync.apply(make(), mask=True, **settings(dls))
        (first,) = [r for r in report.refusals if r.code == "refused_by_database"]
        assert hidden not in first.message
        assert ("one_mail" in first.message) == (which == "a unique key")


def test_what_is_no_rows_fault_stops_the_run(dls: Ispyb) -> None:
    full = "SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = 1114, MESSAGE_TEXT = 'The table is full'"
    with (
        trigger(dls, "BEFORE INSERT ON Protein", full),
        pytest.raises(DatabaseError, match="is full"),
    ):
        sync.apply(document(1), **settings(dls))
    assert counts(dls)["Person"] == 0


def test_history_keeps_it_and_undo_takes_back_the_rest(dls: Ispyb) -> None:
    with rules(dls, *NAME):
        report = sync.apply(bad_name(), **settings(dls))
        assert report.run is not None
        undone = sync.undo(report.run, database=dls.url, staging_schema=dls.staging_schema)
        assert undone.refusals == []
        assert counts(dls) == dict.fromkeys(counts(dls), 0)
