"""History: what each run changed, with old and new values, kept in the transaction of the changes."""

import json
import re
from hashlib import sha256
from importlib.metadata import version
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from sqlalchemy import make_url
from support.live_columns import altered, without

import sync
from sync import api
from sync.history import runs as history
from sync.history import touched
from sync.history.questions import rows
from sync.history.questions.listing import listing
from sync.model.errors import UsageError
from sync.model.refusals import Example, Notice
from sync.model.report import AskedBy
from sync.model.settings import Settings
from sync.show.past.runs import render_run, render_runs

FIRST = {
    "proposal": {
        "proposalCode": "MX",
        "proposalNumber": "1",
        "title": "Before",
        "persons": [
            {
                "login": "a",
                "externalId": 7,
                "laboratory": {"name": "Institute", "city": "Lund", "country": "Sweden", "laboratoryExtPk": 4},
            }
        ],
    }
}
SECOND = {"proposal": FIRST["proposal"] | {"title": "After"}}


@pytest.fixture
def settings(ispyb) -> Settings:
    return Settings(database=ispyb.role_url, staging_schema=ispyb.staging_schema)


def run(ispyb, document, **more):
    return sync.apply(document, database=ispyb.role_url, staging_schema=ispyb.staging_schema, **more)


def test_a_run_keeps_old_and_new_values(ispyb, settings):
    run(ispyb, FIRST)
    second = run(ispyb, SECOND)
    (change,) = history.show(ispyb.role_url, settings, second.run).report.changes
    assert (change.entity, change.action, change.key) == ("proposal", "update", "MX-1")
    assert change.fields == {"title": {"old": "Before", "new": "After"}}


def test_an_inserted_row_is_kept_with_the_ids_it_got(ispyb, settings):
    first = run(ispyb, FIRST)
    changes = {c.entity: c for c in history.show(ispyb.role_url, settings, first.run).report.changes}
    (laboratory,) = ispyb.rows("Laboratory")
    (person,) = ispyb.rows("Person")
    (link,) = ispyb.rows("ProposalHasPerson")
    assert changes["person"].id == person["personId"]
    assert changes["person"].fields["laboratoryId"] == {"old": None, "new": laboratory["laboratoryId"]}
    assert changes["proposal"].fields["personId"] == {"old": None, "new": person["personId"]}
    assert changes["proposal_has_person"].id == link["proposalHasPersonId"]


def test_a_text_that_looks_like_a_placeholder_stays_as_it_is(ispyb, settings):
    title = 'new "personId": [null, "new"]'
    first = run(ispyb, {"proposal": FIRST["proposal"] | {"title": title}})
    changes = {c.entity: c for c in history.show(ispyb.role_url, settings, first.run).report.changes}
    assert changes["proposal"].fields["title"]["new"] == title


def test_a_run_keeps_who_when_and_what(ispyb, settings, tmp_path):
    path = tmp_path / "tuesday.json"
    path.write_text(json.dumps(FIRST))
    number = sync.apply(path, database=ispyb.role_url, staging_schema=ispyb.staging_schema, nulls="clear").run
    shown = history.show(ispyb.role_url, settings, number).to_dict()
    assert shown["account"].startswith("sync_")
    assert shown["tool_version"] == version("ispyb-sync")
    assert shown["started"] <= shown["ended"]
    assert Path(shown["export"]).name == "tuesday.json"
    assert shown["export_bytes"] == path.stat().st_size
    assert shown["export_sha256"] == sha256(path.read_bytes()).hexdigest()
    assert shown["settings"]["nulls"] == "clear"
    assert "database" not in shown["settings"]
    drawn = StringIO()
    render_run(history.show(ispyb.role_url, settings, number), Console(file=drawn, width=300))
    assert f"by {shown['account']}" in drawn.getvalue()
    assert f"SHA-256 {shown['export_sha256']}" in drawn.getvalue()
    assert "nulls clear" in drawn.getvalue()


