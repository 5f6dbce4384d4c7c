"""One proposal at a time: through the Python API on an open connection, and as a process."""

import time
from collections.abc import Iterator, Sequence
from copy import deepcopy
from statistics import median

import orjson
from generate_export import Facility
from sqlalchemy import Connection, create_engine
from support.databases import Ispyb

import sync
from benchmark import command
from benchmark.figures import Figure, Json, middle

_WARM_UP = 3
_ROUND_TRIPS = 1000
_KINDS = ("new", "unchanged", "changed")


def api(large: Ispyb, empty: Ispyb, proposals: int, samples: int) -> Iterator[Figure]:
    """New, unchanged and changed proposals in a database of so many and in an empty one, turn by turn.

    The goal is in round trips: what a SELECT 1 takes on the same connection says how quick machine and server are.
    """
    warm_up = min(_WARM_UP, samples)
    documents = _more(proposals, proposals, warm_up + samples)
    empty.reset()
    seconds = {kind: _turn_by_turn(large, empty, _of_kind(documents, kind), warm_up) for kind in _KINDS}
    round_trip = _round_trip(large)
    for kind, (in_large, in_empty) in seconds.items():
        ratio = median(in_large) / round_trip
        milliseconds = [1000 * value for value in in_large]
        yield Figure(
            f"api_{kind}",
            f"one proposal by the Python API, {kind}",
            "ms",
            milliseconds,
            None,
            ratio,
            "a SELECT 1",
            "<= 120 round trips",
            ratio <= 120,
            f"{middle(in_large, in_empty):.2f} x an empty database",
        )


def _round_trip(ispyb: Ispyb) -> float:
    """The seconds of a SELECT 1, median."""
    taken = []
    with create_engine(ispyb.role_url).connect() as connection:
        for _ in range(_ROUND_TRIPS):
            start = time.perf_counter()
            connection.exec_driver_sql("SELECT 1").scalar_one()
            taken.append(time.perf_counter() - start)
    return median(taken)


def process(ispyb: Ispyb, proposals: int, samples: int) -> Figure:
    """A new proposal each time, from standard input. The first one is not counted: Python may compile the tool then."""
    documents = _more(proposals, proposals + 1_000_000, 1 + samples)
    _, *seconds = [command.apply_one(ispyb, orjson.dumps(document)).seconds for document in documents]
    what = "one new proposal, ispyb-sync apply - as a process"
    return Figure("process", what, "s", seconds, goal="<= 0.8 s", met=median(seconds) <= 0.8)


def _more(proposals: int, first: int, count: int) -> list[Json]:
    """Documents of proposals that the export has not, with people whom it has."""
    facility = Facility(proposals)
    return [facility.document(first + number) for number in range(count)]


def _of_kind(documents: Sequence[Json], kind: str) -> list[Json]:
    if kind != "changed":
        return list(documents)
    changed = deepcopy(list(documents))
    for document in changed:
        document["proposal"]["title"] += ", continued"
        for protein in document["proteins"][:1]:
            protein["safetyLevel"] = "RED" if protein["safetyLevel"] == "GREEN" else "GREEN"
    return changed


def _turn_by_turn(
    large: Ispyb, empty: Ispyb, documents: Sequence[Json], warm_up: int
) -> tuple[list[float], list[float]]:
    """Seconds of each document in both databases, from the dict to the committed rows."""
    engines = [create_engine(f"{ispyb.role_url}?charset=utf8mb4") for ispyb in (large, empty)]
    taken: tuple[list[float], list[float]] = ([], [])
    with engines[0].connect() as in_large, engines[1].connect() as in_empty:
        for document in documents:
            taken[0].append(_seconds(in_large, large, document))
            taken[1].append(_seconds(in_empty, empty, document))
    for engine in engines:
        engine.dispose()
    return taken[0][warm_up:], taken[1][warm_up:]


def _seconds(connection: Connection, ispyb: Ispyb, document: Json) -> float:
    start = time.perf_counter()
    report = sync.apply(document, database=connection, staging_schema=ispyb.staging_schema)
    connection.commit()
    seconds = time.perf_counter() - start
    if report.refusals:
        raise RuntimeError(f"a proposal was refused: {report.refusals[0]}")
    return seconds
