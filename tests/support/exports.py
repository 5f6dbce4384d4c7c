"""Exports for tests of reading and validating: a good document, and short ways to read and validate."""

import copy
import io
import json
from collections.abc import Iterable
from typing import Any

from sync.model.refusals import Notice, Refusal, ValidDocument
from sync.read.reader import RawDocument, Unreadable, read
from sync.validate.validator import Validator

LIMIT = 10_000

GOOD: dict[str, Any] = {
    "proposal": {
        "title": "Structure of Ωmega",
        "proposalCode": "MX",
        "proposalNumber": "1",
        "externalId": 17,
        "persons": [
            {"login": "aweaver", "externalId": 157, "laboratory": {"name": "DESY", "city": "Hamburg"}},
            {"login": "bsmith", "familyName": "Smith"},
        ],
        "labcontacts": [{"cardName": "card", "person": {"login": "aweaver"}}],
    },
    "sessions": [
        {
            "externalId": 0,
            "startDate": "2024-07-01T10:00:00",
            "persons": [{"login": "aweaver", "session_options": {"role": "Team Leader", "remote": True}}],
        },
        {"expSessionPk": 5},
    ],
    "proteins": [{"acronym": "lyso", "person": {"login": "aweaver"}}],
}


def good() -> dict[str, Any]:
    """A copy of the good document."""
    return copy.deepcopy(GOOD)


def document(number: int | str) -> bytes:
    """A small document, as JSON on one line."""
    return json.dumps({"proposal": {"proposalNumber": str(number)}}).encode()


def items(export: bytes, limit: int = LIMIT) -> list[RawDocument | Unreadable]:
    """All that is read from these bytes."""
    return list(read(io.BytesIO(export), max_document_bytes=limit))


def numbers(found: Iterable[RawDocument | Unreadable]) -> list[tuple[int, int | None, str]]:
    """Number, line, and proposalNumber or the code of what is wrong."""
    return [(item.number, item.line, item.code if isinstance(item, Unreadable) else _name(item.raw)) for item in found]


def _name(raw: dict[str, Any]) -> str:
    return str(raw.get("proposal", {}).get("proposalNumber", raw))


def validated(
    export: Any, *, timezone: str = "UTC", proposals: set[str] | None = None
) -> tuple[list[ValidDocument], list[Refusal], list[Notice], Validator]:
    """Reads (bytes, a dict, an iterable of dicts) and validates."""
    refusals: list[Refusal] = []
    validator = Validator(timezone=timezone, refuse=refusals.append, proposals=proposals)
    source = io.BytesIO(export) if isinstance(export, bytes) else export
    documents = list(validator.documents(read(source, max_document_bytes=LIMIT)))
    return documents, refusals, validator.notices(), validator