@pytest.mark.parametrize("width", [80, 109, 110, 200])
def test_the_list_of_runs_cuts_no_value(ispyb, settings, width):
    run(ispyb, FIRST)
    run(ispyb, SECOND)
    drawn = StringIO()
    render_runs(listing(ispyb.role_url, settings), Console(file=drawn, width=width))
    lines = drawn.getvalue().splitlines()
    assert "…" not in drawn.getvalue()
    assert max(map(len, lines)) <= width
    assert re.search(r"^2 +20\d\d-\d\d-\d\d \d\d:\d\d.* apply +applied +- +1 +- +-", lines[2])
    assert ("sync_" in lines[2]) == (width >= 110)


def test_at_60_columns_each_run_is_a_line(dls):
    settings = Settings(database=dls.role_url, staging_schema=dls.staging_schema)
    for document in (FIRST, FIRST, SECOND):
        run(dls, document)
    drawn = StringIO()
    render_runs(listing(dls.role_url, settings), Console(file=drawn, width=60))
    lines = drawn.getvalue().splitlines()
    assert lines[0] == f"history: {dls.called}"
    assert re.fullmatch(r"3 20.* apply applied: 1 updated", lines[1])
    assert re.fullmatch(r"… 20.* 1 idle", lines[2])
    assert re.fullmatch(r"1 20.* apply applied: 4 inserted", lines[3])


def test_the_examples_of_warnings_are_kept_and_older_runs_have_none(ispyb, settings):
    number = run(ispyb, {"proposal": FIRST["proposal"] | {"titel": "After"}}).run
    warning, *_ = history.show(ispyb.role_url, settings, number).report.warnings  # then notes about the schema
    assert warning.examples == (Example(1, "MX-1", "proposal.titel", "After"),)
    with ispyb.engine.begin() as connection:
        connection.exec_driver_sql(
            f"UPDATE {ispyb.staging_schema}.run SET report = JSON_REMOVE(report, '$.warnings[0].examples')"
        )
    older, *_ = history.show(ispyb.role_url, settings, number).report.warnings
    assert older == Notice(warning.code, warning.message, 1)


def test_a_run_that_rolls_back_leaves_no_history(ispyb, settings):
    bad = {"proposal": FIRST["proposal"], "sessions": [{"externalId": 1, "beamLineName": "x" * 46}]}
    assert run(ispyb, bad, strict=True).status == "rolled_back"
    assert history.runs(ispyb.role_url, settings) == []


def test_a_row_tells_what_was_ever_done_to_it(ispyb, settings):
    run(ispyb, FIRST)
    run(ispyb, SECOND)
    (proposal,) = ispyb.rows("Proposal")
    found = rows.row(ispyb.role_url, settings, f"proposal:{proposal['proposalId']}")
    done = [(number, change.entity, change.action) for number, _started, change in found]
    assert done == [(1, "proposal", "insert"), (1, "proposal_has_person", "insert"), (2, "proposal", "update")]


def test_a_person_is_found_by_login_or_id_with_its_links_in_one_run_or_all(ispyb, settings):
    """Everything that names it, by the id of its row: as a new row, as an old and as a new value."""
    proposal = FIRST["proposal"] | {"persons": [*FIRST["proposal"]["persons"], {"login": "b", "externalId": 8}]}
    session = {"externalId": 5, "startDate": "2026-01-01", "persons": [{"login": "b", "externalId": 8}]}
    protein = {"acronym": "lyso", "externalId": 6, "person": {"login": "b", "externalId": 8}}
    run(ispyb, {"proposal": proposal, "sessions": [session], "proteins": [protein]})
    first, second = proposal["persons"]
    run(ispyb, {"proposal": proposal | {"persons": [second | {"login": "b2"}, first]}})

    def done(ask, name, **more):
        found = ask(ispyb.role_url, settings, name, **more)
        return [(number, change.entity, change.action) for number, _started, change in found]

    then = [
        *((1, "person", "insert"), (1, "proposal_has_person", "insert")),
        *((1, "session_has_person", "insert"), (1, "protein", "insert")),
    ]
    now = [(2, "person", "update"), (2, "proposal", "update")]
    (number,) = [row["personId"] for row in ispyb.rows("Person") if row["login"] == "b2"]
    assert done(rows.person, "b2") == done(rows.person, "b") == done(rows.person, str(number)) == then + now
    assert done(rows.row, f"person:{number}") == then + now
    assert done(rows.person, "b", run=2) == now
    assert (2, "proposal", "update") in done(rows.person, "a")  # no longer its proposer
    with pytest.raises(UsageError, match="nobody in ISPyB has the login c"):
        rows.person(ispyb.role_url, settings, "c")


