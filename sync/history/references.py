"""What only the live schema tells an undo: what refers to a row, which columns are unique, which ones others fill.

Which tables refer to the eight differs from site to site, and each deletes along (ON DELETE CASCADE), empties
(SET NULL) or stops; nor does any file know all columns. So these statements are made from information_schema. Nothing
but names of tables and columns goes into them, quoted. They keep rows from being deleted, and delete nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Connection

from sync.database import rights
from sync.database.connection import Ispyb
from sync.model.entities import BY_NAME, ENTITIES, Entity

_BY_TABLE = {entity.table.lower(): entity for entity in ENTITIES}
_TABLES = {"tables": [entity.table for entity in ENTITIES]}

# Names of tables compare as the server compares them: PERSON beside Person is another table, unless it says otherwise.
_FOREIGN_KEYS = """
SELECT
    TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME, LOWER(REFERENCED_TABLE_NAME), REFERENCED_COLUMN_NAME,
    @@lower_case_table_names > 0
FROM information_schema.KEY_COLUMN_USAGE
WHERE
    REFERENCED_TABLE_SCHEMA = DATABASE() AND REFERENCED_TABLE_NAME IN %(tables)s
    AND (@@lower_case_table_names > 0 OR BINARY REFERENCED_TABLE_NAME IN %(tables)s)
ORDER BY TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME
"""

_KEEP = """\
/* live.py keep_referenced {entity} */ INSERT INTO `{tool_schema}`.undo (entity, number, kept, held)
SELECT u.entity, u.number, 'referenced', CONCAT('{words} in ', COUNT(*), IF(COUNT(*) = 1, ' row', ' rows'))
FROM `{tool_schema}`.undo AS u
STRAIGHT_JOIN {table} AS p ON p.{key} = u.target_id{second}
STRAIGHT_JOIN {child} AS t ON t.{column} = p.{referenced}
WHERE u.entity = '{entity}' AND u.action = 'insert' AND u.kept IS NULL{unless}
GROUP BY u.number
ON DUPLICATE KEY UPDATE kept = VALUES(kept), held = VALUES(held)"""

# A row of the eight tables that this undo deletes, or gives its old parent back, refers no longer.
_UNLESS_UNDONE = """
AND NOT EXISTS (
    SELECT 1 FROM `{tool_schema}`.undo AS c
    WHERE c.entity = '{child}' AND c.target_id = t.{key}{second} AND c.kept IS NULL
    AND (c.action = 'insert' OR JSON_EXISTS(c.was, '$.{column}'))
)"""


@dataclass(frozen=True)
class Reference:
    """A column that refers to one of the eight tables."""

    schema: str | None
    table: str
    column: str
    entity: Entity
    referenced: str

    @property
    def words(self) -> str:
        """How people call the column."""
        return f"{self.table}.{self.column}"

    def statement(self, ispyb: Ispyb) -> str:
        """Keeps the rows that the undo would delete and that this column refers to."""
        child = next((e for e in ENTITIES if e.table == self.table), None) if self.schema is None else None
        unless = ""
        if child is not None:
            unless = _UNLESS_UNDONE.format(
                tool_schema=ispyb.tool_schema,
                child=child.name,
                key=_quoted(child.primary_key),
                second=_also("c.second_id = t.{}", child),
                column=self.column,
            )
        return _KEEP.format(
            entity=self.entity.name,
            words=_text(self.words)[1:-1],
            tool_schema=ispyb.tool_schema,
            table=_quoted(self.entity.table),
            key=_quoted(self.entity.primary_key),
            second=_also("p.{} = u.second_id", self.entity),
            child=_quoted(self.table) if self.schema is None else f"{_quoted(self.schema)}.{_quoted(self.table)}",
            column=_quoted(self.column),
            referenced=_quoted(self.referenced),
            unless=unless,
        )


# These refer to each other whether or not a site has the foreign key: ESRF's Protein.personId has none.
_OWN = tuple((child, BY_NAME[parent]) for child in ENTITIES for parent in child.parents)


def references(ispyb: Ispyb) -> list[Reference]:
    """Every column that refers to one of the eight tables, as far as the account sees it (`sees_all`)."""
    found = [Reference(None, child.table, parent.primary_key, parent, parent.primary_key) for child, parent in _OWN]
    for where, table, column, parent, referenced, any_case in ispyb.connection.exec_driver_sql(_FOREIGN_KEYS, _TABLES):
        own = _BY_TABLE.get(table.lower()) if any_case and where == ispyb.schema else None
        child = table if own is None else own.table
        found.append(Reference(None if where == ispyb.schema else where, child, column, _BY_TABLE[parent], referenced))
    return list({(r.schema, r.words, r.entity.name): r for r in found}.values())


_UNIQUE = """
SELECT LOWER(TABLE_NAME), GROUP_CONCAT(LOWER(COLUMN_NAME) ORDER BY LOWER(COLUMN_NAME))
FROM information_schema.STATISTICS
WHERE
    TABLE_SCHEMA = DATABASE() AND TABLE_NAME IN %(tables)s AND NON_UNIQUE = 0
    AND (@@lower_case_table_names > 0 OR BINARY TABLE_NAME IN %(tables)s)
