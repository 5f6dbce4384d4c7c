"""The User Portal JSON of Java ISPyB: what becomes of it, and refusals that name its own files and fields."""

import gzip
import io
import json
import re
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.databases import Ispyb
from support.portal import sends, user_portal
from support.small import CommandLine, Done
from support.smis import MAIN, arrays, date, folder, participant, sample, session

import sync
from sync.read.turning import sent

Json = dict[str, Any]
SAMPLE = Path(__file__).parents[1] / "samples" / "smis"


def documents(command: CommandLine, name: str = "smis", *, code: int = 0) -> list[Json]:
    """The documents that a form makes of this input."""
    done = command("validate", name, "--format", "smis", "--print")
    assert done.code == code, done
    return [json.loads(line) for line in done.out.splitlines()]


def report(command: CommandLine, name: str = "smis", *, verb: str = "validate") -> Json:
    done = command(verb, name, "--format", "smis", "--json")
    assert done.code in (0, 1), done
    found: Json = json.loads(done.out)
    return found


def places(found: Json) -> list[tuple[str, str | None]]:
    return [(refusal["path"], refusal["field"]) for refusal in found["refusals"]]


def warnings(found: Json) -> dict[str, int]:
    return {warning["code"]: warning["count"] for warning in found["warnings"]}


def assert_explained(done: Done, *words: str) -> None:
    assert (done.code, done.out) == (2, ""), done
    what, remedy = done.err.strip().split("\n")
    assert what.startswith("error: ")
    assert remedy.startswith("  ")
    for word in words:
        assert word in done.err, done.err


LABORATORY = {
    "name": "Institut des Essais",
    "city": "GRENOBLE",
    "country": "FR",
    "laboratoryExtPk": 200450,
    "address": "12 rue des Essais\n38000",
}


def person(family: str, given: str, **more: Any) -> Json:
    email = f"{family.lower()}@example.org"
    fields = {"familyName": family, "givenName": given, "title": "Dr", "emailAddress": email}
    return fields | more | {"laboratory": LABORATORY}


NORD = person("NORD", "Anne", login="nord", siteId=97074, faxNumber="+33 1")
OUEST = person("OUEST", "Jean", login="ouest", siteId=97075)
EST = person("ÉST", "Zoé", siteId=97076)


def test_each_field_of_the_table(command: CommandLine) -> None:
    folder(Path("smis"), arrays())
    (document,) = documents(command)
    assert document["proposal"] == {
        "proposalCode": "MX",
        "proposalNumber": "415",
        "title": "Étude d'un complexe",
        "persons": [NORD, OUEST, EST, NORD],
        "labcontacts": [
            {"cardName": "ÉST-Zoé-Institut des Essais", "person": EST},
            {"cardName": "NORD-Anne-Institut des Essais", "person": NORD},
        ],
    }
    assert document["sessions"] == [
        {
            "expSessionPk": 978889,
            "startDate": "2016-11-22T09:30:00",
            "endDate": "2016-11-23T17:00:00",
            "nbShifts": 3,
            "beamLineName": "ID29",
            "nbReimbDewars": 4,
            "beamLineOperator": "SUD Solène",
            "operatorSiteNumber": "991481",
            "scheduled": 1,
        },
        document["sessions"][0] | {"expSessionPk": 978890, "scheduled": 9, "nbReimbDewars": 2},
    ]
    made = {"isCreatedBySampleSheet": True}
    assert document["proteins"] == [
        {"acronym": "Lys", "name": "Lys of the hen", "safetyLevel": "GREEN"} | made,
        {"acronym": "Tryp", "name": "Tryp of the hen", "safetyLevel": "YELLOW"} | made,
        {"acronym": "Vir", "name": "Vir of the hen", "safetyLevel": "RED"} | made,
    ]


