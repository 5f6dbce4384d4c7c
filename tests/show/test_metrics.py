"""Metrics of runs: a text file that each run carries on, whole or not at all."""

import re
from pathlib import Path

import pytest
from support.small import CommandLine


def counted(file: str = "runs.prom") -> dict[str, float]:
    lines = Path(file).read_text().splitlines()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))}


def test_each_run_goes_on_counting(command: CommandLine) -> None:
    assert command("apply", "good.ndjson", "--metrics", "runs.prom").code == 0
    first = counted()
    assert first['ispyb_sync_rows_total{action="inserted",entity="person"}'] == 6
    assert command("apply", "partly.ndjson", "--metrics", "runs.prom").code == 1
    second = counted()
    assert second['ispyb_sync_runs_total{mode="apply",status="applied",trigger="command"}'] == 2
    assert second['ispyb_sync_rows_total{action="inserted",entity="person"}'] == 6
    assert second['ispyb_sync_refusals_total{code="invalid_document"}'] == 1
    last = "ispyb_sync_last_success_timestamp_seconds"
    assert second[last] > first[last]


def test_a_run_that_fails_is_counted_and_the_last_success_stays(
    command: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    command("apply", "good.ndjson", "--metrics", "runs.prom")
    before = counted()
    monkeypatch.setenv("ISPYB_SYNC_DATABASE", "mysql+pymysql://nobody@127.0.0.1:1/ispyb")
    assert command("apply", "good.ndjson", "--metrics", "runs.prom").code == 3
    after = counted()
    assert after['ispyb_sync_runs_total{mode="apply",status="failed",trigger="command"}'] == 1
    last = "ispyb_sync_last_success_timestamp_seconds"
    assert after[last] == before[last]


@pytest.mark.parametrize("content", ["rubbish", "other_metric 5\n", 'ispyb_sync_rows_total{x="1"} 5\n'])
def test_a_file_of_something_else_is_left_and_nothing_runs(command: CommandLine, content: str) -> None:
    Path("runs.prom").write_text(content)
    done = command("apply", "good.ndjson", "--metrics", "runs.prom")
    assert done.code == 2
    assert "holds no metrics of ispyb-sync" in done.err
    assert Path("runs.prom").read_text() == content
    assert command("history").out.endswith("; no runs\n")


def test_a_place_that_cannot_be_written_is_told_before_the_run(command: CommandLine) -> None:
    done = command("apply", "good.ndjson", "--metrics", "none/runs.prom")
    assert done.code == 2
    assert "no file can be written there" in done.err
    assert re.search("no runs", command("history").out)
