"""One line each: a refusal, a place in an export, a change; and whether a table is to be one line a row."""

from rich.console import Console
from rich.table import Table

from sync.model.refusals import Example, Refusal, as_json, printable, refused_value
from sync.model.report import Change

_ANY_WIDTH = 10_000


def fits(table: Table, console: Console) -> bool:
    """Whether a table can be drawn without a break in a cell."""
    return console.measure(table, options=console.options.update(width=_ANY_WIDTH)).maximum <= console.width


def refusal_line(refusal: Refusal) -> str:
    """A refusal with its place."""
    return f"{place_line(refusal)}: {printable(refusal.message)}"


def waits_line(rows: int) -> str:
    """What hangs on a refusal; nothing where nothing does."""
    if not rows:
        return ""
    return " 1 row waits for it." if rows == 1 else f" {rows:,} rows wait for it."


def place_line(thing: Refusal | Example) -> str:
    value = "" if thing.value is None else f" = {as_json(thing.value)}"
    of_row = thing.document is None  # which the path names, and no place in an export
    where = thing.path if of_row else f"document {thing.document}"
    if thing.proposal:
        where += f" ({refused_value(thing.proposal)})"
    if thing.path and not of_row:
        where += f" {printable(thing.path)}"
    return f"{where}{value}"


def change_line(change: Change) -> str:
    """A change with what it changes."""
    number = "" if change.id is None else f" {change.id}"
    key = "" if change.key is None else f" {refused_value(change.key)}"
    proposal = f" [{refused_value(change.proposal)}]" if change.proposal else ""
    head = f"{change.kind}{number}{key}{proposal}"
    values = [_field(change.action, name, **value) for name, value in change.fields.items()]
    values = [value for value in values if value]
    return f"{head}: {', '.join(values)}" if values else head


def _field(action: str, name: str, old: object, new: object) -> str:
    """One column: what a new row gets, what a deleted one had, or both values."""
    match action:
        case "insert":
            return "" if new is None else f"{name} {refused_value(new)}"
        case "delete":
            return "" if old is None else f"{name} {refused_value(old)}"
        case _:
            return f"{name} {refused_value(old)} -> {refused_value(new)}"
