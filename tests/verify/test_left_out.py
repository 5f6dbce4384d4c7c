"""What is left out: documents that are as a run last took them, as long as nobody changed their rows in ISPyB."""

import gzip
import io
import json
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from generate_export import Facility
from pydantic import SecretStr
from sqlalchemy import Engine, create_engine
from support.databases import Ispyb
from support.facts import migrated
from support.small import Json, document, export
from support.variants import TABLES

import sync
from sync.history import runs
from sync.model.entities import ENTITIES
from sync.model.report import Report
from sync.model.settings import Settings
from sync.verify.digests import Digests

PAIR = ("py", "dls")


@pytest.fixture(params=PAIR)
def ispyb(request: pytest.FixtureRequest, databases: Callable[[str], Ispyb]) -> Ispyb:
    found = databases(request.param)
    found.reset()
    return found


def apply(ispyb: Ispyb, documents: Any, **settings: Any) -> Report:
    return sync.apply(documents, database=ispyb.role_url, staging_schema=ispyb.staging_schema, **settings)


def plan(ispyb: Ispyb, documents: Any, **settings: Any) -> Report:
    return sync.plan(documents, database=ispyb.role_url, staging_schema=ispyb.staging_schema, **settings)


def left_out(report: Report) -> int:
    return report.documents_verified


def verify(ispyb: Ispyb, documents: list[Json]) -> None:
    """The first run writes, the second one leaves all out."""
    assert [left_out(apply(ispyb, documents)) for _ in range(2)] == [0, len(documents)]


def drift(ispyb: Ispyb, sql: str) -> None:
    with ispyb.engine.begin() as connection:
        assert connection.exec_driver_sql(sql).rowcount, "nothing drifts"


def done(report: Report) -> Json:
    """How many rows of each entity a run writes."""
    counts = {name: (count.inserted, count.updated, count.deleted) for name, count in report.entities.items()}
    return {name: count for name, count in counts.items() if any(count)}


def test_only_what_is_as_a_run_took_it_is_left_out(ispyb: Ispyb) -> None:
    verify(ispyb, export(3))
    changed = [document(1, title="New"), *export(3)[1:]]
    assert [left_out(apply(ispyb, changed)) for _ in range(2)] == [2, 3]


def test_drift_is_seen_where_it_is_and_mended(ispyb: Ispyb) -> None:
    verify(ispyb, export(3))
    drift(ispyb, "UPDATE Proposal SET title = 'Drift' WHERE proposalNumber = '2'")
    report = apply(ispyb, export(3))
    assert (left_out(report), done(report)) == (2, {"proposal": (0, 1, 0)})
    assert {row["title"] for row in ispyb.rows("Proposal")} == {"Title 1", "Title 2", "Title 3"}


def test_the_same_drift_is_seen_each_time_it_comes_back(ispyb: Ispyb) -> None:
    verify(ispyb, export(2))
    for _ in range(4):
        drift(ispyb, "UPDATE Person SET familyName = 'Drift' WHERE login = 'u1_1'")
        assert done(apply(ispyb, export(2))) == {"person": (0, 1, 0)}


DRIFTS = {
    "another proposer": "UPDATE Proposal SET personId = (SELECT MAX(personId) FROM Person)",
    "no laboratory": "UPDATE Person SET laboratoryId = NULL WHERE login = 'u1_0'",
    "somebody else's protein": "UPDATE Protein SET personId = (SELECT MAX(personId) FROM Person)",
    "somebody else's card": "UPDATE LabContact SET personId = (SELECT MAX(personId) FROM Person)",
    "a link of the proposal less": "DELETE FROM ProposalHasPerson LIMIT 1",
    "a link of the session less": "DELETE FROM Session_has_Person LIMIT 1",
    "a session less": "DELETE FROM BLSession WHERE visit_number = 2",
    "a protein less": "DELETE FROM Protein",
    "a card less": "DELETE FROM LabContact",
    "a link of the proposal more": "INSERT INTO ProposalHasPerson (proposalId, personId) "
    "SELECT proposalId, (SELECT MAX(personId) FROM Person) FROM Proposal WHERE proposalNumber = '1'",
    "a link of the session more": "INSERT INTO Session_has_Person (sessionId, personId) "
    "SELECT MIN(sessionId), (SELECT MAX(personId) FROM Person) FROM BLSession",
    "a renamed laboratory": "UPDATE Laboratory SET name = 'Drift'",
    "a session under another proposal": "UPDATE BLSession SET visit_number = 9, "
    "proposalId = (SELECT MAX(proposalId) FROM Proposal) WHERE visit_number = 2 ORDER BY sessionId LIMIT 1",
}


