"""The role of sql/grants.sql: enough for a run, and nothing else on ISPyB's tables."""

import re

import pytest
from sqlalchemy import NullPool, create_engine
from sqlalchemy.exc import DBAPIError
from support.logins import Login, legacy, login, statements
from support.migrating import Fresh
from support.small import CommandLine

from sync.database import rights
from sync.database.connection import connected
from sync.migrate import commands as migrate
from sync.migrate.grants import grants
from sync.model.entities import ENTITIES
from sync.model.errors import DatabaseError
from sync.model.settings import Settings

__all__ = ["legacy", "login"]  # fixtures


def refused(login: Login, statement: str) -> bool:
    with login.engine.connect() as connection:
        try:
            connection.exec_driver_sql(statement)
        except DBAPIError as error:
            return error.orig is not None and error.orig.args[0] in (1044, 1142, 1227, 1370)
    return False


def test_the_role_may_read_and_write_what_a_run_needs(legacy: Fresh, login: Login) -> None:
    with connected(login.engine, Settings(staging_schema=legacy.staging_schema)) as ispyb:
        assert rights.account(ispyb).lacking(write=True, delete=ENTITIES) == []
        assert migrate.is_current(ispyb)
        ispyb.connection.exec_driver_sql(f"CREATE TEMPORARY TABLE `{legacy.staging_schema}`.stage (a INT)")
        ispyb.connection.exec_driver_sql(f"INSERT INTO `{legacy.staging_schema}`.stage VALUES (1)")


def test_the_role_may_not_change_tables_or_see_others(legacy: Fresh, login: Login) -> None:
    for statement in (
        "CREATE TABLE mine (a INT)",
        "CREATE TEMPORARY TABLE mine (a INT)",
        "ALTER TABLE Person ADD COLUMN a INT",
        "DROP TABLE LabContact",
        "LOCK TABLES Person WRITE",
        "SELECT * FROM BeamLineSetup",
        f"CREATE TABLE `{legacy.staging_schema}`.mine (a INT)",
    ):
        assert refused(login, statement), statement


def test_the_command_prints_the_role_with_the_names_of_the_database(
    command: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other tests run what it prints. It asks no database: there is no server of this name."""
    monkeypatch.setenv("ISPYB_SYNC_STAGING_SCHEMA", "our_sync")
    done = command("grants", "--role", "portal role", "--database", "mysql+pymysql://dba@nowhere.invalid/lab-ispyb")
    assert (done.code, done.err) == (0, "")
    assert "\nGRANT SELECT, INSERT, UPDATE, DELETE ON `lab-ispyb`.Person TO `portal role`;\n" in done.out
    assert "CREATE TEMPORARY TABLES ON our_sync.* TO `portal role`;" in done.out
    assert not re.search(r"(?<![\w-])ispyb[._]|-- name", done.out)
    assert set(re.findall(r"ON (\S+)\.\w+ TO", done.out)) == {"`lab-ispyb`"}


def test_without_a_database_the_name_of_ispyb_is_told_to_be_a_guess(
    command: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ISPYB_SYNC_DATABASE")
    done = command("grants")
    assert re.search(r"ON ispyb\.Person TO \S+;", done.out)
    assert "no database is set" in done.err


def test_a_second_ispyb_gets_a_role_of_its_own(command: CommandLine) -> None:
    """Else each of the two accounts may write both."""
    done = command("grants", "--database", "mysql://dba@nowhere.invalid/ispyb_old", "--staging-schema", "old_sync")
    assert "\nCREATE ROLE IF NOT EXISTS old_sync;\n" in done.out
    assert "ON ispyb_old.Person TO old_sync;" in done.out
    assert "ispyb_sync" not in done.out


@pytest.mark.parametrize("end", ["", "/"])
def test_a_url_without_a_schema_is_not_taken_for_no_database(command: CommandLine, end: str) -> None:
    done = command("grants", "--database", f"mysql://dba@nowhere.invalid{end}")
    assert done.err.startswith("note: the database's URL names no schema; ISPyB's schema is written as ispyb.")
    assert "ON ispyb.Person TO" in done.out


def test_an_account_gets_the_role_and_then_a_password(legacy: Fresh, login: Login) -> None:
    """Two steps: what the command prints, and SET PASSWORD. Without that nobody logs in as it."""
    name = f"{login.name}-2"
    try:
        text = grants(legacy.schema, staging_schema=legacy.staging_schema, role=login.role, account=f"{name}@%")
        legacy.run(*(part for part in re.sub("(?m)^--.*$", "", text).split(";") if part.strip()))
        url = login.engine.url.set(username=name, password="secret")
        engine = create_engine(url, poolclass=NullPool)
        with pytest.raises(DBAPIError, match="Access denied"):
            engine.connect()
        legacy.run(f"SET PASSWORD FOR `{name}`@`%` = PASSWORD('secret')")
        with engine.connect() as connection:
            assert connection.exec_driver_sql("SELECT CURRENT_ROLE()").scalar() == login.role
            connection.exec_driver_sql("SELECT COUNT(*) FROM Person")
    finally:
        legacy.run(f"DROP USER IF EXISTS `{name}`@`%`")


@pytest.mark.parametrize("account", ["sync", "@host", "sync@"])
def test_an_account_without_a_host_is_wrong_usage(command: CommandLine, account: str) -> None:
    done = command("grants", "--account", account)
    assert (done.code, done.out) == (2, "")
    assert "NAME@HOST" in done.err


def test_the_grants_may_be_run_again(legacy: Fresh, login: Login) -> None:
    legacy.run(*statements(legacy, login.role))


def test_without_the_role_the_version_is_not_taken_for_missing(legacy: Fresh, login: Login) -> None:
    legacy.run(f"SET DEFAULT ROLE NONE FOR `{login.name}`@`%`")
    legacy.run(f"GRANT SELECT ON `{legacy.schema}`.* TO `{login.name}`@`%`")
    settings = Settings(staging_schema=legacy.staging_schema)
    with connected(login.engine, settings) as ispyb, pytest.raises(DatabaseError, match="no right to read"):
        migrate.is_current(ispyb)
