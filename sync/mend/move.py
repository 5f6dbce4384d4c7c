"""Writes the SQL that moves a session to another proposal, with all that says both."""

from collections.abc import Iterator

from sync.database.connection import Database, connected
from sync.mend.live import Live, quoted, shown
from sync.model.entities import BY_NAME
from sync.model.errors import UsageError
from sync.model.settings import Settings
from sync.model.text import counted

_SESSION, _PROPOSAL = BY_NAME["session"], BY_NAME["proposal"]
_LABEL = "CONCAT_WS('-', CONVERT({code} USING utf8mb4), CONVERT(proposalNumber USING utf8mb4))"


def move(session: int, proposal: str, database: Database, settings: Settings) -> str:
    """The script that moves a session to a proposal (CODE-NUMBER), for a DBA to read and run.

    Raises UsageError where one of them is not there, DatabaseError where not all that refers to them can be seen.
    """
    with connected(database, settings) as ispyb:
        live = Live(ispyb)
        return "\n".join([*_lines(live, ispyb.called, session, proposal), ""])


def _lines(live: Live, database: str, session: int, proposal: str) -> Iterator[str]:
    row = live.row(_SESSION, session)
    old, new = int(row["proposalId"]), _proposal_id(live, proposal)
    if old == new:
        raise UsageError(f"session {session} is in {proposal} already", hint="There is nothing to move.")
    yield f"-- {database}: moves sessionId {session} from {_label(live, old)} (proposalId {old}) to {shown(proposal)}"
    yield f"-- (proposalId {new}). ispyb-sync has printed this and changed nothing. Read it, then run it in the mariadb"
    yield "-- client, which stops at the first error: then nothing is written."
    yield "--"
    yield "-- The session holds:"
    yield from (f"--   {name}: {shown(value)}" for name, value in row.items() if value is not None)
    yield "-- It takes along, as they refer to it:"
    referring = live.referring(_SESSION.table, _SESSION.primary_key)
    yield from (f"--   {c.words}: {counted(live.count(c, session), 'row')}" for c in referring)
    yield ""
    yield "START TRANSACTION;"
    yield f"SELECT * FROM BLSession WHERE sessionId = {session} FOR UPDATE;"
    number = _visit_number(live, new, row.get("visit_number"))
    if number is not None:
        yield f"-- visit_number {row['visit_number']} would collide: a session of {shown(proposal)} has it already."
    also = "" if number is None else f", visit_number = {number}"
    yield f"UPDATE BLSession SET proposalId = {new}{also} WHERE sessionId = {session} AND proposalId = {old};"
    of_proposals = {c.table: c for c in live.referring(_PROPOSAL.table, _PROPOSAL.primary_key) if c.own}
    for column in referring:
        if column.own and column.table in of_proposals and column.table != _SESSION.table:
            name = quoted(of_proposals[column.table].name)
            yield f"-- {column.table} says both."
            yield (
                f"UPDATE {column.sql} SET {name} = {new} WHERE {quoted(column.name)} = {session} AND {name} = {old};"
            )
    yield "COMMIT;"


def _proposal_id(live: Live, label: str) -> int:
    rows = live.connection.exec_driver_sql(
        f"SELECT proposalId FROM Proposal WHERE {_label_sql(live)} = %s ORDER BY proposalId", (label,)
    ).all()
    if len(rows) != 1:
        found = ", ".join(f"proposalId {number}" for (number,) in rows) or "no proposal"
        raise UsageError(f"{label} is {found} of this ISPyB", hint="Give CODE-NUMBER of one proposal, such as MX-4002.")
    return int(rows[0][0])


def _label(live: Live, number: int) -> str:
    ((label,),) = live.select(f"SELECT {_label_sql(live)} FROM Proposal WHERE proposalId = {number:d}")
    return shown(label)


def _label_sql(live: Live) -> str:
    """How ISPyB calls a proposal. Raises UsageError where it has no number."""
    columns = live.columns(_PROPOSAL)
    if "proposalNumber" not in columns:
        raise UsageError(
            "Proposal of this ISPyB has no column proposalNumber: no proposal has a name such as MX-4002",
            hint="Move the session by hand: UPDATE BLSession SET proposalId, and all that has both ids.",
        )
    return _LABEL.format(code="proposalCode" if "proposalCode" in columns else "NULL")


def _visit_number(live: Live, proposal: int, number: int | None) -> int | None:
    """Another visit number, where visit numbers are unique in a proposal and this one is taken."""
    if number is None or ("visit_number",) not in live.others_of_unique(live.column(_SESSION, "proposalId")):
        return None
    rows = live.select(f"SELECT visit_number FROM BLSession WHERE proposalId = {proposal:d}")
    taken = {int(other) for (other,) in rows if other is not None}
    return max(taken) + 1 if number in taken else None
