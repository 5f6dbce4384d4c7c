"""A report as CSV files for a spreadsheet: one file per entity, refusals.csv, and vanished.csv.

A row is one changed column: run, entity, id, action, adopted, proposal, key, column, old, new. A link has no
columns of its own, so its row has none either. Null is an empty cell.

A spreadsheet takes a cell for a formula by its first character. Text that begins with one of them gets an
apostrophe in front, as OWASP advises; a number stays a number. Nothing else in the folder is touched.
"""

from collections import defaultdict
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

from sync.history.order import in_order, refusals_in_order, vanished_in_order
from sync.model.entities import ENTITIES
from sync.model.published.frames import CHANGE_COLUMNS, REFUSAL_COLUMNS, Cells, change_rows, table
from sync.model.report import Change, Report

VANISHED_COLUMNS = ("run", "entity", "id", "key", "proposal", "externalId")
FORMULA = tuple("=+-@\t\r\n＝＋－＠")
"""Characters that make a formula of a cell, also as wide as Asian letters."""
_ROWS_AT_ONCE = 50_000


def write_sheets(report: Report, folder: Path) -> None:
    """Writes a file for each entity, with its heading alone where nothing changes, so that no old file stays."""
    by_entity: dict[str, list[Change]] = defaultdict(list)
    for change in in_order(report.changes):
        by_entity[change.entity].append(change)
    for entity in ENTITIES:
        rows = (row for change in by_entity[entity.name] for row in change_rows(report.run, change))
        write_sheet(folder / f"{entity.name}.csv", CHANGE_COLUMNS, rows)
    refusals = (
        (report.run, *(refusal.to_dict() | {"cause": refusal.cause and str(refusal.cause)}).values())
        for refusal in refusals_in_order(report.refusals)
    )
    write_sheet(folder / "refusals.csv", REFUSAL_COLUMNS, refusals)
    vanished = ((report.run, *thing.to_dict().values()) for thing in vanished_in_order(report.vanished or ()))
    write_sheet(folder / "vanished.csv", VANISHED_COLUMNS, vanished)


def write_sheet(path: Path, columns: tuple[str, ...], rows: Iterable[Cells]) -> None:
    """Writes one CSV file in UTF-8, its lines ended as RFC 4180 says; many rows go in slices."""
    with path.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
        waiting, header = iter(rows), True
        while (slice_ := list(islice(waiting, _ROWS_AT_ONCE))) or header:
            cells = [[harmless(cell) for cell in row] for row in slice_]
            frame = table(columns, cells)
            # Either sign of a line's end is quoted where it stands in a cell.
            frame.to_csv(file, header=header, index=False, lineterminator="\r\n")
            header = False


def harmless(cell: object) -> object:
    """A cell that no spreadsheet takes for a formula."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA) else cell
