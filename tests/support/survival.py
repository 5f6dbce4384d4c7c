"""Whatever comes in: what comes out of reading and validating is well formed."""

import json

from support.exports import GOOD, validated

from sync.model.errors import UsageError

LINE = json.dumps(GOOD).encode()
EXPORTS = [
    LINE,
    b"\n".join([LINE] * 3),
    b"[" + b", ".join([LINE] * 3) + b"]",
    json.dumps([GOOD] * 2, indent=1).encode(),
    json.dumps(GOOD, indent=2).encode(),
]
CODES = {"invalid_json", "invalid_document", "parent_refused"}


def survives(export: bytes) -> None:
    """Reads and validates; what comes out is well formed."""
    try:
        documents, refusals, notices, validator = validated(export)
    except UsageError:
        return
    assert validator.read == len(documents) + validator.refused
    for refusal in refusals:
        assert refusal.code in CODES
        assert 1 <= (refusal.document or 0) <= validator.read
        assert refusal.value is None or (len(refusal.value) <= 200 and refusal.value.isprintable())
        json.dumps(refusal.to_dict())
    assert all(notice.count > 0 for notice in notices)
