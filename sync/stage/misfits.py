"""Refuses what does not fit the live columns (see `sync.stage.limits`), also not composed; the rest of its row goes on.

A key that does not fit refuses the row, which is then staged without it, so that what hangs on the row is refused too.
Values are looked at by the column, which is much quicker than one by one.
"""

import unicodedata
from collections.abc import Callable

from sync.model.entities import Entity
from sync.model.refusals import Refusal, refused_value
from sync.model.text import printable
from sync.stage.columns import Columns, Field, Fields, Row, columns_of, given
from sync.stage.shapes import FIELD_OF_LINK

ROW_REFUSED, VALUE_REFUSED = "the row is refused", "the column keeps what it has"
"""What becomes of a row in which a value does not fit."""


class Fitting:
    """Looks at the rows of all entities; `labels` is how the proposals of their documents are called, by number."""

    def __init__(self, fields: dict[str, Fields], refuse: Callable[[Refusal], None]) -> None:
        self.labels: dict[int, str | None] = {}
        self._fields = fields
        self._refuse = refuse

    def columns(self, entity: Entity, rows: list[Row]) -> Columns:
        """The rows as columns, without the values that do not fit."""
        fields = self._fields[entity.name]
        if fields.converted:
            rows = [fields.convert(row) for row in rows]
        columns = columns_of(rows)
        suspects = fields.suspects(columns)
        for place in suspects:
            rows[place] = self._fitting_row(entity, rows[place])
        return columns_of(rows) if suspects else columns

    def row(self, entity: Entity, row: Row) -> Row:
        """A row less the values that do not fit, which are refused."""
        fields = self._fields[entity.name]
        return self._fitting_row(entity, fields.convert(row) if fields.converted else row)

    def _fitting_row(self, entity: Entity, row: Row) -> Row:
        fields = self._fields[entity.name]
        row_id, position, number, path, refused, _, *between = row[: fields.before]
        if refused is not None:
            return row
        place = f"{path}.{name}" if (name := FIELD_OF_LINK.get(entity.name)) else path
        values, refused, contradicts = self._fitting(entity, fields, row[fields.before :], number, place)
        return (row_id, position, number, path, refused, contradicts, *between, *values)

    def _fitting(
        self, entity: Entity, fields: Fields, values: Row, number: int, path: str
    ) -> tuple[Row, str | None, str | None]:
        """The values that fit, None for the others; the code that refuses the row, or None; a field of which a new row
        would get a default that contradicts the document, or None."""
        left = list(map(given, values))
        refused = contradicts = None
        for place, field in enumerate(fields.all):
            value = left[place]
            code = None if value is None else field.misfit(value)
            if code is not None and (composed := _composed(field, value)) is not None:
                left[place] = composed
            elif code is not None:
                self._refuse_value(entity, field, value, code, number, path)
                if field.is_key or field.required:
                    refused = refused or code
                elif field.contradicts and value != "":  # which says nothing that a default could contradict
                    contradicts = contradicts or field.name
                left[place] = None
        if refused is None and not fields.may_be_nameless and all(left[place] is None for place in fields.names):
            refused = "invalid_document"
            self._refuse_nameless(entity, number, path)
        return tuple(left), refused, contradicts

    def _refuse_value(self, entity: Entity, field: Field, value: object, code: str, number: int, path: str) -> None:
        whole = ROW_REFUSED if field.is_key or field.required else VALUE_REFUSED
        reason = _REASONS[code]
        if code == "value_not_encodable" and (letter := next(filter(field.misfit, str(value)), None)):
            reason = f"contains {printable(letter)!r} (U+{ord(letter):04X}), which {field.charset} cannot store"
        message = f"{reason}{field.limit}; {whole}. Correct it in the User Portal."
        label = self.labels[number]
        self._refuse(
            Refusal(entity.name, code, number, label, f"{path}.{field.name}", field.name, refused_value(value), message)
        )

    def _refuse_nameless(self, entity: Entity, number: int, path: str) -> None:
        usable = ", ".join(field.name for field in self._fields[entity.name].all if field.is_name)
        message = f"no key that this database can match by. Give one of: {usable}."
        self._refuse(Refusal(entity.name, "invalid_document", number, self.labels[number], path, None, None, message))


def _composed(field: Field, value: object) -> str | None:
    """Text with its accents composed (NFC), if so it fits: macOS and some portals write é as two letters."""
    if not isinstance(value, str):
        return None
    text = unicodedata.normalize("NFC", value)
    return text if text != value and field.misfit(text) is None else None


_REASONS = {
    "value_too_long": "longer than the column",
    "value_not_encodable": "contains a letter that the column cannot store",
    "value_not_allowed": "not a value that the column takes",
    "value_out_of_range": "out of the column's range",
}
