"""Writes the SQL that makes one row of two: all that refers to the one refers to the other, then the one goes.

What would collide is found beforehand: of a link that both have one goes, and two cards of one proposal become one in
the same way. Where something is added before the script runs, it stops at a unique key, and nothing is written.
"""

from collections.abc import Iterator

from sync.database.connection import Database, connected
from sync.mend.live import Column, Live, quoted, shown
from sync.model.entities import BY_NAME, ENTITIES, Entity
from sync.model.errors import UsageError
from sync.model.settings import Settings
from sync.model.text import counted

MERGED = tuple(entity.name for entity in ENTITIES if entity.merged)
"""What is typed in twice; all else has a row of ISPyB's own data behind it."""


def merge(name: str, keep: int, gone: int, database: Database, settings: Settings) -> str:
    """The script that moves what refers to row `gone` over to row `keep`, for a DBA to read and run.

    Raises UsageError where one of them is not there, DatabaseError where not all that refers to them can be seen.
    """
    if name not in MERGED:
        raise UsageError(f"{name} cannot be merged", hint=f"One of {', '.join(MERGED)}.")
    if keep == gone:
        raise UsageError(f"{keep} twice", hint="Give the id of the row that stays, then of the one that goes.")
    with connected(database, settings) as ispyb:
        script = _Merging(Live(ispyb), BY_NAME[name])
        return "\n".join([*_head(ispyb.called, script.entity, keep, gone), *script.lines(keep, gone), ""])


def _head(database: str, entity: Entity, keep: int, gone: int) -> Iterator[str]:
    key = entity.primary_key
    yield f"-- {database}: {key} {gone} is the same {entity.words} as {key} {keep}."
    yield "-- ispyb-sync has printed this and changed nothing. Read it, then run it in the mariadb client, which stops"
    yield "-- at the first error: then nothing is written."


class _Merging:
    """One script; `entity` is what its two rows are."""

    def __init__(self, live: Live, entity: Entity) -> None:
        self.entity = entity
        self._live = live

    def lines(self, keep: int, gone: int) -> Iterator[str]:
        entity = self.entity
        table, key = quoted(entity.table), quoted(entity.primary_key)
        stays, goes = self._live.row(entity, keep), self._live.row(entity, gone)
        filled = [name for name, value in stays.items() if value is None and goes[name] is not None]
        yield from self._both_rows(stays, goes)
        yield ""
        yield "START TRANSACTION;"
        yield f"SELECT * FROM {table} WHERE {key} IN ({keep}, {gone}) FOR UPDATE;"
        yield from self._moved(entity.table, entity.primary_key, keep, gone)
        yield ""
        if filled:
            names = ", ".join(map(quoted, filled))
            kept = ", ".join(f"@{quoted(name)}" for name in filled)
            yield f"-- What only {gone} has, {keep} receives once {gone} has gone."
            yield f"SELECT {names} INTO {kept} FROM {table} WHERE {key} = {gone};"
        yield f"DELETE FROM {table} WHERE {key} = {gone};"
        if filled:
            values = ", ".join(f"{quoted(name)} = NVL({quoted(name)}, @{quoted(name)})" for name in filled)
            yield f"UPDATE {table} SET {values} WHERE {key} = {keep};"
        yield "COMMIT;"
        if others := self._live.without_key(entity.table, entity.primary_key):
            yield f"-- Not moved, since no foreign key says what they refer to: {', '.join(others)}."

    def _both_rows(self, stays: dict[str, object], goes: dict[str, object]) -> Iterator[str]:
        yield "--"
        yield "-- What both rows hold:"
        for name, value in stays.items():
            other = goes[name]
            if value is None and other is None:
                continue
            if value == other:
                yield f"--   {name}: {shown(value)} in both"
            elif value is None:
                yield f"--   {name}: {shown(other)} is taken over"
            elif other is None or name == self.entity.primary_key:
                yield f"--   {name}: {shown(value)} stays"
            else:
                yield f"--   {name}: {shown(value)} stays, {shown(other)} is lost"

    def _moved(self, table: str, key: str, keep: int, gone: int) -> Iterator[str]:
        """What refers to a row of a table, moved; of what both have, the one of the row that goes is merged first."""
        for column in self._live.referring(table, key):
            yield ""
            yield f"-- {column.words}: {counted(self._live.count(column, gone), 'row')}"
            for others in self._live.others_of_unique(column):
                yield from self._collisions(column, others, keep, gone)
            name = quoted(column.name)
            yield f"UPDATE {column.sql} SET {name} = {keep} WHERE {name} = {gone};"

    def _collisions(self, column: Column, others: tuple[str, ...], keep: int, gone: int) -> Iterator[str]:
        name = quoted(column.name)
        same = " AND ".join(f"k.{quoted(other)} = t.{quoted(other)}" for other in others)
        both = f"{column.sql} AS t INNER JOIN {column.sql} AS k"
        joined = f"{both} ON {same} AND k.{name} = {keep} WHERE t.{name} = {gone}"
        primary = self._live.primary_key(column)
        numbered = column.own and len(primary) == 1 and primary[0] != column.name
        ids = [quoted(primary[0])] if numbered else list(map(quoted, others))
        pairs = self._live.select(f"SELECT {', '.join(f't.{i}, k.{i}' for i in ids)} FROM {joined}")
        if not pairs:
            return
        yield f"-- {counted(len(pairs), 'row')} would collide: {keep} has the same {', '.join(others)} already."
        if not numbered:
            yield f"DELETE t FROM {joined};"
            return
        for goes, stays in pairs:
            yield f"-- {column.table} {primary[0]} {goes} becomes {stays}, which stays as it is."
            yield from self._moved(column.table, primary[0], stays, goes)
            yield f"DELETE FROM {column.sql} WHERE {quoted(primary[0])} = {goes};"
