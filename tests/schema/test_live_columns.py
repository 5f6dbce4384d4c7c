"""Any column of the eight tables may be absent, or of another character set, sign, length or type.

The live table is changed in one column; then `check`, plan, apply, apply again, a changed export and undo do what they
do on the unchanged table. Whatever `check` calls fine must run, and what cannot run is told by `check`. In the suite
each column is changed once, together with one of each other table; in the soak by itself, on every variant. All of
these must work, but for an externalId of another type.
"""

import re
from collections import Counter

import pytest
from support import whole
from support.databases import Ispyb
from support.facts import meets, migrated
from support.live_columns import BINARY, COLLATIONS, LETTERS, SHAPES, altered, describe, without
from support.live_cycle import (
    NOTHING,
    TEXT,
    Change,
    Live,
    alone,
    changed,
    kind_of,
    live,
    lost,
    of_each,
    some,
    stops,
    text,
    together,
    unchanged,
)
from support.small import CommandLine, Json
from support.told import untold
from support.variants import TABLES, VARIANTS

from sync import pipeline
from sync.model.entities import ENTITIES

__all__ = ["live"]  # a fixture

WITH_EXTERNAL_ID = [TABLES[entity.name] for entity in ENTITIES if "externalId" in entity.columns]
IN_OTHER_CASE = ("diamond_2017", "py")
"""On these the suite tries tables whose names differ in case; Diamond's schema of 2017 had such."""


def _has_shape(facts: set[str], shape: str) -> bool:
    """Whether a column of its type can have a shape that it has not."""
    kind = kind_of(facts)
    match shape:
        case "not null" | "not null default":
            return "null" in facts and not (shape.endswith("default") and kind in ("text", "enum"))
        case "null":
            return "null" not in facts
        case "other sign":
            return kind in ("int", "tinyint", "float", "double")
        case "longer":
            return kind in ("varchar", "int", "tinyint", "float", "text")
        case _:
            return kind in ("varchar", "int", "double", "text")


