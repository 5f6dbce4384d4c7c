"""The staging tables of a run: temporary, so private to the connection and gone with it.

Making them takes as long as a fifth of a small run. So on a connection that its caller keeps, those of a small run are
emptied in its transaction, and kept for the next one, as long as what was seen of the live tables is believed.
"""

from itertools import chain

from sync.database.sqlfiles import of_pass, tables_made
from sync.model.entities import ENTITIES
from sync.statements.live_ispyb import LiveIspyb
from sync.statements.open_connection import kept
from sync.statements.send import Runner

MOST_KEPT = 1_000
"""Rows of a run whose tables are emptied: of more, it is quicker to make them again."""


class Tables:
    """The staging tables on one connection."""

    def __init__(self, ispyb: LiveIspyb) -> None:
        self._ispyb = ispyb
        self._mark = (ispyb.tool_schema, ispyb.target)

    def take(self) -> bool:
        """Whether an earlier run has left them empty, in the types that the live tables have."""
        left = kept(self._ispyb.connection)
        tables, left.tables = left.tables, None
        return tables == self._mark

    def keep(self) -> None:
        """Empties them for the next run. Whether the caller commits or rolls back, they are empty then."""
        deletes = "; ".join(f"DELETE FROM {name}" for name in self._names())  # noqa: S608 (names of sql/*.sql)
        self._ispyb.connection.exec_driver_sql(f"BEGIN NOT ATOMIC {deletes}; END")
        kept(self._ispyb.connection).tables = self._mark

    def drop(self) -> None:
        """Drops those that are there, and the changes of a plan, which hide the tool's own."""
        kept(self._ispyb.connection).tables = None
        Runner(self._ispyb).drop(f"`{self._ispyb.tool_schema}`.`change`", *self._names())

    def _names(self) -> list[str]:
        """As the statements that make them name them."""
        made = chain.from_iterable(of_pass(entity.name, "create") for entity in ENTITIES)
        return tables_made(made, self._ispyb)
