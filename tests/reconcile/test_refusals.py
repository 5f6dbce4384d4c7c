"""What a refusal says: the cause that it hangs on, both values of a contradiction, what ISPyB holds, what to do."""

import re
from collections import Counter
from typing import Any

import pytest
from support.databases import Ispyb
from support.live_columns import altered
from support.small import CommandLine, document, run, write

import sync
from sync.model.refusals import Cause, Refusal

Json = dict[str, Any]


def plan(ispyb: Ispyb, *documents: Json, **settings: Any) -> list[Refusal]:
    report = sync.plan(list(documents), database=ispyb.role_url, staging_schema=ispyb.staging_schema, **settings)
    return report.refusals


def people(number: int, *persons: Json) -> Json:
    return {"proposal": {"proposalCode": "MX", "proposalNumber": str(number), "persons": list(persons)}}


def only(refusals: list[Refusal], **wanted: object) -> Refusal:
    (found,) = [r for r in refusals if all(getattr(r, name) == value for name, value in wanted.items())]
    return found


# Causes


def test_what_waits_names_the_refusal_at_the_end_of_the_chain(py: Ispyb) -> None:
    with py.engine.begin() as connection:
        row = {"proposalId": 9, "personId": 1, "proposalCode": "MX", "proposalNumber": "1", "externalId": b"\1" * 16}
        py.insert(connection, "Proposal", row)
    refusals = plan(py, document(2), document(1))
    cause = only(refusals, code="keys_disagree")
    assert (cause.entity, cause.document, cause.cause) == ("proposal", 2, None)
    waiting = [r for r in refusals if r is not cause]
    assert Counter(r.entity for r in waiting) == {
        "proposal_has_person": 3,
        "session": 2,
        "session_has_person": 2,
        "protein": 1,
        "lab_contact": 1,
    }
    assert {r.cause for r in waiting} == {Cause("proposal", "keys_disagree", 2, "proposal")}
    assert {r.message for r in waiting if r.entity == "session"} == {
        "not written because its proposal was refused: proposal keys_disagree in document 2, at proposal."
    }
    assert waiting[0].to_dict()["cause"] == {
        "entity": "proposal",
        "code": "keys_disagree",
        "document": 2,
        "path": "proposal",
    }


@pytest.mark.parametrize(
    ("change", "code", "path"),
    [
        ({"login": "x" * 300}, "value_too_long", "proposal.persons[2].login"),
        ({"siteId": "no number"}, "invalid_document", "proposal.persons[2].siteId"),
    ],
    ids=["while it is staged", "while it is read"],
)
def test_what_is_refused_before_it_is_staged_is_a_cause_too(py: Ispyb, change: Json, code: str, path: str) -> None:
    one = document(1)
    one["proposal"]["persons"][2] |= change | {"familyName": "x" * 3000}
    refusals = plan(py, one)
    assert only(refusals, entity="proposal_has_person").cause == Cause("person", code, 1, path)


def test_what_the_database_refused_is_a_cause_for_all_who_name_it(py: Ispyb) -> None:
    run(py, "ALTER TABLE Person ADD CONSTRAINT of_the_site CHECK (familyName <> 'Bad')")
    try:
        bad = {"login": "bad", "familyName": "Bad"}
        documents = [people(1, {"login": "good"}, bad), people(2, {"login": "good"}, {"login": "bad"})]
        report = sync.apply(documents, database=py.role_url, staging_schema=py.staging_schema)
    finally:
        run(py, "ALTER TABLE Person DROP CONSTRAINT of_the_site")
    waiting = [r for r in report.refusals if r.code == "parent_refused"]
    assert [r.document for r in waiting] == [1, 2]
    assert {r.cause for r in waiting} == {Cause("person", "refused_by_database", 1, "proposal.persons[1]")}


