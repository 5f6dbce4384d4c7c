"""Compares expected rows with those of a database, and shows the difference as two small tables."""

import re
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

from support.cases import ANY, Rows, encode_id
from support.databases import Ispyb, Row, Snapshot
from support.variants import TABLES

# The columns by which a table refers to another; `$login:x` under one of them is a row of that table.
_REFERS = {
    "laboratoryId": "Laboratory",
    "personId": "Person",
    "proposalId": "Proposal",
    "sessionId": "BLSession",
    "proteinId": "Protein",
    "labContactId": "LabContact",
    "sendingLabContactId": "LabContact",
    "returnLabContactId": "LabContact",
}


class Unresolved(Exception):
    """A reference such as `$login:x` that names no row, or several."""


def insert_given(ispyb: Ispyb, given: Rows) -> None:
    """Insert the rows of a case; a column that the variant lacks is left out."""
    order = [*TABLES.values(), *given]
    for table in sorted(given, key=order.index):
        for row in given[table]:
            values = _translate(ispyb, table, row)
            with ispyb.engine.begin() as connection:
                ispyb.insert(connection, table, values)


def compare(ispyb: Ispyb, table: str, expected: list[dict[str, Any]]) -> str:
    """Compare a table with the expected rows as multisets, by the columns that a row names; '' if equal."""
    try:
        wanted = [_translate(ispyb, table, row) for row in expected]
    except Unresolved as error:
        return f"{table}: {error}"
    found = ispyb.rows(table)
    partners = match(wanted, found)
    if len(wanted) == len(found) == len(partners):
        return ""
    columns = list(dict.fromkeys(name for row in wanted for name in row)) or list(found[0])
    kept = set(partners.values())
    return "\n".join(
        [
            f"{table}: rows expected {len(wanted)}, found {len(found)}",
            *_table(columns, [("" if i in partners else "-", row) for i, row in enumerate(wanted)]),
            "  in the database:",
            *_table(columns, [("" if i in kept else "+", row) for i, row in enumerate(found)]),
        ]
    )


def fits(wanted: Row, row: Row) -> bool:
    """Tell whether a row has the values that a wanted row names."""
    return all(_same(value, row[name]) for name, value in wanted.items())


def match(wanted: Sequence[Row], found: Sequence[Row], fits: Callable[[Row, Row], bool] = fits) -> dict[int, int]:
    """Pair as many wanted rows as possible with found ones, each used once: index → index."""
    partner: dict[int, int] = {}  # of a found row

    def place(i: int, tried: set[int]) -> bool:
        for j, row in enumerate(found):
            if j not in tried and fits(wanted[i], row):
                tried.add(j)
                if j not in partner or place(partner[j], tried):
                    partner[j] = i
                    return True
        return False

    for i in range(len(wanted)):
        place(i, set())
    return {i: j for j, i in partner.items()}


def changes(before: Snapshot, after: Snapshot) -> Iterator[str]:
    """Say where two snapshots differ: counters, and the rows that went (-) and came (+)."""
    for table, (counter, rows) in before.items():
        counter_after, rows_after = after[table]
        if counter != counter_after:
            yield f"{table} AUTO_INCREMENT {counter} → {counter_after}"
        partners = match(rows, rows_after)
        gone = [("-", row) for i, row in enumerate(rows) if i not in partners]
        come = [("+", row) for j, row in enumerate(rows_after) if j not in set(partners.values())]
        if gone or come:
            identity, *rest = (gone + come)[0][1]
            telling = [name for name in rest if len({str(row[name]) for _, row in gone + come}) > 1]
            yield "\n".join([table, *_table([identity, *telling], gone + come)])


def _same(wanted: object, found: object) -> bool:
    """Compare a value of a case with one of the database; a date is its text, so is a number there."""
    if wanted is None or found is None or wanted == ANY:
        return wanted is found if wanted != ANY else found is not None
    if isinstance(found, int | float | Decimal):
        return isinstance(wanted, int | float) and float(wanted) == float(found)
    return wanted == found if isinstance(found, bytes) else str(wanted) == str(found)


def _translate(ispyb: Ispyb, table: str, row: dict[str, Any]) -> Row:
    """Write a row of a case as the database does: the variant's column names, bytes for externalId, ids."""
    values: Row = {}
    for name, value in row.items():
        column = ispyb.column(table, name)
        if column is None:
            continue
        reference = re.fullmatch(r"\$(\w+):(.*)", value) if isinstance(value, str) else None
        if reference and name in _REFERS:
            value = _find(ispyb, _REFERS[name], *reference.groups())
        elif name == "externalId" and value != ANY:
            value = encode_id(value)
        values[column] = value
    return values


def _find(ispyb: Ispyb, table: str, key: str, text: str) -> int:
    """Find the id of the one row that a reference names."""
    name = ispyb.column(table, "externalId" if key == "ext" else key)
    if name is None:
        raise Unresolved(f"${key}:{text}: {table} has no column {key}")
    value = encode_id(int(text) if text.isdigit() else text) if name == "externalId" else text
    primary = next(column for column, parent in _REFERS.items() if parent == table)
    with ispyb.engine.connect() as connection:
        statement = f"SELECT `{primary}` FROM `{table}` WHERE `{name}` = %s"
        found = connection.exec_driver_sql(statement, (value,)).scalars().all()
    if len(found) != 1:
        raise Unresolved(f"${key}:{text} names {len(found)} rows of {table}")
    return int(found[0])


def _table(columns: list[str], rows: list[tuple[str, Row]]) -> Iterator[str]:
    """Align rows under their column names; the mark in front says which have no partner."""
    lines = [["", *columns], *([mark, *(_show(row.get(name, "")) for name in columns)] for mark, row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(columns) + 1)]
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, [1, *widths[1:]], strict=True))
        yield ("  " + " ".join([next(cells), "  ".join(cells)])).rstrip()


def _show(value: object) -> str:
    """Write a value as a case would."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, bytes):
        number = int.from_bytes(value, "big")
        return str(number) if number < 2**64 or len(value) != 16 else str(UUID(bytes=value))
    text = str(value)
    if isinstance(value, str) and (text != text.strip() or re.fullmatch(r"null|true|false|-?[\d.]+", text)):
        text = f'"{text}"'
    return text if len(text) <= 40 else f"{text[:39]}…"
