"""One JSON text: a document, or any other value, or said in plain words why it is none.

Integers stay exact, where externalId may have 128 bits. Of equal keys in one object the last one counts.
Refuses NaN and Infinity, lone surrogates, and text that is not UTF-8.
"""

import re
from dataclasses import dataclass
from json import JSONDecodeError

import msgspec
import orjson
from msgspec import DecodeError, ValidationError

from sync.model.documents import Document, WithUnknownKeys

INVALID_JSON = "invalid_json"
INVALID_DOCUMENT = "invalid_document"

_LONG_EXTERNAL_ID = re.compile(rb'"externalId"\s*+:\s*+-?[0-9]{19}')
_NOT_A_NUMBER = re.compile(r"-?(?:NaN|Infinity)")


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a piece of an export cannot be used, and what to do; `lines` counts from the piece's first line."""

    code: str
    message: str
    hint: str
    lines: int = 0


_DOCUMENT, _WITH_UNKNOWN_KEYS = msgspec.json.Decoder(Document), msgspec.json.Decoder(WithUnknownKeys)


def fitting(text: bytes) -> Document | None:
    """The document that a JSON text is, with the texts of its people; None for what does not fit, or is no JSON."""
    try:
        return _DOCUMENT.decode(text)
    except ValidationError:
        pass
    except (DecodeError, UnicodeDecodeError, RecursionError):
        return None
    try:
        if not text.isascii():
            text.decode()  # in what nobody asks for msgspec looks at the brackets alone
        return _WITH_UNKNOWN_KEYS.decode(text)
    except (DecodeError, UnicodeDecodeError, RecursionError):
        return None


def parse(text: bytes) -> object:
    """The value of one JSON text. Raises ValueError."""
    value = orjson.loads(text)
    if _LONG_EXTERNAL_ID.search(text):  # orjson makes floats of what has more than 64 bits
        value = msgspec.json.decode(text)
    return value


def explain(text: bytes, error: ValueError) -> Fault:
    """Why `parse` did not take this text."""
    if not text or text.isspace():
        return Fault(INVALID_JSON, "no document before the comma or the end", "Correct the export.")
    try:
        text.decode()
    except UnicodeDecodeError as undecodable:
        bad = undecodable.start
        return Fault(
            INVALID_JSON,
            f"not UTF-8: 0x{text[bad]:02x} at byte {bad + 1} of the document",
            "Write the export as UTF-8.",
            text.count(b"\n", 0, bad),
        )
    if not isinstance(error, JSONDecodeError):
        return Fault(INVALID_JSON, f"not JSON: {error}", "Correct the export.")
    near = error.doc[max(0, error.pos - 1) : error.pos + 9]
    lines = error.lineno - 1
    if found := _NOT_A_NUMBER.search(near):
        return Fault(INVALID_JSON, f"not JSON: {found.group()} is not a number", "Write null instead.", lines)
    if "depth" in error.msg or "recursion" in error.msg:
        return Fault(INVALID_JSON, "nested too deeply", "A document needs no more than 8 levels.", lines)
    cut = "end of data" in error.msg
    hint = "A bracket or a quote is missing, or the export was cut off." if cut else "Correct the export."
    return Fault(INVALID_JSON, f"not JSON: {error.msg} (column {error.colno})", hint, lines)


def kind_of(value: object) -> str:
    """What a value is called."""
    if value is None:
        return "null"
    for types, name in _KINDS:
        if isinstance(value, types):
            return name
    return f"a {type(value).__name__}"


_KINDS: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (bool, "true or false"),
    ((int, float), "a number"),
    (str, "text"),
    (list, "a list"),
    (dict, "an object"),
)