@pytest.fixture(autouse=True)
def each_run_looks_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pooled connection believes for some seconds what it saw of the live tables, which change here meanwhile."""
    monkeypatch.setattr(pipeline, "BELIEVED_SECONDS", 0)


def any_column(facts: set[str], what: str) -> bool:
    """Whether a change suits a column: it always does."""
    return True


DROPPED = of_each(["dropped"])


@pytest.mark.parametrize(("variant", "changes"), together(some(DROPPED, any_column)))
def test_columns_may_be_absent(variant: str, changes: list[Change], live: Live) -> None:
    goes_on_without(live, changes)


@pytest.mark.soak
@pytest.mark.parametrize(("table", "field", "what", "variant"), alone(DROPPED, any_column))
def test_a_column_may_be_absent(table: str, field: str, what: str, variant: str, live: Live) -> None:
    goes_on_without(live, [(table, field, what)])


def goes_on_without(live: Live, changes: list[Change]) -> None:
    first, second, warnings = unchanged(live)
    names = {(table, name_of(live, table, field)): field for table, field, _ in changes}
    with changed(live, [(table, without(live.ispyb, table, name)) for table, name in names]):
        got_first, got_second, got_warnings = live.cycle(whole.document(1), whole.document(2))
    assert list(lost(got_first, first, names)) == []
    assert list(lost(got_second, second, names)) == []
    fields = Counter(names.values())
    assert not any(naming(field, warnings) for field in fields)
    assert {field: naming(field, got_warnings) for field in fields} == fields


def naming(field: str, messages: list[str]) -> int:
    """How many messages name a field."""
    return sum(bool(re.search(rf"\b{field}\b", message)) for message in messages)


def name_of(live: Live, table: str, field: str) -> str:
    """What a column is called in this variant."""
    name = live.ispyb.column(table, field)
    assert name is not None
    return name


def _has_text(facts: set[str], collation: str) -> bool:
    return kind_of(facts) in (TEXT if collation != BINARY else ("varchar", "text")) and collation not in facts


OTHER_TEXT = of_each([*COLLATIONS, BINARY])
OTHER_SHAPE = of_each(SHAPES)
TEXT_TRIALS, SHAPE_TRIALS = some(OTHER_TEXT, _has_text), some(OTHER_SHAPE, _has_shape)
IN_OTHER_TEXT = {trial[:2] for trial in TEXT_TRIALS[::2]}
"""In the suite every second text column has other text, and all other columns another shape."""


@pytest.mark.parametrize(("variant", "changes"), together(trial for trial in TEXT_TRIALS if trial[:2] in IN_OTHER_TEXT))
def test_texts_may_have_any_character_set(variant: str, changes: list[Change], live: Live) -> None:
    keeps_text(live, changes)


@pytest.mark.soak
@pytest.mark.parametrize(("table", "field", "collation", "variant"), alone(OTHER_TEXT, _has_text))
def test_text_may_have_any_character_set(table: str, field: str, collation: str, variant: str, live: Live) -> None:
    keeps_text(live, [(table, field, collation)])


def keeps_text(live: Live, changes: list[Change]) -> None:
    first, second, _ = unchanged(live)
    letters, alterations = {}, []
    for table, field, collation in changes:
        column = describe(live.ispyb, table, name_of(live, table, field))
        alterations.append((table, f"MODIFY `{column.name}` {column.in_collation(collation).definition}"))
        if column.kind != "enum" and (collation, field) != (BINARY, "proposalType"):  # which has no two bytes to spare
            letters[table, column.name] = field, LETTERS.get(collation.split("_")[0], "é")
    with changed(live, alterations):
        got_first, got_second, _ = live.cycle(whole.document(1), whole.document(2))
        assert list(lost(got_first, first)) == []
        assert list(lost(got_second, second)) == []
        given = {f"{table}.{field}": letter for (table, _), (field, letter) in letters.items()}
        assert live.apply([with_letters(given)]).refusals == []
        for (table, name), (_, letter) in letters.items():
            assert {text(row[name])[0] for row in live.ispyb.rows(table)} == {letter}


def with_letters(letters: dict[str, str]) -> Json:
    """The document with another first letter in some columns."""
    return whole.document(change=lambda here, value: letters[here] + value[1:] if here in letters else value)


@pytest.mark.parametrize(
    ("variant", "changes"), together(trial for trial in SHAPE_TRIALS if trial[:2] not in IN_OTHER_TEXT)
)
def test_columns_may_have_another_shape(variant: str, changes: list[Change], live: Live) -> None:
    keeps_values(live, changes)


@pytest.mark.soak
@pytest.mark.parametrize(("table", "field", "shape", "variant"), alone(OTHER_SHAPE, _has_shape))
def test_a_column_may_have_another_shape(table: str, field: str, shape: str, variant: str, live: Live) -> None:
    keeps_values(live, [(table, field, shape)])


def keeps_values(live: Live, changes: list[Change]) -> None:
    first, second, _ = unchanged(live)
    alterations = []
    for table, field, shape in changes:
        column = describe(live.ispyb, table, name_of(live, table, field))
        alterations.append((table, f"MODIFY `{column.name}` {column.in_shape(shape).definition}"))
    with changed(live, alterations):
        got_first, got_second, _ = live.cycle(whole.document(1), whole.document(2))
    assert list(lost(got_first, first)) == []
    assert list(lost(got_second, second)) == []


@pytest.mark.parametrize("variant", ["dls"])
def test_a_plan_tells_what_columns_with_a_default_will_hold(variant: str, live: Live) -> None:
    """What the export gives; and the default, where it gives nothing."""
    shape, given = "not null default", unchanged(live)
    alterations: dict[str, list[str]] = {}
    for entity in ENTITIES:
        for name in set(entity.columns) - set(entity.keys):
            if meets(variant, f"{entity.table}.{name}") and _has_shape(migrated(variant)[entity.table][name], shape):
                column = describe(live.ispyb, entity.table, name).in_shape(shape)
                alterations.setdefault(entity.table, []).append(f"MODIFY `{name}` {column.definition}")
    assert alterations.keys() == {*TABLES.values()} - {"ProposalHasPerson"}
    with changed(live, [(table, ", ".join(each)) for table, each in alterations.items()]):
        assert live.cycle(whole.document(1), whole.document(2)) == given
        named = ("externalId", "cardName")
        least = [whole.document(change=lambda here, value: value if here.endswith(named) else None)]
        planned = live.plan(least)
        assert live.apply(least).refusals == []
        assert list(untold(planned.changes, NOTHING, live.ispyb.snapshot())) == []


OF_OTHER_TYPES = [
    ("Proposal", "proposalNumber", "INT(10) UNSIGNED NULL"),
    ("Person", "siteId", "VARCHAR(20) NULL"),
    ("Laboratory", "laboratoryExtPk", "VARCHAR(20) NULL"),
    ("BLSession", "expSessionPk", "VARCHAR(20) NULL"),
    ("BLSession", "visit_number", "VARCHAR(20) NULL"),
    ("BLSession", "nbShifts", "VARCHAR(20) NULL"),
    ("BLSession", "operatorSiteNumber", "INT NULL"),
]


@pytest.mark.parametrize(("variant", "changes"), together(some(OF_OTHER_TYPES, any_column)))
def test_integers_and_texts_are_converted(variant: str, changes: list[Change], live: Live) -> None:
    converts(live, changes)


@pytest.mark.soak
@pytest.mark.parametrize(("table", "field", "what", "variant"), alone(OF_OTHER_TYPES, any_column))
def test_integers_and_text_are_converted(table: str, field: str, what: str, variant: str, live: Live) -> None:
    converts(live, [(table, field, what)])


def converts(live: Live, changes: list[Change]) -> None:
    first, second, _ = unchanged(live)
    names = [(table, name_of(live, table, field), what) for table, field, what in changes]
    with changed(live, [(table, f"MODIFY `{name}` {what}") for table, name, what in names]):
        got_first, got_second, _ = live.cycle(whole.document(1), whole.document(2))
    assert list(lost(got_first, first)) == []
    assert list(lost(got_second, second)) == []


@pytest.mark.parametrize("variant", ["py", "diamond_2017"])
def test_a_number_with_a_leading_zero_does_not_fit_an_integer(variant: str, live: Live) -> None:
    values = {"Proposal.proposalNumber": "0415", "BLSession.operatorSiteNumber": "007"}
    for place, value in values.items():
        table, field = place.split(".")
        document = whole.document(change=lambda here, given: value if here == place else given)  # noqa: B023
        with altered(live.ispyb, table, f"MODIFY `{field}` INT NULL"):
            report = live.apply([document])
            causes = [refusal for refusal in report.refusals if refusal.code != "parent_refused"]
            assert {(refusal.field, refusal.value) for refusal in causes} == {(field, value)}
            assert [row[field] for row in live.ispyb.rows(table)] == ([] if table == "Proposal" else [None, None])
        live.ispyb.reset()


EXTERNAL_IDS = [(table, "externalId", "BIGINT NULL") for table in WITH_EXTERNAL_ID]


@pytest.mark.parametrize(("table", "field", "what", "variant"), some(EXTERNAL_IDS, any_column))
def test_an_external_id_of_another_type_stops_every_run(
    table: str, field: str, what: str, variant: str, live: Live
) -> None:
    with altered(live.ispyb, table, f"MODIFY `{field}` {what}"):
        stops(live, field)


@pytest.mark.soak
@pytest.mark.parametrize(("table", "field", "what", "variant"), alone(EXTERNAL_IDS, any_column))
def test_an_external_id_of_another_type_stops_every_run_everywhere(
    table: str, field: str, what: str, variant: str, live: Live
) -> None:
    with altered(live.ispyb, table, f"MODIFY `{field}` {what}"):
        stops(live, field)


def test_what_cannot_work_is_one_line_on_the_terminal(command: CommandLine, py: Ispyb) -> None:
    with altered(py, "Person", "MODIFY externalId BIGINT NULL"):
        checked = command("check")
        assert (checked.code, "externalId" in checked.out) == (1, True)
        for verb in ("plan", "apply"):
            done = command(verb, "good.ndjson")
            assert done.code in (2, 3)
            lines = [line for line in done.err.splitlines() if line.startswith("error: ")]
            assert len(lines) == 1
            assert "externalId" in lines[0]
            assert "Traceback" not in done.err


@pytest.mark.parametrize(
    "variant",
    [name if name in IN_OTHER_CASE else pytest.param(name, marks=pytest.mark.soak) for name in VARIANTS],
)
def test_tables_whose_names_differ_in_case_only_are_others(variant: str, live: Live) -> None:
    first, second, _ = unchanged(live)
    others = [name for table in TABLES.values() for name in (table.upper(), table.lower())]
    with live.ispyb.engine.connect() as connection:
        run = connection.exec_driver_sql
        run("SET SESSION sql_mode = ''")
        try:
            for table in TABLES.values():
                run(f"CREATE TABLE `{table.upper()}` (ID INT, FAMILYNAME VARCHAR(45), PASSWD VARCHAR(45), LOGIN INT)")
                run(f"INSERT INTO `{table.upper()}` VALUES (1, 'theirs', 'secret', 1)")
                run(f"CREATE TABLE `{table.lower()}` LIKE `{table}`")
                run(f"INSERT INTO `{table.lower()}` () VALUES ()")
            theirs = {name: live.ispyb.rows(name) for name in others}
            got_first, got_second, _ = live.cycle(whole.document(1), whole.document(2))
            assert {name: live.ispyb.rows(name) for name in others} == theirs
        finally:
            run(f"DROP TABLE IF EXISTS {', '.join(f'`{name}`' for name in others)}")
    assert list(lost(got_first, first)) == []
    assert list(lost(got_second, second)) == []
