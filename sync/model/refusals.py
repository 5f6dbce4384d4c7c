"""What does not stop a run: a refusal stops one thing and what hangs on it, a notice only tells.

Also what `sync.validate.validator` hands to the next step.
"""

import json
import math
import re
import reprlib
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any
from uuid import UUID

from msgspec import Struct

from sync.model.documents import REFUSED as REFUSED
from sync.model.documents import Document
from sync.model.entities import ENTITIES
from sync.model.text import json_begin, masked_words
from sync.model.text import printable as printable

VALUE_REFUSED, NEW_WITHOUT = "the column keeps what it has", "the new row is written without it"
"""What becomes of a row of which a value is refused by itself: one that ISPyB has, and a new one."""

NO_COLUMN = "that this database has a column for"
"""Of an identifier: one may be given, but none that ISPyB can hold."""

MOST_EXAMPLES = 10
"""What a warning tells of the places that it is about."""

NOTES = frozenset({"missing_column"})
"""Codes of warnings that only tell how this database, or this run, is: nobody needs to act."""

_LONGEST_VALUE = 200
_LONGEST_NUMBER = 10**100
_MASKED = re.compile(r"\(masked: (a number of \d+ digits|\d+( or more)? characters)\)")
_CUT_LIST = re.compile(rf"[\[{{].{{{_LONGEST_VALUE - 2}}}…", re.DOTALL)
_SIGNALLED = re.compile(r"(error 1644: ).*(?=\. Correct)", re.DOTALL)
_OTHER_SIDE = re.compile(r"(?<= in document )(\d+ and )(\d+)(?= in document \d)")
_QUOTED = re.compile(r"(?<!the key )`(?!ispyb-sync )([^`]*)`")
_NUMBER_OF = r"(?<={} )(\d+|[0-9a-f]{{8}}(?:-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}})"
_KEYS = tuple(dict.fromkeys(name for entity in ENTITIES for name in entity.keys))
_short = reprlib.Repr()
_short.maxstring = _short.maxother = _short.maxlong = _LONGEST_VALUE


@dataclass(frozen=True, slots=True)
class Cause:
    """The refusal that another one hangs on, by its place."""

    entity: str
    code: str
    document: int | None
    path: str

    def __str__(self) -> str:
        return f"{self.entity} {self.code}, document {self.document} {self.path}".rstrip()

    def to_dict(self) -> dict[str, Any]:
        """As in the report's JSON."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Refusal:
    """One thing of an export that is not written, why, and what to do.

    document  1-based number in the export
    path      such as sessions[3].persons[0].familyName; empty for the document itself
    field     the field at fault; None if it is the thing as a whole
    value     as `told` gives it: text, a number, true or false; None where there is none to tell
    cause     of parent_refused: the refusal that it hangs on, at the end of the chain; None of all others
    """

    entity: str
    code: str
    document: int | None
    proposal: str | None
    path: str
    field: str | None
    value: Any
    message: str
    cause: Cause | None = None

    @property
    def is_of_value(self) -> bool:
        """Whether the value alone is refused, and the rest of its row written."""
        return VALUE_REFUSED in self.message or NEW_WITHOUT in self.message

    @property
    def place(self) -> Cause:
        """How others that hang on it name it."""
        return Cause(self.entity, self.code, self.document, self.path)

    def to_dict(self) -> dict[str, Any]:
        """As in the report's JSON."""
        stored = {name: getattr(self, name) for name in self.__slots__}
        return stored | {"cause": self.cause and self.cause.to_dict()}

    @classmethod
    def from_dict(cls, stored: dict[str, Any]) -> "Refusal":
        """What history kept; runs of older releases have no cause."""
        cause = stored.get("cause")
        return cls(**stored | {"cause": cause and Cause(**cause)})

    def masked(self) -> "Refusal":
        """The same without its value; a message holds values only in backticks, or behind the name of a key."""
        message = self.message
        if self.code == "refused_by_database":
            # What a trigger of the site's own says may hold anything.
            message = _SIGNALLED.sub(r"\1(masked)", masked_words(message))
        message = _QUOTED.sub(lambda found: masked_value(found[1]), message)
        for name in (*_KEYS, *filter(None, (self.field,))):
            message = re.sub(_NUMBER_OF.format(re.escape(name)), lambda found: masked_value(found[1]), message)
        message = _OTHER_SIDE.sub(lambda found: f"{found[1]}{masked_value(found[2])}", message)
        return replace(self, value=masked_value(self.value), message=message)


