"""The role of the account for daily use, with the names of a database: `ispyb-sync grants`. Asks no database."""

import re

from sync.database.sqlfiles import folder
from sync.database.statement import TOOL_SCHEMA
from sync.model.errors import UsageError

ROLE = TOOL_SCHEMA
"""What sql/grants.sql calls the role; there it has the name of the tool's own schema."""

_NAMES = re.compile(rf"\b(?:(?P<ispyb>ispyb)\.|(?P<tool>{TOOL_SCHEMA})\.|(?P<role>{ROLE})\b)")
_MARK = re.compile(r"^-- name: .*\n", re.MULTILINE)
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


_ACCOUNT = """
-- The account. A new one cannot log in until it has a password: SET PASSWORD FOR {account} = PASSWORD('...');
CREATE USER IF NOT EXISTS {account} IDENTIFIED VIA mysql_native_password USING 'invalid';

GRANT {role} TO {account};

SET DEFAULT ROLE {role} FOR {account};
"""


def grants(
    schema: str, *, staging_schema: str = TOOL_SCHEMA, role: str | None = None, account: str | None = None
) -> str:
    """The text of sql/grants.sql, as a DBA runs it, for these two schemas.

    role     what to call it; else it has the name of the tool schema: the role of one ISPyB gives no right on another
    account  NAME@HOST, to which the role is given too; it is made without a password where it is not there
    """

    def put(found: re.Match[str]) -> str:
        if found["role"]:
            return _quoted(role or staging_schema)
        return _quoted(schema if found["ispyb"] else staging_schema) + "."

    text = _NAMES.sub(put, _MARK.sub("", (folder() / "grants.sql").read_text(encoding="utf-8")))
    if account is None:
        return text
    name, _, host = account.rpartition("@")
    if not name or not host:
        raise UsageError(f"--account {account} names no account", hint="Write it as NAME@HOST; NAME@% is any host.")
    quoted = "@".join("`" + part.replace("`", "``") + "`" for part in (name, host))
    return text + _ACCOUNT.format(role=_quoted(role or staging_schema), account=quoted)


def _quoted(name: str) -> str:
    return name if _PLAIN.fullmatch(name) else "`" + name.replace("`", "``") + "`"
