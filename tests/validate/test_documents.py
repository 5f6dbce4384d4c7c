"""Documents: what each field takes, what is refused with which position, and what goes on without it."""

import copy
import json
import uuid
from datetime import date, datetime, timedelta, timezone
from typing import Any

import pytest
from msgspec import UNSET
from support.exports import GOOD, good, validated

from sync.model.documents import REFUSED, Document, LabContact, Proposal, Protein, Session
from sync.model.people import Laboratory, Person, SessionOptions, SessionPerson
from sync.model.published.json_schema import example, schema
from sync.model.refusals import Refusal, refused_value
from sync.validate.repair import MOST_ERRORS
from sync.validate.validator import proposal_label

PARIS = "Europe/Paris"
Place = tuple[int | str, ...]
ABSENT = object()


def changed(*changes: tuple[Place, Any]) -> dict[str, Any]:
    """The good document with other values at some places."""
    raw = good()
    for place, value in changes:
        inner: Any = raw
        for part in place[:-1]:
            inner = inner[part]
        if value is ABSENT:
            del inner[place[-1]]
        else:
            inner[place[-1]] = value
    return raw


def where(refusals: list[Refusal]) -> list[tuple[str, str, str, str | None]]:
    return [(r.entity, r.code, r.path, r.field) for r in refusals]


PERSON: Place = ("proposal", "persons", 0)
SESSION: Place = ("sessions", 0)
PROTEIN: Place = ("proteins", 0)
CARD: Place = ("proposal", "labcontacts", 0)
MAXIMUM = 2**128 - 1
SOME_UUID = "0A0b0c0d-0000-4000-8000-0123456789ab"

TAKEN = [
    ("text stays as it is", (*PERSON, "familyName"), " O'Brien\t'; DROP TABLE Person; -- \x00", None),
    ("empty text is text", (*PERSON, "familyName"), "", None),
    ("blank login is null", (*PERSON, "login"), " \t", (None,)),
    ("empty laboratory city is null", (*PERSON, "laboratory", "city"), "", (None,)),
    ("a key keeps its blanks", (*PERSON, "login"), " a ", None),
    ("the word None in a phone number is null", (*PERSON, "phoneNumber"), "None", (None,)),
    ("the word None in a fax number is null", (*PERSON, "faxNumber"), "None", (None,)),
    ("the word None elsewhere is text", (*PERSON, "title"), "None", None),
    ("a login that is a name and nearly a word", (*PERSON, "login"), "Nan", None),
    ("a login that may be a short name", (*PERSON, "login"), "NA", None),
    ("0 in siteId is null", (*PERSON, "siteId"), 0, (None,)),
    ("0 in laboratoryExtPk is null", (*PERSON, "laboratory", "laboratoryExtPk"), 0, (None,)),
    ("0 in expSessionPk is null", (*SESSION, "expSessionPk"), 0, (None,)),
    ("0 in visit_number is a value", (*SESSION, "visit_number"), 0, None),
    ("externalId 0", (*PERSON, "externalId"), 0, (bytes(16),)),
    ("largest externalId", (*PERSON, "externalId"), MAXIMUM, (b"\xff" * 16,)),
    ("UUID", (*PERSON, "externalId"), SOME_UUID, (uuid.UUID(SOME_UUID).bytes,)),
    ("UUID without hyphens", (*PERSON, "externalId"), SOME_UUID.replace("-", ""), (uuid.UUID(SOME_UUID).bytes,)),
    ("UUID object", (*PERSON, "externalId"), uuid.UUID(SOME_UUID), (uuid.UUID(SOME_UUID).bytes,)),
    ("externalId of a laboratory", (*PERSON, "laboratory", "externalId"), 5, ((5).to_bytes(16, "big"),)),
    ("null", (*SESSION, "startDate"), None, None),
    ("flag as boolean", (*SESSION, "scheduled"), True, (1,)),
    ("flag as integer", (*SESSION, "scheduled"), 0, (0,)),
    ("whole number for a float", (*SESSION, "dewarTransport"), 3, (3.0,)),
    ("64 bits", (*SESSION, "nbShifts"), -(2**63), None),
    ("naive date", (*SESSION, "startDate"), "2024-02-29T10:00:00", (datetime(2024, 2, 29, 10),)),
    ("date with Z", (*SESSION, "startDate"), "2024-07-01T10:00:00Z", (datetime(2024, 7, 1, 12),)),
    ("date with an offset", (*SESSION, "startDate"), "2024-01-01 23:00:00-05:00", (datetime(2024, 1, 2, 5),)),
    ("date with a short offset", (*SESSION, "startDate"), "2024-01-01T10:00+02", (datetime(2024, 1, 1, 9),)),
    ("fractions are dropped", (*SESSION, "startDate"), "2024-01-01T10:00:00.999999999", (datetime(2024, 1, 1, 10),)),
    ("date alone", (*SESSION, "startDate"), "2024-02-29", (datetime(2024, 2, 29),)),
    ("datetime object", (*SESSION, "startDate"), datetime(2024, 1, 1, 10, 0, 0, 5), (datetime(2024, 1, 1, 10),)),
    (
        "aware datetime object",
        (*SESSION, "startDate"),
        datetime(2024, 1, 1, 10, tzinfo=timezone(timedelta(hours=9))),
        (datetime(2024, 1, 1, 2),),
    ),
    ("date object", (*SESSION, "startDate"), date(2024, 1, 1), (datetime(2024, 1, 1),)),
    ("no lab contacts", ("proposal", "labcontacts"), None, None),
    ("no people", (*SESSION, "persons"), None, None),
    ("no people at all", ("proposal", "persons"), [], None),
]


