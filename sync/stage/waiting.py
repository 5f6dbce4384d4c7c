"""Rows of one entity that wait to be loaded, kept by the column: most of an export are such rows.

What few rows have, a refusal or a null that empties a column, is kept by the place of the row.
"""

from collections.abc import Sequence

from sync.stage.columns import Columns, Row, columns_of


class Waiting:
    """The columns of rows in the order of `Table.staged_columns`; `references` is how many rows each points at."""

    def __init__(self, references: int) -> None:
        self._references = references
        self._begin()

    def _begin(self) -> None:
        self._row_ids: list[int] = []
        self._positions: list[int] = []
        self._documents: list[int] = []
        self._paths: list[str] = []
        self._refused: dict[int, str] = {}
        self._clears: dict[int, str] = {}
        self._ends: list[list[int | None]] = [[] for _ in range(self._references)]
        self._values: list[Row] = []

    def __len__(self) -> int:
        return len(self._row_ids)

    def add(
        self,
        first_id: int,
        first_position: int,
        document: int,
        paths: Sequence[str],
        references: Sequence[Sequence[int | None]],
        values: Sequence[Row],
        clears: Sequence[str],
        refused: str | None,
    ) -> None:
        """Rows of one document, numbered from the first on; `references` by the column, `refused` is of all of them."""
        many = len(paths)
        if any(clears):
            self._clears.update((n, names) for n, names in enumerate(clears, start=len(self._paths)) if names)
        if refused is not None:
            self._refused.update(dict.fromkeys(range(len(self._paths), len(self._paths) + many), refused))
        self._row_ids.extend(range(first_id, first_id + many))
        self._positions.extend(range(first_position, first_position + many))
        self._documents.extend([document] * many)
        self._paths.extend(paths)
        for column, rows in zip(self._ends, references, strict=True):
            column.extend(rows)
        self._values.extend(values)

    def take(self) -> Columns:
        """All that waits, what is absent as None; from now on nothing does."""
        many = len(self._row_ids)
        nothing = [None] * many
        columns: Columns = [
            self._row_ids,
            self._positions,
            self._documents,
            self._paths,
            _by_place(many, None, self._refused),
            nothing,
            nothing.copy(),
            _by_place(many, "", self._clears),
            *self._ends,
            *columns_of(self._values),
        ]
        self._begin()
        return columns


def _by_place(many: int, usual: str | None, others: dict[int, str]) -> list[str | None]:
    column = [usual] * many
    for place, value in others.items():
        column[place] = value
    return column