@dataclass(frozen=True, slots=True)
class Example:
    """One place that a warning is about; document, proposal, path and value are those of a refusal."""

    document: int | None
    proposal: str | None
    path: str
    value: Any

    def to_dict(self) -> dict[str, Any]:
        """As in the report's JSON."""
        return {name: getattr(self, name) for name in self.__slots__}

    def masked(self) -> "Example":
        """The same without its value."""
        return replace(self, value=masked_value(self.value))


@dataclass
class Met:
    """How often something was met that is worth a warning, and the first places of it."""

    count: int = 0
    examples: list[Example] = field(default_factory=list)

    @property
    def wants_examples(self) -> bool:
        return len(self.examples) < MOST_EXAMPLES


@dataclass(frozen=True, slots=True)
class Notice:
    """A warning, how often it applies, and where: up to ten examples."""

    code: str
    message: str
    count: int
    examples: tuple[Example, ...] = ()

    @property
    def word(self) -> str:
        """What people are told that it is."""
        return "note" if self.code in NOTES else "warning"

    def to_dict(self) -> dict[str, Any]:
        """As in the report's JSON."""
        examples = [example.to_dict() for example in self.examples]
        return {"code": self.code, "message": self.message, "count": self.count, "examples": examples}

    @classmethod
    def from_dict(cls, stored: dict[str, Any]) -> "Notice":
        """What history kept; runs of older releases have no examples."""
        examples = tuple(Example(**example) for example in stored.get("examples", ()))
        return cls(stored["code"], stored["message"], stored["count"], examples)

    def masked(self) -> "Notice":
        """The same without the values of its examples."""
        return replace(self, examples=tuple(example.masked() for example in self.examples))


class ValidDocument(Struct, frozen=True, gc=False):
    """A validated document, its place in the export, and the label of its proposal."""

    number: int
    line: int | None
    proposal: str | None
    document: Document


def told(value: object) -> Any:
    """A value as a report tells it: what JSON has, no longer than 200 characters, an externalId as people know it."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _cut(value[: _LONGEST_VALUE + 1].encode("utf-8", "backslashreplace").decode())  # half a surrogate pair
    if isinstance(value, bytes) and len(value) == 16:
        return int.from_bytes(value, "big") if value < b"\0" * 8 + b"\xff" * 8 else str(UUID(bytes=value))
    if isinstance(value, int):
        return value if abs(value) < _LONGEST_NUMBER else _cut(_repr(value))
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, list | dict):
        with suppress(TypeError, ValueError):  # Python may hand over what JSON has no words for
            text = json_begin(value, _LONGEST_VALUE + 1)
            return _cut(text) if len(text) > _LONGEST_VALUE else json.loads(text)
    return _cut(_repr(value))


def refused_value(value: object) -> str:
    """A value as short text on one line, without quotes; control characters are escaped."""
    found = told(value)
    return _cut(printable(found)) if isinstance(found, str) else json.dumps(found)


def as_json(value: object) -> str:
    """A value that is told, as JSON has it: "12" is a text, 12 a number. What is masked, or a list cut, stays bare."""
    if isinstance(value, str) and (_MASKED.fullmatch(value) or _CUT_LIST.fullmatch(value)):
        return printable(value)
    return printable(json.dumps(value, ensure_ascii=False))


def in_words(value: object) -> str:
    """A value that is told, within a sentence: text in backticks, a number as it is."""
    return f"`{printable(value.replace('`', chr(39)))}`" if isinstance(value, str) else json.dumps(value)


def masked_value(value: Any) -> Any:
    """What may be told of a value: how long it is, and whether it is a number. What is masked already stays so."""
    if value is None or isinstance(value, bool):
        return value
    text = refused_value(value)
    if text in ("null", "true", "false") or _MASKED.fullmatch(text):
        return text
    if text.isdecimal():
        return f"(masked: a number of {len(text)} digits)"
    more = " or more" if len(text) == _LONGEST_VALUE and text.endswith("…") else ""
    return f"(masked: {len(text)}{more} characters)"


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 1] + "…"


def _repr(value: object) -> str:
    try:
        return _short.repr(value)
    except ValueError:  # an integer of more digits than Python prints
        return "a very long number"