def zipped(content: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return packed.getvalue()


def test_a_folder_a_zip_and_one_object_are_the_same(command: CommandLine, dls: Ispyb) -> None:
    whole = arrays()
    texts = {name: json.dumps(array).encode() for name, array in whole.items()}
    folder(Path("smis"), whole)
    folder(Path("prefixed"), whole, prefix="MX-415_json_", suffix="")
    Path("one.json").write_text(json.dumps(whole))
    Path("one.json.gz").write_bytes(gzip.compress(json.dumps(whole).encode()))
    Path("files.zip").write_bytes(zipped({f"some/folder/{name}.json": text for name, text in texts.items()}))
    Path("packed.zip").write_bytes(zipped({f"{name}.json.gz": gzip.compress(text) for name, text in texts.items()}))
    expected = documents(command)
    for name in ("prefixed", "one.json", "one.json.gz", "files.zip", "packed.zip"):
        assert documents(command, name) == expected, name
    with user_portal(sends(Path("files.zip").read_bytes())) as portal:
        Path("ispyb-sync.toml").write_text(f'[portal]\nurl = "{portal.url}/{{number}}"\nformat = "smis"\n')
        done = command("validate", "portal:MX-415", "--print")
    assert list(map(json.loads, done.out.splitlines())) == expected
    planned = sync.plan(whole, database=dls.role_url, staging_schema=dls.staging_schema, format="smis")
    assert planned.entities["proposal"].inserted == 1


def test_proposals_beside_each_other(command: CommandLine) -> None:
    """Each pair of code and number is one document, also where files hold several pairs."""
    other = {"categoryCounter": 7}
    folder(Path("smis"), arrays(proposers=[MAIN, MAIN | other], sessions=[session(1), session(2, categCounter=7)]))
    folder(Path("smis"), arrays(samples=[]), prefix="MX-8_json_")
    found = documents(command)
    assert [d["proposal"]["proposalNumber"] for d in found] == ["415", "415", "7"]
    assert [[s["expSessionPk"] for s in d["sessions"]] for d in found] == [[978889, 978890], [1], [2]]
    assert found[2]["proposal"]["persons"] == [NORD]


def test_what_is_printed_is_the_same_export_in_the_other_form(command: CommandLine, py: Ispyb) -> None:
    folder(Path("smis"), arrays())
    done = command("validate", "smis", "--format", "smis", "--print")
    assert "not_approved" not in done.out
    assert "samples without an approval" in done.err
    Path("printed.ndjson").write_text(done.out)
    applied = report(command, verb="apply")
    assert applied["entities"]["session"]["inserted"] == 1  # the cancelled one is not known
    assert applied["entities"]["lab_contact"]["inserted"] == 2
    again = json.loads(command("apply", "printed.ndjson", "--json").out)
    assert {name: (c["inserted"], c["updated"]) for name, c in again["entities"].items()} == dict.fromkeys(
        again["entities"], (0, 0)
    )


def test_where_ispyb_has_no_exp_session_pk(command: CommandLine, dls: Ispyb) -> None:
    """As at Diamond: sessions are known by their visit number, if the portal sends one; all else is written."""
    sessions = [session(1, startShift=1), session(2, startShift=2)]
    folder(Path("smis"), arrays(sessions=sessions))
    without = report(command, verb="apply")
    assert places(without) == [("sessions.json[0]", None), ("sessions.json[1]", None)]
    assert "it has no identifier that this database has a column for" in without["refusals"][0]["message"]
    written = {name: counts["inserted"] for name, counts in without["entities"].items() if counts["inserted"]}
    assert written == {
        "laboratory": 1,
        "person": 3,
        "proposal": 1,
        "proposal_has_person": 3,
        "protein": 3,
        "lab_contact": 2,
    }
    Path("ispyb-sync.toml").write_text('[portal]\nsmis_visit = "startShift"\n')
    assert report(command, verb="apply")["entities"]["session"]["inserted"] == 2
    again = report(command, verb="apply")
    assert again["refusals"] == []
    assert not any(counts["inserted"] or counts["updated"] for counts in again["entities"].values())


def test_a_cancelled_session_that_is_known_is_marked(command: CommandLine, py: Ispyb) -> None:
    folder(Path("smis"), arrays(sessions=[session(5)]))
    report(command, verb="apply")
    folder(Path("smis"), arrays(sessions=[session(5, cancelled=True), session(6, cancelled=True)]))
    changed = report(command, verb="apply")
    assert changed["entities"]["session"] | {"staged": 2, "inserted": 0, "updated": 1} == changed["entities"]["session"]
    (skipped,) = (w for w in changed["warnings"] if w["code"] == "left_to_ispyb")
    assert skipped["count"] == 1
    place = {"document": 1, "proposal": "MX-415", "path": "sessions.json[1]", "value": "6"}
    assert skipped["examples"] == [place]
    with py.engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT expSessionPk, scheduled FROM BLSession").all()
    assert list(map(tuple, rows)) == [(5, 9)]


def test_an_array_that_is_not_sent_says_nothing(command: CommandLine) -> None:
    """Else people of the proposal would look like people who are gone."""
    whole = arrays()
    Path("some.json").write_text(json.dumps({"labcontacts": whole["labcontacts"], "samples": None}))
    (document,) = documents(command, "some.json")
    assert "persons" not in document["proposal"]
    assert len(document["proposal"]["labcontacts"]) == 2
    assert document.keys() == {"proposal"}


def test_latin_1_is_read_and_told(command: CommandLine) -> None:
    folder(Path("smis"), arrays(), encoding="latin-1")
    found = report(command)
    assert warnings(found)["not_utf8"] == 3  # the samples have no accent
    assert documents(command)[0]["proposal"]["labcontacts"][0]["person"]["familyName"] == "ÉST"


def test_an_export_as_a_facility_has_it(command: CommandLine) -> None:
    """Four files of Java ISPyB's portal, in form and letters as they come; their people are invented."""
    shutil.copytree(SAMPLE, "smis")
    found = report(command)
    assert found["refusals"] == []
    assert warnings(found) == {"not_utf8": 1, "not_approved": 2}
    (document,) = documents(command)
    proposal = document["proposal"]
    assert (proposal["proposalCode"], proposal["proposalNumber"]) == ("MX", "9415")
    assert [p["familyName"] for p in proposal["persons"]] == [
        *("MARTINEAU", "NORTHAM", "LEONARDI", "PIPELINE", "MARTINEAU", "ÅSLUND")
    ]
    assert proposal["persons"][0]["givenName"] == "Stéphanie"
    assert [s["startDate"] for s in document["sessions"]] == [
        *("2016-11-22T09:30:00", "2016-11-23T09:30:00", "2016-12-31T09:30:00", "2016-01-12T09:30:00")
    ]
    assert [s["scheduled"] for s in document["sessions"]] == [1, 1, 1, 9]
    assert [p["acronym"] for p in document["proteins"]] == ["P4H", "Lys", "MTHase", "virX"]


def test_the_date_that_differs_from_the_name_is_the_one_that_is_told(command: CommandLine) -> None:
    folder(Path("smis"), arrays(sessions=[session(1, endDate=date(2016, 10, 24, 17))]))
    (warning,) = (w for w in report(command)["warnings"] if w["code"] == "other_days")
    assert [(e["path"], e["value"][:10]) for e in warning["examples"]] == [("sessions.json[0].endDate", "2016-11-24")]


def test_months_from_1(command: CommandLine) -> None:
    folder(Path("smis"), arrays(sessions=[session(1, startDate=date(2016, 11, 22), endDate=date(2016, 11, 23))]))
    found = report(command)
    assert warnings(found)["other_days"] == 1
    (warning,) = (w for w in found["warnings"] if w["code"] == "other_days")
    assert "smis_months" in warning["message"]
    assert warning["examples"][0]["path"] == "sessions.json[0].startDate"
    assert "2016-12-22" in warning["examples"][0]["value"]
    Path("ispyb-sync.toml").write_text("[portal]\nsmis_months = 1\n")
    assert "other_days" not in warnings(report(command))
    assert documents(command)[0]["sessions"][0]["startDate"] == "2016-11-22T00:00:00"


@pytest.mark.parametrize("name", ["", "MX/415 ID29", None, 12, "99-99-2016/99-99-2016"])
def test_a_name_without_days_warns_of_nothing_else(command: CommandLine, name: object) -> None:
    folder(Path("smis"), arrays(sessions=[session(1, name=name)]))
    assert ("other_days" in warnings(report(command))) == (name == "99-99-2016/99-99-2016")


@pytest.mark.parametrize(
    ("settings", "number", "code"),
    [("", None, 0), ('smis_visit = "name"', 7, 0), ('smis_visit = "startShift"', 1, 0)],
)
def test_visit_numbers_by_option(command: CommandLine, settings: str, number: int | None, code: int) -> None:
    folder(Path("smis"), arrays(sessions=[session(1, name="7")]))
    Path("ispyb-sync.toml").write_text(f"[portal]\n{settings}\n")
    assert documents(command, code=code)[0]["sessions"][0].get("visit_number") == number


def test_a_name_that_is_no_visit_number(command: CommandLine) -> None:
    folder(Path("smis"), arrays())
    Path("ispyb-sync.toml").write_text('[portal]\nsmis_visit = "name"\n')
    found = report(command)
    assert places(found) == [("sessions.json[0].name", "name"), ("sessions.json[1].name", "name")]
    assert "smis_visit" in found["refusals"][0]["message"]


@pytest.mark.parametrize(
    ("changed", "place", "field", "words"),
    [
        ({"startDate": date(2016, 12, 1)}, "sessions.json[1].startDate", "startDate", "month 12 (January is 0)"),
        ({"endDate": date(2016, 1, 30)}, "sessions.json[1].endDate", "endDate", "no such date"),
        ({"endDate": {"year": 2016}}, "sessions.json[1].endDate", "endDate", "whole numbers"),
        ({"endDate": {"year": 2016, "month": 10**30, "dayOfMonth": 1}}, "sessions.json[1].endDate", "endDate", "date"),
        ({"endDate": "tomorrow"}, "sessions.json[1].endDate", "endDate", "a date such as"),
        ({"endDate": 1479808800000}, "sessions.json[1].endDate", "endDate", "a date such as"),
        ({"shifts": "3"}, "sessions.json[1].shifts", "shifts", "a whole number is expected, not text"),
        ({"beamlineName": 29}, "sessions.json[1].beamlineName", "beamlineName", "text is expected"),
        ({"reimbursedDays": 1.5}, "sessions.json[1].reimbursedDays", "reimbursedDays", "whole number"),
        ({"cancelled": "no"}, "sessions.json[1].cancelled", "cancelled", "true or false is expected, not text"),
        ({"firstLocalContact": "SUD"}, None, None, ""),
        ({"firstLocalContact": {"name": 5}}, "sessions.json[1].firstLocalContact", "firstLocalContact", "text"),
        ({"pk": None}, "sessions.json[1]", None, "give pk"),
        ({"pk": "978"}, "sessions.json[1].pk", "pk", "a whole number is expected"),
    ],
)
def test_a_session_that_is_wrong_falls_alone(
    command: CommandLine, changed: Json, place: str | None, field: str | None, words: str
) -> None:
    folder(Path("smis"), arrays(sessions=[session(1), session(2, **changed), session(3)]))
    found = report(command)
    assert places(found) == ([] if place is None else [(place, field)])
    for refusal in found["refusals"]:
        assert words in refusal["message"]
        assert refusal["proposal"] == "MX-415"
    assert len(documents(command, code=1 if place else 0)) == 1


def test_places_in_one_object_have_no_file(command: CommandLine) -> None:
    bad = session(2, endDate="?")
    Path("one.json").write_text(json.dumps(arrays(sessions=[session(1, categCounter=9), bad])))
    assert places(report(command, "one.json")) == [("sessions[1].endDate", "endDate")]


@pytest.mark.parametrize(
    ("array", "changed", "expected"),
    [
        ("labcontacts", {"siteId": None}, {("labcontacts.json[0]", None)}),
        ("labcontacts", {"scientistName": 5}, {("labcontacts.json[0].scientistName", "scientistName")}),
        ("labcontacts", {"laboratoryPk": "x"}, {("labcontacts.json[0].laboratoryPk", "laboratoryPk")}),
        ("labcontacts", {"labAddress": [1]}, {("labcontacts.json[0].labAddress", "labAddress")}),
        ("labcontacts", {"siteId": "x"}, {("labcontacts.json[0].siteId", "siteId")}),
        ("proposers", {"bllogin": 5}, {("proposers.json[0].bllogin", "bllogin")}),
        ("proposers", {"scientistUserName": "None"}, {("proposers.json[0].scientistUserName", "scientistUserName")}),
    ],
)
def test_people_that_are_wrong(
    command: CommandLine, array: str, changed: Json, expected: set[tuple[str, str | None]]
) -> None:
    whole = arrays()
    whole[array][0] = whole[array][0] | changed
    folder(Path("smis"), whole)
    found = report(command)
    assert {(r["path"], r["field"]) for r in found["refusals"] if r["code"] != "parent_refused"} == expected


def test_a_person_whom_nothing_names_is_told_in_their_words(command: CommandLine) -> None:
    folder(Path("smis"), arrays(labcontacts=[], proposers=[MAIN, participant("X", "Y", 0, siteId=None)]))
    (refusal,) = report(command)["refusals"]
    assert refusal["path"] == "proposers.json[1]"
    assert "scientistUserName, bllogin, scientistSiteId or siteId" in refusal["message"]


def test_what_does_not_fit_the_database_names_their_field(command: CommandLine, py: Ispyb) -> None:
    whole = arrays(samples=[sample("Lys", 1, description="x" * 300)])
    for participants in whole["proposers"], whole["labcontacts"]:
        for one in participants:
            one["proposalTitle"] = "y" * 2500
    folder(Path("smis"), whole)
    found = report(command, verb="plan")
    assert set(places(found)) == {
        ("samples.json[0].description", "description"),
        ("proposers.json[1].proposalTitle", "proposalTitle"),
    }
    history = json.loads(command("apply", "smis", "--format", "smis", "--json").out)
    kept = json.loads(command("history", str(history["run"]), "--json").out)
    assert places(kept) == places(found)
    assert kept["export"] == "smis"


def test_what_the_database_knows_better_names_their_place(command: CommandLine, py: Ispyb) -> None:
    """A refusal that only matching finds: one login, two people of ISPyB."""
    with py.engine.begin() as connection:
        connection.exec_driver_sql("INSERT INTO Person (login) VALUES ('ouest'), ('ouest')")
    folder(Path("smis"), arrays())
    found = report(command, verb="plan")
    assert ("proposers.json[0]", "bllogin") in places(found)
    waiting = [r["message"] for r in found["refusals"] if r["code"] == "parent_refused"]
    assert waiting
    assert all(message.endswith(" in document 1, at proposers.json[0].") for message in waiting), waiting
    (message,) = (r["message"] for r in found["refusals"] if r["code"] == "ambiguous_match")
    assert message.startswith("bllogin `ouest` finds several rows of Person: personId ")
    assert message.endswith(" prints the SQL).")  # no other key of the portal comes before it


def test_a_contradiction_is_told_in_their_words(command: CommandLine, py: Ispyb) -> None:
    one = participant("X", "Anna", 1, scientistUserName="x", siteId=None, scientistSiteId=41)
    folder(Path("smis"), arrays(labcontacts=[], proposers=[MAIN, one, one | {"scientistSiteId": 42}]))
    found = report(command, verb="plan")
    (message,) = {r["message"] for r in found["refusals"] if r["code"] == "duplicate_key"}
    said = "scientistUserName `x` has scientistSiteId `41` in document 1 and `42` in document 1. "
    assert message == f"{said}Correct them in the User Portal."
    masked = command("plan", "smis", "--format", "smis", "--mask").out
    assert "scientistSiteId" in masked
    assert not {"41", "42"} & set(re.findall(r"\d+", masked))


def test_a_key_that_disagrees_is_told_in_their_words(command: CommandLine, py: Ispyb) -> None:
    with py.engine.begin() as connection:
        connection.exec_driver_sql("INSERT INTO Person (login, siteId) VALUES ('elsewhere', 97076)")
    one = participant("ÉST", "Zoé", 97076, scientistUserName="est")
    folder(Path("smis"), arrays(proposers=[MAIN, one], labcontacts=[]))
    (refusal,) = report(command, verb="plan")["refusals"][:1]
    assert refusal["code"] == "keys_disagree"
    assert refusal["message"].startswith("siteId 97076 belongs to personId ")
    assert "which has another scientistUserName in ISPyB than the document" in refusal["message"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"labcontacts": None}, "labcontacts is missing. Send both arrays"),
        ({"proposers": None}, "proposers is missing. Send both arrays"),
        ({"proposers": None, "labcontacts": None}, "proposers and labcontacts are missing"),
        ({"proposers": [], "labcontacts": []}, "Give at least one in proposers."),
    ],
)
def test_a_new_proposal_without_people_names_the_array_that_is_missing(
    command: CommandLine, dls: Ispyb, content: Json, words: str
) -> None:
    """One array alone does not say who is on a proposal."""
    whole = arrays(sessions=[]) | content
    Path("one.json").write_text(json.dumps({name: array for name, array in whole.items() if array is not None}))
    for text in (json.dumps(whole), Path("one.json").read_text()):  # null, and not sent
        Path("one.json").write_text(text)
        refusals = report(command, "one.json", verb="plan")["refusals"]
        (refusal,) = (r for r in refusals if r["code"] == "no_proposer")
        assert refusal["field"] == "proposers"
        assert words in refusal["message"]
        assert "persons" not in refusal["message"]


