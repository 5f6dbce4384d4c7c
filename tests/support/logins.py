"""An account that has the role of sql/grants.sql, and nothing else."""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from sqlalchemy import URL, Engine, create_engine
from sqlalchemy.pool import NullPool
from support.databases import role_statements
from support.migrating import Fresh, fresh

from sync.migrate import commands as migrate


@dataclass(frozen=True)
class Login:
    """An account that has the role, active by default."""

    name: str
    role: str
    engine: Engine
    url: str


def statements(database: Fresh, role: str) -> list[str]:
    """The statements of sql/grants.sql, as `ispyb-sync grants` prints them."""
    return role_statements(database.schema, database.staging_schema, role)


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
