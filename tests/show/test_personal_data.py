"""Personal data: --mask leaves values out of reports and refused ones out of history, and the log holds none."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from support.databases import Ispyb
from support.small import CommandLine, document, run, write

from sync.model.refusals import Refusal, masked_value
from sync.model.report import Change

NAME = "Zebulon"
NUMBER = 987_654_321_012
CODES = {
    *("invalid_json", "invalid_document", "keys_disagree", "ambiguous_match", "duplicate_key", "key_taken"),
    *("belongs_elsewhere", "value_too_long", "value_not_encodable", "value_not_allowed", "value_out_of_range"),
    *("no_proposer", "parent_refused"),
}


@pytest.fixture
def refused(py: Ispyb) -> str:
    """Writes an export of which each refusal is about NAME or NUMBER, and nothing else of it is; gives its name."""
    with py.engine.begin() as connection:
        py.insert(connection, "Person", {"personId": 5, "login": f"{NAME}1", "externalId": b"\0" * 15 + b"\1"})
        py.insert(connection, "Person", {"personId": 6, "login": "mine", "externalId": b"\0" * 15 + b"\2"})
        py.insert(connection, "Person", {"personId": 9, "login": f"{NAME}4"})
        for number in (7, 8):
            py.insert(connection, "Person", {"personId": number, "login": f"{NAME}2"})
        for number, name in ((1, "99"), (2, "1")):  # a new proposal would be refused with its state
            proposal = {"proposalId": number, "personId": 5, "proposalCode": "MX", "proposalNumber": name}
            py.insert(connection, "Proposal", proposal)
        uuid = bytes.fromhex("5EB" * 10 + "AB")
        py.insert(connection, "BLSession", {"sessionId": 1, "proposalId": 1, "externalId": uuid})
    persons: list[dict[str, Any]] = [
        {"login": f"{NAME}1", "externalId": 77},
        {"login": f"{NAME}2"},
        {"login": f"{NAME}3", "externalId": 78},
        {"login": f"{NAME}3", "externalId": 79},
        {"login": f"{NAME}4", "externalId": 2},
        {"login": "x1", "familyName": NAME * 20},
        {"login": "x2", "givenName": f"{NAME}\x07"},
        {"login": f"{NAME}\n{NAME}" * 10},
        {"login": "x3", "familyName": [NAME]},
        {"login": "x4", "familyName": {NAME: NAME}},
        {"login": "x5", "siteId": NAME},
        {"login": "x6", "externalId": NAME},
        {"login": "x7", "siteId": NUMBER},
    ]
    sessions = [
        {"externalId": 500, "startDate": f"2024-01-01 {NAME}"},
        {"externalId": str("5eb" * 10 + "ab")},
        {"externalId": 501, "nbShifts": NUMBER},
        {"externalId": 502, "sessionTitle": f"{NAME} Ω"},
    ]
    first = document(1)
    first["proposal"]["persons"] = first["proposal"]["persons"] + persons
    first["sessions"] = sessions
    first["proposal"]["state"] = NAME
    first["proposal"]["emailAdress"] = NAME  # an example of a warning
    alone = {"proposal": {"proposalNumber": "7", "persons": [{"login": f"{NAME}1", "externalId": 77}]}}
    write("refused.ndjson", [first, alone])
    with Path("refused.ndjson").open("a") as file:
        file.write(f'\n{{"proposal": {{"title": "{NAME}\n{{"{NAME}": {NAME}}}\n["{NAME}"]\n')
    return "refused.ndjson"


def everything(command: CommandLine, py: Ispyb, export: str, *flags: str) -> dict[str, str]:
    """All that validate, plan and apply write about an export: on both streams, in files, in history."""
    found = {}
    for verb in ("validate", "plan", "apply"):
        done = command(verb, export, *flags, "-v")
        assert done.code == 1, done
        found[verb] = done.out + done.err
        found[f"{verb} --json"] = command(verb, export, *flags, "--json").out
    for verb in ("plan", "apply"):
        command(verb, export, *flags, "--html", f"{verb}.html", "--csv", verb)
        found[f"{verb} --html"] = Path(f"{verb}.html").read_text()
        found[f"{verb} --csv"] = "".join(file.read_text() for file in Path(verb).iterdir())
    with py.engine.connect() as connection:
        rows = connection.exec_driver_sql(f"SELECT * FROM `{py.staging_schema}`.run").all()
        run = max(row.run for row in rows)
    found["run"] = str([tuple(row) for row in rows])  # the text of a Row is cut off
    for more in (["-v"], ["--json"]):
        found[f"history {more}"] = command("history", str(run), *more).out
    command("history", str(run), "--html", "history.html")
    found["history --html"] = Path("history.html").read_text()
    return found


def test_without_mask_each_refusal_tells_its_value(command: CommandLine, py: Ispyb, refused: str) -> None:
    report = json.loads(command("plan", refused, "--json").out)
    assert {refusal["code"] for refusal in report["refusals"]} == CODES
    found = everything(command, py, refused)
    assert [name for name, text in found.items() if NAME not in text] == []


@pytest.mark.parametrize("where", ["flag", "variable", "file"])
def test_mask_leaves_refused_values_out_of_everything(
    command: CommandLine, py: Ispyb, refused: str, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    flags = ["--mask"] if where == "flag" else []
    if where == "variable":
        monkeypatch.setenv("ISPYB_SYNC_MASK", "1")
    elif where == "file":
        Path("ispyb-sync.toml").write_text("mask = true\n")
    found = everything(command, py, refused, *flags) if flags else {"plan": command("plan", refused, "-v").out}
    for name, text in found.items():
        for secret in (NAME, NAME.lower(), str(NUMBER), "5eb5eb5e", "5EB5EB5E"):
            assert secret not in text, name


def test_what_is_masked_can_still_be_found(command: CommandLine, refused: str) -> None:
    plain = json.loads(command("plan", refused, "--json").out)["refusals"]
    masked = json.loads(command("plan", refused, "--json", "--mask").out)["refusals"]
    assert len(plain) == len(masked)
    for one, other in zip(plain, masked, strict=True):
        same = ("entity", "code", "document", "proposal", "path", "field")
        assert [one[name] for name in same] == [other[name] for name in same]
        assert (one["value"] is None) == (other["value"] is None)
    values = {other["value"] for other in masked}
    assert {"(masked: 8 characters)", "(masked: a number of 12 digits)"} <= values
    (disagrees,) = [other for other in masked if other["code"] == "keys_disagree" and other["document"] == 1]
    assert disagrees["message"].startswith("login (masked: 8 characters) belongs to personId 5,")


def test_what_an_undo_leaves_is_masked_too(command: CommandLine, py: Ispyb) -> None:
    write("new.json", [{"proposal": {"proposalNumber": "1", "persons": [{"login": NAME, "familyName": "x"}]}}])
    assert command("apply", "new.json").code == 0
    run(py, "UPDATE Person SET familyName = 'y'")
    for flags, value in (([], NAME), (["--mask"], f"(masked: {len(NAME)} characters)")):
        report = json.loads(command("undo", "1", "--plan", "--json", *flags).out)
        assert value in {refusal["value"] for refusal in report["refusals"]}
        assert (NAME in str(report["refusals"])) == (value == NAME)


def test_old_and_new_values_of_changes_are_masked(command: CommandLine, py: Ispyb) -> None:
    person = {"externalId": 1, "login": NAME, "familyName": NAME, "laboratory": {"name": "L", "city": NAME}}
    contact = {"cardName": NAME, "person": person}
    proposal = {"proposalNumber": "1", "title": NAME, "persons": [person], "labcontacts": [contact]}
    session = {"externalId": 1, "comments": NAME, "persons": [person]}
    write("new.json", [{"proposal": proposal, "sessions": [session], "proteins": [{"acronym": "p", "name": NAME}]}])
    for verb in ("plan", "apply"):
        files = ("--csv", verb, "--html", f"{verb}.html")
        shown = [command(verb, "new.json", "-v", "--mask", *files).out]
        shown += [file.read_text() for file in Path(verb).iterdir()] + [Path(f"{verb}.html").read_text()]
        assert "familyName (masked: 7 characters)" in shown[0] or verb == "apply"
        assert NAME not in "".join(shown)
    shown = [command(*verb, "--mask").out for verb in (["history", "1", "-v"], ["history", "--row", "person:1"])]
    shown += [
        command("undo", "1", "--plan", "-v", "--mask").out,
        command("undo", "1", "--plan", "--json", "--mask").out,
    ]
    assert all("(masked: 7 characters)" in text for text in shown)
    assert NAME not in "".join(shown)


def test_history_keeps_what_undo_needs(command: CommandLine, py: Ispyb) -> None:
    for title in (NAME, "another"):
        write("one.json", [{"proposal": {"proposalNumber": "1", "title": title, "persons": [{"login": "a"}]}}])
        assert command("apply", "one.json", "--mask").code == 0
    assert NAME in command("history", "2").out
    assert command("undo", "2", "--mask").code == 0
    assert [row["title"] for row in py.rows("Proposal")] == [NAME]


def test_ids_stay_and_what_is_masked_stays_as_it_is() -> None:
    fields = {"personId": {"old": 1, "new": 2}, "siteId": {"old": None, "new": 123}, "title": {"old": "ab", "new": ""}}
    change = Change("proposal", 7, "update", "MX-1", "MX-1", fields).masked()
    assert (change.key, change.fields["personId"]) == ("MX-1", {"old": 1, "new": 2})
    assert change.fields["siteId"] == {"old": None, "new": "(masked: a number of 3 digits)"}
    assert change.fields["title"] == {"old": "(masked: 2 characters)", "new": "(masked: 0 characters)"}
    assert change.masked() == change
    assert masked_value("(masked: 3 characters) Zebulon") == "(masked: 30 characters)"


@pytest.mark.parametrize(
    ("value", "masked"),
    [
        ("null", "null"),
        ("true", "true"),
        ("12", "(masked: a number of 2 digits)"),
        ("", "(masked: 0 characters)"),
        ("x" * 199 + "…", "(masked: 200 or more characters)"),
    ],
)
def test_length_and_kind_are_told(value: str, masked: str) -> None:
    assert masked_value(value) == masked


def test_a_short_value_does_not_eat_the_message() -> None:
    refusal = Refusal("person", "key_taken", 1, "1", "p", "login", "1", "login 1 is held by personId 1, which keeps it")
    assert refusal.masked().message == "login (masked: a number of 1 digits) is held by personId 1, which keeps it"


@pytest.mark.parametrize("level", [logging.INFO, logging.DEBUG])
def test_the_log_holds_no_personal_data(
    command: CommandLine, refused: str, caplog: pytest.LogCaptureFixture, level: int
) -> None:
    caplog.set_level(level)
    export = [document(number, family=NAME) for number in range(1, 400)]
    write("many.ndjson", export)
    for arguments in (["apply", "many.ndjson"], ["apply", refused], ["plan", refused], ["check"], ["history", "1"]):
        assert command(*arguments).code in (0, 1)
    logged = "\n".join(record.getMessage() for record in caplog.records) + caplog.text
    assert NAME not in logged
    assert str(NUMBER) not in logged
    assert ("match_login" in logged) == (level == logging.DEBUG)


def test_mask_hides_both_numbers_of_a_contradiction(command: CommandLine, py: Ispyb) -> None:
    one = document(1)
    one["proposal"]["persons"] += [{"login": "twice", "siteId": 4711}, {"login": "twice", "siteId": 4712}]
    write("twice.ndjson", [one])
    assert "siteId 4711 in document 1 and 4712 in document 1" in command("plan", "twice.ndjson", "-v").out
    masked = command("plan", "twice.ndjson", "-v", "--mask").out
    assert "in document 1 and (masked: a number of 4 digits) in document 1" in masked
    assert "471" not in masked
