"""The User Portal JSON of Java ISPyB: what becomes of it, and refusals that name its own files and fields."""

import gzip
import io
import json
import zipfile
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


def test_a_cancelled_session_that_is_known_is_marked(command: CommandLine, py: Ispyb) -> None:
    folder(Path("smis"), arrays(sessions=[session(5)]))
    report(command, verb="apply")
    folder(Path("smis"), arrays(sessions=[session(5, cancelled=True), session(6, cancelled=True)]))
    changed = report(command, verb="apply")
    assert changed["entities"]["session"] | {"staged": 2, "inserted": 0, "updated": 1} == changed["entities"]["session"]
    assert warnings(changed)["left_to_ispyb"] == 1
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


def test_names_of_cards_are_cut_and_told_apart(command: CommandLine) -> None:
    people = [participant("VERY-LONG-FAMILY-NAME", "With-Given-Names", n) for n in range(1, 12)]
    folder(Path("smis"), arrays(labcontacts=people))
    cards = [card["cardName"] for card in documents(command)[0]["proposal"]["labcontacts"]]
    assert cards[0] == "VERY-LONG-FAMILY-NAME-With-Given-Names-I"
    assert cards[1].endswith("_1")
    assert len(set(cards)) == 11
    assert max(map(len, cards)) == 40


@pytest.mark.parametrize("thing", [5, {"pk": 1}, session(1, categCode=5), session(1, categCounter="")])
def test_what_names_no_proposal_is_refused(command: CommandLine, thing: Any) -> None:
    folder(Path("smis"), arrays(sessions=[session(1), thing]))
    found = report(command)
    (refusal,) = found["refusals"]
    assert "sessions.json[1]: " in refusal["message"]
    assert found["documents"] == {"read": 2, "verified": 0, "refused": 1}


def test_of_a_proposal_with_a_broken_file_nothing_is_taken(command: CommandLine) -> None:
    folder(Path("smis"), arrays(), prefix="MX-415_json_")
    folder(Path("smis"), arrays(), prefix="MX-416_json_")
    (Path("smis") / "MX-415_json_sessions.json").write_text('[{"pk": 1},')
    found = report(command)
    assert found["documents"] == {"read": 2, "verified": 0, "refused": 1}
    assert "MX-415_json_sessions.json is not JSON" in found["refusals"][0]["message"]
    assert "nothing of MX-415" in found["refusals"][0]["message"]


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
