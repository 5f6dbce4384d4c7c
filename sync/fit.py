"""Whether a value fits the live column, decided before it is sent.

A server in strict mode would refuse the whole statement, one in any other mode would cut the value or write `?`.
So every value is checked here, against the limits that `sync.target` read from the live table.
"""

import math
import re
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from sync.errors import DatabaseError
from sync.target import Column

Misfit = Callable[[Any], str | None]
"""Returns the refusal code of a value that does not fit, or None."""

AllFit = Callable[[Sequence[Any]], bool]
"""Whether each of one or more values fits."""

_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_FLOAT_MAX = 3.4028234e38
_TIMESTAMP_FIRST = datetime(1970, 1, 2)
_TIMESTAMP_LAST = datetime(2038, 1, 18)

# MariaDB's names of character sets and Python's codecs. MariaDB's latin1 is the Windows code page.
_CODECS = {
    "latin1": "cp1252",
    "latin2": "iso8859_2",
    "latin5": "iso8859_9",
    "latin7": "iso8859_13",
    "ascii": "ascii",
    "greek": "iso8859_7",
    "hebrew": "iso8859_8",
    "cp1250": "cp1250",
    "cp1251": "cp1251",
    "cp1256": "cp1256",
    "cp1257": "cp1257",
    "koi8r": "koi8_r",
    "koi8u": "koi8_u",
    "utf8": "utf_8",
    "utf8mb3": "utf_8",
    "utf8mb4": "utf_8",
}


def misfit(column: Column) -> Misfit:
    """The check of one column: value_too_long, value_not_encodable, value_not_allowed or value_out_of_range."""
    if column.members:
        return _enum(column)
    if column.charset is not None:
        return _text(column)
    if column.bounds is not None:
        return _integer(*column.bounds)
    if column.type_name == "float":
        return lambda value: None if abs(value) <= _FLOAT_MAX else "value_out_of_range"
    if column.type_name == "timestamp":
        return lambda value: None if _TIMESTAMP_FIRST <= value <= _TIMESTAMP_LAST else "value_out_of_range"
    if column.type_name == "double":
        return lambda value: None if math.isfinite(value) else "value_out_of_range"
    return lambda value: None


def all_fit(column: Column) -> AllFit:
    """A quick look at many values at once; where it is False, some may fit none the less."""
    if column.members:
        members = column.members
        return lambda values: all(value.casefold() in members for value in set(values))
    if column.charset is not None:
        return _texts(column)
    if column.bounds is not None:
        low, high = column.bounds
        return lambda values: low <= min(values) and max(values) <= high
    is_misfit = misfit(column)
    return lambda values: not any(map(is_misfit, values))


def _texts(column: Column) -> AllFit:
    characters = column.characters
    codec = _CODECS[column.charset or ""]

    def check(values: Sequence[str]) -> bool:
        if characters is None or column.charset in ("utf8", "utf8mb3") or len(max(values, key=len)) > characters:
            return False
        text = "".join(values)
        if not text.isprintable():
            return False
        try:
            return text.isascii() or bool(text.encode(codec))
        except UnicodeEncodeError:
            return False

    return check


def _enum(column: Column) -> Misfit:
    members = column.members
    return lambda value: None if value.casefold() in members else "value_not_allowed"


def _integer(low: int, high: int) -> Misfit:
    return lambda value: None if low <= value <= high else "value_out_of_range"


def _text(column: Column) -> Misfit:
    characters = column.characters
    octets = column.octets
    codec = _CODECS.get(column.charset or "")
    if codec is None:
        raise DatabaseError(
            f"column {column.name} has the character set {column.charset}, which this tool does not know",
            hint="Convert the column to utf8mb4 or latin1, or leave the field out of the export.",
        )
    basic_plane_only = column.charset in ("utf8", "utf8mb3")

    def check(value: str) -> str | None:
        if characters is not None and len(value) > characters:
            return "value_too_long"
        if value.isascii():
            if not value.isprintable() and _CONTROL.search(value):
                return "value_not_allowed"
            return "value_too_long" if octets is not None and len(value) > octets else None
        if not value.isprintable() and _CONTROL.search(value):
            return "value_not_allowed"
        try:
            encoded = value.encode(codec)
        except UnicodeEncodeError:
            return "value_not_encodable"
        if basic_plane_only and max(value) > "\uffff":
            return "value_not_encodable"
        return "value_too_long" if octets is not None and len(encoded) > octets else None

    return check
