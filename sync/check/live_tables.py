"""What the live tables keep a run from, or refuse of single rows: columns that cannot work, rules of the site's own."""

import re
from collections.abc import Iterator

from sqlalchemy import Connection

from sync.check.finding import Finding
from sync.model.entities import DOCUMENT
from sync.schema.introspection import obstacles
from sync.schema.target import Target
from sync.statements.live_ispyb import LiveIspyb


def obstacles_of(target: Target) -> Iterator[Finding]:
    """Say what no run can work with, and what the table would refuse of each new row: migrate relaxes one column."""
    migrated = target[DOCUMENT].column("externalId") is not None
    for message in obstacles(target):
        yield Finding("error", "columns", message, "Change the column with ALTER TABLE, or rename it.")
    for table in target.tables.values():
        name = table.entity.table
        if not table.is_numbered:
            key = table.entity.primary_key
            message = f"{name}.{key} has no AUTO_INCREMENT: each new row of {name} is refused"
            yield Finding("error", "columns", message, f"ALTER TABLE {name} MODIFY {key} ... AUTO_INCREMENT.")
        for column in table.unfilled if migrated else ():
            message = f"{name}.{column} must have a value and no document gives it: each new row of {name} is refused"
            yield Finding("error", "columns", message, f"ALTER TABLE {name}: let {column} be NULL or have a default.")
        for field in table.fields:
            if "required" in field.facts:
                message = f"{name}.{field.column} must have a value: a new row whose document gives none is refused"
                yield Finding("warning", "columns", message, "Let the portal send it, or the column have a default.")


_RULES = """
SELECT TABLE_NAME AS `table`, CONCAT('unique key ', INDEX_NAME) AS rule
FROM information_schema.STATISTICS
WHERE TABLE_SCHEMA = DATABASE() AND NON_UNIQUE = 0 AND INDEX_NAME <> 'PRIMARY'
UNION
SELECT EVENT_OBJECT_TABLE, CONCAT('trigger ', TRIGGER_NAME)
FROM information_schema.TRIGGERS
WHERE EVENT_OBJECT_SCHEMA = DATABASE()
ORDER BY `table`, rule
"""


_TEXT = re.compile(r"'(?:[^']|'')*'")
_CHECK = re.compile(r"^ +(?:CONSTRAINT )?`((?:[^`]|``)+)`.* CHECK \(", re.MULTILINE)


def rules_of(ispyb: LiveIspyb) -> Iterator[Finding]:
    """Name the site's own rules: a row that breaks one is refused alone, which only a run can find out."""
    connection = ispyb.connection
    tables = [table.entity.table for table in ispyb.target.tables.values() if table.columns]
    rules = {(table, rule) for table, rule in connection.exec_driver_sql(_RULES) if table in tables}
    rules |= {(table, f"check {name}") for table in tables for name in _checks(connection, table)}
    if rules:
        named = "; ".join(f"{table}: {rule}" for table, rule in sorted(rules))
        yield Finding("ok", "rules", f"a row that breaks one of these is refused alone, in apply: {named}")


def _checks(connection: Connection, table: str) -> list[str]:
    """The names of a table's checks; one of a column has the column's. information_schema hides them from the role."""
    create = connection.exec_driver_sql(f"SHOW CREATE TABLE `{table}`").one()[1]
    return [name.replace("``", "`") for name in _CHECK.findall(_TEXT.sub("''", create))]