@pytest.mark.parametrize(("place", "value", "stored"), [t[1:] for t in TAKEN], ids=[t[0] for t in TAKEN])
def test_a_value_is_taken(place: Place, value: Any, stored: tuple[Any] | None) -> None:
    raw = changed((place, value))
    before = copy.deepcopy(raw)
    (valid,), refusals, _, _ = validated(raw, timezone=PARIS)
    assert refusals == []
    found: Any = valid.document
    for part in place:
        found = found[part] if isinstance(part, int) else getattr(found, part)
    assert found == (value if stored is None else stored[0])
    assert type(found) is type(value if stored is None else stored[0])
    assert raw == before


def person(field: str) -> tuple[str, str, str, str | None]:
    return ("person", "invalid_document", f"proposal.persons[0].{field}", field)


def session(field: str) -> tuple[str, str, str, str | None]:
    return ("session", "invalid_document", f"sessions[0].{field}", field)


# what, place, value, the refusals, words of the first message
REFUSALS: list[tuple[str, Place, Any, list[tuple[str, str, str, str | None]], str]] = [
    ("number for text", (*PERSON, "familyName"), 12, [person("familyName")], "not a number"),
    ("boolean for text", (*PERSON, "login"), True, [person("login")], "not true or false"),
    ("list for text", (*PERSON, "login"), ["a"], [person("login")], "not a list"),
    ("text for an integer", (*PERSON, "siteId"), "12", [person("siteId")], "without quotes"),
    ("fraction for an integer", (*PERSON, "siteId"), 12.0, [person("siteId")], "whole number"),
    ("boolean for an integer", (*PERSON, "siteId"), True, [person("siteId")], "whole number"),
    ("integer beyond 64 bits", (*PERSON, "siteId"), 2**63, [person("siteId")], "64 bits"),
    ("float of a long integer", (*PERSON, "siteId"), float(2**70), [person("siteId")], "64 bits"),
    ("externalId below 0", (*PERSON, "externalId"), -1, [person("externalId")], "2^128-1"),
    ("externalId of 2^128", (*PERSON, "externalId"), 2**128, [person("externalId")], "2^128-1"),
    ("externalId as a float", (*PERSON, "externalId"), 5.0, [person("externalId")], "integer or a UUID"),
    ("externalId as a boolean", (*PERSON, "externalId"), True, [person("externalId")], "UUID"),
    ("externalId as digits", (*PERSON, "externalId"), "157", [person("externalId")], "UUID"),
    ("externalId in braces", (*PERSON, "externalId"), "{" + SOME_UUID + "}", [person("externalId")], "UUID"),
    ("no such day", (*SESSION, "startDate"), "2024-02-30", [session("startDate")], "no such date"),
    ("MySQL's zero date", (*SESSION, "startDate"), "0000-00-00 00:00:00", [session("startDate")], "no such"),
    ("number for a date", (*SESSION, "startDate"), 1709200000, [session("startDate")], "ISO 8601"),
    ("digits for a date", (*SESSION, "startDate"), "1709200000", [session("startDate")], "ISO 8601"),
    ("empty date", (*SESSION, "startDate"), "", [session("startDate")], "ISO 8601"),
    ("date of the wrong order", (*SESSION, "startDate"), "30/01/2024", [session("startDate")], "ISO 8601"),
    ("date that leaves the calendar", (*SESSION, "endDate"), "9999-12-31T23:59:59-10:00", [session("endDate")], "no"),
    ("text for a flag", (*SESSION, "usedFlag"), "1", [session("usedFlag")], "true, false"),
    ("float for a flag", (*SESSION, "usedFlag"), 1.0, [session("usedFlag")], "true, false"),
    ("NaN", (*SESSION, "dewarTransport"), float("nan"), [session("dewarTransport")], "finite number"),
    ("a number beyond all floats", (*SESSION, "dewarTransport"), 10**5000, [session("dewarTransport")], "finite"),
    ("text for a float", (*SESSION, "dewarTransport"), "1.5", [session("dewarTransport")], "not text"),
    ("an object for a list", (*SESSION, "persons"), {}, [session("persons")], "a list is expected, not an object"),
    ("a session that is null", SESSION, None, [("session", "invalid_document", "sessions[0]", None)], "not null"),
    ("a session of nothing", SESSION, {}, [("session", "invalid_document", "sessions[0]", None)], "visit_number"),
    (
        "a person without a key",
        PERSON,
        {"familyName": "Smith", "login": " "},
        [("person", "invalid_document", "proposal.persons[0]", None)],
        "give externalId (preferred) or login",
    ),
    (
        "a laboratory without a key",
        (*PERSON, "laboratory"),
        {"city": "Hamburg"},
        [("laboratory", "invalid_document", "proposal.persons[0].laboratory", None)],
        "goes on without a laboratory",
    ),
    (
        "a laboratory that is text",
        (*PERSON, "laboratory"),
        "DESY",
        [("laboratory", "invalid_document", "proposal.persons[0].laboratory", None)],
        "an object is expected, not text",
    ),
    (
        "a person in a session",
        (*SESSION, "persons", 0, "login"),
        5,
        [("person", "invalid_document", "sessions[0].persons[0].login", "login")],
        "skipped",
    ),
    (
        "how a person takes part",
        (*SESSION, "persons", 0, "session_options", "role"),
        5,
        [("session_has_person", "invalid_document", "sessions[0].persons[0].session_options.role", "role")],
        "skipped",
    ),
    (
        "a protein without a key",
        (*PROTEIN, "acronym"),
        "",
        [("protein", "invalid_document", "proteins[0]", None)],
        "give externalId (preferred) or acronym",
    ),
    (
        "a protein's person",
        (*PROTEIN, "person"),
        {"login": 5},
        [("person", "invalid_document", "proteins[0].person.login", "login")],
        "goes on without a person",
    ),
    (
        "a card without a name",
        (*CARD, "cardName"),
        " ",
        [("lab_contact", "invalid_document", "proposal.labcontacts[0].cardName", "cardName")],
        "a name is expected",
    ),
    (
        "a card without a person",
        (*CARD, "person"),
        ABSENT,
        [("lab_contact", "invalid_document", "proposal.labcontacts[0].person", "person")],
        "person is missing",
    ),
    (
        "a card with a person that is null",
        (*CARD, "person"),
        None,
        [("lab_contact", "invalid_document", "proposal.labcontacts[0].person", "person")],
        "not null",
    ),
    (
        "a card whose person is refused",
        (*CARD, "person"),
        {"familyName": "x"},
        [
            ("person", "invalid_document", "proposal.labcontacts[0].person", None),
            ("lab_contact", "parent_refused", "proposal.labcontacts[0]", None),
        ],
        "it has no identifier; give externalId (preferred) or login",
    ),
]
WHOLE: list[tuple[str, Place, Any, str, str]] = [
    ("no proposal", ("proposal",), ABSENT, "proposal", 'not a document: it needs {"proposal": {…}, "sessions": […]}'),
    ("a proposal that is null", ("proposal",), None, "proposal", "not null"),
    ("a proposal without a key", ("proposal",), {"proposalCode": "MX"}, "proposal", "proposalNumber"),
    ("a number for the title", ("proposal", "title"), 5, "proposal.title", "text is expected"),
    ("a number for the number", ("proposal", "proposalNumber"), 5, "proposal.proposalNumber", "in quotes"),
    ("people that are no list", ("proposal", "persons"), "a", "proposal.persons", "a list is expected"),
    ("sessions that are no list", ("sessions",), {}, "sessions", "a list is expected"),
]


