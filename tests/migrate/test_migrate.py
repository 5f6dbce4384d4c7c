"""Migrations: up, down and up again on every variant, from wherever a run died."""

import re
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, event
from support.migrating import Fresh, any_variant, beam_line_setup, down, is_current, legacy, py, up, whole

from sync.migrate import commands as migrate
from sync.migrate.ddl import Change

__all__ = ["any_variant", "legacy", "py"]  # fixtures

INDEXES = [
    ("Person", "externalId", True),
    ("Proposal", "externalId", True),
    ("BLSession", "externalId", True),
    ("Laboratory", "externalId", False),
    ("LabContact", "externalId", False),
    ("Protein", "proposalId,externalId", False),
    ("Laboratory", "laboratoryExtPk", False),
    ("Laboratory", "laboratoryPk", False),
    ("Laboratory", "name,city,country", False),
    ("BLSession", "expSessionPk", False),
    ("ProposalHasPerson", "proposalId,personId", False),
    ("Person", "login", False),
    ("Person", "siteId", False),
    ("Proposal", "proposalCode,proposalNumber", False),
]
WITH_EXTERNAL_ID = ("Person", "Laboratory", "Proposal", "BLSession", "Protein", "LabContact")


def test_upgrade_adds_external_id_and_every_index_that_a_variant_has_the_columns_for(
    any_variant: Fresh,
) -> None:
    before = any_variant.columns()
    up(any_variant)
    added = any_variant.columns() - before
    assert added <= {(table, "externalId") for table in WITH_EXTERNAL_ID}
    columns = any_variant.columns()
    assert {(table, "externalId") for table in WITH_EXTERNAL_ID} <= columns
    for table, names, unique in INDEXES:
        if all((table, name) in columns for name in names.split(",")):
            indexes = any_variant.indexes(table).values()
            if unique:
                assert (True, names) in indexes, (table, names)
            else:
                assert any(f"{found},".startswith(f"{names},") for _, found in indexes), (table, names)
    assert beam_line_setup(any_variant)[1] == "YES"
    assert is_current(any_variant)


def test_up_down_up_gives_the_same_schemas_each_time(any_variant: Fresh) -> None:
    original = any_variant.tables()
    up(any_variant)
    migrated = whole(any_variant)
    down(any_variant)
    assert any_variant.tables() == original
    assert not is_current(any_variant)
    up(any_variant)
    assert whole(any_variant) == migrated


def test_a_second_upgrade_does_nothing(any_variant: Fresh) -> None:
    up(any_variant)
    migrated = whole(any_variant)
    up(any_variant)
    assert whole(any_variant) == migrated


def test_it_says_what_it_did_and_what_it_took_back(legacy: Fresh) -> None:
    """What was there already is not named: an index, and a column that somebody else added."""
    legacy.run("ALTER TABLE Person ADD COLUMN externalId BINARY(16) NULL, ADD INDEX mine (siteId)")
    made = migrate.upgrade(legacy.url, staging_schema=legacy.staging_schema)
    assert made.lines()[0] == f"migrated from base to {migrate.head()}; made:"
    assert "column BLSession.externalId" in made.done
    assert "unique index Person (externalId)" in made.done
    assert f"table {legacy.staging_schema}.run" in made.done
    assert not {"column Person.externalId", "index Person (siteId)"} & set(made.done)
    again = migrate.upgrade(legacy.url, staging_schema=legacy.staging_schema)
    assert again.lines() == [f"nothing to do: the database is at revision {migrate.head()} already"]
    back = migrate.downgrade(legacy.url, "base", staging_schema=legacy.staging_schema)
    assert back.lines()[0] == f"migrated from {migrate.head()} to base; took back:"
    assert "column BLSession.externalId" in back.done
    assert migrate.downgrade(legacy.url, "base", staging_schema=legacy.staging_schema).lines()[0].startswith("nothing")


def test_tables_restored_from_an_older_dump_are_migrated_again(legacy: Fresh) -> None:
    up(legacy)
    migrated = whole(legacy)
    comment = beam_line_setup(legacy)[2]
    legacy.run(
        "ALTER TABLE Person DROP INDEX ispyb_sync_externalId, DROP COLUMN externalId",
        f'ALTER TABLE BLSession MODIFY COLUMN beamLineSetupId INT(10) UNSIGNED NOT NULL COMMENT "{comment}"',
    )
    up(legacy)
    assert whole(legacy) == migrated


def test_each_revision_can_be_taken_back_by_itself(legacy: Fresh) -> None:
    states = [legacy.tables()]
    revisions = [f"{number:04d}" for number in range(1, int(migrate.head()) + 1)]
    for revision in revisions:
        up(legacy, revision=revision)
        states.append(legacy.tables())
    for state in reversed(states[:-1]):
        down(legacy, "-1")
        assert legacy.tables() == state


def test_an_index_that_does_the_work_already_is_not_doubled(py: Fresh) -> None:
    py.run("ALTER TABLE Laboratory ADD INDEX mine (name, city, country, url)")
    up(py)
    for table, columns in (("Person", "login"), ("Person", "siteId"), ("Laboratory", "name_city_country")):
        assert f"ispyb_sync_{columns}" not in py.indexes(table)


