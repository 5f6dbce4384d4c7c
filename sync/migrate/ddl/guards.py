"""Guards: queries that must return no rows before the first change is made.

On a connection all of them are asked and everything found is one error; a script stops at the first that
finds something, and shows it.
"""

from collections.abc import Iterable
from textwrap import indent

from sync.database.connection import Ispyb
from sync.migrate.ddl.change import Guard, in_schema
from sync.migrate.ddl.table import IS_THERE
from sync.model.entities import ENTITIES
from sync.model.errors import DatabaseError, LimitError

SHOWN = 50  # rows of one guard that an error lists
VERSION_TABLE = "alembic_version"

NO_TABLE = """\
SELECT CONCAT(wanted.name, ': no such table') AS found
FROM (
  {names}
) AS wanted
WHERE wanted.name NOT IN (
  SELECT TABLE_NAME FROM information_schema.TABLES
  WHERE TABLE_SCHEMA = DATABASE() AND TABLE_TYPE = 'BASE TABLE'
)"""

NEEDED = """\
SELECT DISTINCT
  CONCAT(ours.TABLE_NAME, ': foreign key ', k.CONSTRAINT_NAME, ' has no index but ', ours.INDEX_NAME) AS found
FROM information_schema.STATISTICS AS ours
INNER JOIN information_schema.KEY_COLUMN_USAGE AS k
  ON k.REFERENCED_TABLE_NAME IS NOT NULL
  AND (
    (
      k.TABLE_SCHEMA = ours.TABLE_SCHEMA AND k.TABLE_NAME = ours.TABLE_NAME
      AND k.COLUMN_NAME = ours.COLUMN_NAME
    )
    OR (
      k.REFERENCED_TABLE_SCHEMA = ours.TABLE_SCHEMA AND k.REFERENCED_TABLE_NAME = ours.TABLE_NAME
      AND k.REFERENCED_COLUMN_NAME = ours.COLUMN_NAME
    )
  )
WHERE ours.TABLE_SCHEMA = DATABASE() AND LEFT(ours.INDEX_NAME, 11) = 'ispyb_sync_' AND ours.SEQ_IN_INDEX = 1
  AND NOT EXISTS (
    SELECT 1 FROM information_schema.STATISTICS AS other
    WHERE other.TABLE_SCHEMA = DATABASE() AND other.TABLE_NAME = ours.TABLE_NAME
      AND other.COLUMN_NAME = ours.COLUMN_NAME AND other.SEQ_IN_INDEX = 1
      AND LEFT(other.INDEX_NAME, 11) <> 'ispyb_sync_'
  )"""

WRONG_TYPE = """\
SELECT CONCAT(TABLE_NAME, '.externalId is ', COLUMN_TYPE, ', not binary(16)') AS found
FROM information_schema.COLUMNS
WHERE TABLE_SCHEMA = DATABASE() AND COLUMN_NAME = 'externalId' AND COLUMN_TYPE <> 'binary(16)'
  AND TABLE_NAME IN ('{names}')"""

NEWER = """\
SELECT CONCAT('revision ', version_num) AS found
FROM ispyb_sync.alembic_version
WHERE version_num > '{head}'"""

BLOCK = """\
-- {refusal}
DELIMITER //
BEGIN NOT ATOMIC
{body}
END //
DELIMITER ;"""

WHEN = """\
IF {condition} THEN
{body}
END IF;"""

STOP = """\
{query};
IF FOUND_ROWS() > 0 THEN
  SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT =
    'ispyb-sync: nothing was changed: {refusal}. {remedy}';
END IF;"""


def before_upgrade() -> list[Guard]:
    """List the guards of every upgrade."""
    tables = [entity.table for entity in ENTITIES]
    return [
        Guard(
            NO_TABLE.format(names="\n  UNION ALL ".join(f"SELECT '{table}' AS name" for table in tables)),
            "tables of ISPyB are missing",
            "Is this schema really an ISPyB?",
        ),
        Guard(
            WRONG_TYPE.format(names="', '".join(tables)),
            "an externalId of another type",
            "Make it BINARY(16) NULL, an integer as 16 bytes big-endian, a UUID as its 16 bytes.",
        ),
    ]


def before_downgrade() -> list[Guard]:
    """List the guards of every downgrade."""
    return [
        Guard(
            NEEDED,
            "a foreign key needs an index to be dropped",
            "Add another index on that column first.",
        )
    ]


def not_newer(head: str) -> Guard:
    """Give the guard of a database that a later release migrated; `head` is the last revision of this one."""
    return Guard(
        NEWER.format(head=head),
        "the database was migrated by a later release",
        "Use that release.",
        when=(IS_THERE.format(name=VERSION_TABLE),),
    )


def refuse(ispyb: Ispyb, guards: Iterable[Guard], command: str) -> None:
    """Raise an error that lists all that the guards of a command find, each with its remedy.

    It is LimitError where --force would leave out all of them, else DatabaseError.
    """
    found: dict[tuple[str, str, bool], list[str]] = {}
    for guard in guards:
        if rows := found_by(ispyb, guard):
            found.setdefault((guard.refusal, guard.remedy, guard.by_force), []).extend(rows)
    if found:
        lines = [f"migration: nothing was changed in {ispyb.called}"]
        for (refusal, remedy, _), rows in found.items():
            lines += [f"  {refusal}:", *(f"    {row}" for row in rows[:SHOWN])]
            lines += [f"    and {len(rows) - SHOWN} more"] if len(rows) > SHOWN else []
            lines += [f"    {remedy}"]
        kind = LimitError if all(by_force for _, _, by_force in found) else DatabaseError
        raise kind("\n".join(lines), hint=f"Then run {command} again.")


def found_by(ispyb: Ispyb, guard: Guard) -> list[str]:
    """List what one guard finds."""
    if all(_ask(ispyb, f"SELECT {condition}")[0] for condition in guard.when):
        return [str(row) for row in _ask(ispyb, guard.query)]
    return []


def _ask(ispyb: Ispyb, query: str) -> list[object]:
    return list(ispyb.connection.exec_driver_sql(in_schema(query, ispyb.tool_schema)).scalars())


def as_block(guard: Guard, tool_schema: str) -> str:
    """Give the guard as a block of a script."""
    body = STOP.format(query=guard.query, refusal=guard.refusal, remedy=guard.remedy)
    for condition in reversed(guard.when):
        body = WHEN.format(condition=condition, body=indent(body, "  "))
    return in_schema(BLOCK.format(refusal=guard.refusal, body=indent(body, "  ")), tool_schema)
