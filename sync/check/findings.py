"""Checks whether a run can succeed on this database, and what it will find difficult. Writes nothing.

Server, charset, variant, migrations, privileges, and rows that one key names together. What would make a run
fail is an error; what makes it refuse a part of an export is a warning; each comes with its remedy.
"""

import re
from collections.abc import Collection, Iterator

from rich.console import Console
from rich.text import Text
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from sync.check.finding import Finding, Level
from sync.check.live_tables import obstacles_of, rules_of
from sync.database import revision, rights, tool_schema
from sync.database.connection import Ispyb, connected, failure
from sync.database.rights import Account
from sync.database.sqlfiles import of_pass
from sync.model.entities import ENTITIES, Entity
from sync.model.errors import DatabaseError
from sync.model.refusals import printable
from sync.model.settings import Settings
from sync.model.text import counted
from sync.schema.introspection import read_tables
from sync.schema.target import Target
from sync.statements.live_ispyb import LiveIspyb, with_target

REQUIRED = (10, 3, 3)
"""NVL, LIMIT in GROUP_CONCAT and columns added without a copy came with this MariaDB."""
TESTED = (10, 11)
EXAMPLES = 3

Columns = dict[str, dict[str, str | None]]
_COLOURS: dict[Level, str] = {"ok": "green", "warning": "yellow", "error": "red"}
_MERGE = "Merge these rows, or empty the key in all but one."
_STOPS: dict[str | None, tuple[Level, str]] = {
    "migrate": ("error", f"migrate refuses them, since the column becomes UNIQUE. {_MERGE}"),
    "mention": (
        "warning",
        f"A document that names one of them by this key alone is refused (ambiguous_match). {_MERGE}",
    ),
    "nothing": (
        "warning",
        "By name, the one that the person has is taken, else the lowest id. Merge these rows if you can.",
    ),
}
"""By what rows that share a key stop: how bad that is, and what to do."""


def check(database: str | Engine, settings: Settings) -> list[Finding]:
    """List what is fine and what is not; raises DatabaseError only where there is no connection."""
    with connected(database, settings) as ispyb:
        connection = ispyb.connection
        connection.exec_driver_sql("SET SESSION TRANSACTION READ ONLY")
        try:
            return list(_findings(ispyb, settings))
        except DBAPIError as error:
            raise failure(error, "check") from None
        finally:
            connection.rollback()
            connection.exec_driver_sql("SET SESSION TRANSACTION READ WRITE")


def show(findings: list[Finding], console: Console) -> None:
    """Print the findings, one paragraph each."""
    for finding in findings:
        line = Text(f"{finding.level:8}", style=_COLOURS[finding.level])
        words = printable(f"{finding.subject}: {finding.message}")
        console.print(line.append(words, style="default"), soft_wrap=True)
        if finding.remedy:
            console.print(Text(f"        {printable(finding.remedy)}", style="dim"), soft_wrap=True)


def _findings(opened: Ispyb, settings: Settings) -> Iterator[Finding]:
    ispyb = with_target(opened, read_tables(opened.connection))
    columns = _columns(ispyb.target)
    if not any(columns.values()):
        message = f"{ispyb.schema} has none of ISPyB's tables, or the account may not see them"
        remedy = "Correct the schema at the end of the URL, or grant the role that `ispyb-sync grants` prints."
        yield Finding("error", "tables", message, remedy)
        return  # nothing else that could be said is about ISPyB
    elsewhere = _serves_another(ispyb)
    yield from elsewhere
    yield from _server(ispyb.connection)
    held = rights.account(ispyb)
    yield from _privileges(held, settings.left_entities)
    yield from _variant(ispyb, columns)
    yield from obstacles_of(ispyb.target)
    yield from rules_of(ispyb)
    if not elsewhere:  # the migrations are of the other ISPyB, and `migrate` refuses
        yield from _migrations(ispyb, columns)
    yield from _duplicates(ispyb, held)


def _columns(target: Target) -> Columns:
    """Read the columns of the eight tables, each with its character set, by entity."""
    return {name: {c.name: c.charset for c in table.columns.values()} for name, table in target.tables.items()}


def _server(connection: Connection) -> Iterator[Finding]:
    row = connection.exec_driver_sql(
        "SELECT VERSION() AS version, @@GLOBAL.sql_mode AS sql_mode, @@GLOBAL.read_only AS read_only, "
        "@@GLOBAL.local_infile AS local_infile, "
        "@@GLOBAL.log_bin AND @@SESSION.binlog_format = 'STATEMENT' AS by_statement"
    ).one()
    yield _version(row.version)
    if row.by_statement:
        message = "binlog_format is STATEMENT, which cannot log a run: it reads what is committed"
        yield Finding("error", "server", message, "SET GLOBAL binlog_format = MIXED, or ROW.")
    if row.read_only:
        message, remedy = "read_only is on", "Point --database at the primary server."
        yield Finding("error", "server", message, remedy)
    modes = row.sql_mode.replace(",", ", ")  # a terminal breaks a line at spaces
    if "STRICT" in row.sql_mode:
        yield Finding("ok", "sql_mode", f"{modes}; runs set their own")
    else:
        message = f"'{modes}' lets other writers' values be cut off silently; runs set their own"
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