@pytest.mark.parametrize(
    ("place", "value", "expected", "words"), [r[1:] for r in REFUSALS], ids=[r[0] for r in REFUSALS]
)
def test_a_bad_thing_is_refused_alone(place: Place, value: Any, expected: list[Any], words: str) -> None:
    raw = changed((place, value))
    before = repr(raw) if not isinstance(value, int) else ""
    documents, refusals, _, validator = validated([good(), raw, good()])
    assert where(refusals) == expected
    assert {(r.document, r.proposal) for r in refusals} == {(2, "MX-1")}
    assert words in refusals[0].message
    assert [valid.number for valid in documents] == [1, 2, 3]
    assert (validator.read, validator.refused) == (3, 0)
    assert not before or repr(raw) == before


@pytest.mark.parametrize(("place", "value", "path", "words"), [w[1:] for w in WHOLE], ids=[w[0] for w in WHOLE])
def test_a_bad_proposal_refuses_its_document_alone(place: Place, value: Any, path: str, words: str) -> None:
    documents, refusals, _, validator = validated([good(), changed((place, value)), good()])
    assert [(r.entity, r.code, r.document, r.path) for r in refusals] == [("proposal", "invalid_document", 2, path)]
    assert words in refusals[0].message
    assert "the document is refused" in refusals[0].message
    assert [valid.number for valid in documents] == [1, 3]
    assert (validator.read, validator.refused) == (3, 1)