def test_an_index_over_a_part_of_a_column_does_not_do_the_work(legacy: Fresh) -> None:
    legacy.run("ALTER TABLE Laboratory ADD INDEX mine (name(5), city, country)")
    up(legacy)
    assert "ispyb_sync_name_city_country" in legacy.indexes("Laboratory")


def test_the_index_that_the_server_made_for_a_foreign_key_stays(legacy: Fresh) -> None:
    legacy.run(
        "ALTER TABLE ProposalHasPerson DROP FOREIGN KEY fk_ProposalHasPerson_Proposal",
        "ALTER TABLE ProposalHasPerson DROP INDEX fk_ProposalHasPerson_Proposal",
        "ALTER TABLE ProposalHasPerson ADD FOREIGN KEY (proposalId) REFERENCES Proposal (proposalId)",
    )
    original = legacy.tables()
    assert legacy.indexes("ProposalHasPerson")["proposalId"] == (False, "proposalId")
    up(legacy)
    assert legacy.indexes("ProposalHasPerson")["proposalId"] == (False, "proposalId")
    down(legacy)
    assert legacy.tables() == original


class Died(Exception):
    """The program was killed."""


def dies_after(statements: int) -> Engine:
    """Let so many statements through that change something, then die before the next."""
    left = statements

    def count(connection: object, cursor: object, statement: str, *rest: object) -> None:
        nonlocal left
        if not re.match(r"\s*(/\*.*?\*/)?\s*(SELECT|SHOW|SET|DO|DESCRIBE)\b", statement, re.IGNORECASE):
            left -= 1
            if left < 0:
                raise Died

    event.listen(Engine, "before_cursor_execute", count)
    return count  # type: ignore[return-value]


# CREATE DATABASE and, upwards, the last change, which is repeated, count each time. With 4 every run dies between two
# revisions; with 5 between a change, which is made a second time then, and the record of it.
@pytest.mark.parametrize("statements", [1, 2, 3, 4, 5])
def test_a_run_that_died_anywhere_is_taken_up_by_the_next(legacy: Fresh, statements: int) -> None:
    original = legacy.tables()
    up(legacy)
    migrated = whole(legacy)
    down(legacy)
    legacy.run(f"DROP DATABASE `{legacy.staging_schema}`")
    deaths = {up: _die_until_done(up, legacy, statements)}
    if statements < 4:
        up(legacy)
    assert whole(legacy) == migrated
    deaths[down] = _die_until_done(down, legacy, statements)
    if statements < 4:
        down(legacy)
    assert legacy.tables() == original
    assert all(count > 0 for count in deaths.values())


def _die_until_done(act: object, database: Fresh, statements: int, most: int = 60) -> int:
    """Run again and again, dying each time; count the deaths. Below 4 statements there is no progress."""
    for death in range(most if statements > 3 else 2):
        listener = dies_after(statements)
        try:
            act(database)  # type: ignore[operator]
        except Died:
            continue
        finally:
            event.remove(Engine, "before_cursor_execute", listener)
        return death
    if statements > 3:
        pytest.fail("it never came to an end")
    return 2


def test_a_column_noted_but_not_relaxed_yet_is_relaxed_by_the_next_run(legacy: Fresh) -> None:
    up(legacy, revision="0023")
    legacy.run(f"USE `{legacy.staging_schema}`", "INSERT INTO relaxed_column VALUES ('BLSession', 'beamLineSetupId')")
    up(legacy)
    assert beam_line_setup(legacy)[1] == "YES"
    down(legacy)
    assert beam_line_setup(legacy)[1] == "NO"


def test_beam_line_setup_keeps_type_sign_comment_and_foreign_key(legacy: Fresh) -> None:
    definition = "INT(10) UNSIGNED NOT NULL COMMENT 'it''s \\\\ \"x\"'"
    legacy.run(f"ALTER TABLE BLSession MODIFY COLUMN beamLineSetupId {definition}")
    original = legacy.tables()["BLSession"]
    up(legacy)
    before = re.search(r"`beamLineSetupId` int\(10\) unsigned NOT NULL (COMMENT .*)", original)
    assert before is not None
    relaxed = legacy.tables()["BLSession"]
    assert f"`beamLineSetupId` int(10) unsigned DEFAULT NULL {before[1].rstrip(',')}" in relaxed
    constraints = re.findall("CONSTRAINT.*", original)
    assert re.findall("CONSTRAINT.*", relaxed) == constraints
    assert len(constraints) == 2
    down(legacy)
    assert legacy.tables()["BLSession"] == original


def test_a_column_that_was_nullable_before_stays_so(py: Fresh) -> None:
    up(py)
    down(py)
    assert beam_line_setup(py)[1] == "YES"


def test_a_revision_is_one_change_that_states_how_it_locks() -> None:
    folder = ScriptDirectory(Path(__file__).parents[2] / "migrations")
    revisions = list(folder.walk_revisions())
    assert len(revisions) == int(migrate.head())
    for revision in revisions:
        made: Change = revision.module.change
        for text in (made.up_sql(), made.down_sql(force=False)):
            ddl = re.findall(r"(?:ALTER|CREATE|DROP) TABLE", text)
            assert len(ddl) == 1, revision.revision
            assert "ALTER" not in ddl[0] or "ALGORITHM=INPLACE, LOCK=NONE" in text, revision.revision
