"""Looks whether a run can succeed on this database, and what it will find difficult. Writes nothing.

Server, charset, variant, migrations, privileges, and rows that one key names together. What would make a run
fail is an error; what makes it refuse a part of an export is a warning; each comes with its remedy.
"""

import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Literal

from rich.console import Console
from rich.text import Text
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from sync import migrate, rights
from sync.database import connect, failure
from sync.entities import ENTITIES, Entity
from sync.errors import DatabaseError
from sync.rights import Rights
from sync.settings import Settings
from sync.sqlfiles import Statement, load
from sync.target import Table, Target, introspect

REQUIRED = (10, 3, 3)
"""NVL, LIMIT in GROUP_CONCAT and columns added without a copy came with this MariaDB."""
TESTED = (10, 11)
EXAMPLES = 3
WRITES = ("SELECT", "INSERT", "UPDATE")
OWN = (*WRITES, "DELETE", "CREATE TEMPORARY TABLES")

Level = Literal["ok", "warning", "error"]
_COLOURS: dict[Level, str] = {"ok": "green", "warning": "yellow", "error": "red"}
_UNIQUE = {f"duplicate_{name}_external_id" for name in ("person", "proposal", "session")}
_MERGE = "Merge these rows, or empty the key in all but one."


@dataclass(frozen=True)
class Finding:
    """One thing looked at; `remedy` is empty where nothing is to be done."""

    level: Level
    subject: str
    message: str
    remedy: str = ""

    def to_dict(self) -> dict[str, str]:
        """Give the finding as JSON has it."""
        return asdict(self)


def check(database: str | Engine, settings: Settings) -> list[Finding]:
    """List what is fine and what is not; raises DatabaseError only where there is no connection."""
    with connect(database) as connection:
        connection.exec_driver_sql("SET SESSION TRANSACTION READ ONLY")
        try:
            return list(_findings(connection, settings.staging_schema))
        except DBAPIError as error:
            raise failure(error, "check") from None
        finally:
            connection.rollback()
            connection.exec_driver_sql("SET SESSION TRANSACTION READ WRITE")


def show(findings: list[Finding], console: Console) -> None:
    """Print the findings, one paragraph each."""
    for finding in findings:
        line = Text(f"{finding.level:8}", style=_COLOURS[finding.level])
        console.print(line.append(f"{finding.subject}: {finding.message}", style="default"), soft_wrap=True)
        if finding.remedy:
            console.print(Text(f"        {finding.remedy}", style="dim"), soft_wrap=True)


def _findings(connection: Connection, staging_schema: str) -> Iterator[Finding]:
    yield from _server(connection)
    held = rights.read(connection)
    yield from _privileges(connection, held, staging_schema)
    try:
        target = introspect(connection)
    except DatabaseError as error:
        yield Finding("error", "tables", error.message, error.hint or "")
        return
    yield from _variant(connection, target)
    yield from _migrations(connection, target, staging_schema)
    yield from _duplicates(connection, target, held)


def _server(connection: Connection) -> Iterator[Finding]:
    row = connection.exec_driver_sql(
        "SELECT VERSION() AS version, @@GLOBAL.sql_mode AS sql_mode, @@GLOBAL.read_only AS read_only, "
        "@@GLOBAL.local_infile AS local_infile"
    ).one()
    yield _version(row.version)
    if row.read_only:
        message, remedy = "read_only is on", "Point --database at the primary server."
        yield Finding("error", "server", message, remedy)
    if "STRICT" in row.sql_mode:
        yield Finding("ok", "sql_mode", f"{row.sql_mode}; runs set their own")
    else:
        message = f"'{row.sql_mode}' lets other writers' values be cut off silently; runs set their own"
        yield Finding("warning", "sql_mode", message, "Add STRICT_TRANS_TABLES to the server's sql_mode.")
    if row.local_infile:
        yield Finding("ok", "local_infile", "on: rows are staged with LOAD DATA LOCAL")
    else:
        message = "off: rows are staged with INSERT, at about half the speed"
        remedy = "For exports of a whole facility, SET GLOBAL local_infile = 1."
        yield Finding("ok", "local_infile", message, remedy)


def _version(text: str) -> Finding:
    match = re.match(r"(\d+)\.(\d+)\.(\d+)", text)
    number = tuple(map(int, match.groups())) if match else ()
    required, tested = (".".join(map(str, numbers)) for numbers in (REQUIRED, TESTED))
    if "mariadb" not in text.lower() or number < REQUIRED:
        return Finding("error", "server", f"version {text}", f"MariaDB {required} or later is needed.")
    if number < TESTED:
        message = f"version {text}, older than {tested}, the oldest that is tested"
        return Finding("warning", "server", message, "Try it on a copy first.")
    return Finding("ok", "server", f"version {text}")


