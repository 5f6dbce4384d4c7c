"""What does not stop a run: a refusal stops one thing and what hangs on it, a notice only tells.

Also what `sync.validate.validator` hands to the next step.
"""

import re
import reprlib
from dataclasses import dataclass, replace
from datetime import date
from typing import Any
from uuid import UUID

from sync.model.documents import REFUSED as REFUSED
from sync.model.documents import Document
from sync.model.text import masked_words
from sync.model.text import printable as printable

MOST_EXAMPLES = 10
"""What a warning tells of the places that it is about."""

NOTES = frozenset({"missing_column"})
"""Codes of warnings that only tell how this database, or this run, is: nobody needs to act."""

_LONGEST_VALUE = 200
_MASKED = re.compile(r"\(masked: (a number of \d+ digits|\d+( or more)? characters)\)")
_SIGNALLED = re.compile(r"(error 1644: ).*(?=\. Correct)", re.DOTALL)
_short = reprlib.Repr()
_short.maxstring = _short.maxother = _short.maxlong = _LONGEST_VALUE


@dataclass(frozen=True, slots=True)
class Refusal:
    """One thing of an export that is not written, why, and what to do.

    document  1-based number in the export
    path      such as sessions[3].persons[0].familyName; empty for the document itself
    field     the field at fault; None if it is the thing as a whole
    """

    entity: str
    code: str
    document: int | None
    proposal: str | None
    path: str
    field: str | None
    value: str | None
    message: str

    def to_dict(self) -> dict[str, Any]:
        """As in the report's JSON."""
        return {name: getattr(self, name) for name in self.__slots__}

    def masked(self) -> "Refusal":
        """The same without its value; a message holds that only behind the name of its field."""
        if self.code == "refused_by_database":
            # What a trigger of the site's own says may hold anything.
            hidden = _SIGNALLED.sub(r"\1(masked)", masked_words(self.message))
            return replace(self, value=self.value and masked_value(self.value), message=hidden)
        if self.value is None:
            return self
        hidden = masked_value(self.value)
        message = self.message.replace(f"{self.field} {self.value}", f"{self.field} {hidden}")
        return replace(self, value=hidden, message=message)


@dataclass(frozen=True, slots=True)
class Example:
    """One place that a warning is about; document, proposal and path are those of a refusal."""

    document: int | None
    proposal: str | None
    path: str
    value: str | None

    def to_dict(self) -> dict[str, Any]:
        """As in the report's JSON."""
        return {name: getattr(self, name) for name in self.__slots__}

    def masked(self) -> "Example":
        """The same without its value."""
        return self if self.value is None else replace(self, value=masked_value(self.value))


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


@dataclass(frozen=True, slots=True)
class ValidDocument:
    """A validated document, its place in the export, and the label of its proposal."""

    number: int
    line: int | None
    proposal: str | None
    document: Document


def refused_value(value: object) -> str:
    """A value as short text on one line; control characters are escaped."""
    if isinstance(value, str):
        text = value[: _LONGEST_VALUE + 1]
    elif value is None or value is True or value is False:
        text = {None: "null", True: "true", False: "false"}[value]
    elif isinstance(value, bytes) and len(value) == 16:
        text = str(int.from_bytes(value, "big")) if value < b"\0" * 8 + b"\xff" * 8 else str(UUID(bytes=value))
    elif isinstance(value, date):
        text = value.isoformat()
    else:
        text = _repr(value)
    text = printable(text)
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 1] + "…"


def masked_value(text: str) -> str:
    """What may be told of a value: how long it is, and whether it is a number. What is masked already stays so."""
    if text in ("null", "true", "false") or _MASKED.fullmatch(text):
        return text
    if text.isdecimal():
        return f"(masked: a number of {len(text)} digits)"
    more = " or more" if len(text) == _LONGEST_VALUE and text.endswith("…") else ""
    return f"(masked: {len(text)}{more} characters)"


def _repr(value: object) -> str:
    try:
        return _short.repr(value)
    except ValueError:  # an integer of more digits than Python prints
        return "a very long number"