# What is left of a document


def left(*changes: tuple[Place, Any]) -> Document:
    (valid,), refusals, _, _ = validated(changed(*changes))
    assert refusals
    return valid.document


def test_the_place_of_a_refused_person_is_kept() -> None:
    persons = left((PERSON, {})).proposal.persons
    assert persons is not None
    assert persons[0] is REFUSED
    assert persons[1].login == "bsmith"


def test_a_person_goes_on_without_its_laboratory() -> None:
    persons = left(((*PERSON, "laboratory"), {})).proposal.persons
    assert persons is not None
    assert persons[0].login == "aweaver"
    assert persons[0].laboratory is UNSET


def test_a_protein_goes_on_without_its_person() -> None:
    proteins = left(((*PROTEIN, "person"), 5)).proteins
    assert proteins is not None
    assert proteins[0].acronym == "lyso"
    assert proteins[0].person is UNSET


def test_each_kind_of_list_keeps_the_places_of_what_is_refused() -> None:
    document = left(
        ((*CARD, "person"), {}),
        (SESSION, None),
        (("sessions", 1, "persons"), [{"login": "x"}, None]),
        (("proteins",), [{}, {"acronym": "p"}]),
    )
    assert document.proposal.labcontacts == [REFUSED]
    assert document.sessions is not None
    assert document.sessions[0] is REFUSED
    participants = document.sessions[1].persons
    assert participants is not None
    assert (participants[0].person.login, participants[1]) == ("x", REFUSED)
    assert document.proteins is not None
    assert document.proteins[0] is REFUSED
    assert document.proteins[1].acronym == "p"


def test_a_refused_thing_takes_what_is_in_it_and_all_errors_are_told() -> None:
    raw = changed((SESSION, {"nbShifts": "x", "persons": [{"login": 5}]}), ((*PERSON, "laboratory"), {"name": 5}))
    del raw["proposal"]["persons"][0]["login"], raw["proposal"]["persons"][0]["externalId"]
    (valid,), refusals, _, _ = validated(raw)
    assert where(refusals) == [
        ("laboratory", "invalid_document", "proposal.persons[0].laboratory.name", "name"),
        ("session", "invalid_document", "sessions[0].nbShifts", "nbShifts"),
        ("person", "invalid_document", "sessions[0].persons[0].login", "login"),
        ("person", "invalid_document", "proposal.persons[0]", None),
    ]
    assert valid.document.proposal.persons is not None
    assert valid.document.proposal.persons[0] is REFUSED
    assert valid.document.sessions is not None
    assert valid.document.sessions[0] is REFUSED


def test_null_and_absent_are_told_apart() -> None:
    raw = changed((("proposal", "title"), None), (("proposal", "state"), "Open"), ((*PROTEIN, "person"), None))
    for export in (raw, json.dumps(raw).encode()):
        (valid,), _, _, _ = validated(export)
        proposal, proteins = valid.document.proposal, valid.document.proteins
        assert (proposal.title, proposal.state, proposal.proposalType) == (None, "Open", UNSET)
        assert proteins is not None
        assert (proteins[0].person, proteins[0].name) == (None, UNSET)