def test_a_login_is_found_in_history_where_the_column_is_gone_and_is_nobodys_where_its_letters_do_not_fit(
    ispyb, settings
):
    run(ispyb, FIRST)
    done = rows.person(ispyb.role_url, settings, "a")
    assert rows.person(ispyb.role_url, settings, "A") == done
    with altered(ispyb, "Person", without(ispyb, "Person", "login")):
        assert rows.person(ispyb.role_url, settings, "a") == done
    with pytest.raises(UsageError, match="nobody in ISPyB has the login Ω"):
        rows.person(ispyb.role_url, settings, "Ω")


def test_the_command_tells_what_happened_to_a_person(command):
    assert command("apply", "good.ndjson").code == 0
    lines = command("history", "--person", "u1_0").out.splitlines()
    assert re.fullmatch(r"run 1, .* UTC: person insert \d+ u1_0 \[MX-1\]: .*", lines[1])
    assert len(lines) > 3
    assert command("history", "1", "--person", "u1_0").out.splitlines() == lines
    assert command("history", "--person", "nobody").code == 2


@pytest.mark.parametrize("name", ["person", "person:x", "people:1", ""])
def test_a_row_that_is_none_is_refused(ispyb, settings, name):
    with pytest.raises(UsageError, match="names no row"):
        rows.row(ispyb.role_url, settings, name)


# Who asked, and for what


def test_a_run_from_the_command_line_or_python_is_its_accounts(ispyb, settings):
    report = run(ispyb, FIRST)
    account = str(make_url(ispyb.role_url).username)
    assert (report.trigger, report.actor) == ("command", f"{account}@%")
    shown = history.show(ispyb.role_url, settings, report.run).to_dict()
    assert (shown["trigger"], shown["actor"]) == ("command", f"{account}@%")


def test_history_tells_what_started_a_run_and_who(dls):
    settings = Settings(database=dls.role_url, staging_schema=dls.staging_schema)
    api.run(api.Request("apply", FIRST, settings, asked_by=AskedBy("http", "a" * 300)))
    (told,) = history.runs(dls.role_url, settings)
    assert (told.report.trigger, told.report.actor) == ("http", "a" * 255)
    drawn = StringIO()
    render_run(told, Console(file=drawn, width=2000))
    assert " (http), " in drawn.getvalue()
    assert not {"serve", "auth", "listen"} & set(told.settings)


def other(number: int) -> dict:
    return {"proposal": FIRST["proposal"] | {"proposalNumber": str(number), "title": "Of many"}}


def of_proposal(ispyb, settings, proposal: str) -> list[int]:
    return [found.report.run for found in history.runs(ispyb.role_url, settings, proposal=proposal)]


def test_the_runs_of_a_proposal_are_those_that_looked_at_it_among_few(dls):
    settings = Settings(database=dls.role_url, staging_schema=dls.staging_schema)
    first, again = run(dls, FIRST).run, run(dls, FIRST).run
    elsewhere = run(dls, other(2)).run
    assert of_proposal(dls, settings, "MX-1") == [again, first]
    assert of_proposal(dls, settings, "MX-2") == [elsewhere]
    assert of_proposal(dls, settings, "MX-3") == []