def _privileges(held: Account, left: Collection[Entity]) -> Iterator[Finding]:
    lacking = held.lacking(write=True, left=left)
    for what in lacking:
        yield Finding("error", "privileges", f"{held.who} has no {what}", held.remedy([what]))
    if lacking:
        return
    yield Finding("ok", "privileges", f"{held.who} may read and write all that a run needs")
    schema = held.ispyb.schema
    if held.rights.lacking(["SELECT"], schema):
        message = "takes back updates and links; leaves inserted rows, as this account may not see what refers to them"
        yield Finding("ok", "undo", message, f"To let it delete those: GRANT SELECT ON {schema}.* TO the role.")
    written = [entity for entity in ENTITIES if entity not in left]
    no_delete = [entity.table for entity in written if held.rights.lacking(["DELETE"], schema, entity.table)]
    if no_delete:
        message = f"{held.who} has no DELETE on {', '.join(no_delete)}: undo and pruning will fail there"
        yield Finding("warning", "privileges", message, "To use these, grant the role that `ispyb-sync grants` prints.")


def _variant(ispyb: Ispyb, columns: Columns) -> Iterator[Finding]:
    schema, collation = ispyb.schema, ispyb.connection.exec_driver_sql("SELECT @@collation_database").scalar()
    absent = [entity.table for entity in ENTITIES if not columns[entity.name]]
    if absent:
        message = f"{schema} has no {', '.join(absent)}, or the account may not see them"
        yield Finding("error", "tables", message, "Point --database at the ISPyB schema.")
    yield Finding("ok", "variant", f"{schema} looks like {_guess(columns)}; default collation {collation}")
    yield Finding("ok", "charset", _charsets(columns))
    for entity in ENTITIES:
        held = columns[entity.name]
        missing = [name for name in entity.columns if not {name, entity.aliases.get(name)} & held.keys()]
        if held and missing and missing != ["externalId"]:
            names = ", ".join(name for name in missing if name != "externalId")
            yield Finding("ok", "columns", f"{entity.table} has no {names}: these fields are skipped")


def _charsets(columns: Columns) -> str:
    """Say which tables have columns in which character set."""
    tables: dict[str, list[str]] = {}
    for entity in ENTITIES:
        for charset in sorted({charset for charset in columns[entity.name].values() if charset}):
            tables.setdefault(charset, []).append(entity.table)
    return "; ".join(f"{charset} in {', '.join(names)}" for charset, names in sorted(tables.items()))


def _guess(columns: Columns) -> str:
    """Name the variant whose marks the tables carry."""
    if not any("externalId" in names for names in columns.values()):
        return "a legacy ISPyB (no externalId)"
    charsets = {name: charset for held in columns.values() for name, charset in held.items()}
    if "laboratoryPk" in charsets and "laboratoryExtPk" not in charsets:
        return "DLS"
    return "py-ispyb" if charsets.get("familyName") == "utf8mb4" else "ESRF"


def _serves_another(ispyb: Ispyb) -> list[Finding]:
    """Whether the tool schema serves another ISPyB: then nothing that it holds is about this one."""
    try:
        found = tool_schema.look(ispyb)
    except DatabaseError:
        return []  # it cannot be read, as `_migrations` says
    if found is None or found.served is None or found.same:
        return []
    return [Finding("error", "tool schema", tool_schema.complaint(ispyb, found), tool_schema.REMEDY)]


def _migrations(ispyb: Ispyb, columns: Columns) -> Iterator[Finding]:
    try:
        reached = revision.revision(ispyb)
    except DatabaseError as error:
        yield Finding("error", "migrations", error.message, error.hint or "")
        return
    remedy = "Run ispyb-sync migrate, or give a DBA the script of ispyb-sync migrate --sql."
    lost = [e.table for e in ENTITIES if "externalId" in e.columns and "externalId" not in columns[e.name]]
    if reached != revision.head():
        message = f"at revision {reached or 'none'}, and {revision.head()} is needed"
        yield Finding("error", "migrations", message, remedy)
    elif lost:
        message = f"at revision {reached}, but {', '.join(lost)} lost externalId; was a dump restored?"
        yield Finding("error", "migrations", message, remedy)
    else:
        yield Finding("ok", "migrations", f"at revision {reached}")
    if reached != revision.head() or (found := tool_schema.look(ispyb)) is None:
        return
    if found.served is None:
        yield Finding("error", "tool schema", f"{ispyb.tool_schema} does not say which ISPyB it serves", remedy)


def _duplicates(ispyb: LiveIspyb, held: Account) -> Iterator[Finding]:
    none = True
    for entity in ENTITIES:
        if not ispyb.target[entity].columns or held.rights.lacking(["SELECT"], ispyb.schema, entity.table):
            continue
        for statement in of_pass(entity.name, "check"):
            query = ispyb.text(statement, ispyb.target.conditions(entity))
            if query is not None and (groups := ispyb.connection.exec_driver_sql(query).all()):
                none = False
                shown = [f"{group.value} ({_ids(entity, group)})" for group in groups[:EXAMPLES]]
                found = f"{counted(len(groups), 'value')} in {counted(sum(group.row_count for group in groups), 'row')}"
                message = f"{found}: {', '.join(shown)}{'' if len(groups) == len(shown) else ', …'}"
                key = statement.name.removeprefix("duplicate_").replace("external_id", "externalId").replace("_", " ")
                level, remedy = _STOPS[statement.stops]
                merge = entity.merge_command(groups[0].ids)
                remedy += f" `{merge}` prints the SQL for the first two." if merge else ""
                yield Finding(level, f"duplicate {entity.words} {key}", message, remedy)
    if none:
        yield Finding("ok", "duplicates", "no two rows share a key")


def _ids(entity: Entity, group: object) -> str:
    ids, count = group.ids, group.row_count  # type: ignore[attr-defined]
    return f"{entity.primary_key} {ids}" + (", …" if count > len(ids.split(", ")) else "")
