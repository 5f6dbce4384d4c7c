"""Any column of the eight tables may be absent, or of another character set, sign, length or type.

The live table is changed in one column; then `check`, plan, apply, apply again, a changed export and undo do what they
do on the unchanged table. Whatever `check` calls fine must run, and what cannot run is told by `check`.
"""

import re

import pytest
from support import whole
from support.databases import Ispyb
from support.live_columns import BINARY, COLLATIONS, LETTERS, SHAPES, altered, describe, without
from support.live_cycle import TEXT, Live, kind_of, live, lost, of_each, text, trials, unchanged, works
from support.small import CommandLine, Json
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


@pytest.mark.parametrize(("table", "field", "what", "variant"), trials(of_each(["dropped"]), lambda facts, what: True))
def test_a_column_may_be_absent(table: str, field: str, what: str, variant: str, live: Live) -> None:
    first, second, warnings = unchanged(live)
    assert not any(re.search(rf"\b{field}\b", message) for message in warnings)
    column = live.ispyb.column(table, field)
    assert column is not None
    with altered(live.ispyb, table, without(live.ispyb, table, column)):
        if not works(live, column):
            return
        got_first, got_second, got_warnings = live.cycle(whole.document(1), whole.document(2))
    assert list(lost(got_first, first, (table, column))) == []
    assert list(lost(got_second, second, (table, column))) == []
    assert sum(bool(re.search(rf"\b{field}\b", message)) for message in got_warnings) == 1


def _has_text(facts: set[str], collation: str) -> bool:
    return kind_of(facts) in (TEXT if collation != BINARY else ("varchar", "text")) and collation not in facts


@pytest.mark.parametrize(("table", "field", "collation", "variant"), trials(of_each([*COLLATIONS, BINARY]), _has_text))
def test_text_may_have_any_character_set(table: str, field: str, collation: str, variant: str, live: Live) -> None:
    first, second, _ = unchanged(live)
    column = describe(live.ispyb, table, live.ispyb.column(table, field) or field)
    letter = LETTERS.get(collation.split("_")[0], "é")
    with altered(live.ispyb, table, f"MODIFY `{column.name}` {column.in_collation(collation).definition}"):
        if not works(live, column.name):
            return
        got_first, got_second, _ = live.cycle(whole.document(1), whole.document(2))
        assert list(lost(got_first, first)) == []
        assert list(lost(got_second, second)) == []
        if column.kind != "enum" and (collation, field) != (BINARY, "proposalType"):  # which has no two bytes to spare
            assert live.apply([with_letter(f"{table}.{field}", letter)]).refusals == []
            assert {text(row[column.name])[0] for row in live.ispyb.rows(table)} == {letter}


def with_letter(place: str, letter: str) -> Json:
    """The document with another first letter in one column."""
    return whole.document(change=lambda here, value: letter + value[1:] if here == place else value)


@pytest.mark.parametrize(("table", "field", "shape", "variant"), trials(of_each(SHAPES), _has_shape))
def test_a_column_may_have_another_shape(table: str, field: str, shape: str, variant: str, live: Live) -> None:
    first, second, _ = unchanged(live)
    column = describe(live.ispyb, table, live.ispyb.column(table, field) or field)
    with altered(live.ispyb, table, f"MODIFY `{column.name}` {column.in_shape(shape).definition}"):
        if not works(live, column.name):
            return
        got_first, got_second, _ = live.cycle(whole.document(1), whole.document(2))
    assert list(lost(got_first, first)) == []
    assert list(lost(got_second, second)) == []


OF_OTHER_TYPES = [
    ("Proposal", "proposalNumber", "INT(10) UNSIGNED NULL"),
    ("Person", "siteId", "VARCHAR(20) NULL"),
    ("Laboratory", "laboratoryExtPk", "VARCHAR(20) NULL"),
    ("BLSession", "expSessionPk", "VARCHAR(20) NULL"),
    ("BLSession", "visit_number", "VARCHAR(20) NULL"),
    ("BLSession", "nbShifts", "VARCHAR(20) NULL"),
    ("BLSession", "operatorSiteNumber", "INT NULL"),
]


@pytest.mark.parametrize(("table", "field", "what", "variant"), trials(OF_OTHER_TYPES, lambda facts, what: True))
def test_integers_and_text_are_converted(table: str, field: str, what: str, variant: str, live: Live) -> None:
    first, second, _ = unchanged(live)
    column = live.ispyb.column(table, field)
    assert column is not None
    with altered(live.ispyb, table, f"MODIFY `{column}` {what}"):
        assert live.errors() == []
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


@pytest.mark.parametrize(
    ("table", "field", "what", "variant"),
    trials([(table, "externalId", "BIGINT NULL") for table in WITH_EXTERNAL_ID], lambda facts, what: True),
)
def test_an_external_id_of_another_type_stops_every_run(
    table: str, field: str, what: str, variant: str, live: Live
) -> None:
    with altered(live.ispyb, table, f"MODIFY `{field}` {what}"):
        assert not works(live, field)


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