def test_samples_that_are_wrong(command: CommandLine) -> None:
    folder(Path("smis"), arrays(samples=[sample("Raw", None), sample("", 1), sample(5, 1), sample("X", "1")]))  # type: ignore[arg-type]
    found = report(command)
    assert places(found) == [("samples.json[1]", None), ("samples.json[2].acronym", "acronym")]
    assert warnings(found)["not_approved"] == 2


def test_unknown_fields_are_counted(command: CommandLine) -> None:
    whole = arrays(sessions=[session(1, beamLineName="ID1"), session(2, beamLineName="ID1", colour="red")])
    folder(Path("smis"), whole)
    (Path("smis") / "readme.txt").write_text("hello")
    found = report(command)
    told = {w["message"]: w["count"] for w in found["warnings"] if w["code"] == "unknown_key"}
    assert told == {
        "unknown key `sessions[].beamLineName` (did you mean beamlineName?)": 2,
        "unknown key `sessions[].colour`": 1,
    }
    assert warnings(found)["other_file"] == 1
    (colour,) = (w for w in found["warnings"] if "colour" in w["message"])
    assert colour["examples"] == [
        {"document": None, "proposal": "MX-415", "path": "sessions.json[1].colour", "value": "red"}
    ]


def test_unknown_fields_of_what_stands_in_a_session_are_counted(command: CommandLine) -> None:
    start = date(2016, 10, 22) | {"minutes": 5}
    contact = {"name": "SUD", "firstname": "Anna", "mail": "sud@example.org"}
    whole = arrays(sessions=[session(n, startDate=start, firstLocalContact=contact) for n in range(12)])
    Path("one.json").write_text(json.dumps(whole | {"session": []}))
    told = {w["message"]: w for w in report(command, "one.json")["warnings"] if w["code"] == "unknown_key"}
    assert {message: (w["count"], len(w["examples"])) for message, w in told.items()} == {
        "unknown key `sessions[].startDate.minutes` (did you mean minute?)": (12, 10),
        "unknown key `sessions[].firstLocalContact.firstname` (did you mean firstName?)": (12, 10),
        "unknown key `sessions[].firstLocalContact.mail` (did you mean email?)": (12, 10),
        "unknown key `session` (did you mean sessions?)": (1, 1),
    }
    of_date = told["unknown key `sessions[].startDate.minutes` (did you mean minute?)"]["examples"][1]
    assert (of_date["path"], of_date["value"]) == ("sessions[1].startDate.minutes", 5)


