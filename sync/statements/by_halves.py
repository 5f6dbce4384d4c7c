"""Finds the rows that the database refuses, when a statement that writes many of them fails.

A NOT NULL of the site's own, a unique key, a check, a trigger: the server names the rule, but not the row, and takes
back the whole statement. Its rows are tried in halves until each that is refused stands alone. What the others wrote
meanwhile is taken back by the caller, who starts anew without those that were refused. Costs nothing unless a
statement fails.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.exc import DBAPIError

from sync.database.connection import DEADLOCK, DENIED, LOCK_WAIT, LOST, code_of, words_of
from sync.database.statement import Statement
from sync.model.conditions import Conditions
from sync.model.entities import DOCUMENT, Entity
from sync.statements.send import Runner, Values

_NOT_A_ROWS_FAULT = {
    *LOST,
    *DENIED,
    DEADLOCK,
    LOCK_WAIT,
    *(1021, 1030, 1114),  # a full disk or table, a fault of the storage engine
    *(1036, 1290, 1792, 1836),  # the server may not write
    *(1206, 1317, 1969, 3024),  # too many locks, a kill, too long a time
    1665,  # binlog_format = STATEMENT
}
"""What would be refused again, whichever rows are left out."""

WRITES = ("insert", "update")
"""What statements do that write rows, and take a part of them: `-- if: part` in `sql/*.sql`."""


@dataclass(frozen=True)
class RefusedRow:
    """A thing whose row the database refuses, and the server's words.

    mentions   the staged rows that name it
    """

    entity: Entity
    mentions: tuple[int, ...]
    document: int
    proposal: str | None
    path: str
    code: int
    words: str


class RowsRefused(Exception):
    """The database refuses these rows; all else can be written without them."""

    def __init__(self, rows: Sequence[RefusedRow]) -> None:
        super().__init__()
        self.rows = rows


def is_a_rows_fault(runner: Runner, error: DBAPIError) -> bool:
    """Whether the server, which still answers, may have meant one row of many."""
    code = code_of(error)
    return code is not None and code not in _NOT_A_ROWS_FAULT and not runner.ispyb.connection.invalidated


def refused_rows(
    runner: Runner, entity: Entity, statement: Statement, given: Conditions, values: Values
) -> list[RefusedRow]:
    """Writes the rows of a statement that failed, in ever smaller parts, and returns those that the database refuses.

    Raises DBAPIError where the server fails for another reason.
    """
    numbers = _numbers(runner, entity, str(statement.does))
    refused: list[RefusedRow] = []
    parts = [(0, len(numbers))]
    while parts:
        first, last = parts.pop()
        try:
            part = {"first_row": numbers[first], "last_row": numbers[last - 1]}
            runner.run(statement, given.with_facts({"part"}), {**values, **part})
        except DBAPIError as error:
            if not is_a_rows_fault(runner, error):
                raise
            if last - first > 1:
                middle = (first + last) // 2
                parts += [(middle, last), (first, middle)]  # the first half is written first, as in the whole
            else:
                refused.append(_refused(runner, entity, numbers[first], error))
    return refused


def _numbers(runner: Runner, entity: Entity, action: str) -> list[int]:
    """The staged rows that the statement writes."""
    ispyb = runner.ispyb
    sql = f"SELECT row_id FROM `{ispyb.tool_schema}`.map_{entity.name} WHERE action = %s ORDER BY row_id"  # noqa: S608
    return list(ispyb.connection.exec_driver_sql(sql, (action,)).scalars())


def _refused(runner: Runner, entity: Entity, number: int, error: DBAPIError) -> RefusedRow:
    connection, schema = runner.ispyb.connection, runner.ispyb.tool_schema
    row = connection.exec_driver_sql(
        # names of the registry and a checked setting, never data
        "SELECT s.document, s.path, COALESCE(NULLIF(CONCAT_WS('-', CONVERT(d.proposalCode USING utf8mb4), "  # noqa: S608
        f"CONVERT(d.proposalNumber USING utf8mb4)), ''), HEX(d.externalId)) FROM `{schema}`.stage_{entity.name} AS s "
        f"INNER JOIN `{schema}`.stage_{DOCUMENT.name} AS d ON d.row_id = s.document WHERE s.row_id = %s",
        (number,),
    ).one()
    sql = f"SELECT row_id FROM `{schema}`.map_{entity.name} WHERE thing = %s"  # noqa: S608
    mentions = tuple(connection.exec_driver_sql(sql, (number,)).scalars())
    return RefusedRow(entity, mentions, row[0], row[2], row[1], code_of(error) or 0, words_of(error))


def mark_refused(runner: Runner, rows: Sequence[RefusedRow]) -> None:
    """Refuses every mention of these things from the outset, when the run starts anew."""
    ispyb = runner.ispyb
    for row in rows:
        sql = f"UPDATE `{ispyb.tool_schema}`.stage_{row.entity.name} SET refused = %s WHERE row_id IN %s"  # noqa: S608
        ispyb.connection.exec_driver_sql(sql, ("refused_by_database", row.mentions))