def _privileges(connection: Connection, held: Rights, staging_schema: str) -> Iterator[Finding]:
    names = connection.exec_driver_sql("SELECT CURRENT_USER(), CURRENT_ROLE(), DATABASE()").one()
    account, role, schema = names
    who = f"{account} with role {role}" if role else str(account)
    lacking = {entity.table: held.lacking(WRITES, schema, entity.table) for entity in ENTITIES}
    needed = [f"{', '.join(names)} on {schema}.{table}" for table, names in lacking.items() if names]
    if own := held.lacking(OWN, staging_schema):
        needed.append(f"{', '.join(own)} on {staging_schema}.*")
    if needed:
        remedy = "Grant the role of sql/grants.sql."
        if held.roles and not role:
            remedy = f"Activate a role it has: SET DEFAULT ROLE {held.roles[0]} FOR the account."
        for what in needed:
            yield Finding("error", "privileges", f"{who} lacks {what}", remedy)
        return
    yield Finding("ok", "privileges", f"{who} may read and write all that a run needs")
    no_delete = [entity.table for entity in ENTITIES if held.lacking(["DELETE"], schema, entity.table)]
    if no_delete:
        message = f"{who} lacks DELETE on {', '.join(no_delete)}: undo and pruning will fail there"
        yield Finding("warning", "privileges", message, "To use these, grant the role of sql/grants.sql.")


def _variant(connection: Connection, target: Target) -> Iterator[Finding]:
    schema, collation = connection.exec_driver_sql("SELECT DATABASE(), @@collation_database").one()
    yield Finding("ok", "variant", f"{schema} looks like {_guess(target)}; default collation {collation}")
    yield Finding("ok", "charset", _charsets(target))
    for table in target.tables.values():
        missing = [name for name in table.missing if name != "externalId"]
        if missing:
            message = f"{table.entity.table} has no {', '.join(missing)}: these fields are left out"
            yield Finding("ok", "columns", message)


def _charsets(target: Target) -> str:
    """Say which tables have columns in which character set."""
    tables: dict[str, list[str]] = {}
    for table in target.tables.values():
        for charset in sorted({column.charset for column in table.columns.values() if column.charset}):
            tables.setdefault(charset, []).append(table.entity.table)
    return "; ".join(f"{charset} in {', '.join(names)}" for charset, names in sorted(tables.items()))


def _guess(target: Target) -> str:
    """Name the variant whose marks the tables carry."""
    tables = {table.entity.table: table.columns for table in target.tables.values()}
    if not any("externalId" in columns for columns in tables.values()):
        return "a legacy ISPyB (no externalId)"
    if "laboratoryPk" in tables["Laboratory"] and "laboratoryExtPk" not in tables["Laboratory"]:
        return "DLS"
    name = tables["Person"].get("familyName")
    return "py-ispyb" if name and name.charset == "utf8mb4" else "ESRF"


def _migrations(connection: Connection, target: Target, staging_schema: str) -> Iterator[Finding]:
    try:
        revision = migrate.revision(connection, staging_schema)
    except DatabaseError as error:
        yield Finding("error", "migrations", error.message, error.hint or "")
        return
    if revision != migrate.head():
        message = f"at revision {revision or 'none'}, and {migrate.head()} is needed"
        yield Finding("error", "migrations", message, "Run ispyb-sync migrate, or ispyb-sync migrate --sql.")
        return
    lost = [table.entity.table for table in target.tables.values() if "externalId" in table.missing]
    if lost:
        message = f"at revision {revision}, but {', '.join(lost)} lost externalId; was a dump restored?"
        remedy = "Run the script of ispyb-sync migrate --sql: it does again what is not there."
        yield Finding("error", "migrations", message, remedy)
    else:
        yield Finding("ok", "migrations", f"at revision {revision}")


def _duplicates(connection: Connection, target: Target, held: Rights) -> Iterator[Finding]:
    schema = connection.exec_driver_sql("SELECT DATABASE()").scalar_one()
    none = True
    for statement in load("check"):
        table = _table_of(statement, target)
        query = statement.render(table.columns)
        if query is None or held.lacking(["SELECT"], schema, table.entity.table):
            continue
        groups = connection.exec_driver_sql(query).all()
        if groups:
            none = False
            shown = [f"{group.value} ({_ids(table.entity, group)})" for group in groups[:EXAMPLES]]
            rows = sum(group.row_count for group in groups)
            more = "" if len(groups) == len(shown) else ", …"
            message = f"{len(groups):,} values in {rows:,} rows: {', '.join(shown)}{more}"
            subject = statement.name.replace("_", " ").replace("external id", "externalId")
            yield Finding(_level(statement), subject, message, _remedy(statement))
    if none:
        yield Finding("ok", "duplicates", "no two rows share a key")


def _table_of(statement: Statement, target: Target) -> Table:
    """Find the table of a query by its name, duplicate_<entity>_<key>."""
    (entity,) = [entity for entity in ENTITIES if statement.name.startswith(f"duplicate_{entity.name}_")]
    return target[entity]


def _ids(entity: Entity, group: object) -> str:
    ids, count = group.ids, group.row_count  # type: ignore[attr-defined]
    return f"{entity.primary_key} {ids}" + (", …" if count > len(ids.split(", ")) else "")


def _level(statement: Statement) -> Level:
    return "error" if statement.name in _UNIQUE else "warning"


def _remedy(statement: Statement) -> str:
    if statement.name in _UNIQUE:
        return f"migrate refuses them, since the column becomes UNIQUE. {_MERGE}"
    if statement.name == "duplicate_laboratory_name":
        return (
            "By name, the one that the person has is taken, else the lowest id. Merge these rows if you can."
        )
    return f"A document that names one of them by this key alone is refused (ambiguous_match). {_MERGE}"