def test_names_of_cards_are_cut_and_told_apart(command: CommandLine) -> None:
    people = [participant("VERY-LONG-FAMILY-NAME", "With-Given-Names", n) for n in range(1, 12)]
    folder(Path("smis"), arrays(labcontacts=people))
    cards = [card["cardName"] for card in documents(command)[0]["proposal"]["labcontacts"]]
    assert cards[0] == "VERY-LONG-FAMILY-NAME-With-Given-Names-I"
    assert cards[1].endswith("_1")
    assert len(set(cards)) == 11
    assert max(map(len, cards)) == 40


def test_somebody_who_is_listed_twice_has_one_card(command: CommandLine, dls: Ispyb) -> None:
    """By any number or login that two mentions share; a namesake has a card of its own."""
    once = participant("EST", "Anna", 7, bllogin="est")
    again = [once, once | {"scientistEmail": "new@example.org"}, once | {"siteId": None, "bllogin": "EST"}]
    folder(Path("smis"), arrays(sessions=[], labcontacts=[*again, once | {"siteId": 8, "bllogin": "est2"}]))
    found = report(command, verb="apply")
    assert found["refusals"] == []
    assert found["entities"]["lab_contact"]["inserted"] == 2
    cards = [card["cardName"] for card in documents(command)[0]["proposal"]["labcontacts"]]
    assert cards == [*["EST-Anna-Institut des Essais"] * 3, "EST-Anna-Institut des Essais_1"]


