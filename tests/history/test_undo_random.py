"""Random databases, exports and settings: undo restores every row, and a plan says what apply changes."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import world
from support.databases import Ispyb
from support.told import done, dump, said
from support.world import Json

import sync

EXAMPLES = 12


def restores(ispyb: Ispyb, rows: dict[str, list[Json]], exports: list[Json], how: Json) -> None:
    ispyb.reset()
    world.insert(ispyb, rows)
    access = {"database": ispyb.url, "staging_schema": ispyb.staging_schema}
    dumps = [dump(ispyb)]
    runs = []
    for export in exports:
        planned = sync.plan(export, **access, **how).changes
        assert dump(ispyb) == dumps[-1], "the plan wrote"
        runs.append(sync.apply(export, **access, **how).run)
        dumps.append(dump(ispyb))
        assert said(planned, dumps[-2]) == done(dumps[-2], dumps[-1])
    for run in reversed(runs):
        dumps.pop()
        report = sync.undo(run or 0, **access)
        assert report.refusals == []
        assert dump(ispyb) == dumps[-1], f"run {run} is not undone"


@pytest.mark.parametrize("variant", ["py", "dls"])
def test_apply_and_undo_restore_every_row_and_a_plan_tells_the_difference(
    databases: Callable[[str], Ispyb], variant: str
) -> None:
    _restore(databases, variant, EXAMPLES)


@pytest.mark.soak
@pytest.mark.parametrize("variant", ["py", "dls", "esrf", "legacy"])
def test_many_times(databases: Callable[[str], Ispyb], variant: str) -> None:
    _restore(databases, variant, 300)


def test_a_float_keeps_the_digits_that_its_text_does_not_show(databases: Callable[[str], Ispyb]) -> None:
    """One that the run updates, and one beside it in an updated row."""
    documents = [
        {
            "proposal": {"proposalNumber": "1", "persons": [{"login": "a"}]},
            "proteins": [{"acronym": name, "molecularMass": 123456.789} for name in ("lyso", "thau")],
        }
    ]
    changed: Json = copy.deepcopy(documents[0])
    changed["proteins"][0]["molecularMass"] = 1
    changed["proteins"][1]["safetyLevel"] = "RED"
    restores(databases("py"), {}, [documents, [changed]], {})


def _restore(databases: Callable[[str], Ispyb], variant: str, examples: int) -> None:
    ispyb = databases(variant)

    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))
    @given(world.given_rows(), st.lists(world.exports, min_size=1, max_size=2), world.settings)
    def restore(rows: dict[str, list[Json]], exports: list[Any], how: Json) -> None:
        restores(ispyb, rows, exports, how)

    restore()