def test_a_document_of_very_many_errors_is_refused_as_a_whole() -> None:
    raw = changed((("proteins",), [None] * (MOST_ERRORS + 1)))
    documents, refusals, _, _ = validated(raw)
    assert documents == []
    assert len(refusals) == 1
    assert "10,001 errors" in refusals[0].message


def test_one_object_in_two_places_is_not_changed() -> None:
    shared: dict[str, Any] = {"login": "a", "laboratory": {"city": "x"}}
    raw = changed((PERSON, shared), ((*CARD, "person"), shared))
    (valid,), refusals, _, _ = validated(raw)
    assert [r.entity for r in refusals] == ["laboratory", "laboratory"]
    assert shared == {"login": "a", "laboratory": {"city": "x"}}
    assert valid.document.proposal.persons is not None


# Dates, labels, values, notices


@pytest.mark.parametrize(
    ("proposal", "label"),
    [
        ({"proposalCode": "MX", "proposalNumber": "12"}, "MX-12"),
        ({"proposalNumber": "20140076"}, "20140076"),
        ({"proposalCode": " ", "proposalNumber": "12"}, "12"),
        ({"proposalCode": "MX", "proposalNumber": 12}, "MX-12"),
        ({"proposalCode": "MX", "externalId": 0}, "0"),
        ({"externalId": SOME_UUID}, SOME_UUID),
        ({"proposalCode": "MX", "proposalNumber": True}, None),
        ({}, None),
        (None, None),
    ],
)
def test_a_proposal_is_called(proposal: Any, label: str | None) -> None:
    assert proposal_label({"proposal": proposal}) == label


def test_only_the_proposals_asked_for_are_taken() -> None:
    other = changed((("proposal", "proposalNumber"), "11"), (SESSION, None))
    bare = {"proposal": {"proposalNumber": "20140076"}}
    documents, refusals, notices, validator = validated(
        [good(), other, bare, {"proposal": 5}], proposals={"MX-1", "20140076", "MX-9"}
    )
    assert [(valid.number, valid.proposal) for valid in documents] == [(1, "MX-1"), (3, "20140076")]
    assert refusals == []
    assert (validator.read, validator.refused, validator.not_selected) == (4, 0, 2)
    assert [(n.code, n.message) for n in notices] == [
        ("proposal_not_found", "no document of MX-9 in the export (the nearest are MX-1, MX-11)")
    ]


@pytest.mark.parametrize("asked", ["MX-é1", "mx-e1", "Mx-E1", " mx - É1 ", "MX-E\u03011"])
@pytest.mark.parametrize("code", ["MX", "mx", "MX "])
def test_a_proposal_is_asked_for_as_collations_compare(code: str, asked: str) -> None:
    raw = changed((("proposal", "proposalCode"), code), (("proposal", "proposalNumber"), "é1"))
    documents, _, notices, _ = validated([good(), raw], proposals={asked})
    assert [valid.number for valid in documents] == [2]
    assert notices == []


def test_a_proposal_that_is_not_there_is_told_with_the_nearest() -> None:
    raws = [changed((("proposal", "proposalNumber"), str(number))) for number in (2112, 2113, 2221, 77)]
    _, _, (notice,), _ = validated([*raws, {"proposal": {"proposalCode": "BX"}}], proposals={"mx2112", "MX-2112"})
    assert notice.code == "proposal_not_found"
    assert notice.message.startswith("no document of mx2112 in the export (the nearest are MX-2112, MX-2")
    _, _, (notice,), _ = validated(raws, proposals={"\x1bQ"})
    assert notice.message == "no document of \\x1bQ in the export"


def test_what_cannot_be_read_is_refused_with_its_position() -> None:
    good_line = json.dumps(GOOD).encode()
    documents, refusals, _, validator = validated(b"\n".join([good_line, b"{", good_line]))
    assert [(valid.number, valid.line) for valid in documents] == [(1, 1), (3, 3)]
    assert [(r.entity, r.code, r.document, r.path) for r in refusals] == [("proposal", "invalid_json", 2, "")]
    assert refusals[0].message.startswith("line 2: ")
    assert (validator.read, validator.refused) == (3, 1)