@pytest.mark.parametrize("thing", [5, {"pk": 1}, session(1, categCode=5), session(1, categCounter="")])
def test_what_names_no_proposal_is_refused(command: CommandLine, thing: Any) -> None:
    folder(Path("smis"), arrays(sessions=[session(1), thing]))
    found = report(command)
    (refusal,) = found["refusals"]
    assert (refusal["code"], refusal["path"]) == ("invalid_document", "sessions.json[1]")
    assert "Correct it in the User Portal" in refusal["message"]
    assert found["documents"] == {"read": 2, "verified": 0, "refused": 1}


def test_of_a_proposal_with_a_broken_file_nothing_is_taken(command: CommandLine) -> None:
    folder(Path("smis"), arrays(), prefix="MX-415_json_")
    folder(Path("smis"), arrays(), prefix="MX-416_json_")
    (Path("smis") / "MX-415_json_sessions.json").write_text('[{"pk": 1},')
    found = report(command)
    assert found["documents"] == {"read": 2, "verified": 0, "refused": 1}
    assert "MX-415_json_sessions.json is not JSON" in found["refusals"][0]["message"]
    assert (found["refusals"][0]["code"], places(found)) == ("invalid_json", [("MX-415_json_sessions.json", None)])
    assert "nothing of MX-415" in found["refusals"][0]["message"]


