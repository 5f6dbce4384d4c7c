"""The report for people: what a plan lists, in which order, and how much of it."""

import re
from collections.abc import Callable
from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console
from support.databases import Ispyb
from support.reports import planned, refusal, update
from support.small import CommandLine, document, export, run, write

import sync
from sync.history.changes import read_changes
from sync.history.order import natural
from sync.model.refusals import Example, Notice
from sync.model.report import Change, Counts, Report
from sync.show.console import render
from sync.show.terminal import WordsConsole


def text(report: Report, *, verbose: bool = False) -> list[str]:
    drawn = StringIO()
    console = Console(file=drawn, width=200, highlight=False, markup=False, emoji=False)
    render(report, console, verbose=verbose)
    return drawn.getvalue().splitlines()


def test_entities_come_in_their_order_and_proposals_in_that_of_their_numbers() -> None:
    lines = text(
        planned(
            update(1, "MX-10", "session", a=(1, 2)),
            update(2, "MX-10", a=(1, 2)),
            update(3, "MX-9", a=(1, 2)),
            update(4, "IN-100", a=(1, 2)),
            Change("person", None, "insert", "new", "MX-9", {"login": {"old": None, "new": "new"}}),
        )
    )
    assert lines[lines.index("person (4)") :] == [
        "person (4)",
        "  update 4 u4 [IN-100]: a 1 -> 2",
        "  update 3 u3 [MX-9]: a 1 -> 2",
        "  insert new [MX-9]: login new",
        "  update 2 u2 [MX-10]: a 1 -> 2",
        "session (1)",
        "  update 1 u1 [MX-10]: a 1 -> 2",
    ]


@pytest.mark.parametrize(
    "ordered",
    [
        ["", "A-2", "A-10", "B-1", "B-1a"],
        ["MX-9", "MX-10", "MX-10-1", "MX-0100", "MX-1" + "0" * 5000],
        ["9", "10", "10a", "a"],
    ],
)
def test_labels_sort_as_people_count(ordered: list[str]) -> None:
    backwards = ordered[::-1]
    assert sorted(backwards, key=natural) == ordered
    assert natural(None) == natural("")


def test_ten_of_an_entity_are_listed_and_the_rest_is_counted() -> None:
    report = planned(*(update(number, a=(1, 2)) for number in range(1, 1013)))
    lines = text(report)
    assert [line for line in lines if line.startswith("  ")][-2:] == [
        "  update 10 u10: a 1 -> 2",
        "  … and 1,002 more; --json or -v shows all",
    ]
    assert len([line for line in lines if line.startswith("  update")]) == 10
    assert len([line for line in text(report, verbose=True) if line.startswith("  update")]) == 1012


def test_ten_refusals_of_an_entity_are_listed_of_each_code_some() -> None:
    refusals = [refusal("key_taken", number, f"MX-{number}") for number in range(30, 0, -1)]
    refusals += [refusal("value_too_long", 40, "MX-40"), refusal("duplicate_key", 41, "MX-41")]
    lines = [line for line in text(planned(refusals=refusals)) if "entity" not in line][1:]
    assert lines[0] == "refused: person key_taken (30)"
    assert lines[1] == '  document 1 (MX-1) proposal = "x": Do this.'
    assert lines[9] == "  … and 22 more; --json or -v shows all"
    assert lines[10:] == [
        "refused: person value_too_long (1)",
        '  document 40 (MX-40) proposal = "x": Do this.',
        "refused: person duplicate_key (1)",
        '  document 41 (MX-41) proposal = "x": Do this.',
    ]


def test_each_kind_of_change_is_shown_with_its_values() -> None:
    fields = {"login": {"old": "a\nb", "new": None}, "title": {"old": None, "new": ""}}
    lines = text(
        planned(
            Change("person", 1, "update", "k", None, fields, adopted=True),
            Change("person", 2, "update", "k", None, fields),
            Change("person", 3, "delete", None, None, fields),
            Change("person", None, "insert", None, None, fields),
            Change("proposal_has_person", 7, "delete", "k", "MX-1", {}),
        )
    )
    assert lines[-7:] == [
        "person (4)",
        "  adopt 1 k: login a\\nb -> null, title null -> ",
        "  update 2 k: login a\\nb -> null, title null -> ",
        "  delete 3: login a\\nb",
        "  insert: title ",
        "proposal_has_person (1)",
        "  delete 7 k [MX-1]",
    ]


