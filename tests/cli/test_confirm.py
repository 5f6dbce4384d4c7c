"""apply on a terminal: the summary, the question, and nothing held while somebody thinks. On a real pseudo-terminal."""

import json
import re
import subprocess
from collections.abc import Callable
from dataclasses import replace

import pytest
from sqlalchemy import make_url
from support.databases import Ispyb
from support.small import ROWS, CommandLine, counts, document, export, holds, run, trigger, write
from support.terminal import QUESTION, AtTerminal

from sync import api
from sync.api import Request
from sync.database.connection import connect
from sync.database.lock import server_lock
from sync.history import runs as history
from sync.history.undo import undo
from sync.model.entities import ENTITIES
from sync.model.report import Report
from sync.model.settings import load_settings


@pytest.fixture
def ispyb(py: Ispyb) -> Ispyb:
    return py


@pytest.fixture(autouse=True)
def command(ispyb: Ispyb, command: CommandLine, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    monkeypatch.setenv("TERM", "dumb")
    return command


def test_a_yes_writes_what_the_summary_says(ispyb: Ispyb) -> None:
    with AtTerminal("apply", "partly.ndjson") as terminal:
        seen = terminal.asked()
        assert f"plan: planned, nothing written; {ispyb.called}" in seen
        assert seen.endswith(f"Write this to {ispyb.called}? [y/n] (n): ")
        assert "person                    3         3" in seen
        assert "refused: " in seen
        assert holds(ispyb, 0)
        terminal.answer("y\n")
        code, out = terminal.ended()
    assert code == 1
    assert "apply: applied (run 1)" in out
    assert "Write this" not in out
    assert holds(ispyb, 1)


@pytest.mark.parametrize("answer", ["\n", "\x04"], ids=["enter", "end of input"])
def test_anything_but_a_yes_writes_nothing(ispyb: Ispyb, answer: str) -> None:
    with AtTerminal("apply", "good.ndjson", "--json") as terminal:
        terminal.asked()
        terminal.answer(answer)
        code, out = terminal.ended()
    assert code == 4
    report = json.loads(out)
    assert (report["status"], report["run"]) == ("declined", None)
    assert holds(ispyb, 0)


def test_a_no_is_told_in_one_line(ispyb: Ispyb) -> None:
    with AtTerminal("apply", "good.ndjson") as terminal:
        terminal.asked()
        terminal.answer("n\n")
        code, out = terminal.ended()
    assert code == 4
    assert out.startswith(f"apply: declined, nothing written; {ispyb.called}; 2 documents read")
    assert out.count("\n") == 1
    assert holds(ispyb, 0)


def test_nobody_is_asked_who_said_yes_or_sits_at_no_terminal(ispyb: Ispyb) -> None:
    def code(*arguments: str, **streams: int) -> int:
        with AtTerminal("apply", *arguments, **streams) as terminal:
            code, _ = terminal.ended()
            assert QUESTION not in terminal.seen
            return code

    assert code("good.ndjson", "--proposal", "MX-1", "--yes") == 0
    assert holds(ispyb, 1)
    assert code("good.ndjson", stdin=subprocess.DEVNULL) == 0
    assert holds(ispyb, 2)
    write("good.ndjson", export(2, title="other"))
    assert code("good.ndjson", stderr=subprocess.DEVNULL) == 0
    assert {row["title"] for row in ispyb.rows("Proposal")} == {"other"}


# The pipeline, which asks whom it is given


def request(ispyb: Ispyb, confirm: Callable[[Report], bool], **settings: object) -> Request:
    given = load_settings(database=ispyb.role_url, staging_schema=ispyb.staging_schema, **settings)
    return Request("apply", "good.ndjson", given, ispyb.role_url, confirm=confirm)


def links(report: Report) -> tuple[int, int]:
    counts = report.entities["proposal_has_person"]
    return counts.inserted, counts.unchanged


def test_nobody_is_asked_where_nothing_would_be_written(ispyb: Ispyb) -> None:
    def nobody(report: Report) -> bool:
        pytest.fail("asked")

    write("good.ndjson", [document(1), {"proposal": {"title": "nothing names it"}}])
    assert api.run(request(ispyb, nobody, strict=True)).status == "rolled_back"
    assert api.run(request(ispyb, lambda report: True)).status == "applied"
    done = api.run(request(ispyb, nobody))
    assert (done.status, done.nothing_to_do, len(done.refusals)) == ("applied", True, 1)


def test_nothing_is_held_while_somebody_thinks_and_what_changed_is_shown_anew(
    command: CommandLine, ispyb: Ispyb
) -> None:
    shown = []

    def somebody(report: Report) -> bool:
        shown.append(links(report))
        if len(shown) == 1:
            write("other.ndjson", [document(1)])
            assert command("apply", "other.ndjson", "--lock-timeout", "0").code == 0  # not the run's own lock
            run(ispyb, "SET SESSION lock_wait_timeout = 1", "ALTER TABLE Person COMMENT 'x'")  # no table's lock
        return True

    done = api.run(request(ispyb, somebody))
    assert shown == [(6, 0), (3, 3)]
    assert (done.status, links(done), len(done.refusals)) == ("applied", (3, 3), 0)
    assert holds(ispyb, 2)


def test_after_a_no_the_tables_are_as_they_were(ispyb: Ispyb) -> None:
    before = ispyb.snapshot()
    done = api.run(request(ispyb, lambda report: False))
    assert (done.status, done.run) == ("declined", None)
    assert ispyb.snapshot() == before
    assert history.runs(ispyb.role_url, load_settings(staging_schema=ispyb.staging_schema)) == []


def test_a_connection_that_is_lost_meanwhile_is_opened_again(ispyb: Ispyb) -> None:
    asked = []

    def somebody(report: Report) -> bool:
        asked.append(links(report))
        if len(asked) == 1:
            run(ispyb, *kill_statements(ispyb))
        return True

    assert api.run(request(ispyb, somebody)).status == "applied"
    assert asked == [(6, 0), (6, 0)]
    assert holds(ispyb, 2)


def kill_statements(ispyb: Ispyb) -> list[str]:
    """What ends the connections of the sync's login."""
    login = make_url(ispyb.role_url).username
    with ispyb.engine.connect() as connection:
        query = f"SELECT ID FROM information_schema.PROCESSLIST WHERE USER = '{login}'"
        return [f"KILL {number}" for number in connection.exec_driver_sql(query).scalars()]


# undo, which asks as apply does


def test_an_undo_shows_what_it_would_take_back_and_asks(
    command: CommandLine, ispyb: Ispyb, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ISPYB_SYNC_DATABASE", ispyb.url)  # which sees that nothing refers to the rows
    assert command("apply", "good.ndjson").code == 0
    for answer, code, left in (("n\n", 4, 2), ("y\n", 0, 0)):
        with AtTerminal("undo", "1") as terminal:
            seen = terminal.asked()
            head = f"undo: planned, nothing written; {ispyb.called}; takes back run 1"
            assert head in " ".join(seen.split())  # which may take two lines
            assert "delete 1 MX-1" in seen
            assert holds(ispyb, 2)
            terminal.answer(answer)
            assert terminal.ended()[0] == code
        assert {table for table, rows in counts(ispyb).items() if rows} == (set(ROWS) if left else set())
    write("good.ndjson", export(1))
    assert command("apply", "good.ndjson").code == 0
    with AtTerminal("undo", "3", "--yes") as terminal:
        assert terminal.ended()[0] == 0
        assert QUESTION not in terminal.seen


def test_an_undo_holds_nothing_while_somebody_thinks_and_asks_anew(command: CommandLine, ispyb: Ispyb) -> None:
    assert command("apply", "good.ndjson").code == 0
    shown = []

    def somebody(report: Report) -> bool:
        shown.append(len(report.refusals))
        if len(shown) == 1:
            run(ispyb, "UPDATE Protein SET acronym = 'changed'")
        return True

    settings = load_settings(staging_schema=ispyb.staging_schema)
    report = undo(1, ispyb.url, settings, confirm=somebody)
    assert shown[0] == 0
    assert shown[1:] == [len(report.refusals)]
    assert shown[1] > 0


# What is done now, and what is waited for


def test_each_phase_is_told_with_its_count(ispyb: Ispyb) -> None:
    told: list[tuple[str, int, int | None]] = []
    settings = load_settings(staging_schema=ispyb.staging_schema)
    asked = Request("apply", "good.ndjson", settings, ispyb.role_url)
    report = api.run(replace(asked, phase=lambda *what: told.append(what)))
    rows = sum(counts.staged for counts in report.entities.values())
    words = [what for what, _done, _total in told]
    assert words[0] == "loading what was read"
    assert re.fullmatch(r"matching \d+ rows", words[1])
    assert words[2:10] == [f"writing {entity.name}" for entity in ENTITIES]
    assert words[10:] == ["writing history", "noting what is verified", "committing"]
    written = [(done, total) for what, done, total in told if total is not None]
    assert written[0] == (0, rows)
    assert written == sorted(written)


def test_the_terminal_shows_the_phases_and_who_holds_the_lock(
    command: CommandLine, ispyb: Ispyb, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    account = make_url(ispyb.role_url).username
    with (
        connect(ispyb.role_url) as other,
        server_lock(other, 0),
        AtTerminal("apply", "good.ndjson", "--yes", "--lock-timeout", "1") as terminal,
    ):
        assert terminal.ended()[0] == 3
    assert f"waiting for another run: {account} from " in terminal.seen
    assert "lock (" + str(account) in terminal.seen  # the error names the holder too
    slow = trigger(ispyb, "BEFORE INSERT ON LabContact", "SET @slept = SLEEP(1)")
    with slow, AtTerminal("apply", "good.ndjson", "--yes") as terminal:
        assert terminal.ended()[0] == 0
    assert "writing lab_contact" in terminal.seen
    assert re.search(r"\d+ of \d+ rows", terminal.seen)
    with AtTerminal("apply", "good.ndjson", "--yes", "--quiet") as terminal:
        assert terminal.ended() == (0, "")
    assert terminal.seen == ""