@pytest.mark.parametrize("last", ["MX-416_json_sessions.json", "MX-416_json_other.json"])
def test_what_is_broken_at_the_end_of_the_portals_answer_falls_alone(
    command: CommandLine, dls: Ispyb, last: str
) -> None:
    """The answer is whole: nothing says that it ends in the middle of a document."""
    files = {f"MX-415_json_{name}.json": json.dumps(array).encode() for name, array in arrays(sessions=[]).items()}
    files |= {last: b"[{", "MX-416_json_samples.json": b"[5]"}
    with user_portal(sends(zipped(files))) as portal:
        Path("ispyb-sync.toml").write_text(f'[portal]\nall_url = "{portal.url}"\nformat = "smis"\n')
        done = command("apply", "portal:all", "--yes", "--json")
    applied = json.loads(done.out)
    assert (done.code, applied["entities"]["proposal"]["inserted"]) == (1, 1), done
    place = last if "sessions" in last else "MX-416_json_samples.json[0]"
    assert [refusal["path"] for refusal in applied["refusals"] if refusal["entity"] == "proposal"] == [place]


@pytest.mark.parametrize("whole", [json.dumps(arrays()).encode(), zipped({"sessions.json": b"[]" * 100})], ids=range(2))
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_an_answer_of_the_portal_that_is_cut_off(
    command: CommandLine, whole: bytes, pack: Callable[[bytes], bytes]
) -> None:
    with user_portal(sends(pack(whole)[:-20])) as portal:
        Path("ispyb-sync.toml").write_text(f'[portal]\nall_url = "{portal.url}"\nformat = "smis"\n')
        done = command("validate", "portal:all")
    assert done.code == 3, done
    assert "Nothing was written" in done.err