def test_a_plan_of_nothing_is_one_line() -> None:
    report = planned()
    report.warnings = [Notice("unknown_key", "an unknown key", 1)]
    assert text(report) == ["nothing to do: no document was read; 0 documents read"]
    report.documents_read, report.entities["proposal"].staged = 50, 50
    assert text(report) == ["nothing to do: ISPyB holds what the export says; 50 documents read"]
    report.refusals = [refusal("key_taken", 1, "MX-1")]
    assert len(text(report)) > 3


def test_a_warning_shows_where_and_all_examples_when_asked() -> None:
    report = planned()
    report.refusals = [refusal("key_taken", 1, "MX-1")]
    places = [Example(2, "MX-2", "proposal.x", "a\nb"), Example(3, None, "sessions[0].y", None)]
    report.warnings = [Notice("unknown_key", "an unknown key", 2, tuple(places))]
    lines = ["warning: an unknown key (2)", '  document 2 (MX-2) proposal.x = "a\\nb"', "  document 3 sessions[0].y"]
    assert text(report)[-2:] == lines[:2]
    assert text(report, verbose=True)[-3:] == lines


def test_what_nobody_needs_to_act_on_is_a_note() -> None:
    report = Report("apply", "applied", documents_read=1)
    report.warnings = [Notice("missing_column", "so it is", 30), Notice("unknown_key", "an unknown key", 1)]
    assert text(report)[-2:] == ["note: so it is (30)", "warning: an unknown key (1)"]


def test_only_what_was_looked_at_is_said_to_be_in_step() -> None:
    report = Report("apply", "applied", documents_read=1)
    assert text(report) == [
        "apply: applied; 1 document read, 0 refused whole, 0 values refused",
        "nothing to do: no document is of a proposal that was asked for",
    ]
    report.documents_read = 0
    assert text(report)[1] == "nothing to do: no document was read"
    report.documents_read = report.documents_verified = 30
    assert text(report) == [
        "apply: applied; 30 documents read, 30 verified, 0 refused whole, 0 values refused",
        "nothing to do: ISPyB and the export are as the last run left them",
    ]
    report.entities["proposal"].staged = 1
    assert text(report)[1] == "nothing to do: ISPyB holds what the export says"


def test_the_command_prints_one_line_and_tells_warnings_elsewhere(py: Ispyb, command: CommandLine) -> None:
    assert command("apply", "good.ndjson").code == 0
    write("unknown.ndjson", [document(1) | {"unheardOf": 1}])
    done = command("plan", "unknown.ndjson", "-v")
    words = f"nothing to do in {py.called}: ISPyB holds what the export says; 1 document read\n"
    assert (done.code, done.out) == (0, words)
    assert done.err.startswith("warning: ")
    assert "unheardOf" in done.err
    assert command("plan", "good.ndjson").err == ""


def test_a_row_that_gains_an_earlier_key_is_adopted(py: Ispyb) -> None:
    run(py, "INSERT INTO Person (login, familyName, siteId) VALUES ('u1_0', 'Old', NULL), (NULL, 'Old', 77)")
    run(py, "INSERT INTO Laboratory (name, city) VALUES ('Lab 1', 'Lund')")
    two = export(1)
    two[0]["proposal"]["persons"][1]["siteId"] = 77
    report = sync.plan(two, database=py.role_url, staging_schema=py.staging_schema)
    adopted = {(change.entity, change.key) for change in report.changes if change.adopted}
    assert adopted == {("person", "u1_0"), ("person", "u1_1"), ("laboratory", "Lab 1")}
    assert {change.action for change in report.changes if change.adopted} == {"update"}
    assert [change["adopted"] for change in report.to_dict()["changes"]].count(True) == 3
    assert len([line for line in text(report) if line.startswith("  adopt ")]) == 3


