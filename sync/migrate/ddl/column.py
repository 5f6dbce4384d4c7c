"""Columns of ISPyB's tables: externalId where it is missing, and a column that may be empty from now on.

Refuses to drop a column that somebody else added, and to lose what one holds unless forced.
"""

from dataclasses import dataclass

from sync.migrate.ddl.change import Guard
from sync.migrate.ddl.table import IS_THERE, NO_COLUMN

MARK = "ispyb-sync:"

ADD = """\
ALTER TABLE {table}
  ADD COLUMN IF NOT EXISTS externalId BINARY(16) NULL
  COMMENT '{mark} identifier in the User Portal, 16 bytes big-endian',
  ALGORITHM=INPLACE, LOCK=NONE"""

IS_OURS = """\
EXISTS (
    SELECT 1 FROM information_schema.COLUMNS
    WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = '{table}' AND COLUMN_NAME = 'externalId'
      AND LOCATE('{mark}', COLUMN_COMMENT) = 1
  )"""

DROP = """\
BEGIN NOT ATOMIC
  -- Only a column that the upgrade added carries this comment.
  IF {ours} THEN
    IF {keep} THEN
      SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'ispyb-sync: {table}.externalId holds data';
    END IF;
    ALTER TABLE {table} DROP COLUMN externalId, ALGORITHM=INPLACE, LOCK=NONE;
  END IF;
END"""

KEEP = "EXISTS (SELECT 1 FROM {table} WHERE externalId IS NOT NULL)"

HOLDS_DATA = """\
SELECT CONCAT('{table}.externalId holds ', COUNT(*), ' values') AS found
FROM {table} WHERE externalId IS NOT NULL HAVING COUNT(*) > 0"""

RELAX = """\
BEGIN NOT ATOMIC
  -- Type, sign, default and comment are those of the live column. The note comes first: it tells the
  -- downgrade that the column was NOT NULL.
  DECLARE kept TEXT DEFAULT (
    SELECT CONCAT(COLUMN_TYPE, ' NULL', COALESCE(CONCAT(' DEFAULT ', COLUMN_DEFAULT), ''),
      ' COMMENT ', QUOTE(COLUMN_COMMENT))
    FROM information_schema.COLUMNS
    WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = '{table}' AND COLUMN_NAME = '{column}'
      AND IS_NULLABLE = 'NO'
  );
  IF kept IS NOT NULL THEN
    REPLACE INTO ispyb_sync.relaxed_column (table_name, column_name) VALUES ('{table}', '{column}');
    EXECUTE IMMEDIATE CONCAT('ALTER TABLE {table} MODIFY COLUMN {column} ', kept,
      ', ALGORITHM=INPLACE, LOCK=NONE');
  END IF;
END"""

NOT_NULL = """\
EXISTS (
    SELECT 1 FROM information_schema.COLUMNS
    WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = '{table}' AND COLUMN_NAME = '{column}' AND IS_NULLABLE = 'NO'
  )"""

WAS_RELAXED = """\
EXISTS (
    SELECT 1 FROM ispyb_sync.relaxed_column
    WHERE table_name = '{table}' AND column_name = '{column}'
  )"""

HOLDS_NULL = """\
SELECT CONCAT('{table}.{column} is NULL in ', COUNT(*), ' rows') AS found
FROM {table} WHERE {column} IS NULL HAVING COUNT(*) > 0"""

RESTORE = """\
BEGIN NOT ATOMIC
  DECLARE kept TEXT DEFAULT (
    SELECT CONCAT(COLUMN_TYPE, ' NOT NULL',
      COALESCE(CONCAT(' DEFAULT ', NULLIF(COLUMN_DEFAULT, 'NULL')), ''), ' COMMENT ', QUOTE(COLUMN_COMMENT))
    FROM information_schema.COLUMNS
    WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = '{table}' AND COLUMN_NAME = '{column}'
      AND IS_NULLABLE = 'YES'
  );
  IF {notes} THEN
    IF kept IS NOT NULL AND {relaxed} THEN
      IF NOT EXISTS (SELECT 1 FROM {table} WHERE {column} IS NULL) THEN
        EXECUTE IMMEDIATE CONCAT('ALTER TABLE {table} MODIFY COLUMN {column} ', kept,
          ', ALGORITHM=INPLACE, LOCK=NONE');
      ELSEIF NOT {force} THEN
        SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'ispyb-sync: {table}.{column} is NULL in some rows';
      END IF;
    END IF;
    DELETE FROM ispyb_sync.relaxed_column WHERE table_name = '{table}' AND column_name = '{column}';
  END IF;
END"""


@dataclass(frozen=True)
class ExternalId:
    """The column externalId of one ISPyB table."""

    table: str

    @property
    def title(self) -> str:
        return f"column {self.table}.externalId"

    @property
    def ispyb_table(self) -> str:
        return self.table

    def needed(self) -> str:
        return NO_COLUMN.format(schema="DATABASE()", table=self.table, column="externalId")

    def up_sql(self) -> str:
        return ADD.format(table=self.table, mark=MARK)

    def down_sql(self, *, force: bool) -> str:
        keep = "FALSE" if force else KEEP.format(table=self.table)
        return DROP.format(table=self.table, ours=self._ours(), keep=keep)

    def up_guards(self) -> list[Guard]:
        return []

    def down_guards(self, *, force: bool) -> list[Guard]:
        if force:
            return []
        return [
            Guard(
                HOLDS_DATA.format(table=self.table),
                "columns to be dropped hold data",
                "Keep them, or give --force to lose what they hold.",
                when=(self._ours(),),
                by_force=True,
            )
        ]

    def _ours(self) -> str:
        return IS_OURS.format(table=self.table, mark=MARK)


@dataclass(frozen=True)
class Relaxed:
    """A column that may be NULL from now on and keeps everything else."""

    table: str
    column: str

    @property
    def title(self) -> str:
        return f"NULL in {self.table}.{self.column}"

    @property
    def ispyb_table(self) -> str:
        return self.table

    def needed(self) -> str:
        return NOT_NULL.format(table=self.table, column=self.column)

    def up_sql(self) -> str:
        return RELAX.format(table=self.table, column=self.column)

    def down_sql(self, *, force: bool) -> str:
        notes, relaxed = self._relaxed()
        text = str(force).upper()
        return RESTORE.format(table=self.table, column=self.column, notes=notes, relaxed=relaxed, force=text)

    def up_guards(self) -> list[Guard]:
        return []

    def down_guards(self, *, force: bool) -> list[Guard]:
        if force:
            return []
        return [
            Guard(
                HOLDS_NULL.format(table=self.table, column=self.column),
                "a column that was NOT NULL holds NULL",
                "Fill it, or give --force to leave it as it is.",
                when=self._relaxed(),
                by_force=True,
            )
        ]

    def _relaxed(self) -> tuple[str, str]:
        """Give two conditions: there is a table of notes, and it names this column."""
        named = WAS_RELAXED.format(table=self.table, column=self.column)
        return IS_THERE.format(name="relaxed_column"), named
