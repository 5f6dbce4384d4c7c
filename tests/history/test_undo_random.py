"""Random databases, exports and settings: undo restores every row, and a plan says what apply changes."""

import copy
import struct
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import world
from support.databases import Ispyb
from support.world import Json

import sync
from sync.model.entities import ENTITIES, Entity
from sync.model.report import Change

Dump = dict[str, dict[tuple[Any, ...], Json]]

PARENTS = {"laboratoryId": "laboratory", "personId": "person", "proposalId": "proposal"}
FLOATS = ("molecularMass", "structureDeterminations", "dewarTransport", "databackupFrance", "databackupEurope")
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


def dump(ispyb: Ispyb) -> Dump:
    """Every row of the eight tables by its primary key; a FLOAT as the double it is, since its text is rounded."""
    with ispyb.engine.connect() as connection:
        tables: Dump = {}
        for entity in ENTITIES:
            exact = [f"`{name}` + 0e0 AS `{name}`" for name in FLOATS if name in ispyb.tables[entity.table]]
            rows = connection.exec_driver_sql(f"SELECT {', '.join(['*', *exact])} FROM `{entity.table}`")
            names = list(rows.keys())
            found = (dict(zip(names, row, strict=True)) for row in rows)  # of two columns of a name the last
            tables[entity.name] = {_identity(entity, row): row for row in found}
        return tables


def _identity(entity: Entity, row: Json) -> tuple[Any, ...]:
    if entity.name == "session_has_person":
        return row["sessionId"], row["personId"]
    return (row[entity.primary_key],)


def done(before: Dump, after: Dump) -> Counter[Any]:
    """The difference of two dumps, in the form of `said`."""
    found: Counter[Any] = Counter()
    for entity in ENTITIES:
        old, new = before[entity.name], after[entity.name]
        for key in old.keys() - new.keys():
            found[entity.name, "delete", key[0], _fields(entity, old[key], {}, before)] += 1
        for key in new.keys() - old.keys():
            shown = key[0] if entity.name == "session_has_person" and key[0] in _ids(before, "session") else None
            found[entity.name, "insert", shown, _fields(entity, {}, new[key], before)] += 1
        for key in old.keys() & new.keys():
            if old[key] != new[key]:
                changed = {name for name in old[key] if old[key][name] != new[key][name]}
                fields = frozenset(
                    (_name(entity, name), _value(name, old[key][name], before), _value(name, new[key][name], before))
                    for name in changed
                )
                found[entity.name, "update", key[0], fields] += 1
    return found


def said(changes: list[Change], before: Dump) -> Counter[Any]:
    """The changes of a plan: entity, action, id, and the columns with old and new values."""
    found: Counter[Any] = Counter()
    for change in changes:
        fields = frozenset(
            (name, _value(name, value["old"], before), _value(name, value["new"], before))
            for name, value in change.fields.items()
            if name != "lastUpdate"
        )
        found[change.entity, change.action, change.id, fields] += 1
    return found


def _fields(entity: Entity, old: Json, new: Json, before: Dump) -> frozenset[Any]:
    """What a plan says of a row that comes or goes: the columns that the tool writes, where they have a value."""
    parents = set() if entity.name == "session_has_person" else set(PARENTS)
    names = {*entity.columns, *entity.aliases.values(), *parents, "role"} - {"lastUpdate", entity.primary_key}
    row = old or new
    return frozenset(
        (_name(entity, name), _value(name, old.get(name), before), _value(name, new.get(name), before))
        for name in names & row.keys()
        if row[name] is not None
    )


def _name(entity: Entity, column: str) -> str:
    return next((name for name, alias in entity.aliases.items() if alias == column), column)


def _value(name: str, value: Any, before: Dump) -> Any:
    """A value in one form, whether it comes from a report or from a row; the id of a new parent is "new"."""
    if name in PARENTS and value is not None and value not in _ids(before, PARENTS[name]):
        return "new"
    if name == "externalId" and value is not None:
        number = int.from_bytes(value, "big") if isinstance(value, bytes) else value
        return number if isinstance(number, int) and number < 2**64 else str(_uuid(number))
    if isinstance(value, datetime):
        return str(value)
    if isinstance(value, float) or (name in FLOATS and value is not None):
        return struct.pack("d", value)
    return value


def _uuid(value: int | str) -> UUID:
    return UUID(int=value) if isinstance(value, int) else UUID(value)


def _ids(before: Dump, entity: str) -> set[Any]:
    return {key[0] for key in before[entity]}