@pytest.mark.parametrize("what", DRIFTS)
def test_each_kind_of_drift_is_seen(ispyb: Ispyb, what: str) -> None:
    documents = export(2)
    verify(ispyb, documents)
    drift(ispyb, DRIFTS[what])
    whole, quick = (plan(ispyb, documents, prune="all", prune_limit="100%", **s) for s in ({"recheck": True}, {}))
    assert (done(quick), len(quick.refusals)) == (done(whole), len(whole.refusals))
    assert done(whole) or whole.refusals, "a run of the whole export sees it"


ISPYBS_OWN = {
    *(("BLSession", column) for column in ("comments", "usedFlag")),
    *(("LabContact", column) for column in ("defaultCourrierCompany", "courierAccount", "billingReference")),
}
"""Columns that the tool writes with a new row, and never again."""


def everything() -> Json:
    """A document in which each column that it may feed is given a value."""
    document = Facility(40).with_everything()
    document["proposal"]["persons"][0] |= {"siteId": 77, "faxNumber": "+33 7"}
    document["proposal"]["persons"][0]["laboratory"] |= {"externalId": 99}
    document["sessions"] = document["sessions"][:1]
    document["sessions"][0]["persons"] = document["sessions"][0]["persons"][:3]  # each once
    document["sessions"][0] |= {
        "expSessionPk": 7,
        "sessionTitle": "title",
        "structureDeterminations": 1.5,
        "dewarTransport": 1.5,
        "databackupFrance": 1.5,
        "databackupEurope": 1.5,
        "operatorSiteNumber": "7",
        "nbReimbDewars": 7,
        "projectCode": "code",
        "protectedData": "yes",
    }
    document["proteins"][0] |= {"sequence": "MKV"}
    return document


def drifted(column: str, type_name: str) -> str:
    """Another value than a column has."""
    if "date" in type_name or "timestamp" in type_name:
        return f"`{column}` + INTERVAL 1 DAY"
    if type_name == "binary":
        return "X'000102030405060708090a0b0c0d0e0f'"
    if type_name in ("varchar", "char", "text", "longtext", "mediumtext", "tinytext"):
        return "'z'"
    if type_name == "enum":
        return f"IF(`{column}` + 0 = 1, 2, 1)"
    return f"IF(`{column}` = 1, 0, 1)"


def columns_of(ispyb: Ispyb) -> Iterator[tuple[str, str, str]]:
    """Entity, column and type of each column that a document feeds."""
    with ispyb.engine.connect() as connection:
        types = {
            (table, column): kind
            for table, column, kind in connection.exec_driver_sql(
                "SELECT TABLE_NAME, COLUMN_NAME, DATA_TYPE FROM information_schema.COLUMNS "
                "WHERE TABLE_SCHEMA = DATABASE()"
            )
        }
    for entity in ENTITIES:
        for name in entity.columns:
            if (column := ispyb.column(entity.table, name)) is not None:
                yield entity.name, column, types[entity.table, column]


@pytest.mark.parametrize("all_columns", [False, pytest.param(True, marks=pytest.mark.soak)], ids=["half", "all"])
def test_drift_of_each_column_is_seen_as_a_run_of_the_whole_export_sees_it(
    ispyb: Ispyb, engines: Callable[[str], Engine], all_columns: bool
) -> None:
    """No column that a run compares is left out of the digest; in the suite each on one variant, if both have it."""
    document, engine = everything(), engines(ispyb.role_url)
    for _ in range(3):
        report = apply(ispyb, document)
    assert (left_out(report), report.refusals) == (1, [])
    seen, wrong, unseen = [], [], []
    for entity, column, kind in columns_of(ispyb):
        table = TABLES[entity]
        if not (all_columns or ispyb.variant == on_which(f"{table}.{column}")):
            continue
        key = next(e.primary_key for e in ENTITIES if e.name == entity)
        with ispyb.engine.connect() as connection:
            rows = connection.exec_driver_sql(f"SELECT `{key}`, `{column}` FROM `{table}` WHERE `{column}` IS NOT NULL")
            first = rows.first()
        if first is None:
            unseen.append((table, column))
            continue
        drift(ispyb, f"UPDATE `{table}` SET `{column}` = {drifted(column, kind)} WHERE `{key}` = {first[0]} LIMIT 1")
        how = {"database": engine, "staging_schema": ispyb.staging_schema}
        whole, quick = (sync.plan(document, **how, **s) for s in ({"recheck": True}, {}))
        if done(quick) != done(whole) or len(quick.refusals) != len(whole.refusals):
            wrong.append((table, column))
        if done(whole) or whole.refusals:
            seen.append((table, column))
        with ispyb.engine.begin() as connection:
            connection.exec_driver_sql(
                f"UPDATE `{table}` SET `{column}` = %s WHERE `{key}` = %s LIMIT 1", (first[1], first[0])
            )
    assert not wrong
    assert set(unseen) <= ISPYBS_OWN, "the document gives no value for these"
    assert len(seen) >= (41 if all_columns else 20)