def damaged_zip() -> bytes:
    data = bytearray(zipped({"sessions.json": json.dumps(arrays()["sessions"]).encode()}))
    data[60] ^= 255
    return bytes(data)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "smis is not JSON"),
        (b"<html>", "smis is not JSON"),
        (b"[]", "none of proposers, sessions, samples, labcontacts is in it"),
        (b'{"session": []}', "session (sessions?)"),
        (b'{"sessions": {}}', "sessions: an object where an array is expected"),
        (b"PK\x03\x04 and no more", "the zip is damaged"),
        (damaged_zip(), "CRC"),
        (zipped({"readme.txt": b""}), "none of its files is called proposers"),
        (zipped({"sessions.json": b"[", "samples.json": b"[]"}), "sessions.json is not JSON"),
        (zipped({"sessions.json": b"[]", "sessions": b"[]"}), "both the array sessions"),
        (zipped({"sessions.json": b"{}"}), "an object where an array is expected"),
        (gzip.compress(b"{}")[:-4], "gzip file ends too early"),
        (b"\x1f\x8bxxxxxxxxxxxxxxxxxxx", "gzip file is damaged"),
    ],
    ids=range(13),
)
def test_input_that_cannot_be_used(command: CommandLine, content: bytes, words: str) -> None:
    Path("smis").write_bytes(content)
    assert_explained(command("validate", "smis", "--format", "smis"), words)