def test_of_a_run_of_many_only_what_it_changed_or_refused_counts(dls, monkeypatch):
    settings = Settings(database=dls.role_url, staging_schema=dls.staging_schema)
    run(dls, [FIRST, other(2)])
    monkeypatch.setattr(touched, "FEW", 1)
    refused = {"proposal": other(3)["proposal"] | {"persons": [{"familyName": "nobody names this one"}]}}
    many = run(dls, [SECOND, other(2), refused]).run
    undone = sync.undo(many, database=dls.role_url, staging_schema=dls.staging_schema).run
    assert of_proposal(dls, settings, "MX-1")[:2] == [undone, many]
    assert many not in of_proposal(dls, settings, "MX-2")
    assert of_proposal(dls, settings, "MX-3") == [many]


def test_the_command_lists_the_runs_of_a_proposal(command, dls):
    assert command("apply", "good.ndjson").code == 0
    listed = json.loads(command("history", "--proposal", "MX-2", "--json").out)
    assert [found["run"] for found in listed] == [1]
    assert command("history", "--proposal", "MX-9").out == f"history: {dls.called}; no runs\n"
    assert command("history", "1", "--proposal", "MX-2").code == 2


# Every five minutes


def test_runs_that_did_nothing_are_counted_between_the_others(command):
    """Newest first: three that did nothing, an undo, one refused, two that did nothing, the first."""
    for name in ("good", "good", "good", "partly", "good", "good", "good"):
        assert command("apply", f"{name}.ndjson").code == (name == "partly")
    listed = json.loads(command("history", "--json").out)
    assert [(found["run"], found["idle_since"]) for found in listed] == [(4, 3), (1, 2)]
    lines = command("history").out.splitlines()
    assert [line.split()[0] for line in lines[2:6]] == ["…", "4", "…", "1"]
    assert "3 idle" in lines[2]
    assert "--all" in lines[6]
    assert [found["run"] for found in json.loads(command("history", "--limit", "1", "--json").out)] == [4]
    assert "idle" in command("history", "--limit", "1").out
    everything = json.loads(command("history", "--all", "--json").out)
    assert [found["run"] for found in everything] == [7, 6, 5, 4, 3, 2, 1]
    assert [found["run"] for found in json.loads(command("history", "--all", "--limit", "2", "--json").out)] == [7, 6]


def test_runs_are_listed_since_a_moment(dls, command):
    for _ in range(2):
        assert command("apply", "partly.ndjson").code == 1
    with dls.engine.begin() as connection:
        connection.exec_driver_sql(f"UPDATE `{dls.staging_schema}`.run SET started = '2020-02-02 10:00' WHERE run = 1")

    def since(when: str) -> list[int]:
        return [found["run"] for found in json.loads(command("history", "--since", when, "--json").out)]

    assert since("1d") == since("2020-02-02T10:01") == since("2020-02-02T11:01+01:00") == [2]
    assert since("2020-02-02") == [2, 1]
    assert command("history", "--since", "yesterday").code == 2
    assert command("history", "1", "--since", "1d").code == 2


def test_the_command_tells_what_was_refused_of_a_person_whom_no_run_wrote(command):
    export, other = (
        {"proposal": {"proposalCode": "MX", "proposalNumber": str(n), "persons": [{"login": f"p{n}"}, person]}}
        for n, person in enumerate(
            ({"externalId": 9_001, "login": "taken"}, {"externalId": 9_002, "login": "taken"}), 1
        )
    )
    Path("two.json").write_text(json.dumps([export, other]))
    assert command("apply", "two.json").code == 1
    found = command("history", "--person", "taken")
    assert found.code == 0
    assert re.search(r"^run 1, .* UTC: refused: person duplicate_key: .*taken", found.out, re.MULTILINE)
    (first, *_) = json.loads(command("history", "--person", "taken", "--json").out)
    assert (first["run"], first["code"], first["value"]) == (1, "duplicate_key", "taken")
    assert command("history", "--person", "t_ken").code == 2