GROUP BY TABLE_NAME, INDEX_NAME
"""

_UNIQUE_FACTS = {
    "externalid": "unique(externalId)",
    "login": "unique(login)",
    "proposalcode,proposalnumber": "unique(proposalNumber)",
    "proposalid,visit_number": "unique(visit_number)",
    "personid,proposalid": "unique(personId)",
}
"""Sets of columns that may be unique, and what the conditions of sql/undo.sql call that."""


def unique_facts(connection: Connection) -> dict[str, frozenset[str]]:
    """By entity, which of its keys only one row may hold."""
    facts: dict[str, set[str]] = {entity.name: set() for entity in ENTITIES}
    for table, columns in connection.exec_driver_sql(_UNIQUE, _TABLES):
        if columns in _UNIQUE_FACTS:
            facts[_BY_TABLE[table].name].add(_UNIQUE_FACTS[columns])
    return {name: frozenset(names) for name, names in facts.items()}


_COLUMNS = """
SELECT LOWER(TABLE_NAME), COLUMN_NAME
FROM information_schema.COLUMNS
WHERE
    TABLE_SCHEMA = DATABASE() AND TABLE_NAME IN %(tables)s AND COLUMN_KEY <> 'PRI'
    AND (@@lower_case_table_names > 0 OR BINARY TABLE_NAME IN %(tables)s)
    AND (IS_NULLABLE = 'YES' OR COLUMN_DEFAULT IS NOT NULL)
    AND IS_GENERATED = 'NEVER' AND NVL(COLUMN_DEFAULT, '') NOT LIKE '%%(%%'
ORDER BY TABLE_NAME, ORDINAL_POSITION
"""

_KEEP_FILLED = """\
/* live.py keep_filled {entity} */ INSERT INTO `{tool_schema}`.undo (entity, number, kept, held)
SELECT u.entity, u.number, 'changed_since', CONCAT_WS(', ', {columns}) AS held
FROM `{tool_schema}`.undo AS u
STRAIGHT_JOIN {table} AS t ON t.{key} = u.target_id{second}
WHERE u.entity = '{entity}' AND u.action = 'insert' AND u.kept IS NULL
HAVING held <> ''
ON DUPLICATE KEY UPDATE kept = VALUES(kept), held = VALUES(held)"""


def fillings(ispyb: Ispyb) -> Iterator[tuple[Entity, str]]:
    """By entity, the statement that keeps inserted rows in which others have filled what a run never writes.

    Such a column still has its default; one whose default is an expression, as the time of the insert, tells nothing.
    """
    others: dict[str, list[str]] = {}
    for table, column in ispyb.connection.exec_driver_sql(_COLUMNS, _TABLES):
        entity = _BY_TABLE[table]
        parents = {parent.primary_key for child, parent in _OWN if child is entity}
        if column not in {*entity.columns, *entity.aliases.values(), *parents}:
            others.setdefault(entity.name, []).append(column)
    for entity in (entity for entity in ENTITIES if entity.name in others):
        columns = [
            f"IF(t.{_quoted(name)} <=> DEFAULT(t.{_quoted(name)}), NULL, {_text(name)})" for name in others[entity.name]
        ]
        statement = _KEEP_FILLED.format(
            entity=entity.name,
            tool_schema=ispyb.tool_schema,
            columns=", ".join(columns),
            table=_quoted(entity.table),
            key=_quoted(entity.primary_key),
            second=_also("t.{} = u.second_id", entity),
        )
        yield entity, statement


def _also(condition: str, entity: Entity) -> str:
    """The second part of a condition on rows that two columns name together."""
    return "" if entity.second_id is None else f" AND {condition.format(entity.second_id)}"


def sees_all(ispyb: Ispyb) -> bool:
    """Whether the account may read every table of ISPyB: information_schema hides a table from whoever may not."""
    return not rights.read(ispyb.connection).lacking(["SELECT"], ispyb.schema)


def _text(name: str) -> str:
    return "'" + name.replace("\\", "\\\\").replace("'", "''") + "'"


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"
