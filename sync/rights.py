"""What the account may do, as SHOW GRANTS tells it: its own grants, those of its active roles, those of all.

Never repeats a line of SHOW GRANTS, which may carry a password's hash.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection

_GRANT = re.compile(r"GRANT (?P<rights>.+?) ON (?P<schema>\*|`(?:[^`]|``)+`)\.(?P<table>\*|`(?:[^`]|``)+`) TO ")
_ROLE = re.compile(r"GRANT `(?P<role>[^`]+)` TO ")
_NOT_IN_BRACKETS = re.compile(r", (?![^()]*\))")


@dataclass(frozen=True)
class Grant:
    """Rights on a table, on a schema (table is None), or on everything (schema is None too)."""

    rights: frozenset[str]
    schema: str | None
    table: str | None

    def covers(self, schema: str, table: str | None) -> bool:
        """Tell whether it holds on a table, or on the whole schema (table is None)."""
        if self.schema is None:
            return True
        if self.table is None:
            return _like(self.schema, schema)
        return table is not None and (self.schema, self.table.lower()) == (schema, table.lower())


@dataclass(frozen=True)
class Rights:
    """All grants of the account; `roles` are those granted to it, active or not."""

    grants: tuple[Grant, ...]
    roles: tuple[str, ...]

    def lacking(self, needed: Iterable[str], schema: str, table: str | None = None) -> list[str]:
        """List the needed rights that no grant gives on a table, or on a whole schema."""
        held = {right for grant in self.grants if grant.covers(schema, table) for right in grant.rights}
        return [] if "ALL PRIVILEGES" in held else [right for right in needed if right not in held]


def read(connection: Connection) -> Rights:
    """Ask the server what the account may do."""
    lines = list(connection.exec_driver_sql("SHOW GRANTS").scalars())
    matches = [match for line in lines if (match := _GRANT.match(line))]
    roles = [match["role"] for line in lines if (match := _ROLE.match(line))]
    return Rights(tuple(_grant(match) for match in matches), tuple(dict.fromkeys(roles)))


def _grant(match: re.Match[str]) -> Grant:
    rights = _NOT_IN_BRACKETS.split(match["rights"])
    whole = frozenset(right for right in rights if "(" not in right)  # a right on some columns is not enough
    return Grant(whole, _name(match["schema"]), _name(match["table"]))


def _name(text: str) -> str | None:
    return None if text == "*" else text[1:-1].replace("``", "`")


def _like(pattern: str, schema: str) -> bool:
    r"""Compare as GRANT does: % and _ are wildcards unless after a backslash."""
    parts = re.findall(r"\\.|.", pattern)
    wild = {"%": ".*", "_": "."}
    expression = "".join(wild.get(part) or re.escape(part.removeprefix("\\")) for part in parts)
    return re.fullmatch(expression, schema) is not None
