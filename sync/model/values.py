"""The kinds of plain values in a document: text, keys, numbers, flags, dates, external ids.

Each kind says what a JSON parser has to find, for msgspec and for the JSON Schema, and makes of a value what is kept.
Nothing is guessed: a number where text is expected is an error, and so is text where a number is expected.
Lengths and ranges are not checked here; the live column decides them (see `sync.stage.limits`).
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from itertools import product
from typing import Annotated, Any
from uuid import UUID
from zoneinfo import ZoneInfo

from msgspec import Meta

NULL_WORD = "None"
"""What some producers send as a phone number when they have none."""

_WORDS = ("none", "null", "nan", "n/a", "undefined")
NULL_WORDS = frozenset(
    "".join(letters) for word in _WORDS for letters in product(*zip(word, word.upper(), strict=True))
) - {"Nan"}
"""What programs write for nothing, in any case. Nan is a name of people and of a city; NA and nil may be ones too."""

_NO_NAMES = NULL_WORDS | {""}

_UUID = r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}|[0-9a-fA-F]{32}"
_DATE = (
    r"\d{4}-\d\d-\d\d"
    r"(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d(?::?\d\d(?::?\d\d)?)?)?)?"
)
_is_uuid = re.compile(_UUID).fullmatch
_is_date = re.compile(_DATE, re.ASCII).fullmatch
_LEAST, _MOST = -(1 << 63), (1 << 63) - 1
_DATES_KEPT = 10_000


class Wrong(ValueError):
    """A value that is not of its kind: what is wrong, by name and in words."""

    def __init__(self, what: str, words: str = "") -> None:
        super().__init__(words)
        self.what = what
        self.words = words


@dataclass(frozen=True, eq=False)
class Kind:
    """One kind of values.

    read     makes of any value but null what is kept; a date needs the zone that dates are stored in. Raises Wrong
    taken    the same of what msgspec has taken for such a value, more quickly; None where that is kept as it is
    is_text  it is kept as it was sent, also where it is a word for nothing
    """

    read: Callable[[Any, ZoneInfo], Any]
    taken: Callable[[Any, ZoneInfo], Any] | None = None
    is_text: bool = False


def _text(value: object, zone: ZoneInfo) -> str:
    if type(value) is str:
        return value
    if isinstance(value, str):
        return str(value)
    raise Wrong("string_type")


def _key(value: object, zone: ZoneInfo) -> str | None:
    """An empty key names nothing; a word for nothing would make one thing of many."""
    return _key_of(_text(value, zone), zone)


def _key_of(text: str, zone: ZoneInfo) -> str | None:
    name = text.strip()
    if name not in _NO_NAMES:
        return text
    if name:
        raise Wrong("null_word", 'means "no value", so it names nothing')
    return None


def _required_key(value: object, zone: ZoneInfo) -> str:
    key = _key(value, zone)
    if key is None:
        raise Wrong("blank", "a name is expected, not empty text")
    return key


def _phone(value: object, zone: ZoneInfo) -> str | None:
    return _unless_word(_text(value, zone), zone)


def _unless_word(text: str, zone: ZoneInfo) -> str | None:
    return None if text == NULL_WORD else text


def _integer(value: object, zone: ZoneInfo) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise Wrong("int_type")
    if not _LEAST <= value <= _MOST:
        raise Wrong("int_range")
    return int(value)


def _old_key(value: object, zone: ZoneInfo) -> int | None:
    return _unless_zero(_integer(value, zone), zone)


def _unless_zero(number: int, zone: ZoneInfo) -> int | None:
    return number or None


def _decimal(value: object, zone: ZoneInfo) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise Wrong("float_type")
    try:
        number = float(value)
    except OverflowError:
        raise Wrong("float_type") from None
    if not math.isfinite(number):
        raise Wrong("finite_number")
    return number


def _flag(value: object, zone: ZoneInfo) -> int:
    if value is True or value is False:
        return int(value)
    if type(value) is int and _LEAST <= value <= _MOST:
        return value
    raise Wrong("flag", "true, false or a whole number is expected")


def _moment(value: object, zone: ZoneInfo) -> datetime:
    """A naive date without fractions of a second; one with an offset is converted to the zone."""
    text = value.isoformat() if isinstance(value, date) else value
    if not isinstance(text, str):
        raise Wrong("date", "a date such as 2024-02-29T10:00:00+01:00 is expected")
    return _moment_of(text, zone)


@lru_cache(_DATES_KEPT)
def _moment_of(text: str, zone: ZoneInfo) -> datetime:
    if not _is_date(text):
        raise Wrong("date", "a date such as 2024-02-29T10:00:00+01:00 is expected")
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is not None:
            moment = moment.astimezone(zone).replace(tzinfo=None)
    except (ValueError, OverflowError):
        raise Wrong("no_such_date", "there is no such date") from None
    return moment.replace(microsecond=0)


def _external_id(value: object, zone: ZoneInfo) -> bytes:
    """16 bytes, big-endian, of an integer or a UUID."""
    if type(value) is int:
        if 0 <= value < 1 << 128:
            return value.to_bytes(16, "big")
        raise Wrong("external_id_range", "the integer is not in 0 ... 2^128-1")
    if isinstance(value, UUID):
        return value.bytes
    if isinstance(value, str) and _is_uuid(value):
        return bytes.fromhex(value.replace("-", ""))
    raise Wrong("external_id", "an integer or a UUID is expected")


TEXT, PHONE, OLD_KEY = Kind(_text, is_text=True), Kind(_phone, _unless_word, is_text=True), Kind(_old_key, _unless_zero)

Text = Annotated[str, TEXT]
"""Text as it stands; that it is a word such as None is noted."""

Key = Annotated[str, Kind(_key, _key_of)]
"""Text that names a thing; empty or blank counts as null, and a word such as None is refused."""

RequiredKey = Annotated[str, Kind(_required_key, _required_key)]

Phone = Annotated[str, PHONE]

Integer = Annotated[int, Meta(ge=_LEAST, le=_MOST), Kind(_integer)]

OldKey = Annotated[int, Meta(ge=_LEAST, le=_MOST), OLD_KEY]
"""A key of Java's portals, which write 0 where they have none."""

Decimal = Annotated[float, Kind(_decimal)]

_FLAG, _EXTERNAL_ID = Kind(_flag, _flag), Kind(_external_id, _external_id)

Flag = Annotated[bool, _FLAG] | Annotated[int, Meta(ge=_LEAST, le=_MOST), _FLAG]
"""Kept as an integer."""

Moment = Annotated[str, Meta(extra_json_schema={"pattern": f"^{_DATE}$"}), Kind(_moment, _moment_of)]
"""Kept as a datetime."""

ExternalId = (
    Annotated[int, Meta(extra_json_schema={"minimum": 0, "maximum": (1 << 128) - 1}), _EXTERNAL_ID]
    | Annotated[str, Meta(extra_json_schema={"pattern": f"^({_UUID})$"}), _EXTERNAL_ID]
)
"""Kept as 16 bytes."""