def test_the_command_shows_causes_each_with_how_many_rows_wait(py: Ispyb, command: CommandLine) -> None:
    one = document(1)
    one["proposal"]["persons"][0]["login"] = one["sessions"][0]["persons"][0]["login"] = "x" * 300
    one["sessions"][1]["persons"] = []
    write("one.json", [one])
    done = command("plan", "one.json")
    assert "refused: person value_too_long (1)" in done.out
    assert done.out.count(" 2 rows wait for it.") == 1
    assert "parent_refused" not in done.out
    assert "2 rows in all wait for what is refused above; --json or -v shows them" in done.out
    assert "parent_refused" in command("plan", "one.json", "-v").out


# Both values of a contradiction


def test_both_values_and_their_documents_are_told(py: Ispyb) -> None:
    refusals = plan(
        py,
        people(1, {"login": "a.weaver", "externalId": 155857}),
        people(2, {"login": "other"}),
        people(3, {"login": "aweaver2", "externalId": 155857}),
    )
    words = "externalId 155857 has login `a.weaver` in document 1 and `aweaver2` in document 3. Correct them in"
    found = [r for r in refusals if r.entity == "person"]
    assert [(r.code, r.field, r.value) for r in found] == [("duplicate_key", "externalId", 155857)] * 2
    assert all(r.message.startswith(words) for r in found)


def test_in_a_chain_the_message_names_the_key_that_contradicts(py: Ispyb) -> None:
    chain = [
        {"externalId": 1, "login": "a"},
        {"externalId": 2, "login": "a"},
        {"externalId": 2, "login": "b"},
        {"login": "b", "siteId": 9},
        {"siteId": 9, "familyName": "only in the chain"},
    ]
    refusals = plan(py, *(people(number, person) for number, person in enumerate(chain, start=1)))
    said = {r.document: r.message.partition(". ")[0] for r in refusals if r.entity == "person"}
    assert said == {
        1: "login `a` has externalId 1 in document 1 and 2 in document 2",
        2: "externalId 2 has login `a` in document 2 and `b` in document 3",
        3: "externalId 2 has login `a` in document 2 and `b` in document 3",
        4: "externalId 2 has login `a` in document 2 and `b` in document 3",
        5: "externalId 2 has login `a` in document 2 and `b` in document 3",
    }


def test_two_things_that_are_one_row_say_in_what_they_differ(py: Ispyb) -> None:
    with py.engine.begin() as connection:
        py.insert(connection, "Person", {"personId": 7, "login": "x", "siteId": 5, "externalId": None})
    refusals = plan(py, people(1, {"login": "x", "siteId": 6}), people(2, {"siteId": 5, "login": None}))
    assert {r.message for r in refusals if r.entity == "person"} == {
        "several people of this export are personId 7 of ISPyB: siteId 6 in document 1 and 5 in document 2. "
        "Correct them in the User Portal."
    }


def test_a_visit_number_of_two_sessions_says_which(dls: Ispyb) -> None:
    one = document(1)
    one["sessions"][0] = {"externalId": 5, "visit_number": 0}
    one["sessions"][1] = {"expSessionPk": 77, "visit_number": 0}
    found = [r for r in plan(dls, one) if r.entity == "session"]
    assert {r.message for r in found} == {
        "visit_number 0 has externalId 5 in document 1 and expSessionPk 77 in document 1. "
        "Correct them in the User Portal."
    }


# What ISPyB holds, what the document gives


def test_keys_that_disagree_say_what_each_holds_and_what_to_empty(py: Ispyb) -> None:
    with py.engine.begin() as connection:
        py.insert(connection, "Person", {"personId": 5, "login": "b", "externalId": b"\0" * 15 + b"\2"})
    refused = only(plan(py, people(1, {"login": "b", "externalId": 3})), code="keys_disagree")
    assert refused.message.startswith(
        "login `b` belongs to personId 5, which has externalId 2 in ISPyB; the document gives externalId 3."
    )
    assert "empty Person.externalId of personId 5" in refused.message
    run(py, "UPDATE Person SET externalId = NULL WHERE personId = 5")
    assert plan(py, people(1, {"login": "b", "externalId": 3})) == []