def test_unknown_keys_are_told_once_with_the_closest_name() -> None:
    person = {"login": "a", "emailAdress": "x", "type": "cowriter"}
    raw = changed(
        (("proposal", "persons"), [person, person]),
        (("proposal", "bltimeStamp"), None),
        ((*SESSION, "beamlineOperator"), "x"),
        ((*SESSION, "persons"), [person]),
        (("proteins", 0, "person", "laboratory"), {"name": "x", "extPk": 5}),
        ((*CARD, "person", "lab\x1boratory"), 1),
        (("propsal",), 1),
    )
    documents, refusals, notices, _ = validated([raw, raw])
    assert len(documents) == 2
    assert refusals == []
    assert {n.message: n.count for n in notices} == {
        "unknown key `propsal` (did you mean proposal?)": 2,
        "unknown key `proposal.bltimeStamp`": 2,
        "unknown key `proposal.persons[].emailAdress` (did you mean emailAddress?)": 4,
        "unknown key `proposal.persons[].type`": 4,
        "unknown key `proposal.labcontacts[].person.lab\\x1boratory` (did you mean laboratory?)": 2,
        "unknown key `sessions[].beamlineOperator` (did you mean beamLineOperator?)": 2,
        "unknown key `sessions[].persons[].emailAdress` (did you mean emailAddress?)": 2,
        "unknown key `sessions[].persons[].type`": 2,
        "unknown key `proteins[].person.laboratory.extPk`": 2,
    }
    assert {n.code for n in notices} == {"unknown_key"}


def test_the_word_none_is_told_once_a_field() -> None:
    person = {"login": "a", "phoneNumber": "None", "faxNumber": "None"}
    raw = changed((("proposal", "persons"), [person, person, {}]), ((*SESSION, "persons"), [person]))
    _, _, notices, _ = validated([raw, raw])
    assert [(n.code, n.message, n.count) for n in notices] == [
        ("null_word", 'the text "None" in phoneNumber is taken for null', 6),
        ("null_word", 'the text "None" in faxNumber is taken for null', 6),
    ]


ODD = changed(
    (("proposal", "title"), "N/A"),
    (("proposal", "surprise"), [1]),
    ((*PERSON, "familyName"), "null"),
    ((*PERSON, "phoneNumber"), "None"),
    ((*PERSON, "siteId"), 0),
    ((*PERSON, "laboratory", "laboratoryExtPk"), 0),
    ((*PERSON, "laboratory", "url"), "undefined"),
    ((*CARD, "billingReference"), "NaN"),
    ((*PROTEIN, "description"), "NONE"),
    ((*SESSION, "expSessionPk"), 0),
    ((*SESSION, "comments"), "none"),
    ((*SESSION, "persons", 0, "session_options", "role"), "None"),
    ((*SESSION, "persons", 0, "emailAdress"), None),
)
"""A document of which nothing is refused."""
FOUND = {
    ("null_word", "proposal.title"): ("proposal.title", "N/A"),
    ("unknown_key", "surprise"): ("proposal.surprise", [1]),
    ("null_word", "person.familyName"): ("proposal.persons[0].familyName", "null"),
    ("null_word", "in phoneNumber is taken for null"): ("proposal.persons[0].phoneNumber", "None"),
    ("zero_key", "person.siteId"): ("proposal.persons[0].siteId", 0),
    ("zero_key", "laboratory.laboratoryExtPk"): ("proposal.persons[0].laboratory.laboratoryExtPk", 0),
    ("null_word", "laboratory.url"): ("proposal.persons[0].laboratory.url", "undefined"),
    ("null_word", "lab_contact.billingReference"): ("proposal.labcontacts[0].billingReference", "NaN"),
    ("null_word", "protein.description"): ("proteins[0].description", "NONE"),
    ("zero_key", "session.expSessionPk"): ("sessions[0].expSessionPk", 0),
    ("null_word", "session.comments"): ("sessions[0].comments", "none"),
    ("null_word", "session_has_person.role"): ("sessions[0].persons[0].session_options.role", "None"),
    ("unknown_key", "emailAdress"): ("sessions[0].persons[0].emailAdress", None),
}


@pytest.mark.parametrize("refused", [False, True], ids=["as it is", "with something refused"])
@pytest.mark.parametrize("stranger", [False, True], ids=["of JSON", "not of JSON"])
def test_what_is_odd_and_taken_is_counted_and_shown(refused: bool, stranger: bool) -> None:
    raw = copy.deepcopy(ODD)
    if refused:
        raw["proteins"].append({"acronym": 5})
    if stranger:
        raw["proposal"]["persons"][0]["externalId"] = uuid.UUID(SOME_UUID)
    _, refusals, notices, _ = validated([raw] * 12)
    assert len(refusals) == 12 * refused
    assert len(notices) == len(FOUND)
    for (code, words), (path, value) in FOUND.items():
        (notice,) = [n for n in notices if n.code == code and words in n.message]
        assert notice.count == 12
        assert [(e.document, e.proposal, e.path, e.value) for e in notice.examples] == [
            (number, "MX-1", path, value) for number in range(1, 11)
        ]


