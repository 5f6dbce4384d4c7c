"""Reading and validating under fuzz: exports changed byte by byte, gzip changed under its checksum, odd objects.

Each rule runs briefly here and long with `-m soak`.
"""

import gzip
import io
import json
import math
import random
import time
import tracemalloc
import zlib
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.exports import GOOD, LIMIT, good, validated
from support.hostile import HOSTILE, PLACES, spoilt, whole
from support.survival import EXPORTS, survives

from sync.model.errors import UsageError
from sync.model.refusals import refused_value
from sync.read.reader import read
from sync.validate.validator import Validator

BRIEF, LONG = 150, 30_000
MOST_MEMORY = 40_000_000
"""Bytes that Python may hold on top while it reads documents of at most one megabyte."""

TOKENS = [
    b"{",
    b"}",
    b"[",
    b"]",
    b'"',
    b",",
    b":",
    b"\\",
    b"\\u",
    b"\\ud800",
    b"null",
    b"1e999",
    b"-",
    b"\n",
    b"\0",
    b"\xff",
]
TOKENS += [
    b"\xed\xa0\x80",
    b"\xef\xbb\xbf",
    b"\x1b[2J",
    b'"externalId": 99999999999999999999',
    b"NaN",
    b"[" * 2000,
    b'{"a":' * 2000,
]


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A valid export with some of its bytes changed, moved, doubled or cut out."""
    export = bytearray(draw(st.sampled_from(EXPORTS)))
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(export)))
        to = draw(st.integers(at, min(len(export), at + 40)))
        match draw(st.integers(0, 4)):
            case 0:
                export[at:to] = draw(st.binary(max_size=8))
            case 1:
                export[at:at] = draw(st.sampled_from(TOKENS))
            case 2:
                export[at:to] = export[at:to] * draw(st.integers(0, 5))
            case 3:
                export[at:] = export[:to]
            case 4:
                for place in range(at, to):
                    export[place] ^= 1 << draw(st.integers(0, 7))
    return bytes(export)


checks = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
brief = settings(max_examples=BRIEF, deadline=None, suppress_health_check=checks)
long = settings(max_examples=LONG, deadline=None, suppress_health_check=checks)


@brief
@given(mutated())
def test_bytes_changed(export: bytes) -> None:
    survives(export)


@pytest.mark.soak
@long
@given(mutated())
def test_bytes_changed_long(export: bytes) -> None:
    survives(export)


PACKED = gzip.compress(b"\n".join([json.dumps(GOOD).encode()] * 3))
flips = st.lists(st.tuples(st.integers(0, len(PACKED) - 1), st.integers(0, 7)), min_size=1, max_size=3)


def survives_packed(export: bytes, changed: list[tuple[int, int]]) -> None:
    """What gzip unpacks to is changed, or the packed bytes themselves."""
    survives(gzip.compress(export))
    broken = bytearray(PACKED)
    for at, bit in changed:
        broken[at] ^= 1 << bit
    survives(bytes(broken))
    survives(bytes(broken) + gzip.compress(export))


@brief
@given(mutated(), flips)
def test_packed_bytes_changed(export: bytes, changed: list[tuple[int, int]]) -> None:
    survives_packed(export, changed)


@pytest.mark.soak
@long
@given(mutated(), flips)
def test_packed_bytes_changed_long(export: bytes, changed: list[tuple[int, int]]) -> None:
    survives_packed(export, changed)


class Odd:
    """An object that cannot be shown."""

    def __repr__(self) -> str:
        raise RuntimeError("no repr")


TEXTS = st.text(st.characters(), max_size=12) | st.sampled_from(HOSTILE)
ODD = st.one_of(
    TEXTS,
    st.none() | st.booleans() | st.integers() | st.floats() | st.binary(max_size=20),
    st.sampled_from([-(10**400), 2**64, math.nan, math.inf, 1e300, Decimal("1.5"), UUID(int=1), range(3), ...]),
    st.sampled_from(
        [datetime(2024, 1, 1, tzinfo=UTC), date(9999, 12, 31), datetime(1, 1, 1), b"\xff" * 16, {1, 2}, (1,)]
    ),
)
OBJECTS = st.recursive(
    ODD,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS | st.integers() | st.none(), inner, max_size=3),
)


@st.composite
def odd_documents(draw: st.DrawFn) -> dict[str, Any]:
    """A whole document from Python with anything at some of its places."""
    document = whole(1)
    for _ in range(draw(st.integers(1, 4))):
        inner: Any = document
        place = draw(st.sampled_from(PLACES))
        depth = draw(st.integers(1, len(place)))
        try:
            for part in place[: depth - 1]:
                inner = inner[0] if part == "[]" else inner[part]
            inner[0 if place[depth - 1] == "[]" else place[depth - 1]] = draw(OBJECTS)
        except (KeyError, IndexError, TypeError):  # an earlier change took this place away
            continue
    return document


def survives_objects(document: dict[str, Any]) -> None:
    documents, refusals, notices, validator = validated([good(), document, good()])
    assert {valid.number for valid in documents} >= {1, 3}
    assert validator.read == 3
    told = [json.dumps(refusal.to_dict()) for refusal in refusals] + [notice.message for notice in notices]
    assert all(text.isprintable() and len(text) < 2000 for text in told)


@brief
@given(odd_documents())
def test_odd_objects(document: dict[str, Any]) -> None:
    survives_objects(document)


@pytest.mark.soak
@long
@given(odd_documents())
def test_odd_objects_long(document: dict[str, Any]) -> None:
    survives_objects(document)


def test_an_object_that_cannot_be_shown_is_refused() -> None:
    _, refusals, _, _ = validated(spoilt(1, ("proposal", "title"), "x") | {"sessions": [Odd()]})
    assert [refusal.code for refusal in refusals] == ["invalid_document"]


def test_an_object_that_holds_itself_is_refused() -> None:
    for name in ("persons", "title", "labcontacts"):
        document = whole(1)
        document["proposal"][name] = document if name == "title" else [document]
        _, refusals, _, _ = validated([document, good()])
        assert refusals
    circle: list[Any] = []
    circle.append(circle)
    _, refusals, _, _ = validated([whole(1) | {"sessions": circle, "proteins": [[[circle]]]}])
    assert refusals
    assert all(len(refused_value(refusal.value)) <= 200 for refusal in refusals)


@pytest.mark.parametrize("inside", ["unknown", "title", "persons", "document", "string keys"])
@pytest.mark.parametrize("long_id", [False, True])
def test_deep_nesting_is_refused_or_ignored(inside: str, long_id: bool) -> None:
    deep = b"[" * 200_000 + b"]" * 200_000
    if inside == "string keys":
        deep = b'{"a":' * 100_000 + b"1" + b"}" * 100_000
    text = {
        "document": deep,
        "unknown": b'{"proposal": {"proposalNumber": "1"}, "x": %s}' % deep,
        "string keys": b'{"proposal": {"proposalNumber": "1"}, "x": %s}' % deep,
        "title": b'{"proposal": {"proposalNumber": "1", "title": %s}}' % deep,
        "persons": b'{"proposal": {"proposalNumber": "1", "persons": %s}}' % deep,
    }[inside]
    if long_id:
        text = text.replace(b'"proposalNumber": "1"', b'"externalId": 36893488147419103232')
    found = []
    validator = Validator(timezone="UTC", refuse=found.append)
    reader = read(io.BytesIO(text + b"\n" + json.dumps(GOOD).encode()), max_document_bytes=2_000_000)
    if inside == "document":
        with pytest.raises(UsageError, match="there is no document in it"):
            list(validator.documents(reader))
    else:
        numbers = [valid.number for valid in validator.documents(reader)]
        assert numbers[-1:] == [validator.read]
    assert {refusal.code for refusal in found} <= {"invalid_json", "invalid_document"}
    assert found


def members(count: int) -> bytes:
    """A gzip file of very many members that hold nothing."""
    return gzip.compress(b"") * count + gzip.compress(json.dumps(GOOD).encode())


def bomb(megabytes: int, block: bytes) -> bytes:
    packer = zlib.compressobj(9, wbits=31)
    chunks = [packer.compress(block) for _ in range(megabytes * 1_000_000 // len(block))]
    return b"".join([*chunks, packer.flush()])


@pytest.mark.parametrize(
    "packed_export",
    [
        pytest.param(lambda: members(20_000), id="members"),
        pytest.param(lambda: bomb(60, b" " * 100_000), id="blanks"),
        pytest.param(lambda: bomb(3, b"[" * 100_000), id="brackets"),
        pytest.param(lambda: bomb(60, b'{"proposal": {"title": "' + b"\\\\" * 50_000), id="backslashes"),
        pytest.param(lambda: bomb(30, b"\n" * 100_000), id="lines"),
        pytest.param(lambda: bomb(30, b'{"proposal": {"title": "' + b"x" * 2_000_000 + b'"}}\n'), id="documents"),
        pytest.param(lambda: bomb(10, b'{"proposal": {"x": 1,' * 5_000), id="never closed"),
    ],
)
def test_a_gzip_bomb_takes_little_memory_and_time(packed_export: Callable[[], bytes]) -> None:
    source = packed_export()
    assert len(source) < 1_000_000
    start = time.process_time()
    tracemalloc.start()
    try:
        found = 0
        validator = Validator(timezone="UTC", refuse=lambda refusal: None)
        try:
            found = sum(1 for _ in validator.documents(read(io.BytesIO(source), max_document_bytes=1_000_000)))
        except UsageError:
            assert found == 0
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < MOST_MEMORY
    assert time.process_time() - start < 30  # tracing takes most of it


def test_the_limit_holds_whatever_is_large() -> None:
    chance = random.Random(1)
    for place in chance.sample(PLACES, 12):
        text = json.dumps(spoilt(1, place, "y" * LIMIT)).encode()
        documents, refusals, _, _ = validated(text + b"\n" + json.dumps(GOOD).encode())
        assert [valid.number for valid in documents] == [2]
        assert "larger than 10,000 bytes" in refusals[0].message
