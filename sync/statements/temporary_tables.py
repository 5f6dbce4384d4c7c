"""The temporary tables of a run: private to the connection, and gone with it.

Making them takes as long as a quarter of a small run. So on a connection that its caller keeps, those of a small run
are emptied in its transaction, and kept for the next one, as long as what was seen of the live tables is believed.
"""

from sync.database.sqlfiles import of_pass, tables_made
from sync.model.entities import ENTITIES
from sync.statements.live_ispyb import LiveIspyb
from sync.statements.open_connection import kept
from sync.statements.send import Runner

MOST_KEPT = 1_000
"""Rows of a run whose tables are emptied: of more, it is quicker to make them again."""


Group = tuple[tuple[str, str], ...]
"""Tables that are made, emptied and dropped together: file and pass of the statements that make them."""

STAGING: Group = tuple((entity.name, "create") for entity in ENTITIES)
DIGESTS: Group = (("fingerprint", "create"),)
TOUCHED: Group = (("fingerprint", "draw_create"),)
"""The rows that the run changes, claims or contradicts."""
PLANNED_CHANGES: Group = (("history", "plan"),)
"""The changes of a plan: they hide the tool's own."""


class Tables:
    """One group of tables on one connection."""

    def __init__(self, ispyb: LiveIspyb, group: Group) -> None:
        self._ispyb = ispyb
        self._group = group
        self._mark = (ispyb.tool_schema, ispyb.target)

    def take(self) -> bool:
        """Whether an earlier run has left them empty, in the types that the live tables have; others are dropped."""
        if kept(self._ispyb.connection).tables.pop(self._group, None) == self._mark:
            return True
        self.drop()
        return False

    def keep(self, *, filled: bool = True) -> None:
        """Empties them for the next run, if they were filled. Whether the caller commits or rolls back, they are
        empty then."""
        if filled:
            deletes = "; ".join(f"DELETE FROM {name}" for name in self._names())  # noqa: S608 (names of sql/*.sql)
            self._ispyb.connection.exec_driver_sql(f"BEGIN NOT ATOMIC {deletes}; END")
        kept(self._ispyb.connection).tables[self._group] = self._mark

    def drop(self) -> None:
        """Drops those that are there."""
        kept(self._ispyb.connection).tables.pop(self._group, None)
        Runner(self._ispyb).drop(*self._names())

    def _names(self) -> list[str]:
        """As the statements that make them name them."""
        made = (statement for passing in self._group for statement in of_pass(*passing))
        return tables_made(made, self._ispyb)
