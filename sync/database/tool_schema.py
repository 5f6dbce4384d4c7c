"""Which ISPyB a tool schema serves, as `migrate` wrote it down: the server, and the schema on it.

Ids of one ISPyB mean nothing in another one. So each command that meets a tool schema of another ISPyB refuses, before
it reads history or writes anything. What `migrate` does about it is in `sync.migrate.ddl.serve`.
"""

from dataclasses import dataclass

from sqlalchemy.exc import DBAPIError

from sync.database.connection import Ispyb, code_of
from sync.database.revision import NOT_THERE, head, not_migrated, unreadable
from sync.database.sqlfiles import named
from sync.model.errors import UsageError

OWN_SCHEMA = (
    "Each ISPyB needs a tool schema of its own: give --staging-schema NAME, ISPYB_SYNC_STAGING_SCHEMA or "
    "staging_schema in ispyb-sync.toml, and run ispyb-sync migrate with it."
)
REMEDY = f"{OWN_SCHEMA} If this is the same ISPyB, renamed, restored or moved: ispyb-sync migrate --serve-this."


@dataclass(frozen=True)
class Served:
    """What a tool schema says of itself.

    revision   of its migrations
    served     the ISPyB that it serves, as `ispyb on host:3306`; None where no migration has come to its end
    this       the ISPyB of the connection
    """

    revision: str | None
    served: str | None
    this: str
    same: bool


def look(ispyb: Ispyb) -> Served | None:
    """Ask a tool schema whom it serves; None where there is none, or none of this release."""
    try:
        row = ispyb.ask(named("served", "look")).one()
    except DBAPIError as error:
        if code_of(error) in NOT_THERE:
            return None
        raise unreadable(error, ispyb) from None
    return Served(row.revision, row.served, row.this, bool(row.same))


def demand_own(ispyb: Ispyb) -> None:
    """Raise UsageError where the tool schema serves another ISPyB, DatabaseError where it is not migrated."""
    found = look(ispyb)
    if found is None or found.revision != head() or found.served is None:
        raise not_migrated(ispyb)
    if not found.same:
        raise UsageError(complaint(ispyb, found), hint=REMEDY)


def demand_own_run(ispyb: Ispyb, run: int) -> None:
    """Raise UsageError where a run was on another ISPyB, which shared the tool schema once."""
    if (other := ispyb.ask(named("served", "foreign_run"), run=run).scalar()) is not None:
        raise UsageError(
            f"run {run} was on {other}, and this is {ispyb.schema}",
            hint="Its ids mean nothing here. `ispyb-sync history` marks the runs of other ISPyBs.",
        )


def complaint(ispyb: Ispyb, found: Served) -> str:
    """Say what is wrong."""
    return f"the tool schema {ispyb.tool_schema} serves {found.served}, and this is {found.this}"