def test_a_folder_that_has_none_of_them(command: CommandLine) -> None:
    Path("smis").mkdir()
    assert_explained(command("validate", "smis", "--format", "smis"), "none of its files is called")
    assert_explained(command("validate", "nowhere", "--format", "smis"), "nowhere", "No such file")
    assert_explained(command("validate", "smis"), "is a folder")


def test_what_is_too_large_is_not_held_in_memory(command: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sent, "MOST_BYTES", 1000)
    Path("smis").write_bytes(b" " * 2000)
    assert_explained(command("validate", "smis", "--format", "smis"), "more than 1,000 bytes")
    Path("smis").write_bytes(gzip.compress(b" " * 2000))
    assert_explained(command("validate", "smis", "--format", "smis"), "more than 1,000 bytes")


def test_print_and_json_are_one_output_too_many(command: CommandLine) -> None:
    assert_explained(command("validate", "good.ndjson", "--print", "--json"), "--print with --json")


def test_print_leaves_out_what_is_not_asked_for_and_what_is_refused(command: CommandLine) -> None:
    done = command("validate", "good.ndjson", "--print", "--proposal", "MX-2")
    assert [json.loads(line)["proposal"]["proposalNumber"] for line in done.out.splitlines()] == ["2"]
    done = command("validate", "partly.ndjson", "--print")
    assert (done.code, len(done.out.splitlines())) == (1, 1)
