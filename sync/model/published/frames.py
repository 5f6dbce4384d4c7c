"""A report as pandas tables: a row is one changed column of one row, or one refusal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from sync.model.entities import BY_NAME
from sync.model.errors import UsageError

if TYPE_CHECKING:  # pandas takes 0.3 s to load, which most commands need not wait for; a report comes before its tables
    import pandas as pd

    from sync.model.report import Change, Report

CHANGE_COLUMNS = ("run", "entity", "id", "action", "adopted", "proposal", "key", "column", "old", "new")
REFUSAL_COLUMNS = ("run", "entity", "code", "document", "proposal", "path", "field", "value", "message", "cause")

Cells = tuple[Any, ...]


def changes(report: Report, entity: str) -> pd.DataFrame:
    """The changes of one entity that the report holds. Raises UsageError where there is no such entity."""
    if entity not in BY_NAME:
        raise UsageError(f"{entity!r} is no entity", hint=f"One of {', '.join(BY_NAME)}.")
    mine = (change for change in report.changes if change.entity == entity)
    return table(CHANGE_COLUMNS, [cells for change in mine for cells in change_rows(report.run, change)])


def refusals(report: Report) -> pd.DataFrame:
    """The refusals."""
    rows = [refusal.to_dict() for refusal in report.refusals]
    return table(REFUSAL_COLUMNS, [(report.run, *(row[name] for name in REFUSAL_COLUMNS[1:])) for row in rows])


def table(columns: tuple[str, ...], rows: list[Any]) -> pd.DataFrame:
    """A table whose values stay as they are: else 7 beside null becomes 7.0."""
    import pandas as pd

    return pd.DataFrame(rows, columns=list(columns), dtype=object)


def change_rows(run: int | None, change: Change) -> Iterator[Cells]:
    """One for each column that is changed; one without a column for a link, which has none of its own."""
    row = (run, change.entity, change.id, change.action, change.adopted, change.proposal, change.key)
    for name, value in change.fields.items():
        yield (*row, name, value["old"], value["new"])
    if not change.fields:
        yield (*row, None, None, None)
