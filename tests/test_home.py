"""A tool schema serves one ISPyB: history, owned links and fingerprints of another one mean nothing there."""

from collections.abc import Callable
from typing import Any

import pytest
from databases import Ispyb
from migrating import Fresh, fresh
from small import export
from sqlalchemy import URL

import sync
from sync import migrate
from sync.check import check
from sync.errors import UsageError
from sync.settings import Settings


@pytest.fixture
def other(server_url: URL, py: Ispyb) -> Any:
    """A second ISPyB, whose DBA forgot to give it a tool schema of its own."""
    with fresh(server_url, "py") as database:
        migrate.upgrade(database.url, staging_schema=py.staging_schema)
        yield database


@pytest.mark.parametrize(
    "call",
    [
        lambda url, schema: sync.plan(export(2), database=url, staging_schema=schema),
        lambda url, schema: sync.apply(export(2), database=url, staging_schema=schema, skip_unchanged=True),
        lambda url, schema: sync.undo(1, database=url, staging_schema=schema, plan=True),
        lambda url, schema: sync.undo(1, database=url, staging_schema=schema),
    ],
    ids=["plan", "apply", "undo --plan", "undo"],
)
def test_a_tool_schema_of_another_ispyb_is_refused(py: Ispyb, other: Fresh, call: Callable[[str, str], object]) -> None:
    first = sync.apply(export(2), database=py.url, staging_schema=py.staging_schema, skip_unchanged=True)
    assert first.run == 1
    before = py.snapshot()
    with pytest.raises(UsageError) as caught:
        call(other.url, py.staging_schema)
    assert f"schema {py.staging_schema} serves {py.engine.url.database}, and this is {other.schema}" in str(
        caught.value
    )
    assert "--staging-schema" in str(caught.value)
    assert other.ask("SELECT COUNT(*) FROM Person") == [(0,)]
    assert py.snapshot() == before


def test_check_tells_it(py: Ispyb, other: Fresh) -> None:
    sync.apply(export(1), database=py.url, staging_schema=py.staging_schema)
    found = {f.subject: f for f in check(other.url, Settings(staging_schema=py.staging_schema)) if f.level == "error"}
    assert found.keys() == {"tool schema"}
    assert "UPDATE" in found["tool schema"].remedy
    assert not [f for f in check(py.url, Settings(staging_schema=py.staging_schema)) if f.level == "error"]


def test_the_same_ispyb_under_a_new_name_is_told_how_to_go_on(py: Ispyb, other: Fresh) -> None:
    sync.apply(export(1), database=py.url, staging_schema=py.staging_schema)
    with pytest.raises(UsageError) as caught:
        sync.apply(export(1), database=other.url, staging_schema=py.staging_schema)
    other.run(str(caught.value).partition("under this name: ")[2])
    report = sync.apply(export(1), database=other.url, staging_schema=py.staging_schema)
    assert (report.status, report.entities["proposal"].inserted) == ("applied", 1)


def test_a_run_that_does_not_say_its_schema_stops_nothing(py: Ispyb, other: Fresh) -> None:
    sync.apply(export(1), database=py.url, staging_schema=py.staging_schema)
    other.run(f"UPDATE `{py.staging_schema}`.run SET settings = JSON_REMOVE(settings, '$.schema')")
    assert sync.plan(export(1), database=other.url, staging_schema=py.staging_schema).status == "planned"
