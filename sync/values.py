"""The kinds of plain values in a document: text, keys, numbers, flags, dates, external ids.

Nothing is guessed: a number where text is expected is an error, and so is text where a number is expected.
Lengths and ranges are not checked here; the live column decides them (see `sync.fit`).
"""

import re
from datetime import date, datetime
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, Field, PlainValidator, ValidationInfo, WithJsonSchema
from pydantic_core import PydanticCustomError

NULL_WORD = "None"
"""What some producers send as a phone number when they have none."""

_UUID = r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}|[0-9a-fA-F]{32}"
_DATE = (
    r"\d{4}-\d\d-\d\d"
    r"(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d(?::?\d\d(?::?\d\d)?)?)?)?"
)
_is_uuid = re.compile(_UUID).fullmatch
_is_date = re.compile(_DATE, re.ASCII).fullmatch


def _null_if_blank(text: str) -> str | None:
    """An empty key names nothing."""
    return None if not text or text.isspace() else text


def _not_blank(text: str) -> str:
    if not text or text.isspace():
        raise PydanticCustomError("blank", "a name is expected, not empty text")
    return text


def _null_if_word(text: str, info: ValidationInfo) -> str | None:
    """None for the word; counted by field in the `null_words` of the validation's context, if there is one."""
    if text != NULL_WORD:
        return text
    if info.context is not None:
        info.context["null_words"][info.field_name] += 1
    return None


def _external_id(value: object) -> bytes:
    """16 bytes, big-endian, of an integer or a UUID."""
    if type(value) is int:
        if 0 <= value < 1 << 128:
            return value.to_bytes(16, "big")
        raise PydanticCustomError("external_id_range", "the integer is not in 0 ... 2^128-1")
    if isinstance(value, UUID):
        return value.bytes
    if isinstance(value, str) and _is_uuid(value):
        return bytes.fromhex(value.replace("-", ""))
    raise PydanticCustomError("external_id", "an integer or a UUID is expected")


def _flag(value: object) -> int:
    if value is True or value is False:
        return int(value)
    if type(value) is int and -(1 << 63) <= value < 1 << 63:
        return value
    raise PydanticCustomError("flag", "true, false or a whole number is expected")


def _moment(value: object, info: ValidationInfo) -> datetime:
    """A date without fractions of a second.

    With a `timezone` in the validation's context, a date with an offset is converted to it and becomes naive.
    """
    text = value.isoformat() if isinstance(value, date) else value
    if not isinstance(text, str) or not _is_date(text):
        raise PydanticCustomError("date", "a date such as 2024-02-29T10:00:00+01:00 is expected")
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is not None and info.context is not None:
            moment = moment.astimezone(info.context["timezone"]).replace(tzinfo=None)
    except (ValueError, OverflowError):
        raise PydanticCustomError("no_such_date", "there is no such date") from None
    return moment.replace(microsecond=0) if moment.microsecond else moment


Text = str
Key = Annotated[str, AfterValidator(_null_if_blank)]
"""Text that names a thing; empty or blank counts as null."""

RequiredKey = Annotated[str, AfterValidator(_not_blank)]

Phone = Annotated[str, AfterValidator(_null_if_word)]

Integer = Annotated[int, Field(ge=-(1 << 63), le=(1 << 63) - 1)]

Decimal = Annotated[float, Field(allow_inf_nan=False)]

Flag = Annotated[int, PlainValidator(_flag), WithJsonSchema({"anyOf": [{"type": "boolean"}, {"type": "integer"}]})]

Moment = Annotated[datetime, PlainValidator(_moment), WithJsonSchema({"type": "string", "pattern": f"^{_DATE}$"})]

ExternalId = Annotated[
    bytes,
    PlainValidator(_external_id),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 0, "maximum": (1 << 128) - 1},
                {"type": "string", "pattern": f"^({_UUID})$"},
            ]
        }
    ),
]
