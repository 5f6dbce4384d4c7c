"""validate --strict, and sessions that end before they start."""

import json

import pytest
from support.databases import Ispyb
from support.small import CommandLine, document, write


def test_with_strict_an_unknown_key_ends_with_1(command: CommandLine) -> None:
    write("unknown.ndjson", [document(1) | {"unheardOf": 1}])
    assert command("validate", "unknown.ndjson").code == 0
    assert command("validate", "unknown.ndjson", "--strict").code == 1
    assert command("validate", "good.ndjson", "--strict").code == 0


@pytest.mark.parametrize("changed", [{}, {"surprise": 1}, {"sessionTitle": 5}], ids=["fits", "unknown", "repaired"])
def test_a_session_that_ends_before_it_starts_is_told(command: CommandLine, changed: dict[str, object]) -> None:
    one = document(1)
    one["sessions"][1] |= {"startDate": "2024-07-03T08:00:00+02:00", "endDate": "2024-07-03T05:59:59Z"}
    one["sessions"][0] |= changed
    write("late.ndjson", [document(2), one])
    done = command("validate", "late.ndjson", "--json")
    (warning,) = [w for w in json.loads(done.out)["warnings"] if w["code"] == "end_before_start"]
    assert (warning["count"], warning["examples"]) == (
        1,
        [
            {
                "document": 2,
                "proposal": "MX-1",
                "path": "sessions[1].endDate",
                "value": "2024-07-03T05:59:59Z (startDate 2024-07-03T08:00:00+02:00)",
            }
        ],
    )


def test_one_that_ends_when_it_starts_is_not(dls: Ispyb, command: CommandLine) -> None:
    one = document(1)
    one["sessions"][0]["endDate"] = one["sessions"][0]["startDate"]
    one["sessions"][1] |= {"endDate": None}
    write("same.ndjson", [one])
    assert "endDate" not in command("plan", "same.ndjson").err
