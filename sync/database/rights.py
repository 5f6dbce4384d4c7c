"""What the account may do, as SHOW GRANTS tells it: its own grants, those of its active roles, those of all.

A run asks before it does anything (`demand`), so that a missing right is named before the work and not after
it. Never repeats a line of SHOW GRANTS, which may carry a password's hash.
"""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from sync.database.connection import LOST, Ispyb, code_of
from sync.model.entities import ENTITIES, Entity
from sync.model.errors import DatabaseError

OWN = ("SELECT", "INSERT", "UPDATE", "DELETE", "CREATE TEMPORARY TABLES")
"""What a run needs on the tool's own schema."""

_GRANT = re.compile(r"GRANT (?P<rights>.+?) ON (?P<schema>\*|`(?:[^`]|``)+`)\.(?P<table>\*|`(?:[^`]|``)+`) TO ")
_ROLE = re.compile(r"GRANT `(?P<role>[^`]+)` TO ")
_NOT_IN_BRACKETS = re.compile(r", (?![^()]*\))")
_COLUMNS = re.compile(r" \(.*")


@dataclass(frozen=True)
class Grant:
    """Rights on a table, on a schema (table is None), or on everything (schema is None too).

    partial   those that it gives on some columns only
    """

    rights: frozenset[str]
    schema: str | None
    table: str | None
    partial: frozenset[str] = frozenset()

    def covers(self, schema: str, table: str | None) -> bool:
        """Tell whether it holds on a table, or on the whole schema (table is None)."""
        if self.schema is None:
            return True
        if self.table is None:
            return _like(self.schema, schema)
        return table is not None and (self.schema.lower(), self.table.lower()) == (schema.lower(), table.lower())


@dataclass(frozen=True)
class Rights:
    """All grants of the account; `roles` are those granted to it, active or not."""

    grants: tuple[Grant, ...]
    roles: tuple[str, ...]

    def lacking(
        self, needed: Iterable[str], schema: str, table: str | None = None, *, partial: bool = False
    ) -> list[str]:
        """List the needed rights that no grant gives on a table, or on a whole schema.

        partial   whether a right on some columns is enough
        """
        grants = [grant for grant in self.grants if grant.covers(schema, table)]
        held = {right for grant in grants for right in (grant.rights | grant.partial if partial else grant.rights)}
        return [] if "ALL PRIVILEGES" in held else [right for right in needed if right not in held]


@dataclass(frozen=True)
class Lack:
    """Rights that are missing, and on what; `entity` is None for the tool's own schema."""

    rights: tuple[str, ...]
    on: str
    entity: Entity | None = None

    def __str__(self) -> str:
        return f"{', '.join(self.rights)} on {self.on}"

    @property
    def leave(self) -> str | None:
        """The flag that does without them; None where nothing does: what is left is read all the same."""
        return None if self.entity is None or "SELECT" in self.rights else f"--leave {self.entity.name}"


@dataclass(frozen=True)
class Account:
    """The account on one ISPyB, its active role, and what it may do."""

    ispyb: Ispyb
    role: str | None
    rights: Rights

    @property
    def who(self) -> str:
        """What to call it."""
        name = self.ispyb.account
        return f"{name} with role {self.role}" if self.role else name

    def remedy(self, lacking: "Iterable[Lack]" = ()) -> str:
        """What helps against missing rights."""
        if self.rights.roles and not self.role:
            return f"Activate a role it has: SET DEFAULT ROLE {self.rights.roles[0]} FOR the account."
        whom = self.role or "the account"
        grants = [f"GRANT {', '.join(lack.rights)} ON {lack.on} TO {whom}" for lack in lacking]
        words = "Grant the role that `ispyb-sync grants` prints" + (f" ({'; '.join(grants)})." if grants else ".")
        if flags := [lack.leave for lack in lacking if lack.leave is not None]:
            words += f" Or leave to ISPyB what it keeps by itself: {' '.join(flags)}."
        return words

    def lacking(
        self,
        *,
        write: bool,
        delete: Collection[Entity] = (),
        left: Collection[Entity] = (),
        partial: bool = False,
    ) -> list["Lack"]:
        """List what is missing for a run, each as GRANT has it: INSERT, UPDATE on ispyb.Person.

        write    whether it writes to ISPyB at all
        delete   of which entities it may delete rows
        left     the entities that it does not write
        partial  whether a right on some columns is taken for enough; the server decides then
        """
        found, schema = [], self.ispyb.schema
        for entity in ENTITIES:
            needed = needed_on(entity, write=write and entity not in left, delete=entity in delete)
            if names := self.rights.lacking(needed, schema, entity.table, partial=partial):
                found.append(Lack(tuple(names), f"{schema}.{entity.table}", entity))
        if names := self.rights.lacking(OWN, self.ispyb.tool_schema):
            found.append(Lack(tuple(names), f"{self.ispyb.tool_schema}.*"))
        return found


def needed_on(entity: Entity, *, write: bool, delete: bool = False) -> tuple[str, ...]:
    """List what a run needs on one table; a ProposalHasPerson is never changed, only there or not."""
    if not write:
        return ("SELECT",)
    update = () if entity.is_link and not entity.columns else ("UPDATE",)
    return ("SELECT", "INSERT", *update, *(("DELETE",) if delete else ()))


def account(ispyb: Ispyb) -> Account:
    """Ask the server in which role the account is, and what it may do."""
    role = ispyb.connection.exec_driver_sql("SELECT CURRENT_ROLE()").scalar()
    return Account(ispyb, role, read(ispyb.connection))


def demand(
    ispyb: Ispyb,
    *,
    write: bool,
    delete: Collection[Entity] = (),
    left: Collection[Entity] = (),
) -> None:
    """Raise DatabaseError that names each right that a run needs and the account has not."""
    try:
        held = account(ispyb)
    except DBAPIError as error:
        if code_of(error) in LOST:
            raise
        return  # a server without grants has nothing to show
    lacking = held.lacking(write=write, delete=delete, left=left, partial=True)
    if not lacking:
        return
    own = "" if lacking[-1].entity is not None else " If the tool's schema is not there yet, run ispyb-sync migrate."
    raise DatabaseError(
        f"{held.who} has no {'; '.join(map(str, lacking))}",
        hint=f"ISPyB is unchanged. {held.remedy(lacking)} `ispyb-sync check`, run as that account, looks again.{own}",
    )


def read(connection: Connection) -> Rights:
    """Ask the server what the account may do."""
    lines = list(connection.exec_driver_sql("SHOW GRANTS").scalars())
    matches = [match for line in lines if (match := _GRANT.match(line))]
    roles = [match["role"] for line in lines if (match := _ROLE.match(line))]
    return Rights(tuple(_grant(match) for match in matches), tuple(dict.fromkeys(roles)))


def _grant(match: re.Match[str]) -> Grant:
    rights = _NOT_IN_BRACKETS.split(match["rights"])
    whole = frozenset(right for right in rights if "(" not in right)
    partial = frozenset(_COLUMNS.sub("", right) for right in rights if "(" in right)
    return Grant(whole, _name(match["schema"]), _name(match["table"]), partial)


def _name(text: str) -> str | None:
    return None if text == "*" else text[1:-1].replace("``", "`")


def _like(pattern: str, schema: str) -> bool:
    r"""Compare as GRANT does: % and _ are wildcards unless after a backslash."""
    parts = re.findall(r"\\.|.", pattern)
    wild = {"%": ".*", "_": "."}
    expression = "".join(wild.get(part) or re.escape(part.removeprefix("\\")) for part in parts)
    return re.fullmatch(expression, schema, re.IGNORECASE) is not None