def on_which(place: str) -> str:
    """The variant on which a column is tried, by its name; a name that only one of them has is tried there."""
    table, _, column = place.partition(".")
    having = [variant for variant in PAIR if column in migrated(variant)[table]]
    return having[zlib.crc32(place.encode()) % len(having)]


def test_documents_of_one_proposal_by_two_names_are_never_left_out(ispyb: Ispyb) -> None:
    """Only together do they say who is on it; what they are called does not show that they are one."""
    by_number, by_external_id = document(1), document(1)
    del by_external_id["proposal"]["proposalNumber"], by_external_id["proposal"]["proposalCode"]
    for _ in range(3):
        assert left_out(apply(ispyb, [by_number, by_external_id])) == 0


def test_a_plan_remembers_nothing(ispyb: Ispyb) -> None:
    assert [left_out(plan(ispyb, export(2))) for _ in range(2)] == [0, 0]
    assert left_out(apply(ispyb, export(2))) == 0


def test_a_run_that_examines_everything_keeps_what_is_remembered(ispyb: Ispyb) -> None:
    verify(ispyb, export(2))
    assert left_out(apply(ispyb, export(2), recheck=True)) == 0
    assert left_out(apply(ispyb, export(2))) == 2


def test_a_full_export_is_examined(ispyb: Ispyb) -> None:
    """What is left out would be taken for vanished."""
    verify(ispyb, export(2))
    report = apply(ispyb, export(2), full=True)
    assert (left_out(report), report.vanished) == (0, [])


def test_on_a_connection_of_the_callers_the_tables_of_digests_are_left_empty(ispyb: Ispyb) -> None:
    with create_engine(f"{ispyb.role_url}?charset=utf8mb4").connect() as connection:
        changed = [document(1, title="New"), *export(3)[1:]]
        for documents, expected in ((export(3), 0), (export(3), 3), (changed, 2)):
            report = sync.apply(documents, database=connection, staging_schema=ispyb.staging_schema)
            connection.commit()
            assert left_out(report) == expected
        for table in ("left_out", "digest_proposal", "touched_person"):
            left = f"SELECT COUNT(*) FROM `{ispyb.staging_schema}`.{table}"
            assert connection.exec_driver_sql(left).scalar_one() == 0


def title(ispyb: Ispyb, number: int) -> object:
    return next(row["title"] for row in ispyb.rows("Proposal") if row["proposalNumber"] == str(number))


def test_history_keeps_how_many_were_left_out_and_whether_all_was_examined(ispyb: Ispyb) -> None:
    settings = Settings(database=SecretStr(ispyb.role_url), staging_schema=ispyb.staging_schema)
    verify(ispyb, export(2))
    apply(ispyb, export(2), recheck=True)
    told = [(run.report.documents_verified, run.settings["recheck"]) for run in runs.runs(ispyb.role_url, settings)]
    assert told == [(0, True), (2, False), (0, False)]


def test_a_document_that_comes_back_is_applied_again(ispyb: Ispyb) -> None:
    for name in ("Old", "New", "Old"):
        assert left_out(apply(ispyb, document(1, title=name))) == 0
        assert title(ispyb, 1) == name


LONG = 80
"""More documents than are looked up by their names."""


