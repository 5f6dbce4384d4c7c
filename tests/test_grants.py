"""The role of sql/grants.sql: enough for a run, and nothing else on ISPyB's tables."""

import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from migrating import Fresh, fresh
from sqlalchemy import URL, Engine, create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from sync.database import rights
from sync.database.sqlfiles import folder
from sync.migrate import commands as migrate
from sync.model.entities import ENTITIES
from sync.model.errors import DatabaseError


@dataclass(frozen=True)
class Login:
    """An account that has the role, active by default."""

    name: str
    role: str
    engine: Engine
    url: str


def statements(database: Fresh, role: str) -> list[str]:
    """sql/grants.sql as a DBA has edited it: other names, nothing else."""
    text = re.sub(r"^--.*\n", "", (folder() / "grants.sql").read_text(), flags=re.MULTILINE)
    text = re.sub(r"\bispyb\.", f"`{database.schema}`.", text)
    text = re.sub(r"\bispyb_sync\.", f"`{database.staging_schema}`.", text)
    text = re.sub(r"\bispyb_sync\b", f"`{role}`", text)
    return [part.strip() for part in text.split(";") if part.strip()]


@pytest.fixture
def legacy(server_url: URL) -> Iterator[Fresh]:
    with fresh(server_url, "legacy") as database:
        migrate.upgrade(database.url, staging_schema=database.staging_schema)
        yield database


@pytest.fixture
def login(legacy: Fresh) -> Iterator[Login]:
    token, password = secrets.token_hex(4), secrets.token_hex(8)
    name, role = f"user_{token}", f"role_{token}"
    legacy.run(
        *statements(legacy, role),
        f"CREATE USER `{name}`@`%` IDENTIFIED BY '{password}'",
        f"GRANT `{role}` TO `{name}`@`%`",
        f"SET DEFAULT ROLE `{role}` FOR `{name}`@`%`",
    )
    url = legacy.admin.set(database=legacy.schema, username=name, password=password)
    text = url.render_as_string(hide_password=False)
    yield Login(name, role, create_engine(text, poolclass=NullPool), text)
    legacy.run(f"DROP USER `{name}`@`%`", f"DROP ROLE `{role}`")


def refused(login: Login, statement: str) -> bool:
    with login.engine.connect() as connection:
        try:
            connection.exec_driver_sql(statement)
        except DBAPIError as error:
            return error.orig is not None and error.orig.args[0] in (1044, 1142, 1227, 1370)
    return False


def test_the_role_may_read_and_write_what_a_run_needs(legacy: Fresh, login: Login) -> None:
    with login.engine.connect() as connection:
        assert rights.account(connection).lacking(legacy.staging_schema, write=True, delete=ENTITIES) == []
        assert migrate.is_current(connection, legacy.staging_schema)
        connection.exec_driver_sql(f"CREATE TEMPORARY TABLE `{legacy.staging_schema}`.stage (a INT)")
        connection.exec_driver_sql(f"INSERT INTO `{legacy.staging_schema}`.stage VALUES (1)")


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


def test_the_grants_may_be_run_again(legacy: Fresh, login: Login) -> None:
    legacy.run(*statements(legacy, login.role))


def test_without_the_role_the_version_is_not_taken_for_missing(legacy: Fresh, login: Login) -> None:
    legacy.run(f"SET DEFAULT ROLE NONE FOR `{login.name}`@`%`")
    legacy.run(f"GRANT SELECT ON `{legacy.schema}`.* TO `{login.name}`@`%`")
    with login.engine.connect() as connection, pytest.raises(DatabaseError, match="no right to read"):
        migrate.is_current(connection, legacy.staging_schema)
