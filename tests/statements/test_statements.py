"""A run sends the same statements, each as often, however many documents its export has."""

import re
from collections import Counter
from collections.abc import Callable

from benchmark.statements import sent
from generate_export import Facility, Json
from sqlalchemy import Connection, create_engine
from support.databases import Ispyb

import sync

FEW, MANY = 3, 300


def kinds(statements: list[str]) -> Counter[str]:
    """How often each was sent, by its origin, or else by its text."""
    return Counter(origin[1] if (origin := re.match(r"/\* (.+?) \*/", sql)) else sql for sql in statements)


def test_the_number_of_statements_does_not_depend_on_the_number_of_documents(
    databases: Callable[[str], Ispyb],
) -> None:
    """For 3 and for 300 documents: initial load, nothing changed, something changed. Load batches are not counted.

    What an export does not have is not looked for, so both have the same: each kind of thing, persons named by one and
    by two keys, a participant named twice. Where names are joined across keys, a round follows as long as the one
    before joined something: longer chains of names, not more documents, take more rounds.
    """
    ispyb = databases("py")
    facility = Facility(MANY)
    everything = facility.with_everything()
    others = [d for d in map(facility.document, range(MANY)) if name_of(d) != name_of(everything)]
    found = []
    for count in (FEW, MANY):
        ispyb.reset()
        rest = others[: count - 1]
        runs = ([everything, *rest], [everything, *rest], [changed(everything), *rest])
        found.append([kinds(sent(ispyb, export)[0]) for export in runs])
    few, many = found
    assert [run.total() for run in few] == [run.total() for run in many]
    assert few == many
    initial, unchanged, one_changed = few
    assert initial.total() > one_changed.total() > unchanged.total() > 100


def test_rows_are_sent_in_batches(py: Ispyb) -> None:
    """As the server counts what it is asked: of 300 documents, no more than two batches of each of nine tables more."""
    documents = list(map(Facility(MANY).document, range(MANY)))
    asked = []
    for count in (FEW, MANY):
        py.reset()
        with create_engine(py.role_url).connect() as connection:
            before = questions(connection)
            sync.apply(documents[:count], database=connection, staging_schema=py.staging_schema)
            asked.append(questions(connection) - before)
            connection.commit()
    assert asked[0] > 20
    assert asked[1] - asked[0] <= 18


def questions(connection: Connection) -> int:
    return int(connection.exec_driver_sql("SHOW SESSION STATUS LIKE 'Questions'").one()[1])


def name_of(document: Json) -> object:
    return document["proposal"]["proposalNumber"]


def changed(document: Json) -> Json:
    """Another title."""
    return document | {"proposal": document["proposal"] | {"title": "Another"}}
