"""One piece of an export in the place of a document: parsed, or why it is none."""

import re
from collections.abc import Callable

from msgspec import Struct

from sync.read.levels import ROOT
from sync.read.parse import INVALID_DOCUMENT, INVALID_JSON, Fault, explain, fitting, parse

Prints = Callable[[bytes], tuple[bytes, bool]]
"""Gives the fingerprint of a document's text, and whether the document is left out."""

KEY = f'"(?:{"|".join(sorted(ROOT.known))})"\\s*+:'.encode()
"""What a document has, written as an expression."""
_has_key = re.compile(KEY).search


class Slot(Struct, gc=False):
    """The place of one document: the line it starts on, its size, its text, and its value or what is wrong with it.

    The value is a Document where the text is one that fits. One that is left out has no value.

    no_document   it is broken, and names nothing that a document has
    """

    line: int
    nbytes: int
    text: bytes = b""
    value: object = None
    fault: Fault | None = None
    fingerprint: bytes | None = None
    left_out: bool = False
    no_document: bool = False


def parsed(line: int, text: bytes, limit: int, prints: Prints | None) -> Slot:
    """What a piece of text is, in the place of a document."""
    if len(text) > limit:
        return oversize(line, len(text), limit)
    fingerprint = None
    if prints is not None:
        fingerprint, left_out = prints(text)
        if left_out:
            return Slot(line, len(text), text, fingerprint=fingerprint, left_out=True)
    try:
        return Slot(line, len(text), text, fitting(text) or parse(text), fingerprint=fingerprint)
    except ValueError as error:
        fault = explain(text, error)
        return Slot(line, len(text), fault=fault, no_document=_has_key(text) is None)


def oversize(line: int, nbytes: int, limit: int) -> Slot:
    """What has more bytes than a document may have."""
    fault = Fault(
        INVALID_DOCUMENT,
        f"larger than {limit:,} bytes",
        "A document is one proposal; if this is one, raise the setting max_document_mb.",
    )
    return Slot(line, nbytes, fault=fault)


def misplaced(line: int, message: str) -> Slot:
    """What stands where no document can be."""
    return Slot(line, 0, fault=Fault(INVALID_JSON, message, "Write the export again."), no_document=True)
