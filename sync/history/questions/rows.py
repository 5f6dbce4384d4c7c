"""What the tool ever did to one row, and to those that refer to it; a person's row is found by its login too, and then
with what was refused of that login.
"""

import json
import re
from collections.abc import Iterable, Iterator
from datetime import datetime

from sync.database.connection import Database, Ispyb
from sync.history.changes import IN_ORDER, read_changes
from sync.history.runs import ask, opened
from sync.model.entities import BY_NAME, ENTITIES, Entity
from sync.model.errors import UsageError
from sync.model.refusals import Refusal
from sync.model.report import Change
from sync.model.settings import Settings
from sync.schema.introspection import read_tables

Done = list[tuple[int, datetime, Change | Refusal]]
"""The number of a run, when it began (UTC), and what it did, or did not."""


def row(database: Database, settings: Settings, name: str, *, run: int | None = None) -> Done:
    """What was done, in one run or in all, to one row, named as `person:4711`, and to its links and whatever names it.

    Raises UsageError where that names no row.
    """
    entity, _, number = name.partition(":")
    if entity not in BY_NAME or not number.isdecimal():
        raise UsageError(f"{name!r} names no row", hint=f"Write it as person:4711, with one of {', '.join(BY_NAME)}.")
    with opened(database, settings) as ispyb:
        return _done(ispyb, BY_NAME[entity], int(number), run)


def person(database: Database, settings: Settings, name: str, *, run: int | None = None) -> Done:
    """The same for a person, named by personId or by login: by one that history knows, or that ISPyB holds now.

    Raises UsageError where nobody has, or had, that login.
    """
    of_people = BY_NAME["person"]
    with opened(database, settings) as ispyb:
        if name.isdecimal():
            return _done(ispyb, of_people, int(name), run)
        given = read_tables(ispyb.connection).conditions(of_people)
        ids = [number for (number,) in ask(ispyb, "find_people", given, login=name)]
        found: Done = [*_refused(ispyb, name, run)]
        if not ids and not found:
            raise UsageError(
                f"nobody in ISPyB has the login {name}, and no run wrote or refused it",
                hint="Give the login as ISPyB holds it, or the personId.",
            )
        found += [done for number in ids for done in _done(ispyb, of_people, number, run)]
    return sorted(found, key=lambda done: done[0])  # stable: of one run they stay in their order


def _done(ispyb: Ispyb, entity: Entity, number: int, run: int | None) -> Done:
    stored = ask(
        ispyb,
        "show_row",
        run=run,
        id=number,
        same_key=_names(other for other in ENTITIES if other.primary_key == entity.primary_key),
        second_key=_names(other for other in ENTITIES if other.second_id == entity.primary_key),
        referring=_names(other for other in ENTITIES if entity.name in other.parents),
        path=f"$.{entity.primary_key}",
        entities=IN_ORDER,
    )
    return [(found.run, found.started, next(read_changes(found.entity, [tuple(found)[2:-1]]))) for found in stored]


def _refused(ispyb: Ispyb, login: str, run: int | None) -> Iterator[tuple[int, datetime, Refusal]]:
    escaped = re.sub(r"([|%_])", r"|\1", login)
    for found in ask(ispyb, "find_refusals", run=run, escaped=escaped):
        for refusal in map(Refusal.from_dict, json.loads(found.refusals)):
            if refusal.value == login:
                yield found.run, found.started, refusal


def _names(entities: Iterable[Entity]) -> str:
    return ",".join(entity.name for entity in entities)
