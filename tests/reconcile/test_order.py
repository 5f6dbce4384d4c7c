"""The order of documents, and how an export is cut into runs, make no difference where copies do not differ.

Random rows and exports are those of the oracle. Where copies of a thing differ the last one wins, so these examples
are left out, and counted: enough must be left. What a run writes is rolled back.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracle.bench import PROFILE, Bench, Json, Tables, bench
from oracle.differ import Signatures
from oracle.worlds import World, worlds

__all__ = ["bench"]

EXAMPLES = 12
ENOUGH = 10
MOST = 1_000

Run = tuple[list[Json], Counter[str]]


class _Enough(BaseException):
    """So many examples were compared."""


def _each(worlds: st.SearchStrategy[World], check: Callable[[World, Any], bool]) -> None:
    """Looks at so many random examples, and at more until enough of them were of use, which `check` tells."""
    used = []

    @PROFILE
    @given(worlds, st.randoms(use_true_random=False))
    def look(world: World, chance: Any) -> None:
        used.append(len(world.documents) > 1 and check(world, chance))
        if (len(used) >= EXAMPLES and sum(used) >= ENOUGH) or len(used) == MOST:
            raise _Enough

    with pytest.raises(_Enough):
        look()
    assert sum(used) >= ENOUGH, "too few examples say anything"


def _run(bench: Bench, world: World, *exports: list[Json]) -> Run:
    """The reports of applying these exports one after another, and the rows then; new ids count as references only."""
    try:
        bench.fill(world.rows)
        before = bench.tables()
        reports = [bench.apply(documents, world.nulls) for documents in exports]
        return reports, Counter(_rows(bench, before, bench.tables()))
    finally:
        bench.connection.rollback()


def _rows(bench: Bench, before: Tables, after: Tables) -> Iterator[str]:
    for row in after["BLSession"]:
        row.pop("lastUpdate", None)  # of a new session without dates it is the moment of the run
    signatures = Signatures(after, before, bench.kinds)
    for table, content in after.items():
        yield from (f"{table} {signatures.of(table, row)}" for row in content)


def _differ(reports: list[Json]) -> bool:
    return any(warning["code"] == "conflicting_copies" for report in reports for warning in report["warnings"])


def _somebody(number: int) -> st.SearchStrategy[Json]:
    """A mention: in full, by both keys, or by the login alone, which finds who was named by it before."""
    keys = {"login": f"u{number}", "externalId": number}
    laboratory = {"laboratoryExtPk": number % 2, "name": f"Institute {number % 2}"}
    full = keys | {"familyName": f"Family {number}", "laboratory": laboratory}
    return st.sampled_from([{"login": f"u{number}"}, keys, full])


_SOMEBODY = st.integers(0, 4).flatmap(_somebody)


def _document(number: int) -> st.SearchStrategy[Json]:
    people = st.lists(_SOMEBODY, min_size=1, max_size=3)
    session = st.fixed_dictionaries({"externalId": st.just(100 + number), "persons": people})
    protein = st.fixed_dictionaries({"acronym": st.sampled_from(["H", "L"]), "person": _SOMEBODY})
    return st.fixed_dictionaries(
        {
            "proposal": st.fixed_dictionaries({"proposalNumber": st.just(str(number)), "persons": people}),
            "sessions": st.lists(session, max_size=1),
            "proteins": st.lists(protein, max_size=1),
        }
    )


_KNOWN = st.lists(st.integers(0, 4), unique=True, max_size=3)


@st.composite
def _proposals(draw: st.DrawFn) -> World:
    """Documents of different proposals that share people, and people who are there already by their login."""
    documents = [draw(_document(number)) for number in range(draw(st.integers(2, 4)))]
    people = [{"personId": number + 1, "login": f"u{number}"} for number in draw(_KNOWN)]
    return World({"Person": people}, documents, "keep")


def test_the_order_of_documents_makes_no_difference(bench: Bench) -> None:
    def check(world: World, chance: Any) -> bool:
        reports, rows = _run(bench, world, world.documents)
        shuffled = chance.sample(world.documents, len(world.documents))
        again, others = _run(bench, world, shuffled)
        if _differ(reports) or _differ(again):
            return False
        assert others == rows, (world, shuffled)
        return True

    _each(worlds(bench.facts), check)


def test_an_export_may_be_cut_in_two(bench: Bench) -> None:
    """Between proposals, where people are named by their login or by both keys: then no mention waits for another."""

    def check(world: World, chance: Any) -> bool:
        whole, rows = _run(bench, world, world.documents)
        cut = chance.randint(1, len(world.documents) - 1)
        halves, others = _run(bench, world, world.documents[:cut], world.documents[cut:])
        assert not any(report["refusals"] for report in (*whole, *halves))
        assert others == rows, (world, cut)
        return True

    _each(_proposals(), check)