def test_a_key_that_is_taken_says_which_two_rows(py: Ispyb) -> None:
    with py.engine.begin() as connection:
        py.insert(connection, "Person", {"personId": 5, "login": "b", "externalId": b"\0" * 15 + b"\2"})
        py.insert(connection, "Person", {"personId": 6, "login": "c"})
    refused = only(plan(py, people(1, {"login": "c", "externalId": 2})), code="key_taken")
    words = "login `c` is to go to personId 5, but already belongs to personId 6 and stays there. If both rows are the"
    assert refused.message.startswith(words)
    assert "`ispyb-sync merge person 5 6` prints the SQL" in refused.message


def test_a_key_of_two_rows_comes_with_the_command_that_merges_them(py: Ispyb) -> None:
    run(py, "INSERT INTO Person (personId, login) VALUES (12, 'b'), (34, 'b')")
    names = "proposalId, personId, proposalCode, proposalNumber"
    run(py, f"INSERT INTO Proposal ({names}) VALUES (5, 12, 'MX', '1'), (6, 12, 'MX', '1')")
    refusals = plan(py, people(1, {"login": "b"}))
    assert "(`ispyb-sync merge person 12 34` prints the SQL)" in only(refusals, entity="person").message
    proposal = only(refusals, code="ambiguous_match", entity="proposal").message
    assert "finds several rows of Proposal" in proposal
    assert "ispyb-sync merge" not in proposal  # of these there is none


def test_who_waits_for_a_key_that_is_not_given_up_is_told_of_the_other_change(py: Ispyb) -> None:
    with py.engine.begin() as connection:
        for number, login in ((1, "a"), (2, "b"), (3, "c")):
            row = {"personId": number, "login": login, "externalId": number.to_bytes(16, "big") if number < 3 else None}
            py.insert(connection, "Person", row)
    refusals = plan(py, people(1, {"externalId": 1, "login": "b"}, {"externalId": 2, "login": "c"}))
    words = only(refusals, code="key_taken", value="b").message
    assert "belongs to personId 2 and stays there, as the change of that row is refused too" in words
    assert "already belongs to personId 3" in only(refusals, code="key_taken", value="c").message


# Values


@pytest.mark.parametrize(
    ("field", "value", "line"),
    [
        ("externalId", "12", 'proposal.persons[1].externalId = "12": '),
        ("siteId", "", 'proposal.persons[1].siteId = "": '),
        ("login", 12, "proposal.persons[1].login = 12: "),
        ("familyName", [1, "é"], 'proposal.persons[1].familyName = [1, "é"]: '),
    ],
)
def test_values_stand_as_json_has_them(py: Ispyb, command: CommandLine, field: str, value: object, line: str) -> None:
    write("one.json", [people(1, {"login": "good"}, {"login": "x", field: value})])
    assert line in command("plan", "one.json").out
    assert only(plan(py, people(1, {"login": "good"}, {"login": "x", field: value})), field=field).value == value


def test_a_list_that_is_too_long_to_show_is_cut_and_json_none_the_less(py: Ispyb, command: CommandLine) -> None:
    write("one.json", [people(1, {"login": "x", "familyName": [{"externalId": number} for number in range(99)]})])
    assert 'familyName = [{"externalId": 0}, {"externalId": 1}, {"exter' in command("plan", "one.json").out


def test_a_letter_is_told_by_its_place_and_the_alter_lets_it_in(dls: Ispyb) -> None:
    latin1 = "varchar(45) CHARACTER SET latin1"
    run(dls, f"ALTER TABLE Person MODIFY givenName {latin1} DEFAULT 'none' COMMENT 'it''s first'")
    new = people(1, {"login": "new", "givenName": "Łucja"})
    try:
        refused = only(plan(dls, new), code="value_not_encodable")
        assert refused.message.startswith(
            "letter 1 is 'Ł' (U+0141), which latin1 cannot store (Person.givenName is varchar(45), latin1);"
            " the new row is written without it. Correct it in the User Portal, or let the column hold it: "
        )
        alter = refused.message.partition("hold it: ")[2].removesuffix(".")
        assert alter.endswith("varchar(45) CHARACTER SET utf8mb4 NULL DEFAULT 'none' COMMENT 'it''s first'")
        run(dls, alter)
        assert plan(dls, new) == []
    finally:
        run(dls, f"ALTER TABLE Person MODIFY givenName {latin1}")


