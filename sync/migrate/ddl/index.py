"""Indexes that matching needs, where no index of the table does that work yet.

Leaves out an index on columns that the variant lacks. Refuses a UNIQUE one over duplicates, and to drop an
index that somebody else made.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import indent

from sync.database import sqlfiles
from sync.migrate.ddl.change import Guard
from sync.model.conditions import Conditions, Field
from sync.model.entities import ENTITIES

COLUMNS_EXIST = """\
{count} = (
    SELECT COUNT(*) FROM information_schema.COLUMNS
    WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = '{table}' AND COLUMN_NAME IN ('{quoted}')
  )"""

SERVED = """\
EXISTS (
    SELECT 1 FROM information_schema.STATISTICS
    WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = '{table}' AND INDEX_TYPE = 'BTREE'
    GROUP BY INDEX_NAME
    HAVING LOCATE('{columns},', CONCAT(GROUP_CONCAT(
      COLUMN_NAME, COALESCE(CONCAT('(', SUB_PART, ')'), '') ORDER BY SEQ_IN_INDEX), ',')) = 1
  )"""

UNIQUE = """\
EXISTS (
    SELECT 1 FROM information_schema.STATISTICS
    WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = '{table}' AND NON_UNIQUE = 0
    GROUP BY INDEX_NAME
    HAVING GROUP_CONCAT(
      COLUMN_NAME, COALESCE(CONCAT('(', SUB_PART, ')'), '') ORDER BY SEQ_IN_INDEX) = '{columns}'
  )"""

ADD = """\
BEGIN NOT ATOMIC
  IF {exist}
  AND NOT {served} THEN
    ALTER TABLE {table} ADD {kind} {name} ({columns}), ALGORITHM=INPLACE, LOCK=NONE;
  END IF;
END"""

ADD_BESIDE = """\
BEGIN NOT ATOMIC
  -- The index that the server made for the foreign key alone would go now. Named here, it stays.
  DECLARE own VARCHAR(64) DEFAULT (
    SELECT INDEX_NAME FROM information_schema.STATISTICS
    WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = '{table}'
    GROUP BY INDEX_NAME
    HAVING MAX(NON_UNIQUE) = 1 AND MAX(INDEX_COMMENT) = '' AND MAX(COALESCE(SUB_PART, 0)) = 0
      AND GROUP_CONCAT(COLUMN_NAME) = '{first}'
    LIMIT 1
  );
  IF {exist}
  AND NOT {served} THEN
    EXECUTE IMMEDIATE CONCAT('ALTER TABLE {table} ',
      COALESCE(CONCAT('DROP INDEX `', own, '`, ADD INDEX `', own, '` ({first}), '), ''),
      'ADD INDEX {name} ({columns}), ALGORITHM=INPLACE, LOCK=NONE');
  END IF;
END"""

DROP = "ALTER TABLE {table} DROP INDEX IF EXISTS {name}, ALGORITHM=INPLACE, LOCK=NONE"

DUPLICATES = """\
SELECT CONCAT('{table}.{first} ', value, ' is in ', row_count, ' rows, ids ', ids) AS found
FROM (
{query}
) AS duplicates"""


@dataclass(frozen=True)
class Index:
    """An index on columns of one ISPyB table.

    unique      makes it UNIQUE; its value names the query of the table's SQL file that lists what would break it
    foreign_key the first column carries a foreign key
    """

    table: str
    columns: tuple[str, ...]
    unique: str | None = None
    foreign_key: bool = False

    @property
    def name(self) -> str:
        return "_".join(("ispyb_sync", *self.columns))

    @property
    def title(self) -> str:
        kind = "unique index" if self.unique else "index"
        return f"{kind} {self.table} ({', '.join(self.columns)})"

    @property
    def ispyb_table(self) -> str:
        return self.table

    def needed(self) -> str:
        """An externalId is there by then."""
        before = [column for column in self.columns if column != "externalId"]
        return f"{self._exist(before)} AND NOT {self._served()}" if before else f"NOT {self._served()}"

    def up_sql(self) -> str:
        return (ADD_BESIDE if self.foreign_key else ADD).format(
            table=self.table,
            name=self.name,
            columns=", ".join(self.columns),
            first=self.columns[0],
            kind="UNIQUE INDEX" if self.unique else "INDEX",
            exist=self._exist(self.columns),
            served=self._served(),
        )

    def down_sql(self, *, force: bool) -> str:
        return DROP.format(table=self.table, name=self.name)

    def up_guards(self) -> list[Guard]:
        if not self.unique:
            return []
        (entity,) = (entity for entity in ENTITIES if entity.table == self.table)
        fields = tuple(Field(name, name, frozenset({f"is({name})", "live"})) for name in self.columns)
        query = sqlfiles.named(entity.name, self.unique).render(Conditions(frozenset(self.columns), fields))
        return [
            Guard(
                DUPLICATES.format(table=self.table, first=self.columns[0], query=indent(query or "", "  ")),
                "rows that share what has to be unique",
                "Empty or correct it in all of these rows but one.",
                when=(self._exist(self.columns),),
            )
        ]

    def down_guards(self, *, force: bool) -> list[Guard]:
        return []

    def _exist(self, columns: Sequence[str]) -> str:
        quoted = "', '".join(columns)
        return COLUMNS_EXIST.format(table=self.table, count=len(columns), quoted=quoted)

    def _served(self) -> str:
        """Whether an index does the work already."""
        return (UNIQUE if self.unique else SERVED).format(table=self.table, columns=",".join(self.columns))
