"""The command line: exit codes, what goes where, settings, and errors that say what to do."""

import gzip
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.databases import Ispyb
from support.small import ROWS, CommandLine, Done, document, export, hear_interrupts, holds, trigger, write

COUNTS = {"staged", "inserted", "updated", "unchanged", "refused", "deleted"}
REPORT = {"run", "mode", "status", "trigger", "actor", "documents", "entities"}
REPORT |= {"database", "refusals", "warnings", "changes", "seconds"}


@pytest.mark.parametrize(
    ("arguments", "code", "documents"),
    [
        (["apply", "good.ndjson"], 0, 2),
        (["plan", "good.ndjson"], 0, 0),
        (["validate", "good.ndjson"], 0, 0),
        (["apply", "partly.ndjson"], 1, 1),
        (["plan", "partly.ndjson"], 1, 0),
        (["validate", "partly.ndjson"], 1, 0),
        (["apply", "nosuch.ndjson"], 2, 0),
        (["apply"], 2, 0),
        (["apply", "good.ndjson", "--nulls", "perhaps"], 2, 0),
        (["apply", "good.ndjson", "--timezone", "Mars/Olympus"], 2, 0),
        (["apply", "good.ndjson", "--database", "sqlite://"], 2, 0),
        (["apply", "good.ndjson", "--database", "mysql://127.0.0.1:1/ispyb"], 3, 0),
        (["apply", "partly.ndjson", "--strict"], 4, 0),
        (["apply", "good.ndjson", "--strict"], 0, 2),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_the_exit_code_says_what_was_written(
    command: CommandLine, dls: Ispyb, arguments: list[str], code: int, documents: int
) -> None:
    done = command(*arguments)
    assert done.code == code
    assert holds(dls, documents)
    assert "Traceback" not in done.err
    assert bool(done.err) == (code in (2, 3))


@pytest.mark.parametrize(
    ("arguments", "mode", "status"),
    [
        (["apply", "partly.ndjson"], "apply", "applied"),
        (["plan", "partly.ndjson"], "plan", "planned"),
        (["validate", "partly.ndjson"], "validate", "validated"),
        (["apply", "partly.ndjson", "--strict"], "apply", "rolled_back"),
        (["apply", "nosuch.ndjson"], "apply", "failed"),
        (["plan", "good.ndjson", "--database", "mysql://127.0.0.1:1/ispyb"], "plan", "failed"),
    ],
)
def test_json_is_one_object_and_nothing_else(
    command: CommandLine, arguments: list[str], mode: str, status: str
) -> None:
    done = command(*arguments, "--json")
    assert done.out.endswith("}\n")
    assert done.out.count("\n") == 1
    report = json.loads(done.out)
    assert (report["mode"], report["status"]) == (mode, status)
    assert report.keys() == REPORT
    assert report["documents"].keys() == {"read", "verified", "refused"}
    assert len(report["entities"]) == len(ROWS)
    assert all(entity.keys() == COUNTS for entity in report["entities"].values())
    assert (report["run"] is None) == (status != "applied")
    assert bool(report["changes"]) == (mode == "plan" and status == "planned")
    if status != "failed":
        assert report["documents"] == {"read": 2, "verified": 0, "refused": 1}
        assert {"entity", "code", "document", "proposal", "path", "field", "value", "message", "cause"} == report[
            "refusals"
        ][0].keys()


def test_standard_input_gzip_and_array_are_read_alike(command: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    text = json.dumps(export(3)).encode()
    Path("array.json.gz").write_bytes(gzip.compress(text))
    for source, data in (("array.json.gz", b""), ("-", text), ("-", gzip.compress(text))):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
        report = json.loads(command("plan", source, "--json").out)
        assert report["documents"] == {"read": 3, "verified": 0, "refused": 0}
        assert report["entities"]["person"]["inserted"] == 9


def test_only_the_proposals_named_are_taken(command: CommandLine, dls: Ispyb) -> None:
    write("three.ndjson", export(3))
    assert command("plan", "three.ndjson", "--proposal", "mx-1", "--proposal", "MX-3").code == 0
    done = command("apply", "three.ndjson", "--proposal", "mx-1", "--proposal", "MX-3", "--proposal", "MX-9")
    assert done.code == 1
    assert {row["proposalNumber"] for row in dls.rows("Proposal")} == {"1", "3"}
    assert holds(dls, 2)
    assert "no document of MX-9" in done.out


def test_nulls_clear_a_column_only_when_asked(command: CommandLine, dls: Ispyb) -> None:
    command("apply", "good.ndjson")
    write("nulls.ndjson", export(2, title=None))
    assert command("apply", "nulls.ndjson").code == 0
    assert [row["title"] for row in dls.rows("Proposal")] == ["Title 1", "Title 2"]
    assert command("apply", "nulls.ndjson", "--nulls", "clear").code == 0
    assert [row["title"] for row in dls.rows("Proposal")] == [None, None]


def test_a_flag_beats_the_environment_and_that_the_file(command: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    def start_date(*flags: str) -> str:
        report = json.loads(command("plan", "good.ndjson", "--json", *flags).out)
        return next(str(c["fields"]["startDate"]["new"]) for c in report["changes"] if c["entity"] == "session")

    assert start_date() == "2024-07-01 08:00:00"
    Path("ispyb-sync.toml").write_text('timezone = "Europe/London"\n')
    assert start_date() == "2024-07-01 09:00:00"
    monkeypatch.setenv("ISPYB_SYNC_TIMEZONE", "Europe/Paris")
    assert start_date() == "2024-07-01 10:00:00"
    assert start_date("--timezone", "Asia/Tokyo") == "2024-07-01 17:00:00"


# In a process of its own


def started(*arguments: str, **options: Any) -> "subprocess.Popen[str]":
    program = [sys.executable, "-m", "sync.cli", *arguments]
    streams: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(program, preexec_fn=hear_interrupts, **(streams | options))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=lambda number: number.name)
def test_an_apply_that_is_stopped_leaves_nothing(command: CommandLine, dls: Ispyb, number: signal.Signals) -> None:
    with trigger(dls, "BEFORE INSERT ON LabContact", "SET @slept = SLEEP(1)"):
        process = started("apply", "good.ndjson", "--proposal", "MX-1", "--json")
        wait_until(lambda: "User sleep" in states(dls))
        process.send_signal(number)
        out, err = process.communicate(timeout=20)
        assert process.returncode == (130 if number == signal.SIGINT else -number)
        assert (out, "Traceback" in err) == ("", False)
        assert err == ("interrupted: nothing was written\n" if number == signal.SIGINT else "")
        wait_until(lambda: "User sleep" not in states(dls))
    assert holds(dls, 0)
    assert command("apply", "good.ndjson", "--lock-timeout", "1").code == 0


def test_an_undo_that_is_stopped_leaves_all(command: CommandLine, dls: Ispyb) -> None:
    assert command("apply", "good.ndjson").code == 0
    with trigger(dls, "BEFORE DELETE ON ProposalHasPerson", "SET @slept = SLEEP(1)"):
        process = started("undo", "1")
        wait_until(lambda: "User sleep" in states(dls))
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
        assert (process.returncode, out) == (130, "")
        assert err.startswith("interrupted: nothing was written, unless the commit had begun")
        wait_until(lambda: "User sleep" not in states(dls))
    assert holds(dls, 2)


def states(ispyb: Ispyb) -> set[str]:
    """What the connections to this database are doing."""
    with ispyb.engine.connect() as connection:
        query = "SELECT STATE FROM information_schema.PROCESSLIST WHERE DB = DATABASE()"
        return set(connection.exec_driver_sql(query).scalars())


def wait_until(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.05)


def test_a_reader_that_goes_is_no_error(command: CommandLine) -> None:
    write("long.ndjson", export(100))
    with started("plan", "long.ndjson", "-v") as process:
        assert process.stdout is not None
        assert process.stdout.read(5)
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == ""
    assert process.returncode == 0


def test_a_report_that_cannot_be_written_is_told(command: CommandLine, dls: Ispyb) -> None:
    with open("/dev/full", "w") as full:
        process = started("apply", "good.ndjson", "--json", stdout=full)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 1
    assert err.splitlines() == ["error: standard output: No space left on device", "  What was done stays done."]
    assert holds(dls, 2)


def test_letters_that_a_terminal_lacks_stop_nothing(command: CommandLine) -> None:
    write("omega.ndjson", [document(1, title="Ω — é")])
    environment = os.environ | {"PYTHONIOENCODING": "latin-1"}
    both = [started("plan", "omega.ndjson", *flags, env=environment, encoding="latin-1") for flags in ([], ["--json"])]
    (text, _), (report, _) = done = [process.communicate(timeout=30) for process in both]
    assert 'title = "\\u03a9 \\u2014 é"' in text
    assert json.loads(report)["refusals"][0]["value"] == "Ω — é"
    assert [err for _, err in done] == ["", ""]


def test_quiet_prints_nothing_unless_something_was_refused_or_failed(command: CommandLine, dls: Ispyb) -> None:
    write("warned.ndjson", [document(1) | {"unheard_of": 1}])
    for arguments in (["validate"], ["plan"], ["apply"], ["apply"]):
        assert command(*arguments, "warned.ndjson", "--quiet") == Done(0, "", "")
    assert holds(dls, 1)
    loud, quiet = command("plan", "partly.ndjson"), command("plan", "partly.ndjson", "--quiet")
    assert quiet.code == 1
    assert quiet.out.splitlines()[1:] == loud.out.splitlines()[1:]  # the first line has the seconds
    assert "no document of MX-3" in command("plan", "good.ndjson", "--proposal", "MX-3", "--quiet").err
    assert "error: cannot read nosuch.ndjson" in command("apply", "nosuch.ndjson", "--quiet").err


def test_the_example_of_the_schema_is_applied_whole(command: CommandLine, ispyb: Ispyb) -> None:
    """In each variant: nothing is refused, and no warning asks for anything."""
    printed = command("schema", "--example").out
    assert printed.count("\n") > 50
    Path("example.json").write_text(printed)
    done = command("apply", "example.json", "--json")
    report = json.loads(done.out)
    assert (done.code, report["refusals"]) == (0, [])
    assert {warning["code"] for warning in report["warnings"]} <= {"missing_column"}
    assert all(counts["inserted"] == 1 for counts in report["entities"].values())
    assert json.loads(command("schema").out)["$defs"]["Person"]["properties"]["login"]["maxLength"] == 45
