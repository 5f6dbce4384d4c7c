"""People are kept in memory as far as there is room; how much room there is makes no difference to what is written."""

import pytest
from test_oracle import Bench, _compare, bench

from sync import mentions, stage

__all__ = ["bench"]

EXAMPLES = 160


@pytest.fixture(params=[1, 2, 5, 12])
def little(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Room for so many people."""
    monkeypatch.setattr(stage, "MOST_SHARED", request.param)
    monkeypatch.setattr(stage, "BATCH_ROWS", 3 * request.param)
    monkeypatch.setattr(mentions, "MOST_KNOWN", request.param)
    return int(request.param)


@pytest.mark.usefixtures("little")
def test_people_who_had_to_go_are_the_same_people_when_they_come_back(bench: Bench) -> None:
    _compare(bench, EXAMPLES, first=0)