KEYS: list[Place] = [
    (*PERSON, "login"),
    (*PERSON, "laboratory", "name"),
    (*PERSON, "laboratory", "city"),
    (*PERSON, "laboratory", "country"),
    (*PROTEIN, "acronym"),
    (*CARD, "cardName"),
]


@pytest.mark.parametrize("word", ["None", "none", "NULL", "nan", "NaN", "n/a", "N/A", "undefined", " null "])
@pytest.mark.parametrize("place", KEYS, ids=lambda place: str(place[-1]))
def test_a_word_for_nothing_is_refused_in_a_key(place: Place, word: str) -> None:
    raw = changed((place, word))
    if place == (*PERSON, "login"):
        raw["proposal"]["persons"][0]["externalId"] = 5  # which does not help: the row is refused
    documents, (refusal,), _, _ = validated(raw)
    assert len(documents) == 1
    assert (refusal.code, refusal.field, refusal.value) == ("value_not_allowed", place[-1], word)
    assert "Send null" in refusal.message


@pytest.mark.parametrize("field", ["proposalCode", "proposalNumber"])
def test_a_word_for_nothing_in_the_name_of_a_proposal_refuses_the_document(field: str) -> None:
    documents, (refusal,), _, _ = validated(changed((("proposal", field), "None")))
    assert documents == []
    assert (refusal.code, refusal.path) == ("value_not_allowed", f"proposal.{field}")


MISSPELT = [
    ({"Proposal": {"proposalNumber": "1"}}, "`Proposal`", "proposal"),
    ({"proposals": {"proposalNumber": "1"}}, "`proposals`", "proposal"),
    ({"proposal": {"proposal_number": "1"}}, "`proposal_number`", "proposalNumber"),
    (changed((("proposal", "labcontacts"), [{"cardname": "c", "person": {"login": "a"}}])), "`cardname`", "cardName"),
    (changed((("proteins",), [{"name": "x", "Acronym": "a"}])), "`Acronym`", "acronym"),
    (changed((("proposal", "persons"), [{"Login": "a"}])), "`Login`", "login"),
    (changed(((*SESSION, "persons"), [{"login ": "a"}])), "`login `", "login"),
    (changed(((*PERSON, "laboratory"), {"Name": "x"})), "`Name`", "name"),
]


@pytest.mark.parametrize(("raw", "key", "meant"), MISSPELT, ids=[m[1] for m in MISSPELT])
def test_a_misspelt_key_is_told_where_it_is_the_reason(raw: dict[str, Any], key: str, meant: str) -> None:
    _, (refusal,), _, _ = validated(raw)
    assert refusal.code == "invalid_document"
    assert f"the key {key} is not known (did you mean {meant}?)" in refusal.message


def test_a_key_that_means_something_else_is_no_reason() -> None:
    _, (refusal,), _, _ = validated({"proposal": {"titel": "x", "number": 5}})
    assert "did you mean" not in refusal.message


def test_the_number_of_different_unknown_keys_is_bounded() -> None:
    raws = [changed(((f"key{n}",), 1)) for n in range(1500)]
    _, _, notices, _ = validated(raws)
    assert len(notices) == 1001
    assert sum(n.count for n in notices) == 1500


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a\x00\x1b[31m\n\u202e\ud800", "a\\x00\\x1b[31m\\n\\u202e\\ud800"),
        (None, "null"),
        (True, "true"),
        (5, "5"),
        (datetime(2024, 1, 1), "2024-01-01T00:00:00"),
        ((157).to_bytes(16, "big"), "157"),
        (uuid.UUID(SOME_UUID).bytes, SOME_UUID.lower()),
    ],
)
def test_a_value_is_shown_as_short_text(value: Any, text: str) -> None:
    assert refused_value(value) == text


@pytest.mark.parametrize(
    "value", ["x" * 10_000, "\x00" * 10_000, {"a": ["b" * 1000] * 1000}], ids=["x", "nul", "object"]
)
def test_a_long_value_is_cut(value: Any) -> None:
    assert len(refused_value(value)) <= 200


def test_a_number_that_python_does_not_print_is_described() -> None:
    assert refused_value(10**5000) == "a very long number"


