"""The statement log: which statements ran, their rows and times, on standard error and nowhere else."""

import json
import logging
import re

import pytest
from support.databases import Ispyb
from support.small import CommandLine

from sync.database import sqlfiles
from sync.database.connection import log
from sync.model.entities import ENTITIES
from sync.show.slowest import SLOWEST

LINE = re.compile(r"(?P<origin>\w+\.sql:\d+ \w+|load stage_\w+) +(?P<rows>-?\d+) rows +(?P<ms>[\d.]+) ms")
SHARE = re.compile(LINE.pattern + r" +(?P<share>\d+)%")


@pytest.fixture
def command(py: Ispyb, command: CommandLine, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    monkeypatch.setenv("COLUMNS", "60")  # lines stay whole on a narrow terminal
    return command


@pytest.mark.parametrize(
    "arguments", [["plan", "--profile"], ["apply", "--profile"], ["plan", "-vv"], ["apply", "-vv"]]
)
def test_each_statement_is_a_line_and_the_slowest_come_again_at_the_end(
    command: CommandLine, arguments: list[str]
) -> None:
    done = command(*arguments, "good.ndjson", "--json")
    assert (done.code, json.loads(done.out)["documents"]["read"]) == (0, 2)
    *lines, total = done.err[: done.err.index("the slowest")].splitlines()
    ran = [found for line in lines if (found := LINE.fullmatch(line))]
    assert len(ran) == len(lines)
    assert re.match(rf"{len(ran)} statements in ", total)
    known = {s.origin for name in [*(e.name for e in ENTITIES), "history", "fingerprint"] for s in sqlfiles.load(name)}
    loads = {f"load stage_{entity.name}" for entity in ENTITIES}
    rows = {re.sub(r":\d+", "", found["origin"]): int(found["rows"]) for found in ran}
    assert {found["origin"] for found in ran} - loads <= known
    assert loads <= rows.keys()
    assert rows["load stage_person"] == 8  # three people of each document, one of them named by login alone too
    assert rows["person.sql decide"] == 6
    assert ("person.sql insert" in rows) == (arguments[0] == "apply")
    slowest = [found for line in done.err.splitlines()[len(lines) + 1 :] if (found := SHARE.fullmatch(line))]
    assert len(slowest) == SLOWEST
    times = [float(found["ms"]) for found in slowest]
    assert times == sorted((float(found["ms"]) for found in ran), reverse=True)[:SLOWEST]


def test_nothing_is_logged_unless_asked_for_and_asking_once_is_not_asking_for_ever(command: CommandLine) -> None:
    level = log.level
    assert command("plan", "good.ndjson", "--profile").err != ""
    assert command("plan", "good.ndjson").err == ""
    assert log.level == level
    assert not [handler for handler in log.handlers if type(handler) is not logging.NullHandler]


def test_a_run_that_fails_tells_what_ran_until_then(command: CommandLine) -> None:
    done = command("plan", "nosuch.ndjson", "--profile")
    assert done.code == 2
    assert "statements in" in done.err
