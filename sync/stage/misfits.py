"""Refuses what does not fit the live columns (see `sync.stage.limits`), also not composed; the rest of its row goes on.

A key that does not fit refuses the row, which is then staged without it, so that what hangs on the row is refused too.
Values are looked at by the column, which is much quicker than one by one.
"""

import unicodedata
from collections.abc import Callable

from sync.model.entities import Entity
from sync.model.refusals import NO_COLUMN, VALUE_REFUSED, Refusal, told
from sync.model.text import printable
from sync.stage.columns import Columns, Field, Fields, Row, given
from sync.stage.shapes import FIELD_OF_LINK

ROW_REFUSED = "the row is refused"
"""What becomes of a row in which a key does not fit."""
NEW = "'NEW VALUE'"
"""In an ALTER, the place of a value: a message has none that may be masked, or is long."""


class Fitting:
    """Looks at the rows of all entities; `labels` is how the proposals of their documents are called, by number."""

    def __init__(self, fields: dict[str, Fields], refuse: Callable[[Refusal], None]) -> None:
        self.labels: dict[int, str | None] = {}
        self._fields = fields
        self._refuse = refuse

    def columns(self, entity: Entity, columns: Columns) -> Columns:
        """The columns without the values that do not fit."""
        fields = self._fields[entity.name]
        for place, convert in fields.converted:
            columns[place] = list(map(convert, columns[place]))
        for place in fields.suspects(columns):
            row = self._fitting_row(entity, tuple(column[place] for column in columns))
            for column, value in zip(columns, row, strict=True):
                column[place] = value
        return columns

    def row(self, entity: Entity, row: Row) -> Row:
        """A row less the values that do not fit, which are refused."""
        fields = self._fields[entity.name]
        return self._fitting_row(entity, fields.convert(row) if fields.converted else row)

    def _fitting_row(self, entity: Entity, row: Row) -> Row:
        fields = self._fields[entity.name]
        row_id, position, number, path, refused, _, _, *between = row[: fields.before]
        if refused is not None:
            return row
        place = f"{path}.{name}" if (name := FIELD_OF_LINK.get(entity.name)) else path
        values, refused, contradicts, unfit = self._fitting(entity, fields, row[fields.before :], number, place)
        return (row_id, position, number, path, refused, contradicts, unfit, *between, *values)

    def _fitting(
        self, entity: Entity, fields: Fields, values: Row, number: int, path: str
    ) -> tuple[Row, str | None, str | None, int | None]:
        """The values that fit, None for the others; the code that refuses the row, or None; a field of which a new row
        would get a default that contradicts the document, or None; 1 if a value did not
        fit, or None."""
        left = list(map(given, values))
        refused = contradicts = None
        unfit = None
        for place, field in enumerate(fields.all):
            value = left[place]
            code = None if value is None else field.misfit(value)
            if code is not None and (composed := _composed(field, value)) is not None:
                left[place] = composed
            elif code is not None and field.left:
                left[place] = None
            elif code is not None:
                self._refuse_value(entity, field, value, code, number, path)
                if field.is_key or field.required:
                    refused = refused or code
                elif field.contradicts and value != "":  # which says nothing that a default could contradict
                    contradicts = contradicts or field.name
                left[place] = None
                unfit = 1
        if refused is None and not fields.may_be_nameless and all(left[place] is None for place in fields.names):
            refused = "invalid_document"
            self._refuse_nameless(entity, number, path)
        return tuple(left), refused, contradicts, unfit

    def _refuse_value(self, entity: Entity, field: Field, value: object, code: str, number: int, path: str) -> None:
        whole = ROW_REFUSED if field.is_key or field.required else VALUE_REFUSED
        remedy = f"Correct it in the User Portal{_or_alter(field, value, code)}."
        message = f"{_reason(field, value, code)}{field.limit}; {whole}. {remedy}"
        label = self.labels[number]
        self._refuse(
            Refusal(entity.name, code, number, label, f"{path}.{field.name}", field.name, told(value), message)
        )

    def _refuse_nameless(self, entity: Entity, number: int, path: str) -> None:
        usable = " or ".join(field.name for field in self._fields[entity.name].all if field.is_name)
        message = f"it has no identifier {NO_COLUMN}; give {usable}."
        self._refuse(Refusal(entity.name, "invalid_document", number, self.labels[number], path, None, None, message))


def _reason(field: Field, value: object, code: str) -> str:
    """What is wrong; of a letter, which one it is, and at which place of the text, counted from 1."""
    if code == "value_not_encodable":
        for place, letter in enumerate(str(value), start=1):
            if field.misfit(letter):
                shown = f"{printable(letter)!r} (U+{ord(letter):04X})"
                return f"letter {place} is {shown}, which {field.column.charset} cannot store"
    return _REASONS[code]


def _or_alter(field: Field, value: object, code: str) -> str:
    """How the column could hold the value, as a DBA would write it; nothing where no type would do."""
    column = field.column
    if code == "value_not_encodable" and column.charset != "utf8mb4":
        wider = f"{column.column_type} CHARACTER SET utf8mb4"
    elif code == "value_too_long" and column.type_name == "varchar":
        wider = f"varchar({len(str(value))}) CHARACTER SET {column.charset}"
    elif code == "value_not_allowed" and column.type_name == "enum" and isinstance(value, str) and value:
        wider = f"{column.column_type[:-1]},{NEW}) CHARACTER SET {column.charset}"
    else:
        return ""
    words = [f"ALTER TABLE {field.table} MODIFY {column.name} {wider}", "NULL" if column.nullable else "NOT NULL"]
    if column.has_default:
        words.append(f"DEFAULT {column.default}")
    if column.comment:
        words.append("COMMENT '" + column.comment.replace("\\", "\\\\").replace("'", "''") + "'")
    return f", or let the column hold it: {' '.join(words)}"


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