def test_a_refusal_is_one_json_object() -> None:
    _, (refusal,), _, _ = validated(changed(((*PERSON, "login"), "a" * 300), ((*PERSON, "siteId"), "x")))
    assert json.loads(json.dumps(refusal.to_dict())) == {
        "entity": "person",
        "code": "invalid_document",
        "document": 1,
        "proposal": "MX-1",
        "path": "proposal.persons[0].siteId",
        "field": "siteId",
        "value": "x",
        "message": "a whole number is expected, not text; the person is skipped here. "
        "Send it without quotes, fraction or exponent.",
        "cause": None,
    }


# The JSON Schema


def test_every_field_has_a_title_a_description_and_an_example() -> None:
    definitions = schema()["$defs"] | {"Document": schema()}
    assert {"Laboratory", "Person", "SessionPerson", "SessionOptions", "LabContact", "Proposal"} < set(definitions)
    for name, definition in definitions.items():
        assert definition["description"], name
        for field, described in definition["properties"].items():
            assert described["title"], (name, field)
            assert described["description"], (name, field)
            holds_things = "$ref" in json.dumps(described)
            assert holds_things or described["examples"], (name, field)


def test_the_examples_are_a_document_that_is_taken() -> None:
    raw = example()
    assert set(raw["proposal"]) == set(schema()["$defs"]["Proposal"]["properties"])
    assert raw["sessions"][0]["persons"][0]["session_options"]["role"]
    for export in (raw, json.dumps(raw).encode()):
        documents, refusals, notices, _ = validated(export)
        assert (len(documents), refusals, notices) == (1, [], [])


def test_lengths_choices_and_what_names_a_thing_are_told() -> None:
    definitions = schema()["$defs"]
    assert definitions["Person"]["properties"]["login"]["maxLength"] == 45
    assert definitions["Protein"]["properties"]["sequence"]["maxLength"] == 65535
    assert "maxLength" not in definitions["Protein"]["properties"]["externalId"]
    assert definitions["Proposal"]["properties"]["state"]["enum"] == ["Open", "Closed", "Cancelled", None]
    assert "ERA Admin" in definitions["SessionOptions"]["properties"]["role"]["enum"]
    assert definitions["Person"]["anyOf"] == [{"required": [name]} for name in ("externalId", "login", "siteId")]
    assert "Named by externalId or acronym" in definitions["Protein"]["description"]


def test_the_older_keys_are_marked_deprecated() -> None:
    marked = {
        (name, field)
        for name, definition in schema()["$defs"].items()
        for field, described in definition["properties"].items()
        if described.get("deprecated")
    }
    assert marked == {("Person", "siteId"), ("SessionPerson", "siteId"), ("Session", "expSessionPk")}


def test_what_is_required() -> None:
    assert schema()["required"] == ["proposal"]
    required = {name: d["required"] for name, d in schema()["$defs"].items() if "required" in d}
    assert required == {"LabContact": ["cardName", "person"]}


LABORATORY = "name address city country url organization laboratoryExtPk externalId"
PERSON_FIELDS = "givenName familyName title login externalId siteId emailAddress phoneNumber faxNumber laboratory"
FIELDS = [
    (Laboratory, LABORATORY),
    (Person, PERSON_FIELDS),
    (SessionPerson, f"{PERSON_FIELDS} session_options"),
    (SessionOptions, "role remote"),
    (Proposal, "title proposalCode proposalNumber proposalType externalId state persons labcontacts"),
    (
        LabContact,
        "cardName defaultCourrierCompany courierAccount billingReference dewarAvgCustomsValue "
        "dewarAvgTransportValue person",
    ),
    (
        Session,
        "externalId expSessionPk startDate endDate beamLineName scheduled nbShifts comments beamLineOperator "
        "visit_number usedFlag sessionTitle structureDeterminations dewarTransport databackupFrance "
        "databackupEurope operatorSiteNumber nbReimbDewars projectCode lastUpdate protectedData persons",
    ),
    (
        Protein,
        "name acronym externalId description hazardGroup containmentLevel safetyLevel molecularMass proteinType "
        "sequence isCreatedBySampleSheet person",
    ),
    (Document, "proposal sessions proteins"),
]


@pytest.mark.parametrize(("model", "names"), FIELDS)
def test_a_document_has_the_fields_of_py_ispyb(model: Any, names: str) -> None:
    assert set(model.__struct_fields__) == set(names.split())
