"""One ISPyB database under test: its login with the rights of the sync, its rows, what changed in it."""

import re
import secrets
import ssl
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cached_property

from sqlalchemy import URL, Connection, Engine, create_engine, make_url
from support.facts import ALIASES
from support.variants import TABLES, build

from sync.migrate import commands as migrate
from sync.migrate.grants import grants

Row = dict[str, object]
Snapshot = dict[str, tuple[int | None, list[Row]]]

NUMBERED_LINKS = "ALTER TABLE ProposalHasPerson MODIFY proposalHasPersonId INT(10) UNSIGNED NOT NULL AUTO_INCREMENT"
"""What a facility with a schema of 2017 has done: without it nobody is linked to a proposal; `check` asks for it."""
_FILLED = " UNION ALL ".join(f"SELECT '{table}' WHERE EXISTS (SELECT 1 FROM `{table}`)" for table in TABLES.values())
_OF_MIGRATIONS = {"alembic_version", "relaxed_column", "served"}


@dataclass(frozen=True)
class Ispyb:
    """A migrated ISPyB schema. `url` is root's; `role_url` has only the rights of sql/grants.sql."""

    variant: str
    url: str
    role_url: str
    staging_schema: str

    @cached_property
    def engine(self) -> Engine:
        """Root's engine; a percent sign in a statement without parameters is just that."""
        return create_engine(self.url, execution_options={"no_parameters": True})

    @property
    def called(self) -> str:
        """How every output names it."""
        url = make_url(self.url)
        return f"{url.database} on {url.host}:{url.port}"

    @cached_property
    def tables(self) -> dict[str, frozenset[str]]:
        """Every table of the schema, with its columns."""
        with self.engine.connect() as connection:
            rows = connection.exec_driver_sql(
                "SELECT TABLE_NAME, COLUMN_NAME FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE()"
            ).all()
        names = {table for table, _ in rows}
        return {name: frozenset(column for table, column in rows if table == name) for name in names}

    def column(self, table: str, name: str) -> str | None:
        """What a column is called in this variant, or None where it is missing."""
        candidates = (name, ALIASES.get(name, name))
        return next((candidate for candidate in candidates if candidate in self.tables[table]), None)

    def insert(self, connection: Connection, table: str, row: Mapping[str, object]) -> None:
        """Insert one row as root, without looking at foreign keys."""
        connection.exec_driver_sql("SET SESSION foreign_key_checks = 0")
        columns = ", ".join(f"`{name}`" for name in row)
        values = ", ".join(["%s"] * len(row))
        statement = f"INSERT INTO `{table}` ({columns}) VALUES ({values})"
        connection.exec_driver_sql(statement, tuple(row.values()))

    def rows(self, table: str) -> list[Row]:
        """All rows of a table."""
        with self.engine.connect() as connection:
            return _rows(connection, table)

    def snapshot(self) -> Snapshot:
        """The eight tables whole: next AUTO_INCREMENT value and rows, timestamps included."""
        with self.engine.connect() as connection:
            counters = _counters(connection, TABLES.values())
            filled = set(connection.exec_driver_sql(_FILLED).scalars())  # to read an empty table takes as long as this
            return {
                table: (counters[table], _rows(connection, table) if table in filled else [])
                for table in TABLES.values()
            }

    def age_timestamps(self, days: int = 1) -> None:
        """Take a day off every timestamp, so that a row touched within the same second shows."""
        with self.engine.begin() as connection:
            for table in TABLES.values():
                for column in self.tables[table] & {"recordTimeStamp", "bltimeStamp", "lastUpdate"}:
                    connection.exec_driver_sql(
                        f"UPDATE `{table}` SET `{column}` = `{column}` - INTERVAL {days} DAY "
                        f"WHERE `{column}` > '1971-01-01'"
                    )

    def reset(self) -> None:
        """Empty every table that has rows, or had some, and those of the tool's own schema."""
        with self.engine.connect() as connection:
            connection.exec_driver_sql("SET SESSION foreign_key_checks = 0")
            _empty(connection)
            connection.exec_driver_sql(f"USE `{self.staging_schema}`")
            _empty(connection, spared=_OF_MIGRATIONS)
            connection.exec_driver_sql(f"USE `{self.engine.url.database}`")


