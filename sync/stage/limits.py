"""Whether a value fits the live column, decided before it is sent.

A server in strict mode would refuse the whole statement, one in any other mode would cut the value or write `?`.
So every value is checked here, against the limits that `sync.schema` has read from the live table. Whole numbers and
text are converted where the column is of the other kind and the conversion is exact.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sync.model.entities import Kind
from sync.schema.column import Column
from sync.schema.repertoire import Repertoire

Misfit = Callable[[Any], str | None]
"""Returns the refusal code of a value that does not fit, or None."""

AllFit = Callable[[Sequence[Any]], bool]
"""Whether each of one or more values fits."""

_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_NUMBER = re.compile("0|-?[1-9][0-9]{0,80}")
_MOST_OCTETS = 4
"""Of one letter, in any character set."""
_FLOAT_MAX = 3.4028234e38
_TIMESTAMP_FIRST = datetime(1970, 1, 2)
_TIMESTAMP_LAST = datetime(2038, 1, 18)


def converter(kind: Kind, column: Column) -> Callable[[Any], Any] | None:
    """Makes a value of a field fit a column of the other kind; what has no exact form is left as it is, and misfits."""
    if kind == "text" and column.kind == "number":
        return lambda value: int(value) if isinstance(value, str) and _NUMBER.fullmatch(value) else value
    if kind == "number" and column.kind == "text":
        return lambda value: value if value is None else str(int(value))
    return None


def misfit(column: Column, repertoires: Mapping[str, Repertoire]) -> Misfit:
    """The check of one column: value_too_long, value_not_encodable, value_not_allowed or value_out_of_range."""
    if column.members:
        return _enum(column)
    if column.kind == "text":
        return _text(column, repertoires[column.charset or ""])
    if column.bounds is not None:
        return _integer(*column.bounds)
    if column.type_name == "float":
        return lambda value: None if abs(value) <= _FLOAT_MAX else "value_out_of_range"
    if column.type_name == "timestamp":
        return lambda value: None if _TIMESTAMP_FIRST <= value <= _TIMESTAMP_LAST else "value_out_of_range"
    if column.type_name == "double":
        return lambda value: None if math.isfinite(value) else "value_out_of_range"
    return lambda value: None


def all_fit(column: Column, repertoires: Mapping[str, Repertoire]) -> AllFit:
    """A quick look at many values at once; where it is False, some may fit none the less."""
    if column.members:
        members = column.members
        return lambda values: all(value.casefold() in members for value in set(values))
    if column.kind == "text":
        return _texts(column, repertoires[column.charset or ""])
    if column.bounds is not None:
        low, high = column.bounds
        return lambda values: set(map(type, values)) <= {int, bool} and low <= min(values) and max(values) <= high
    is_misfit = misfit(column, repertoires)
    return lambda values: not any(map(is_misfit, values))


def _texts(column: Column, repertoire: Repertoire) -> AllFit:
    most = column.characters
    if column.octets is not None or repertoire.in_bytes:
        most = (column.octets or column.characters or 0) // _MOST_OCTETS

    def check(values: Sequence[str]) -> bool:
        if most is None or max(map(len, values)) > most:
            return False
        text = "".join(values)
        return text.isprintable() and repertoire.holds(text)

    return check


def _enum(column: Column) -> Misfit:
    members = column.members
    return lambda value: None if value.casefold() in members else "value_not_allowed"


def _integer(low: int, high: int) -> Misfit:
    def check(value: object) -> str | None:
        if not isinstance(value, int):
            return "value_not_allowed"
        return None if low <= value <= high else "value_out_of_range"

    return check


def _text(column: Column, repertoire: Repertoire) -> Misfit:
    characters = column.characters
    octets = column.octets
    if repertoire.in_bytes and octets is None:
        characters, octets = None, characters

    def check(value: str) -> str | None:
        if characters is not None and len(value) > characters:
            return "value_too_long"
        if not value.isprintable() and _CONTROL.search(value):
            return "value_not_allowed"
        if not repertoire.holds(value):
            return "value_not_encodable"
        return "value_too_long" if octets is not None and repertoire.octets(value) > octets else None

    return check
