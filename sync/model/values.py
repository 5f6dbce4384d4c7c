"""The kinds of plain values in a document: text, keys, numbers, flags, dates, external ids.

Nothing is guessed: a number where text is expected is an error, and so is text where a number is expected.
Lengths and ranges are not checked here; the live column decides them (see `sync.stage.limits`).
"""

import re
from collections.abc import Collection
from datetime import date, datetime
from itertools import product
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, Field, GetCoreSchemaHandler, PlainValidator, ValidationInfo, WithJsonSchema
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

NULL_WORD = "None"
"""What some producers send as a phone number when they have none."""

_WORDS = ("none", "null", "nan", "n/a", "undefined")
NULL_WORDS = frozenset(
    "".join(letters) for word in _WORDS for letters in product(*zip(word, word.upper(), strict=True))
) - {"Nan"}
"""What programs write for nothing, in any case. Nan is a name of people and of a city; NA and nil may be ones too."""

_UUID = r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}|[0-9a-fA-F]{32}"
_DATE = (
    r"\d{4}-\d\d-\d\d"
    r"(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d(?::?\d\d(?::?\d\d)?)?)?)?"
)
_is_uuid = re.compile(_UUID).fullmatch
_is_date = re.compile(_DATE, re.ASCII).fullmatch


def _key(text: str) -> str | None:
    """An empty key names nothing; a word for nothing would make one thing of many."""
    name = text.strip()
    if not name:
        return None
    if name in NULL_WORDS:
        raise PydanticCustomError("null_word", "a word that stands for nothing names nothing")
    return text


def _required_key(text: str) -> str:
    if _key(text) is None:
        raise PydanticCustomError("blank", "a name is expected, not empty text")
    return text


def _note(value: object, info: ValidationInfo) -> None:
    """Puts an odd value into the `odd` of the validation's context, if there is one."""
    if info.context is not None:
        info.context["odd"].append(value)


def _without_word(text: str, info: ValidationInfo) -> str | None:
    return None if _noted_word(text, info) == NULL_WORD else text


def _noted_word(text: str, info: ValidationInfo) -> str:
    if text in NULL_WORDS:
        _note(text, info)
    return text


def _without_zero(number: int, info: ValidationInfo) -> int | None:
    if number:
        return number
    _note(number, info)
    return None


def _none_of(words: Collection[str]) -> str:
    """A regular expression for the start of each text that is not one of these words."""
    heads = sorted({word[0] for word in words if word})
    other = f"[^{''.join(heads)}]" if heads else "(?s:.)"
    longer = [f"{head}(?:{_none_of([word[1:] for word in words if word[:1] == head])})" for head in heads]
    return "|".join([*(() if "" in words else ("$",)), other, *longer])


class _WordsNoted:
    """Text in which words for nothing are noted; all other text is recognised without a call of Python."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        plain = core_schema.str_schema(strict=True, pattern=f"(?i)^(?:{_none_of(_WORDS)})")
        noted = core_schema.with_info_after_validator_function(_noted_word, handler(source))
        return core_schema.union_schema([plain, noted], mode="left_to_right", custom_error_type="string_type")


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


Text = Annotated[str, _WordsNoted(), WithJsonSchema({"type": "string"})]
"""Text as it stands; that it is a word such as None is noted."""

Key = Annotated[str, AfterValidator(_key)]
"""Text that names a thing; empty or blank counts as null, and a word such as None is refused."""

RequiredKey = Annotated[str, AfterValidator(_required_key)]

Phone = Annotated[str, AfterValidator(_without_word)]

Integer = Annotated[int, Field(ge=-(1 << 63), le=(1 << 63) - 1)]

OldKey = Annotated[Integer, AfterValidator(_without_zero)]
"""A key of Java's portals, which write 0 where they have none."""

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
