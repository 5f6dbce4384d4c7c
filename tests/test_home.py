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
        lambda url, schema: sync.plan(export(2), database=url, staging_schema=schema, prune="owned"),
        lambda url, schema: sync.apply(export(2), database=url, staging_schema=schema, skip_unchanged=True),
        lambda url, schema: sync.apply(export(2), database=url, staging_schema=schema, skip_verified=True),
        lambda url, schema: sync.undo(1, database=url, staging_schema=schema, plan=True),
        lambda url, schema: sync.undo(1, database=url, staging_schema=schema),
    ],
    ids=["--prune owned", "--skip-unchanged", "--skip-verified", "undo --plan", "undo"],
)
def test_the_history_of_another_ispyb_is_not_gone_by(
    py: Ispyb, other: Fresh, call: Callable[[str, str], object]
) -> None:
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
    found = {f.subject: f for f in check(other.url, Settings(staging_schema=py.staging_schema)) if f.level == "warning"}
    assert found.keys() == {"tool schema"}
    assert "UPDATE" in found["tool schema"].remedy
    assert not [f for f in check(py.url, Settings(staging_schema=py.staging_schema)) if f.subject == "tool schema"]


def test_the_same_ispyb_under_a_new_name_is_told_how_to_go_on(py: Ispyb, other: Fresh) -> None:
    sync.apply(export(1), database=py.url, staging_schema=py.staging_schema)
    with pytest.raises(UsageError) as caught:
        sync.apply(export(1), database=other.url, staging_schema=py.staging_schema, prune="owned")
    other.run(str(caught.value).partition("under this name: ")[2])
    report = sync.apply(export(1), database=other.url, staging_schema=py.staging_schema, prune="owned")
    assert (report.status, report.entities["proposal"].inserted) == ("applied", 1)


def test_a_run_that_does_not_say_its_schema_stops_nothing(py: Ispyb, other: Fresh) -> None:
    sync.apply(export(1), database=py.url, staging_schema=py.staging_schema)
    other.run(f"UPDATE `{py.staging_schema}`.run SET settings = JSON_REMOVE(settings, '$.schema')")
    report = sync.plan(export(1), database=other.url, staging_schema=py.staging_schema, skip_unchanged=True)
    assert report.status == "planned"


def test_runs_that_do_not_go_by_history_may_share_it(py: Ispyb, other: Fresh) -> None:
    for _ in range(2):
        for url in (py.url, other.url):
            sync.apply(export(1), database=url, staging_schema=py.staging_schema)
    last_here = sync.apply(export(1, family="New"), database=py.url, staging_schema=py.staging_schema).run
    sync.apply(export(1, family="New"), database=other.url, staging_schema=py.staging_schema)
    assert last_here is not None
    undone = sync.undo(last_here, database=py.url, staging_schema=py.staging_schema)
    assert (undone.refusals, undone.entities["person"].updated) == ([], 3)
