"""What `sync.check.unused_columns` finds, on a terminal and as CSV; values of the database are made safe to show."""

from dataclasses import astuple, fields
from itertools import groupby
from pathlib import Path

from rich.console import Console
from rich.text import Text

from sync.check.unused_columns import CAVEAT, Columns, Key, Use
from sync.model.refusals import printable, refused_value
from sync.model.text import counted
from sync.show.sheets import write_sheet


def write_columns(found: Columns, folder: Path) -> None:
    """Writes columns.csv and keys.csv."""
    uses = ((*astuple(use), use.written, use.drop) for use in found.uses)
    write_sheet(folder / "columns.csv", (*(f.name for f in fields(Use)), "written", "drop"), uses)
    write_sheet(folder / "keys.csv", tuple(f.name for f in fields(Key)), map(astuple, found.keys))


def show_columns(found: Columns, console: Console) -> None:
    """Prints, of each table, the columns that are not in use, and the deprecated keys."""
    for table, uses in groupby(found.uses, key=lambda use: use.table):
        _show_table(table, list(uses), console)
    console.print(Text("deprecated keys", style="bold"))
    for key in found.keys:
        needed = f"needed by {counted(key.needed, 'row')} without an externalId" if key.needed else "no row needs it"
        console.print(Text(f"  {key.table}.{key.column}: in {counted(key.filled, 'row')}; {needed}"), soft_wrap=True)
        _show_drop(key.drop, console)
    if not found.keys:
        console.print(Text("  none is there"))
    console.print(Text(CAVEAT), soft_wrap=True)


def _show_table(table: str, uses: list[Use], console: Console) -> None:
    first = uses[0]
    dated = f"dated by {first.dated_by}, the newest {first.newest}" if first.newest else "no dates"
    console.print(Text(f"{table} ({counted(first.rows, 'row')}; {dated})", style="bold"))
    if not first.rows:
        return
    for finding in ("no value", "one value", "none since"):
        for use in uses:
            if use.finding == finding:
                console.print(Text(f"  {_line(use)}"), soft_wrap=True)
                _show_drop(use.drop, console)
    if not any(use.finding for use in uses):
        console.print(Text("  every column is in use"))


def _show_drop(statement: str | None, console: Console) -> None:
    if statement is not None:
        console.print(Text(f"    {printable(statement)};", style="dim"), soft_wrap=True)


def _line(use: Use) -> str:
    null = "" if use.nullable else ", NOT NULL"
    written = "; the sync writes it" if use.written else ""
    head = f"{use.finding:10}  {printable(use.column)} ({printable(use.type)}{null}{written})"
    match use.finding:
        case "one value":
            value = "" if use.value is None else f" {refused_value(use.value)!r}"
            return f"{head}:{value} in {counted(use.filled, 'row')}"
        case "none since":
            return f"{head}: {use.last}; in {counted(use.filled, 'row')}"
        case _:
            return head