@pytest.mark.parametrize("count", [3, LONG])
@pytest.mark.parametrize("form", ["lines", "array", "gzip", "stream", "dicts", "generator"])
def test_an_export_of_any_form_is_known_again(ispyb: Ispyb, tmp_path: Path, form: str, count: int) -> None:
    """And is read again where a document turns out to matter: the last one says something else of somebody."""
    documents = export(count)
    last = documents[-1]["proposal"]["persons"]
    documents[0]["proposal"]["persons"].append(dict(last[0]))

    def sent() -> Any:
        text = "\n".join(map(json.dumps, documents)).encode()
        if form == "array":
            text = json.dumps(documents).encode()
        if form in ("lines", "array", "gzip"):
            path = tmp_path / "export"
            path.write_bytes(gzip.compress(text) if form == "gzip" else text)
            return path
        if form == "stream":
            return io.BytesIO(text)
        return documents if form == "dicts" else iter(documents)

    assert left_out(apply(ispyb, sent())) == 0
    assert left_out(apply(ispyb, sent())) == count
    last[0]["phoneNumber"] = "new"
    report = apply(ispyb, sent())
    assert (left_out(report), report.documents_read) == (count - 2, count)
    assert left_out(apply(ispyb, sent())) == count


def test_a_refusal_is_told_again_each_time(ispyb: Ispyb) -> None:
    bad = document(1, title="x" * 300)
    for _ in range(2):
        report = apply(ispyb, bad)
        assert (left_out(report), len(report.refusals)) == (0, 1)


def test_a_refusal_of_somebody_is_told_when_another_document_is_the_first_to_name_him(ispyb: Ispyb) -> None:
    first, second = document(1), document(2)
    for one in (first, second):
        one["proposal"]["persons"][1] = {"login": "shared", "phoneNumber": "9" * 50}
    told = [(r.document, r.field) for r in apply(ispyb, [first, second]).refusals]
    assert told == [(1, "phoneNumber")]
    assert [(r.document, r.field) for r in apply(ispyb, [second]).refusals] == [(1, "phoneNumber")]


@pytest.mark.parametrize("count", [3, LONG])
def test_warnings_of_what_is_left_out_are_repeated_with_their_examples(ispyb: Ispyb, count: int) -> None:
    documents = export(count)
    for one in documents:
        one["proposal"]["beamtime"] = 7
    documents[-1]["sessions"][0]["unknown"] = 1
    first, second = apply(ispyb, documents), apply(ispyb, documents)
    assert left_out(second) == count
    assert second.to_dict()["warnings"] == first.to_dict()["warnings"]


@pytest.mark.parametrize("count", [3, LONG])
def test_dates_that_contradict_each_other_are_told_each_time(ispyb: Ispyb, count: int) -> None:
    documents = export(count)
    documents[-1]["sessions"][0] |= {"startDate": "2024-02-02T00:00:00", "endDate": "2024-01-01T00:00:00"}
    first, second = apply(ispyb, documents), apply(ispyb, documents)
    assert left_out(second) == count - 1
    assert "end_before_start" in {warning.code for warning in first.warnings}
    assert second.to_dict()["warnings"] == first.to_dict()["warnings"]


@pytest.mark.parametrize("setting", [{"nulls": "clear"}, {"timezone": "Europe/Paris"}, {"prune": "all"}], ids=str)
def test_other_settings_make_other_documents(ispyb: Ispyb, setting: dict[str, Any]) -> None:
    apply(ispyb, document(1))
    assert left_out(apply(ispyb, document(1), **setting)) == 0


@pytest.mark.parametrize("count", [3, LONG])
def test_a_proposal_of_several_documents_is_never_left_out(ispyb: Ispyb, count: int) -> None:
    documents = export(count)
    apply(ispyb, documents)
    for other in (document(1, title="Other"), document(1, title="Other", proposalCode="mx ")):
        assert left_out(apply(ispyb, [*documents, other])) == count - 1
        assert title(ispyb, 1) == "Other"
        assert left_out(apply(ispyb, [*documents, other])) == count - 1
        apply(ispyb, documents)


def test_of_what_is_left_out_only_the_proposals_asked_for_count(ispyb: Ispyb) -> None:
    apply(ispyb, export(LONG))
    report = apply(ispyb, export(LONG), proposals=["mx-1", "MX-2"])
    assert (left_out(report), [w.code for w in report.warnings if w.code == "proposal_not_found"]) == (2, [])


def test_after_an_undo_the_document_is_applied_again(ispyb: Ispyb) -> None:
    report = apply(ispyb, document(1))
    assert report.run is not None
    sync.undo(report.run, database=ispyb.role_url, staging_schema=ispyb.staging_schema)
    assert left_out(apply(ispyb, document(1))) == 0
    assert title(ispyb, 1)