def quick_context(slow: Callable[[object, object], ssl.SSLContext]) -> Callable[[object, object], ssl.SSLContext]:
    """The driver's way to make a context for TLS, but without certificates where none are asked for."""

    def context(connection: object, options: object) -> ssl.SSLContext:
        if options:
            return slow(connection, options)
        unchecked = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        unchecked.check_hostname, unchecked.verify_mode = False, ssl.CERT_NONE
        return unchecked

    return context


def create(server: URL, variant: str) -> Ispyb:
    """Build a variant under a name that no other run uses, migrate it, and make the login."""
    name = f"{secrets.token_hex(3)}_{variant}"
    schema, login, password = f"ispyb_{name}", f"sync_{name}", secrets.token_hex(8)
    url = build(server, variant, schema)
    role_url = url.set(username=login, password=password)
    ispyb = Ispyb(variant, _text(url), _text(role_url), f"{schema}_sync")
    with ispyb.engine.begin() as connection:
        connection.exec_driver_sql(f"SET STATEMENT sql_mode = '' FOR {NUMBERED_LINKS}")
    migrate.upgrade(ispyb.url, staging_schema=ispyb.staging_schema)
    with ispyb.engine.connect() as connection:
        for statement in role_statements(schema, ispyb.staging_schema, _role(login)):
            connection.exec_driver_sql(statement)
        connection.exec_driver_sql(f"CREATE USER `{login}`@`%` IDENTIFIED BY '{password}'")
        connection.exec_driver_sql(f"GRANT `{_role(login)}` TO `{login}`@`%`")
        connection.exec_driver_sql(f"SET DEFAULT ROLE `{_role(login)}` FOR `{login}`@`%`")
    return ispyb


def role_statements(schema: str, staging_schema: str, role: str) -> list[str]:
    """The statements of sql/grants.sql, as `ispyb-sync grants` prints them."""
    text = grants(schema, staging_schema=staging_schema, role=role)
    text = re.sub(r"^--.*\n", "", text, flags=re.MULTILINE)
    return [part.strip() for part in text.split(";") if part.strip()]


def drop(ispyb: Ispyb) -> None:
    """Leave nothing of a database on the server."""
    url = make_url(ispyb.role_url)
    assert url.username is not None
    with ispyb.engine.connect() as connection:
        connection.exec_driver_sql(f"DROP DATABASE `{url.database}`")
        connection.exec_driver_sql(f"DROP DATABASE `{ispyb.staging_schema}`")
        connection.exec_driver_sql(f"DROP USER `{url.username}`@`%`")
        connection.exec_driver_sql(f"DROP ROLE `{_role(url.username)}`")
    ispyb.engine.dispose()


def _role(login: str) -> str:
    return f"{login}_role"


def _text(url: URL) -> str:
    return url.render_as_string(hide_password=False)


def _counters(connection: Connection, tables: Collection[str] = ()) -> dict[str, int | None]:
    """The next AUTO_INCREMENT value of tables of the current schema, of every one if none is named."""
    names = ", ".join(f"'{table}'" for table in tables)
    rows = connection.exec_driver_sql(
        "SELECT TABLE_NAME, AUTO_INCREMENT FROM information_schema.TABLES "
        "WHERE TABLE_SCHEMA = DATABASE() AND TABLE_TYPE = 'BASE TABLE'"
        + (f" AND TABLE_NAME IN ({names})" if names else "")
    )
    return {row.TABLE_NAME: row.AUTO_INCREMENT for row in rows}


def _empty(connection: Connection, spared: Collection[str] = ()) -> None:
    """Empty the tables of the current schema; of a few rows, this takes half the time of TRUNCATE."""
    counters = {table: n for table, n in _counters(connection).items() if n != 1 and table not in spared}
    for table in counters:
        connection.exec_driver_sql(f"DELETE FROM `{table}`")
    for table in (table for table, counter in counters.items() if counter is not None):
        connection.exec_driver_sql(f"SET STATEMENT sql_mode = '' FOR ALTER TABLE `{table}` AUTO_INCREMENT = 1")


def _rows(connection: Connection, table: str) -> list[Row]:
    result = connection.exec_driver_sql(f"SELECT * FROM `{table}`")
    return [dict(row) for row in result.mappings()]
