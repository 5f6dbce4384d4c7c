"""The changes that migrations make, as SQL that looks first and may be run again at any time.

A revision holds one change, and a change is one statement, the same when `migrate` runs it and when
`migrate --sql` prints it. Guards are queries that must return no rows before the first change is made.
A change refuses to take back what it did not make: a column that was added carries MARK in its comment,
an added index begins with ispyb_sync_, a relaxed column is noted in the tool's schema. A column or table
that holds data is dropped only by force.
"""

from sync.migrate.ddl.change import Change, Guard, execute, in_schema, run_down, run_up
from sync.migrate.ddl.column import MARK, ExternalId, Relaxed
from sync.migrate.ddl.index import Index
from sync.migrate.ddl.table import OwnColumn, Table

__all__ = [
    "MARK",
    "Change",
    "ExternalId",
    "Guard",
    "Index",
    "OwnColumn",
    "Relaxed",
    "Table",
    "execute",
    "in_schema",
    "run_down",
    "run_up",
]
