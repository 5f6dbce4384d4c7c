"""The schemas of the tests are what their files say: a server builds them, and describes them in the same words."""

import pytest
from sqlalchemy import URL
from support import facts
from support.migrating import Fresh, fresh, up
from support.variants import TABLES, VARIANTS

OF_EACH_COLUMN = """
    SELECT TABLE_NAME, COLUMN_NAME, DATA_TYPE, CHARACTER_MAXIMUM_LENGTH, CHARACTER_SET_NAME, COLLATION_NAME,
        IS_NULLABLE = 'YES'
    FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE()
"""
UNIQUE = """
    SELECT DISTINCT TABLE_NAME, COLUMN_NAME FROM information_schema.STATISTICS
    WHERE TABLE_SCHEMA = DATABASE() AND NON_UNIQUE = 0 AND INDEX_NAME NOT IN ('PRIMARY', 'ispyb_sync_externalId')
"""


def described(database: Fresh) -> facts.Facts:
    """The facts about the eight tables, as the server has them."""
    found: facts.Facts = {table: {} for table in TABLES.values()}
    unique = set(database.ask(UNIQUE))
    for table, column, kind, length, charset, collation, null in database.ask(OF_EACH_COLUMN):
        if table in found:
            words = {f"{kind}({length})" if kind in ("varchar", "binary") else kind, charset, collation}
            words |= {word for word, holds in (("null", null), ("unique", (table, column) in unique)) if holds}
            found[str(table)][str(column)] = {str(word) for word in words if word is not None}
    return found


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_server_builds_what_the_create_statements_say(server_url: URL, variant: str) -> None:
    with fresh(server_url, variant) as database:
        assert described(database) == _of_the_eight(facts.original(variant))
        up(database)
        assert described(database) == _of_the_eight(facts.migrated(variant))


def _of_the_eight(found: object) -> object:
    assert isinstance(found, dict)
    return {table: columns for table, columns in found.items() if table in TABLES.values()}


@pytest.mark.parametrize(
    ("need", "variants"),
    [
        ("Person.login unique", {"dls", "diamond_2026", "diamond_2017"}),
        ("BLSession.visit_number unique", {"dls", "diamond_2026"}),
        ("no BLSession.expSessionPk", {"dls", "diamond_2026"}),
        ("LabContact.cardName null", {"esrf", "esrf_2025"}),
        ("Protein.name utf8mb4_unicode_ci", {"official_2024", "esrf_2025"}),
        ("Person.phoneNumber utf8mb3", {"official_2024"}),
        ("Laboratory.laboratoryPk", set(VARIANTS) - {"diamond_2017"}),
    ],
)
def test_variants_differ_in_what_cases_need(need: str, variants: set[str]) -> None:
    assert {variant for variant in VARIANTS if facts.meets(variant, need)} == variants
    if not need.startswith("no "):
        place, _, fact = need.partition(" ")
        opposite = f"{place} not {fact}" if fact else f"no {place}"
        having = {variant for variant in VARIANTS if facts.meets(variant, place)} if fact else set(VARIANTS)
        assert {variant for variant in VARIANTS if facts.meets(variant, opposite)} == having - variants