def test_a_value_that_an_enum_lacks_comes_with_the_alter_that_lets_it_in(dls: Ispyb) -> None:
    new = people(1, {"login": "new"}) | {"proteins": [{"acronym": "P", "safetyLevel": "odd"}]}
    message = only(plan(dls, new), code="value_not_allowed").message
    alter = message.partition("hold it: ALTER TABLE Protein ")[2].removesuffix(".")
    assert re.fullmatch(r"MODIFY safetyLevel enum\(.*,'NEW VALUE'\) CHARACTER SET \w+ NULL.*", alter)
    with altered(dls, "Protein", alter.replace("NEW VALUE", "odd")):
        assert plan(dls, new) == []


def test_a_row_that_is_there_keeps_what_it_has(dls: Ispyb) -> None:
    run(dls, "INSERT INTO Person (login, familyName) VALUES ('old', 'Name')")
    long = {"familyName": "x" * 3000}
    refusals = plan(dls, people(1, {"login": "old"} | long, {"login": "new"} | long))
    said = {r.path: r.message for r in refusals}
    assert "the column keeps what it has" in said["proposal.persons[0].familyName"]
    assert "the new row is written without it" in said["proposal.persons[1].familyName"]
    assert "MODIFY familyName varchar(3000) CHARACTER SET" in said["proposal.persons[0].familyName"]


# Counts and names


def test_the_header_counts_documents_and_values_apart_and_names_the_database(dls: Ispyb, command: CommandLine) -> None:
    long = people(1, {"login": "a", "familyName": "x" * 3000})
    write("mixed.json", [long, {"proposal": {"title": "nothing names it"}}])
    head = f"{dls.called}; 2 documents read, 1 refused whole, 1 value refused"
    assert f"plan: planned, nothing written; {head}" in command("plan", "mixed.json").out
    assert f"apply: applied (run 1); {head}" in command("apply", "mixed.json").out
    assert f"apply: applied (run 1); {head}" in command("history", "1").out
    assert command("check").out.startswith(f"check: {dls.called}\n")
    assert command("history", "--person", "a").out.startswith(f"history: {dls.called}\n")
    assert f"undo: planned, nothing written; {dls.called}" in command("undo", "1", "--plan").out


# Warnings


def test_warnings_show_where_and_what(dls: Ispyb) -> None:
    with dls.engine.begin() as connection:
        for number in (1, 2):
            dls.insert(connection, "Laboratory", {"laboratoryId": number, "name": "MAX IV", "city": "Lund"})
    documents = [
        people(number, {"login": "a", "familyName": f"Name {number}", "laboratory": {"name": "MAX IV", "city": "Lund"}})
        for number in range(1, 13)
    ]
    report = sync.plan(documents, database=dls.role_url, staging_schema=dls.staging_schema)
    said = {w.code: (w.count, [e.to_dict() for e in w.examples]) for w in report.warnings}
    place = {"document": 1, "proposal": "MX-1"}
    assert said["conflicting_copies"] == (1, [place | {"path": "proposal.persons[0]", "value": "a"}])
    place["path"] = "proposal.persons[0].laboratory"
    assert said["several_of_one_name"] == (1, [place | {"value": "laboratoryId 1"}])


def test_of_many_ten_are_shown(dls: Ispyb) -> None:
    documents = [people(n, {"login": f"u{n}", "familyName": name}) for name in ("one", "two") for n in range(1, 13)]
    report = sync.plan(documents, database=dls.role_url, staging_schema=dls.staging_schema)
    (warning,) = [w for w in report.warnings if w.message.startswith("person: rows that several documents describe")]
    assert (warning.count, [e.value for e in warning.examples]) == (12, [f"u{number}" for number in range(1, 11)])
