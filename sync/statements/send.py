"""Sends the statements of the SQL files, one by one or several as a block, and keeps their times."""

import logging
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import pymysql
from sqlalchemy import CursorResult
from sqlalchemy.exc import DBAPIError, OperationalError

from sync.database.connection import LOST, Ispyb, code_of, log
from sync.database.statement import Statement, literal, origin_and_text, put_values
from sync.model.conditions import NO_CONDITIONS, Conditions
from sync.statements.block import FAILED, Outcome, Step, compound, is_select, told

Values = Mapping[str, object]
"""What a run gives to statements, by name."""

NO_VALUES: Values = {}

_AT_ONCE = 1000
_Item = TypeVar("_Item")
_AS_IT_STANDS = {"no_parameters": True}  # a percent sign in a statement is just that


@dataclass(frozen=True)
class Profile:
    """One statement as it ran: origin, rows it found or changed, and milliseconds."""

    origin: str
    rows: int
    milliseconds: float

    def __str__(self) -> str:
        return f"{self.origin:<55} {self.rows:9d} rows {self.milliseconds:9.1f} ms"


class Runner:
    """Sends statements to one ISPyB, and logs each with its rows and time."""

    def __init__(self, ispyb: Ispyb) -> None:
        self.ispyb = ispyb

    def text(self, statement: Statement, given: Conditions = NO_CONDITIONS, values: Values = NO_VALUES) -> str | None:
        """A statement as it is sent; None where its condition does not hold.

        values   what the run gives it, by name: it stands in place of `%(run)s`
        """
        sql = self.ispyb.text(statement, given)
        if sql is None or not values:
            return sql
        return put_values(sql, {name: literal(value) for name, value in values.items()})

    def run(
        self, statement: Statement, given: Conditions = NO_CONDITIONS, values: Values = NO_VALUES
    ) -> CursorResult[Any] | None:
        """Runs one statement, or nothing where its condition does not hold; errors name the statement."""
        sql = self.text(statement, given, values)
        if sql is None:
            return None
        start = time.perf_counter()
        try:
            result = self.ispyb.connection.exec_driver_sql(sql, execution_options=_AS_IT_STANDS)
        except DBAPIError as error:
            error.add_note(statement.origin)
            raise
        log.debug("%s", Profile(statement.origin, result.rowcount, 1000 * (time.perf_counter() - start)))
        return result

    def run_all(self, statements: Iterable[Statement], given: Conditions, values: Values = NO_VALUES) -> None:
        """Runs those statements of which the condition holds, in one round trip; errors name the statement."""
        texts = ((statement, self.text(statement, given, values)) for statement in statements)
        if steps := [Step(statement, sql) for statement, sql in texts if sql is not None]:
            self.run_block(steps)

    def run_block(self, steps: Sequence[Step]) -> list[Outcome]:
        """Runs statements in one round trip, up to the first that decides and finds something; errors name theirs."""
        sql = compound(steps, timed=log.isEnabledFor(logging.DEBUG))
        try:
            results = self._results(sql)
        except DBAPIError as error:
            error.add_note(self._failed(steps, error))
            raise
        ((text,),) = results.pop()
        outcomes = []
        for step, (rows, milliseconds) in zip(steps, told(text), strict=False):
            log.debug("%s", Profile(step.statement.origin, rows, milliseconds))
            outcomes.append(Outcome(rows, results.pop(0) if is_select(step.sql) else ()))
        return outcomes

    def drop(self, *tables: str) -> None:
        """Drops those temporary tables that are there; on a connection of our own they would go anyway."""
        self.ispyb.connection.exec_driver_sql(f"DROP TEMPORARY TABLE IF EXISTS {', '.join(tables)}")

    def _results(self, sql: str) -> list[Sequence[tuple[Any, ...]]]:
        """The result sets of one statement."""
        cursor = self.ispyb.connection.exec_driver_sql(sql, execution_options=_AS_IT_STANDS).cursor
        found = []
        try:
            while True:
                if cursor.description is not None:
                    found.append(cursor.fetchall())
                if not cursor.nextset():
                    return found
        except pymysql.MySQLError as error:  # behind the first result set, SQLAlchemy does not see it
            if code_of(error) in LOST:
                self.ispyb.connection.invalidate()
            raise OperationalError(sql, None, error) from None
        finally:
            with suppress(pymysql.MySQLError):
                cursor.close()

    def _failed(self, steps: Sequence[Step], error: DBAPIError) -> str:
        """The origin of the statement at which a block failed; of the first one where the server cannot say."""
        text = None
        if code_of(error) not in LOST and not self.ispyb.connection.invalidated:
            with suppress(DBAPIError):
                text = self.ispyb.connection.exec_driver_sql(FAILED).scalar()
        ended = len(list(told(text or "")))
        return steps[min(ended, len(steps) - 1)].statement.origin  # a cluster may end a block behind its last one


def batches(items: Sequence[_Item]) -> Iterator[Sequence[_Item]]:
    """The items, so many at a time as one statement takes."""
    for start in range(0, len(items), _AT_ONCE):
        yield items[start : start + _AT_ONCE]


def send_many(ispyb: Ispyb, statement: Statement, rows: Sequence[dict[str, Any]]) -> None:
    """Inserts rows, many by one statement: the driver does so only where the statement itself comes first."""
    _, sql = origin_and_text(ispyb.text(statement) or "")
    for some in batches(rows):
        ispyb.connection.exec_driver_sql(sql, list(some))


def origin_of(error: BaseException) -> str | None:
    """The statement that an error came from, as `Runner` notes it."""
    return next(iter(getattr(error, "__notes__", ())), None)
