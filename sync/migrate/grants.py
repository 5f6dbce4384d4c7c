"""The role of the account for daily use, with the names of a database: `ispyb-sync grants`. Asks no database."""

import re

from sync.database.sqlfiles import folder
from sync.database.statement import TOOL_SCHEMA

ROLE = TOOL_SCHEMA
"""What sql/grants.sql calls the role; there it has the name of the tool's own schema."""

_NAMES = re.compile(rf"\b(?:(?P<ispyb>ispyb)\.|(?P<tool>{TOOL_SCHEMA})\.|(?P<role>{ROLE})\b)")
_MARK = re.compile(r"^-- name: .*\n", re.MULTILINE)
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def grants(schema: str, *, staging_schema: str = TOOL_SCHEMA, role: str | None = None) -> str:
    """The text of sql/grants.sql, as a DBA runs it, for these two schemas.

    role   what to call it; else it has the name of the tool schema: the role of one ISPyB gives no right on another
    """

    def put(found: re.Match[str]) -> str:
        if found["role"]:
            return _quoted(role or staging_schema)
        return _quoted(schema if found["ispyb"] else staging_schema) + "."

    return _NAMES.sub(put, _MARK.sub("", (folder() / "grants.sql").read_text(encoding="utf-8")))


def _quoted(name: str) -> str:
    return name if _PLAIN.fullmatch(name) else "`" + name.replace("`", "``") + "`"
