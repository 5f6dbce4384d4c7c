"""People are kept in memory as far as there is room; how much room there is makes no difference to what is written."""

from collections import Counter

import pytest
from oracle.bench import Bench, bench, compare
from support.databases import Ispyb
from support.exports import validated
from support.small import document

from sync.database.connection import connect
from sync.schema.introspection import introspect
from sync.stage import stager as stage
from sync.validate import mentions

__all__ = ["bench"]

EXAMPLES = 60


@pytest.fixture(params=[1, 5, *(pytest.param(room, marks=pytest.mark.soak) for room in (2, 12))])
def little(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Room for so many people."""
    monkeypatch.setattr(stage, "MOST_SHARED", request.param)
    monkeypatch.setattr(stage, "BATCH_ROWS", 3 * request.param)
    monkeypatch.setattr(mentions, "MOST_KNOWN", request.param)
    return int(request.param)


@pytest.mark.usefixtures("little")
def test_people_who_had_to_go_are_the_same_people_when_they_come_back(bench: Bench) -> None:
    compare(bench, EXAMPLES, first=0)


def test_people_whom_validation_has_forgotten_are_staged_once(dls: Ispyb, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mentions, "MOST_KNOWN", 1)
    with connect(dls.role_url) as connection:
        target = introspect(connection)
    rows: Counter[str] = Counter()
    stager = stage.Stager(
        target, lambda entity, columns: rows.update({entity.name: len(columns[0])}), pytest.fail, clear_nulls=False
    )
    again = document(1) | {"proteins": []}  # whose person is named by login alone
    for valid in validated([again, again, again])[0]:
        stager.add(valid)
    stager.flush()
    assert (rows["person"], rows["laboratory"], rows["proposal"]) == (3, 1, 3)
