"""Migrations: the script for a DBA, and Alembic's own command line."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.migrating import (
    DUPLICATES,
    NO_ZERO_DATE,
    Fresh,
    any_variant,
    down,
    is_current,
    legacy,
    py,
    script,
    up,
    whole,
)

from sync.migrate import commands as migrate
from sync.model.errors import DatabaseError

__all__ = ["any_variant", "legacy", "py"]  # fixtures

needs_client = pytest.mark.skipif(shutil.which("mariadb") is None, reason="the mariadb client is not installed")


@needs_client
def test_the_script_does_what_the_upgrade_does(any_variant: Fresh) -> None:
    original = any_variant.tables()
    up(any_variant)
    migrated = whole(any_variant)
    down(any_variant)
    any_variant.run(f"DROP DATABASE `{any_variant.staging_schema}`")
    strict = f"SET SESSION sql_mode = '{NO_ZERO_DATE}';\n"
    for _ in ("first", "again"):
        result = any_variant.pipe(strict + script(any_variant))
        assert (result.returncode, result.stderr) == (0, "")
        assert result.stdout.endswith(f"ispyb-sync: at revision {migrate.head()}; now run ispyb-sync check\n")
        assert whole(any_variant) == migrated
    up(any_variant)
    assert whole(any_variant) == migrated
    assert is_current(any_variant)
    for _ in ("first", "again"):
        result = any_variant.pipe(strict + script(any_variant, down="base"))
        assert (result.returncode, result.stderr) == (0, "")
        assert result.stdout.endswith("ispyb-sync: at revision base\n")
        assert any_variant.tables() == original


@needs_client
def test_a_script_that_stopped_anywhere_may_be_run_again(legacy: Fresh) -> None:
    up(legacy)
    migrated = whole(legacy)
    for text, finish in ((script(legacy, down="base"), down), (script(legacy), up)):
        parts = text.split("\n\n")
        for end in range(len(parts) // 2, len(parts), 7):
            assert legacy.pipe("\n\n".join(parts[:end])).stderr == ""
        assert legacy.pipe(text).stderr == ""
        finish(legacy)
    assert whole(legacy) == migrated


@needs_client
def test_the_script_takes_over_from_an_upgrade_that_stopped(legacy: Fresh) -> None:
    up(legacy)
    migrated = whole(legacy)
    down(legacy, "0011")
    assert legacy.pipe(script(legacy)).returncode == 0
    assert whole(legacy) == migrated


@needs_client
def test_duplicates_stop_the_script_before_anything_is_touched(py: Fresh) -> None:
    py.run(*DUPLICATES)
    original = py.tables()
    result = py.pipe(script(py))
    assert result.returncode != 0
    assert "is in 2 rows, ids 3, 7" in result.stdout
    assert "nothing was changed: rows that share what has to be unique" in result.stderr
    assert py.tables() == original
    assert py.ask(f"SHOW DATABASES LIKE '{py.staging_schema}'") == []


@needs_client
def test_the_down_script_keeps_what_holds_data_unless_forced(legacy: Fresh) -> None:
    original = legacy.tables()
    up(legacy)
    legacy.run("INSERT INTO Person (personId, externalId) VALUES (1, UNHEX('9D'))")
    migrated = whole(legacy)
    result = legacy.pipe(script(legacy, down="base"))
    assert "Person.externalId holds 1 values" in result.stdout
    assert "--force" in result.stderr
    assert whole(legacy) == migrated
    assert legacy.pipe(script(legacy, down="base", force=True)).returncode == 0
    assert legacy.tables() == original


@needs_client
def test_an_old_script_does_not_take_back_a_later_release(legacy: Fresh) -> None:
    up(legacy)
    version = f"`{legacy.staging_schema}`.alembic_version"
    legacy.run(f"UPDATE {version} SET version_num = '9999'")
    result = legacy.pipe(script(legacy))
    assert "migrated by a later release" in result.stderr
    assert legacy.ask(f"SELECT version_num FROM {version}") == [("9999",)]
    with pytest.raises(DatabaseError, match="revision 9999, which this release does not know"):
        up(legacy)
    assert not is_current(legacy)


def test_alembic_itself_takes_the_database_from_the_environment(legacy: Fresh) -> None:
    root = Path(__file__).parents[2]
    environment = os.environ | {
        "ISPYB_SYNC_DATABASE": legacy.url,
        "ISPYB_SYNC_STAGING_SCHEMA": legacy.staging_schema,
    }

    def alembic(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "alembic", *arguments]
        return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)

    result = alembic("upgrade", "head")
    assert result.returncode == 0, result.stderr
    assert is_current(legacy)
    assert migrate.head() in alembic("current").stdout
    legacy.run("INSERT INTO Person (personId, externalId) VALUES (1, UNHEX('9D'))")
    refused = alembic("downgrade", "base")
    assert refused.returncode != 0
    assert "Person.externalId holds 1 values" in refused.stdout + refused.stderr
    assert "Traceback" not in refused.stderr
    assert script(legacy).split("USE")[1].replace(f"`{legacy.schema}`", "`ispyb`") in (
        alembic("upgrade", "head", "--sql").stdout
    )


def test_the_script_begins_with_what_will_change_here(legacy: Fresh) -> None:
    def begins(at: str) -> list[str]:
        text = migrate.script(legacy.staging_schema, database_name=legacy.schema, database_url=legacy.url)
        database = f"{legacy.schema} on {legacy.admin.host}:{legacy.admin.port}"
        assert text.splitlines()[0].endswith(f": migration to revision {migrate.head()}; {database} is at {at}")
        return re.findall(r"^-- (?:What|Nothing) will change.*(?:\n--   .*)*", text.split("\nUSE ")[0], re.MULTILINE)

    here = f"{legacy.schema} and {legacy.staging_schema}"
    (before,) = begins("base")
    made = migrate.upgrade(legacy.url, staging_schema=legacy.staging_schema).done
    assert "column Person.externalId" in made
    assert before.splitlines() == [f"-- What will change in {here}:", *(f"--   {name}" for name in made)]
    assert begins(f"revision {migrate.head()}") == [f"-- Nothing will change: {here} have it all."]
    text = migrate.script(legacy.staging_schema, database_url="mysql+pymysql://dba:hush@127.0.0.1:1/ispyb")
    assert "-- What will change is not known, as the database could not be asked: " in text
    assert "hush" not in text
