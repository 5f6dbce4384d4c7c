"""Tables of the tool's own schema, and columns that they gain later.

Refuses to drop one that holds rows, unless forced.
"""

from dataclasses import dataclass

from sync.migrate.ddl.change import Guard

IS_THERE = """\
EXISTS (
    SELECT 1 FROM information_schema.TABLES
    WHERE TABLE_SCHEMA = 'ispyb_sync' AND TABLE_NAME = '{name}'
  )"""

NO_COLUMN = """\
NOT EXISTS (
    SELECT 1 FROM information_schema.COLUMNS
    WHERE TABLE_SCHEMA = {schema} AND TABLE_NAME = '{table}' AND COLUMN_NAME = '{column}'
  )"""

DROP = """\
BEGIN NOT ATOMIC
  IF {there} THEN
    IF {keep} THEN
      SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'ispyb-sync: table {name} holds rows';
    END IF;
    DROP TABLE ispyb_sync.{name};
  END IF;
END"""

KEEP = "EXISTS (SELECT 1 FROM ispyb_sync.{name})"

HOLDS_ROWS = """\
SELECT CONCAT('table {name} holds ', COUNT(*), ' rows') AS found
FROM ispyb_sync.{name} HAVING COUNT(*) > 0"""


@dataclass(frozen=True)
class Table:
    """A table of the tool's schema; `create` is its CREATE TABLE IF NOT EXISTS."""

    name: str
    create: str
    keeps_history: bool = True

    @property
    def title(self) -> str:
        return f"table ispyb_sync.{self.name}"

    @property
    def ispyb_table(self) -> None:
        return None

    def needed(self) -> str:
        return f"NOT {IS_THERE.format(name=self.name)}"

    def up_sql(self) -> str:
        return self.create.strip()

    def down_sql(self, *, force: bool) -> str:
        keep = "FALSE" if force or not self.keeps_history else KEEP.format(name=self.name)
        return DROP.format(name=self.name, there=IS_THERE.format(name=self.name), keep=keep)

    def up_guards(self) -> list[Guard]:
        return []

    def down_guards(self, *, force: bool) -> list[Guard]:
        if force or not self.keeps_history:
            return []
        return [
            Guard(
                HOLDS_ROWS.format(name=self.name),
                "tables to be dropped hold rows",
                "Keep them, or give --force to lose the history of all runs.",
                when=(IS_THERE.format(name=self.name),),
                by_force=True,
            )
        ]


@dataclass(frozen=True)
class OwnColumn:
    """A column that a later release adds to a table of the tool's schema; `definition` follows its name."""

    table: str
    column: str
    definition: str

    @property
    def title(self) -> str:
        return f"column ispyb_sync.{self.table}.{self.column}"

    @property
    def ispyb_table(self) -> None:
        return None

    def needed(self) -> str:
        return NO_COLUMN.format(schema="'ispyb_sync'", table=self.table, column=self.column.strip("`"))

    def up_sql(self) -> str:
        return (
            f"ALTER TABLE ispyb_sync.{self.table} ADD COLUMN IF NOT EXISTS {self.column} {self.definition},"
            " ALGORITHM=INPLACE, LOCK=NONE"
        )

    def down_sql(self, *, force: bool) -> str:
        return (
            f"ALTER TABLE IF EXISTS ispyb_sync.{self.table} DROP COLUMN IF EXISTS {self.column},"
            " ALGORITHM=INPLACE, LOCK=NONE"
        )

    def up_guards(self) -> list[Guard]:
        return []

    def down_guards(self, *, force: bool) -> list[Guard]:
        return []