@pytest.mark.parametrize("drifted", ["title", "a second person of one siteId"])
def test_what_another_writer_does_behind_the_match_is_not_taken_for_verified(
    ispyb: Ispyb, monkeypatch: pytest.MonkeyPatch, drifted: str
) -> None:
    """Between what a run compares and the digest that it takes, somebody else writes."""
    documents = [document(1), document(2)]
    documents[0]["proposal"]["persons"].append({"siteId": 77, "familyName": "Only"})
    apply(ispyb, documents)
    documents[0]["proposal"]["state"] = "Closed"
    taken = Digests.of_documents

    def meanwhile(digests: Digests, numbers: Any) -> Any:
        what = {
            "title": "UPDATE BLSession SET beamLineName = 'Drift' WHERE visit_number = 1",
            "a second person of one siteId": "INSERT INTO Person (siteId) VALUES (77)",
        }
        with ispyb.engine.begin() as connection:
            connection.exec_driver_sql(what[drifted])
        return taken(digests, numbers)

    monkeypatch.setattr(Digests, "of_documents", meanwhile)
    apply(ispyb, documents)
    monkeypatch.undo()
    quick, whole = plan(ispyb, documents), plan(ispyb, documents, recheck=True)
    assert (done(quick), quick.refusals) == (done(whole), whole.refusals)
    assert done(whole) or whole.refusals


SECOND_ROWS = {
    "person": "INSERT INTO Person (login) VALUES ('u1_0')",
    "laboratory": "INSERT INTO Laboratory (laboratoryExtPk) VALUES (1)",
    "proposal": "INSERT INTO Proposal (personId, proposalCode, proposalNumber) "
    "SELECT personId, proposalCode, proposalNumber FROM Proposal WHERE proposalNumber = '1'",
    "session": "INSERT INTO BLSession (proposalId, expSessionPk) "
    "SELECT proposalId, 7 FROM Proposal WHERE proposalNumber = '2'",
}


@pytest.mark.parametrize("entity", SECOND_ROWS)
def test_a_second_row_of_one_key_is_seen(databases: Callable[[str], Ispyb], entity: str) -> None:
    """Somebody else adds it beside the one that the tool knows, which has only that key."""
    legacy = databases("legacy")
    legacy.reset()
    one = document(1)
    for thing in (one["proposal"], *one["proposal"]["persons"], *one["sessions"]):
        thing.pop("externalId", None)
    for person in (person for session in one["sessions"] for person in session["persons"]):
        person.pop("externalId", None)
    one["sessions"] = one["sessions"][:1]
    one["sessions"][0]["expSessionPk"] = 7
    documents = [one, document(2)]
    verify(legacy, documents)
    drift(legacy, SECOND_ROWS[entity])
    whole, quick = (plan(legacy, documents, **s) for s in ({"recheck": True}, {}))
    assert (entity, "ambiguous_match") in {(refusal.entity, refusal.code) for refusal in whole.refusals}
    assert [refusal.message for refusal in quick.refusals] == [refusal.message for refusal in whole.refusals]


def test_two_documents_that_contradict_each_other_are_both_examined_each_time(ispyb: Ispyb) -> None:
    first, last = document(1), document(2)
    last["proposal"]["persons"].append({"login": "u1_2", "externalId": 102, "phoneNumber": "last"})
    verify(ispyb, [first, last])
    first["proposal"]["persons"][2]["phoneNumber"] = "first"
    for _ in range(3):
        report = apply(ispyb, [first, last])
        phones = [row["phoneNumber"] for row in ispyb.rows("Person") if row["login"] == "u1_2"]
        assert (left_out(report), phones) == (0, ["last"])
        assert [warning.count for warning in report.warnings if warning.code == "conflicting_copies"] == [1]


@pytest.mark.parametrize("alone", [0, 1], ids=["the one with the null", "the one with the externalId"])
def test_a_null_of_a_key_is_examined_with_the_document_that_gives_an_earlier_key(ispyb: Ispyb, alone: int) -> None:
    """The null empties the login only where another document says by which externalId that person is found."""
    both = [
        {"proposal": {"proposalCode": "MX", "proposalNumber": str(number), "persons": [person]}}
        for number, person in ((1, {"siteId": 5, "login": None}), (2, {"siteId": 5, "externalId": 11}))
    ]
    known = both[1] | {"proposal": both[1]["proposal"] | {"persons": [{"siteId": 5, "externalId": 11, "login": "a"}]}}
    apply(ispyb, [known], nulls="clear")
    for _ in range(2):
        apply(ispyb, [both[alone]], nulls="clear")
    assert [row["login"] for row in ispyb.rows("Person")] == ["a"]
    apply(ispyb, both, nulls="clear")
    assert [row["login"] for row in ispyb.rows("Person")] == [None]
