"""A run leaves out what it need not examine, and what comes out is that of a run which examines everything.

Small random facilities: an export, changes to it, changes by others to ISPyB, each time a plan as it is by default, one
that examines everything, and an apply. One facility in one round is an example: the suite has 2,004 on two variants, a
part of `-m soak` 9,900. Many share a run; some have one alone, since a short export is looked up in another way than a
long one.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

import pytest
from sqlalchemy import Connection, create_engine
from sqlalchemy.exc import DBAPIError
from support.databases import Ispyb
from support.facilities import Facility

import sync
from sync.model.entities import BY_NAME
from sync.model.report import Report

ROUNDS = 3
TOGETHER = 54
"""So many facilities share a run."""
RUNS, ALONE = 6, 10
SOAK_RUNS, SOAK_PARTS = 60, 10
SHOWN = 12


@dataclass
class Bench:
    """One open connection on an empty ISPyB; `met` is how many documents were examined and left out."""

    connection: Connection
    staging_schema: str
    met: Counter[str] = field(default_factory=Counter)


@pytest.fixture(scope="module", params=["py", "dls"])
def bench(request: pytest.FixtureRequest, databases: Callable[[str], Ispyb]) -> Iterator[Bench]:
    ispyb = databases(request.param)
    ispyb.reset()
    engine = create_engine(ispyb.role_url)
    with engine.connect() as connection:
        yield Bench(connection, ispyb.staging_schema)
    engine.dispose()


def outcome(report: Report) -> dict[str, list[str]]:
    """What is the same whether everything is examined or not."""
    told = report.to_dict()
    counts = {
        name: {k: n for k, n in c.items() if k not in ("staged", "unchanged")} for name, c in told["entities"].items()
    }
    documents = (report.documents_read, report.documents_refused)
    for change in told["changes"]:
        if BY_NAME[change["entity"]].is_link:
            del change["key"]  # what the documents that are examined call the person
    return {name: [*map(repr, told[name])] for name in ("refusals", "warnings", "changes")} | {
        "counts": [repr((documents, counts))]
    }


def both(quick: Report, whole: Report) -> Iterator[tuple[str, list[str], list[str]]]:
    one, other = outcome(quick), outcome(whole)
    return ((name, one[name], other[name]) for name in one)


def differences(quick: Report, whole: Report) -> list[str]:
    """What only one of two reports says."""
    found = []
    for name, (one, other) in {n: (Counter(q), Counter(w)) for n, q, w in both(quick, whole)}.items():
        found += [f"{name}, only by default: {text}" for text in (one - other).elements()]
        found += [f"{name}, only where all is examined: {text}" for text in (other - one).elements()]
    return found


def history_of_difference(bench: Bench, facilities: Sequence[Facility], seed: int) -> list[str]:
    """Some rounds on an ISPyB that is empty before and after: what led to a difference, and it; or nothing."""
    random = Random(seed)
    more: dict[str, Any] = {
        "database": bench.connection,
        "staging_schema": bench.staging_schema,
        "nulls": random.choice(["keep", "keep", "clear"]),
        "prune": random.choice(["none", "all"]),
        "prune_limit": "100%",
    }
    history = [f"{more['nulls']}, {more['prune']}"]
    try:
        for _ in range(ROUNDS):
            for statement in (statement for facility in facilities for statement in facility.drift()):
                history.append(statement if is_possible(bench.connection, statement) else f"-- {statement}")
            documents = [document for facility in facilities for document in facility.documents]
            history += map(repr, documents)
            quick, whole = (sync.plan(documents, recheck=recheck, **more) for recheck in (False, True))
            bench.met["left out"] += quick.documents_verified
            bench.met["examined"] += quick.documents_read - quick.documents_verified
            assert whole.documents_verified == 0
            if problems := differences(quick, whole):
                return history + problems[:SHOWN]
            sync.apply(documents, **more)
            for facility in facilities:
                facility.change()
    finally:
        bench.connection.rollback()
    return []


def is_possible(connection: Connection, statement: str) -> bool:
    try:
        with connection.begin_nested():
            connection.exec_driver_sql(statement)
    except DBAPIError:
        return False
    return True


def compare(bench: Bench, seed: int, numbers: range) -> None:
    """So many facilities in one run; the first one that differs alone too is shown."""
    history = history_of_difference(bench, [Facility(n, seed) for n in numbers], seed)
    if history:
        alone = (history_of_difference(bench, [Facility(n, seed)], seed) for n in numbers)
        pytest.fail("\n".join(next(filter(None, alone), history)), pytrace=False)


def test_a_short_export_gives_what_a_whole_examination_gives(bench: Bench) -> None:
    bench.met.clear()
    for seed in range(ALONE):
        compare(bench, seed, range(1))
    assert min(bench.met["left out"], bench.met["examined"]) > ALONE, bench.met


def test_a_long_export_gives_what_a_whole_examination_gives(bench: Bench) -> None:
    bench.met.clear()
    for seed in range(RUNS):
        compare(bench, seed, range(TOGETHER))
    assert min(bench.met["left out"], bench.met["examined"]) > RUNS * TOGETHER, bench.met


@pytest.mark.soak
@pytest.mark.parametrize("part", range(SOAK_PARTS))
def test_for_long(bench: Bench, part: int) -> None:
    for seed in range(1000 * (part + 1), 1000 * (part + 1) + SOAK_RUNS):
        compare(bench, seed, range(TOGETHER))
        compare(bench, seed, range(1000, 1001))
