"""Loading: LOAD DATA and INSERT give the same rows, whatever is in them."""

import random
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from support.databases import Ispyb
from support.opened import opened
from support.small import document

import sync
from sync.model.entities import LABORATORY, PERSON, PROTEIN, SESSION, SESSION_HAS_PERSON, Entity
from sync.model.errors import DatabaseError
from sync.reconcile.reconciliation import Reconciliation
from sync.stage import load
from sync.stage.load import Loader
from sync.statements.live_ispyb import LiveIspyb

HOSTILE = [
    *("tab\there", "line\nbreak", "both\r\n", "\n", "back\\slash", "\\", "\\\\", "\\N", "\\n", "\\t", "\\0", "N"),
    *("NULL", "null", "'", "''", '"', "`", "%", "%%", "%s", "%(x)s", "%(externalId)s", ":x", "::x", "{}", "{0}"),
    *("?", "@x", "#", "--", "/*", "*/", "'; DROP TABLE Person; --", "') ON DUPLICATE KEY UPDATE login = ('x"),
    *("UNHEX('00')", "<b>", "[red]", "0", "-1", "", " ", " before", "after ", "é", "Ω", "😀", "𝔘 4-byte"),
    *("\u2028", "\u00a0", "\ufeff", "e\u0301", "x" * 45, "😀" * 45),
]
CONTROL = ["\0", "a\0b", "\x1a", "\x08", "\x1b[31m", "\x7f"]
"""Refused before they are staged; loading takes them all the same."""

TEXT = [*HOSTILE, *CONTROL, None]
IDS = [None, b"\0" * 16, b"\xff" * 16, bytes(range(16)), b"\n\t\\N\r\x1a'\"%:x\0\0\0\0\0"]
NUMBERS = [None, 0, 1, 2**31 - 1]
MOMENTS = [None, datetime(1000, 1, 1), datetime(9999, 12, 31, 23, 59, 59), datetime(2024, 3, 31, 2, 30)]


@pytest.fixture
def ways(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Notes which way rows are loaded."""
    ways: list[str] = []
    for name in ("_load_data", "_insert"):
        monkeypatch.setattr(Loader, name, _noting(getattr(Loader, name), name, ways))
    return ways


def _noting(method: Callable[..., None], name: str, ways: list[str]) -> Callable[..., None]:
    def noting(*arguments: Any) -> None:
        ways.append(name)
        method(*arguments)

    return noting


def staged(live: LiveIspyb, entity: Entity, rows: list[list[Any]]) -> list[dict[str, Any]]:
    """What is in the staging table after loading these rows into an empty one."""
    Reconciliation(live).create()
    Loader(live).load(entity, list(zip(*rows, strict=True)))
    result = live.connection.exec_driver_sql(f"SELECT * FROM `{live.tool_schema}`.stage_{entity.name} ORDER BY row_id")
    return [dict(row) for row in result.mappings()]


def columns(entity: Entity) -> tuple[str, ...]:
    """The columns that are loaded, in their order, where the live table has all of them."""
    return (*entity.staged_first, *entity.columns)


def rows(entity: Entity, values: dict[str, list[Any]], count: int = 600) -> list[list[Any]]:
    """Rows whose columns hold each of these values, then any of them; None everywhere else."""
    chance = random.Random(entity.name)
    made = []
    for number in range(count):
        given = {name: some[number] if number < len(some) else chance.choice(some) for name, some in values.items()}
        given |= {"row_id": number, "position": number, "document": 1, "path": "proposal", "clears": ""}
        made.append([given.get(name) for name in columns(entity)])
    return made


@pytest.mark.parametrize(
    ("entity", "values"),
    [
        (LABORATORY, {"externalId": IDS, "name": TEXT, "address": TEXT, "laboratoryExtPk": NUMBERS}),
        (PERSON, {"externalId": IDS, "login": TEXT, "familyName": TEXT, "givenName": TEXT, "laboratory_row": NUMBERS}),
        (
            PROTEIN,
            {"name": TEXT, "sequence": [*TEXT, "\n" * 60_000], "molecularMass": [None, 0.1, 1 / 3, 1e-7, 3.4e38]},
        ),
        (
            SESSION,
            {
                "startDate": MOMENTS,
                "nbShifts": NUMBERS,
                "nbReimbDewars": [None, -(2**31), 2**31 - 1],
                "structureDeterminations": [None, -1.5, 1e-30, 123456.7, 3.4e38],
            },
        ),
        (SESSION_HAS_PERSON, {"session_row": [1], "person_row": [1], "role": [None, "Staff"], "remote": [None, 0, 1]}),
    ],
    ids=lambda value: value.name if isinstance(value, Entity) else "",
)
def test_both_ways_stage_the_same(
    py: Ispyb, monkeypatch: pytest.MonkeyPatch, ways: list[str], entity: Entity, values: dict[str, list[Any]]
) -> None:
    given = rows(entity, values)
    with opened(py) as live:
        loaded = staged(live, entity, given)
        monkeypatch.setattr(load, "FEW_ROWS", len(given))
        inserted = staged(live, entity, given)
    assert ways == ["_load_data", "_insert"]
    assert loaded == inserted
    for name in values.keys() - {"structureDeterminations", "molecularMass"}:  # rounded to what the column holds
        assert [row[name] for row in loaded] == [row[columns(entity).index(name)] for row in given]


def test_a_value_that_the_server_would_change_is_an_error(py: Ispyb) -> None:
    wrong = rows(PERSON, {"familyName": ["x" * 200]})
    with (
        opened(py) as live,
        pytest.raises(DatabaseError, match="600 warnings, the first: Data truncated for column 'familyName'"),
    ):
        staged(live, PERSON, wrong)


def test_hostile_text_arrives_as_it_is_both_ways(py: Ispyb, monkeypatch: pytest.MonkeyPatch, ways: list[str]) -> None:
    texts = [HOSTILE[number % len(HOSTILE)] for number in range(200)]
    documents = [document(number, family=text[:40]) for number, text in enumerate(texts)]
    for made, text in zip(documents, texts, strict=True):
        made["proteins"][0]["name"] = text
    results = []
    for few_rows in (0, 10**6):
        py.reset()
        monkeypatch.setattr(load, "FEW_ROWS", few_rows)
        report = sync.apply(documents, database=py.role_url, staging_schema=py.staging_schema)
        assert (report.refusals, report.entities["person"].inserted) == ([], 600)
        results.append(written(py))
    assert set(ways[: len(ways) // 2]) == {"_load_data"}
    assert set(ways[len(ways) // 2 :]) == {"_insert"}
    assert results[0] == results[1]
    assert [name for _, name in results[0]["Protein"]] == texts


def written(py: Ispyb) -> dict[str, list[tuple[Any, ...]]]:
    """What a run has written, without its timestamps."""
    columns = {
        "Person": "personId, login, externalId, familyName, laboratoryId",
        "Protein": "proteinId, name",
        "BLSession": "sessionId, startDate, beamLineName, externalId",
        "Laboratory": "laboratoryId, name",
    }
    with py.engine.connect() as connection:
        return {
            table: [tuple(row) for row in connection.exec_driver_sql(f"SELECT {names} FROM {table} ORDER BY 1")]
            for table, names in columns.items()
        }
