"""Statements that look for what no staged row has are left out."""

from collections.abc import Callable
from typing import Any

import pytest
from support.databases import Ispyb
from support.ran import statements_run
from support.small import document

from sync.api import Request, run
from sync.database.connection import connect
from sync.model.entities import PERSON, SESSION, Entity
from sync.model.settings import Settings
from sync.schema.introspection import introspect
from sync.statements.staged_facts import Given


@pytest.mark.parametrize(
    ("batches", "facts"),
    [
        ([["a"]], {"given(login)"}),
        ([[None]], {"lacks(login)"}),
        ([["a", None]], {"given(login)", "lacks(login)", "several"}),
        ([["a"], [None]], {"given(login)", "lacks(login)", "several"}),
    ],
)
def test_facts_are_about_all_rows_that_were_staged(dls: Ispyb, batches: list[list[Any]], facts: set[str]) -> None:
    given = _given(dls)
    for logins in batches:
        given.see(PERSON, _columns(dls, PERSON, login=logins))
    assert {fact for fact in given.facts(PERSON) if "login" in fact or "(" not in fact} == facts
    assert given.rows == {"person": sum(map(len, batches))}


def test_each_row_lacks_a_key_that_the_live_table_has_no_column_for(databases: Callable[[str], Ispyb]) -> None:
    assert "lacks(expSessionPk)" in _given(databases("dls")).facts(SESSION)
    assert "lacks(expSessionPk)" not in _given(databases("py")).facts(SESSION)


@pytest.mark.parametrize(("site_id", "looked_for"), [(None, False), (7, True)])
def test_a_key_that_nobody_gives_is_not_looked_for(py: Ispyb, site_id: int | None, looked_for: bool) -> None:
    export = document(1)
    export["proposal"]["persons"][0]["siteId"] = site_id
    request = Request("apply", export, Settings(staging_schema=py.staging_schema), py.role_url)
    with statements_run() as statements:
        assert run(request).refusals == []
    assert any("site_id" in ran.origin for ran in statements) == looked_for


def _given(ispyb: Ispyb) -> Given:
    with connect(ispyb.role_url) as connection:
        return Given(introspect(connection))


def _columns(ispyb: Ispyb, entity: Entity, **values: list[Any]) -> list[list[Any]]:
    """Rows of an entity, of which only these columns matter."""
    with connect(ispyb.role_url) as connection:
        names = introspect(connection)[entity].staged_columns
    (length,) = {len(column) for column in values.values()}
    return [values.get(name, [None] * length) for name in names]
