"""A database for tests of migrations, check and grants: not migrated yet, gone afterwards."""

import re
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

import pytest
from sqlalchemy import URL, Engine, create_engine
from sqlalchemy.pool import NullPool
from support.variants import USUAL, build

from sync.database.connection import connected
from sync.migrate import commands as migrate
from sync.model.settings import Settings

NO_ZERO_DATE = "STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ANSI_QUOTES,NO_BACKSLASH_ESCAPES"
DUPLICATES = (
    "SET foreign_key_checks = 0",
    "INSERT INTO Person (personId, externalId) VALUES (3, UNHEX('9D')), (7, UNHEX('9D')), (8, UNHEX('9E'))",
    "INSERT INTO BLSession (sessionId, proposalId, externalId) VALUES (4, 1, UNHEX('01'))",
    "INSERT INTO BLSession (sessionId, proposalId, externalId) VALUES (5, 1, UNHEX('01'))",
)


@dataclass(frozen=True)
class Fresh:
    """One ISPyB schema of a variant, with the name of a tool's schema that is not there yet."""

    admin: URL
    schema: str
    staging_schema: str

    @property
    def url(self) -> str:
        return self.admin.set(database=self.schema).render_as_string(hide_password=False)

    @cached_property
    def engine(self) -> Engine:
        """Root's engine on the ISPyB schema, each statement its own transaction."""
        options = {"isolation_level": "AUTOCOMMIT", "execution_options": {"no_parameters": True}}
        return create_engine(self.url, poolclass=NullPool, **options)

    def run(self, *statements: str) -> None:
        with self.engine.connect() as connection:
            connection.exec_driver_sql("SET SESSION sql_mode = 'NO_ENGINE_SUBSTITUTION'")
            for statement in statements:
                connection.exec_driver_sql(statement)

    def ask(self, query: str) -> list[tuple[object, ...]]:
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.exec_driver_sql(query)]

    def tables(self, schema: str | None = None) -> dict[str, str]:
        """How the server describes every table of a schema: no AUTO_INCREMENT value, its lines sorted."""
        schema = schema or self.schema
        with self.engine.connect() as connection, connection.connection.cursor() as cursor:  # past SQLAlchemy: quicker
            cursor.execute(f"USE `{schema}`")
            cursor.execute("SHOW TABLES")
            texts: dict[str, str] = {}
            for (name,) in cursor.fetchall():
                cursor.execute(f"SHOW CREATE TABLE `{name}`")
                texts[name] = cursor.fetchone()[1]
        return {name: _sorted(re.sub(r" AUTO_INCREMENT=\d+", "", text)) for name, text in texts.items()}

    def columns(self) -> set[tuple[str, str]]:
        query = "SELECT TABLE_NAME, COLUMN_NAME FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE()"
        return {(str(table), str(column)) for table, column in self.ask(query)}

    def indexes(self, table: str) -> dict[str, tuple[bool, str]]:
        """Each index of a table: whether it is unique, and its columns joined by commas."""
        query = (
            "SELECT INDEX_NAME, MAX(NON_UNIQUE) = 0, GROUP_CONCAT(COLUMN_NAME ORDER BY SEQ_IN_INDEX) "
            "FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = '{}' "
            "GROUP BY INDEX_NAME"
        )
        rows = self.ask(query.format(table))
        return {str(name): (bool(unique), str(columns)) for name, unique, columns in rows}

    def pipe(self, script: str) -> subprocess.CompletedProcess[str]:
        """Run a script as a DBA does, through the mariadb client."""
        admin = self.admin
        socket = admin.query.get("unix_socket")
        where = [f"--socket={socket}"] if socket else [f"--host={admin.host}", f"--port={admin.port or 3306}"]
        environment = {"MYSQL_PWD": admin.password or "", "PATH": "/usr/bin:/bin:/usr/local/bin"}
        command = ["mariadb", "--no-defaults", *where, f"--user={admin.username}"]
        return subprocess.run(command, input=script, env=environment, capture_output=True, text=True, check=False)


def _sorted(create: str) -> str:
    """Sort the lines: an index that was dropped and added comes last, and that is no difference."""
    return "\n".join(sorted(line.rstrip(",") for line in create.splitlines()))


@contextmanager
def fresh(admin: URL, variant: str) -> Iterator[Fresh]:
    """Build a variant under names that no other test uses."""
    name = f"fresh_{secrets.token_hex(4)}"
    build(admin, variant, name)
    database = Fresh(admin, name, f"{name}_sync")
    try:
        yield database
    finally:
        database.run(f"DROP DATABASE IF EXISTS `{name}`", f"DROP DATABASE IF EXISTS `{name}_sync`")
        database.engine.dispose()


@pytest.fixture(params=USUAL)
def any_variant(request: pytest.FixtureRequest, server_url: URL) -> Iterator[Fresh]:
    """Each of the usual variants in turn; a module that wants this fixture imports it."""
    with fresh(server_url, request.param) as database:
        yield database


@pytest.fixture
def legacy(server_url: URL) -> Iterator[Fresh]:
    """The old ISPyB without an externalId."""
    with fresh(server_url, "legacy") as database:
        yield database


@pytest.fixture
def py(server_url: URL) -> Iterator[Fresh]:
    """ISPyB as py-ispyb has it; a module that imports it means this one and not that of conftest."""
    with fresh(server_url, "py") as database:
        yield database


def up(database: Fresh, **options: str) -> None:
    migrate.upgrade(database.url, staging_schema=database.staging_schema, **options)


def down(database: Fresh, revision: str = "base", *, force: bool = False) -> None:
    migrate.downgrade(database.url, revision, staging_schema=database.staging_schema, force=force)


def script(database: Fresh, **options: str | bool) -> str:
    return migrate.script(database.staging_schema, database_name=database.schema, **options)  # type: ignore[arg-type]


def is_current(database: Fresh) -> bool:
    with connected(database.engine, Settings(staging_schema=database.staging_schema)) as ispyb:
        return migrate.is_current(ispyb)


def whole(database: Fresh) -> dict[str, str]:
    """Both schemas."""
    return database.tables() | database.tables(database.staging_schema)


def beam_line_setup(database: Fresh) -> tuple[object, ...]:
    """Type, nullability and comment of the column that is relaxed."""
    (row,) = database.ask(
        "SELECT COLUMN_TYPE, IS_NULLABLE, COLUMN_COMMENT FROM information_schema.COLUMNS "
        "WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'BLSession' AND COLUMN_NAME = 'beamLineSetupId'"
    )
    return row