@pytest.mark.parametrize(
    ("entity", "matched_by", "action", "changes", "adopted"),
    [
        ("person", "externalId", "update", '{"login": [null, "a"]}', False),
        ("person", "login", "update", '{"externalId": [null, "' + "0" * 32 + '"]}', True),
        ("person", "login", "update", '{"siteId": [null, 1]}', False),
        ("person", "siteId", "update", '{"login": [null, "a"]}', True),
        ("person", "siteId", "update", '{"login": ["b", "a"]}', False),
        ("person", None, "update", '{"login": [null, "a"]}', False),
        ("person", None, "insert", '{"login": [null, "a"]}', False),
        ("laboratory", "name", "update", '{"laboratoryExtPk": [null, 1]}', True),
        ("lab_contact", "person", "update", '{"cardName": [null, "a"]}', True),
        ("lab_contact", "person", "update", '{"personId": [null, 1]}', False),
    ],
)
def test_adoption_is_gaining_a_key_before_the_one_that_found_the_row(
    entity: str, matched_by: str | None, action: str, changes: str, adopted: bool
) -> None:
    (change,) = read_changes(entity, [(1, action, matched_by, "key", None, changes)])
    assert change.adopted is adopted
    assert change.kind == ("adopt" if adopted else action)


def test_a_plan_names_a_new_session_by_its_visit_or_its_dates(py: Ispyb, command: CommandLine) -> None:
    one = document(1)
    del one["sessions"][1]["visit_number"]
    write("one.json", [one])
    done = command("plan", "one.json")
    assert "insert u1_0 on MX-1 visit 1 [MX-1]" in done.out
    assert "insert u1_0 on MX-1 2024-07-01 to 2024-07-02 [MX-1]" in done.out
    assert command("apply", "one.json").code == 0
    sessions = [row["sessionId"] for row in py.rows("BLSession")]
    done = command("history", "1")
    assert [s for s in sessions if f"u1_0 on session {s} [MX-1]" not in done.out] == [], done.out


def test_a_plan_lists_ten_people_who_are_linked_and_no_longer_listed(dls: Ispyb, command: CommandLine) -> None:
    team = [{"login": f"u{number:02}"} for number in range(14)]
    write("all.json", [document(1, persons=team) | {"sessions": []}])
    assert command("apply", "all.json").code == 0
    write("few.json", [document(1, persons=team[:2], title="new") | {"sessions": []}])
    done = command("plan", "few.json")
    assert [line for line in done.out.splitlines() if "proposal.persons" in line] == [
        f'  document 1 (MX-1) proposal.persons = "u{number:02}"' for number in range(2, 12)
    ]
    assert "  … and 2 more" in done.out
    assert done.out.count("proposal.persons = ") == 10
    assert command("apply", "few.json").out.count("proposal.persons = ") == 1


# On a narrow terminal


def drawn_at(width: int, draw: Callable[[Console], None]) -> list[str]:
    drawn = StringIO()
    draw(WordsConsole(file=drawn, width=width, force_terminal=True, no_color=True, highlight=False, markup=False))
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in drawn.getvalue().splitlines()]
    assert max(map(len, lines)) <= width
    return lines


@pytest.mark.parametrize("width", [60, 80, 100])
def test_text_is_broken_between_words_and_what_follows_is_indented(width: int) -> None:
    words = "a new proposal needs a person that was not refused. Give at least one in proposal.persons."
    report = planned(refusals=[replace(refusal("no_proposer", 1, "MX-1"), message=words)])
    lines = drawn_at(width, lambda console: render(report, console))
    first = next(place for place, line in enumerate(lines) if line.startswith("  document 1"))
    told = " ".join(line.strip() for line in lines[first:])
    assert told == f'document 1 (MX-1) proposal = "x": {words}'
    assert all(line.startswith("    ") for line in lines[first + 1 :])
    assert len(lines) > first + 1


@pytest.mark.parametrize("width", [60, 80])
def test_headers_stay_whole_or_each_entity_has_a_line(width: int) -> None:
    report = planned(update(1, "MX-1", a=(1, 2)))
    report.entities["session_has_person"] = Counts(20_000, 1_000, 2_000, 3_000, 4_000, 5_000)
    lines = drawn_at(width, lambda console: render(report, console))
    if width == 60:
        assert "session_has_person: 20,000 staged, 1,000 inserted, 2,000" in lines
    else:
        headers = next(line for line in lines if line.startswith("entity"))
        assert headers.split() == ["entity", "staged", "inserted", "updated", "unchanged", "refused", "deleted"]


def test_where_there_is_no_terminal_a_line_stays_whole() -> None:
    report = planned(refusals=[replace(refusal("no_proposer", 1, "MX-1"), message="word " * 100)])
    drawn = StringIO()
    render(report, WordsConsole(file=drawn, width=80, highlight=False, markup=False))
    assert max(map(len, drawn.getvalue().splitlines())) > 500
