"""Whatever comes in: refusals or wrong usage, never another error, and memory and time stay bounded."""

import gzip
import io
import json
import subprocess
import sys
import textwrap
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.exports import GOOD, LIMIT, document, good, items, numbers, validated
from support.survival import EXPORTS, survives

from sync.model.errors import UsageError
from sync.read.parse import parse
from sync.read.reader import RawDocument, Unreadable, read
from sync.read.split import split

quick = settings(max_examples=60, deadline=None)


@quick
@given(st.binary(max_size=300))
def test_arbitrary_bytes(export: bytes) -> None:
    survives(export)
    survives(b"[" + export)
    survives(gzip.compress(export))
    survives(b"\x1f\x8b\x08\x00" + export)


@quick
@given(st.lists(st.sampled_from([*'[]{}",:\\ \n', '"a"', '{"proposal":', "1", document(1).decode()]), max_size=30))
def test_arbitrary_pieces_of_json(pieces: list[str]) -> None:
    survives("".join(pieces).encode())
    survives("".join(["[", *pieces]).encode())


@quick
@given(st.sampled_from(EXPORTS), st.data())
def test_a_good_export_with_bytes_changed(export: bytes, data: st.DataObject) -> None:
    mutated = bytearray(export)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(mutated) - 1))
        to = data.draw(st.integers(at, min(len(mutated), at + 20)))
        mutated[at:to] = data.draw(st.binary(max_size=4) | st.sampled_from([b"{", b"}", b"[", b"]", b'"', b","]))
        if not mutated:
            break
    survives(bytes(mutated))


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**130), 2**130)
    | st.floats()
    | st.text(max_size=8)
    | st.datetimes()
    | st.sampled_from(["None", "2024-02-30", "2024-01-01T00:00:00Z", " ", 10**400, float("nan")]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["persons", "person", "login", "laboratory", "name", "x"]), inner, max_size=4)
    ),
    max_leaves=8,
)


def _places(value: Any, place: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [place] if place else []
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return found + [deeper for key, one in inner for deeper in _places(one, (*place, key))]


PLACES = _places(GOOD)


changes_of_values = st.lists(st.tuples(st.sampled_from(PLACES), json_values), min_size=1, max_size=4)


@settings(max_examples=100, deadline=None)
@given(changes_of_values)
def test_a_good_document_with_values_changed(changes: list[tuple[tuple[Any, ...], Any]]) -> None:
    only_the_changed_one_may_be_refused(changes)


@pytest.mark.soak
@settings(max_examples=4_000, deadline=None)
@given(changes_of_values)
def test_a_good_document_with_values_changed_many_times(changes: list[tuple[tuple[Any, ...], Any]]) -> None:
    only_the_changed_one_may_be_refused(changes)


def only_the_changed_one_may_be_refused(changes: list[tuple[tuple[Any, ...], Any]]) -> None:
    """Of three documents, the second has other values at some places."""
    raw = good()
    for place, value in changes:
        inner: Any = raw
        try:
            for part in place[:-1]:
                inner = inner[part]
            inner[place[-1]] = value
        except (KeyError, IndexError, TypeError):  # an earlier change took this place away
            continue
    documents, refusals, _, _ = validated([good(), raw, good()])
    assert {valid.number for valid in documents} >= {1, 3}
    assert {refusal.document for refusal in refusals} <= {2}
    assert len(documents) == 3 or refusals
    for refusal in refusals:
        json.dumps(refusal.to_dict())


@pytest.mark.parametrize("export", EXPORTS[1:3], ids=["NDJSON", "array"])
def test_gzip_cut_off_anywhere(export: bytes) -> None:
    packed = gzip.compress(export)
    previous = unusable = first = 0
    for length in range(len(packed)):
        try:
            found = items(packed[:length])
        except UsageError:
            unusable = length
            continue
        assert isinstance(found[-1], Unreadable)
        whole = [item for item in found if isinstance(item, RawDocument)]
        assert len(found) == len(whole) + 1
        assert all(item.raw == GOOD for item in whole)
        assert len(whole) >= previous
        previous = len(whole)
        first = first or length
    assert previous == 3
    assert unusable < first


@pytest.mark.parametrize("export", EXPORTS, ids=["one", "NDJSON", "array", "array over lines", "one over lines"])
def test_an_export_cut_off_anywhere(export: bytes) -> None:
    named = export.index(b'"proposal"') + len(b'"proposal":')
    for length in range(1, len(export)):
        try:
            found = items(export[:length])
        except UsageError:  # nothing of a document is to be seen yet
            assert length < named
            continue
        good_ones = [item for item in found if isinstance(item, RawDocument)]
        assert all(item.raw == GOOD for item in good_ones)
        assert len(found) - len(good_ones) <= 1


@quick
@given(st.lists(json_values.filter(lambda v: _plain(v)), max_size=6), st.sampled_from([None, 1]))
def test_an_array_is_split_as_a_json_parser_would(values: list[Any], indent: int | None) -> None:
    text = json.dumps(values, indent=indent)
    slots = [slot.value for slot in split(iter([text.encode()]), LIMIT)]
    assert slots == parse(text.encode())


def _plain(value: Any) -> bool:
    try:
        parse(json.dumps(value).encode())
    except (TypeError, ValueError):
        return False
    return True


# Time


def read_all(export: bytes, limit: int) -> None:
    """Reads to the end, where it may turn out that nothing was a document."""
    with suppress(UsageError):
        for _item in read(io.BytesIO(export), max_document_bytes=limit):
            pass


@pytest.mark.parametrize(
    "piece",
    [
        b'{"proposal": {"proposalNumber": "1"}, "sessions": [{"persons": [',
        b'{"proposal": {"title": "',
        b'{"proposal": [' * 20,
        b'"' * 101,
        b"\\" * 100,
    ],
    ids=["unclosed", "open string", "deep", "quotes", "backslashes"],
)
@pytest.mark.parametrize("comma", [b",", b"\n"], ids=["array", "lines"])
def test_many_broken_documents_take_no_long_time(piece: bytes, comma: bytes) -> None:
    start = time.process_time()
    export = comma.join([piece] * (2_000_000 // len(piece)))
    for source in (b"[" + export + b"]", export, comma.join([export, b"{}{" + export.replace(b"\n", b"}{")])):
        read_all(source, 200_000)
    assert time.process_time() - start < 20


def test_blanks_and_commas_without_end_take_no_long_time() -> None:
    start = time.process_time()
    for source in (b"[" + b"," * 100_000, b"{" + b"\n" * 1_000_000, b"[" + b" " * 5_000_000 + b"]"):
        read_all(source, 100_000)
    assert time.process_time() - start < 20


# Memory

MEMORY_TEST = """
    import gzip, io, json, resource, sys, zlib
    sys.path.insert(0, sys.argv[1])
    from support.exports import GOOD
    from sync.read.reader import read
    from sync.validate.validator import Validator

    GOOD["sessions"][0]["comments"] = 'long "text" ' * 1000
    LINE = json.dumps(GOOD).encode()
    MEGABYTES = int(sys.argv[3])

    class Stream(io.RawIOBase):
        def __init__(self, blocks):
            self.blocks = filter(None, blocks)
        def read(self, size=-1):
            return next(self.blocks, b"")

    def repeated(start, block, end, times):
        yield start
        for _ in range(times):
            yield block
        yield end

    def lines():
        block = b"".join([LINE + b"\\n"] * 20)
        return repeated(b"", block, b"", MEGABYTES * 1_000_000 // len(block))

    def array():
        block = b"".join([LINE + b","] * 20)
        return repeated(b"[", block, LINE + b"]", MEGABYTES * 1_000_000 // len(block))

    def one_string():
        return repeated(b'[{"x": "', b"y" * 100_000, b'"},' + LINE + b"]", MEGABYTES * 10)

    def one_line():
        return repeated(b"", b"y" * 100_000, b"\\n" + LINE, MEGABYTES * 10)

    def many_brackets():
        return repeated(b'[{"x": [', b"{}," * 30_000, b"1]}," + LINE + b"]", MEGABYTES // 2)

    def blanks():
        return repeated(b"", b" " * 100_000, LINE, MEGABYTES * 10)

    def bomb():
        packer = zlib.compressobj(9, wbits=31)
        packed = [packer.compress(block) for block in one_string()] + [packer.flush()]
        return [b"".join(packed)]

    def run(blocks):
        validator = Validator(timezone="Europe/Paris", refuse=lambda refusal: None)
        reader = read(Stream(blocks), max_document_bytes=1_000_000)
        return sum(1 for _ in validator.documents(reader))

    run([b"[" + LINE + b"," + LINE + b"]"])
    blocks = globals()[sys.argv[2]]()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    documents = run(blocks)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"documents": documents, "megabytes": (after - before) / 1024}))
"""


@pytest.mark.parametrize(
    ("stream", "megabytes", "documents"),
    [
        ("lines", 200, None),
        ("array", 200, None),
        ("one_string", 100, 1),
        ("one_line", 100, 1),
        ("many_brackets", 100, 1),
        ("blanks", 100, 1),
        ("bomb", 100, 1),
    ],
)
def test_memory_does_not_grow_with_the_export(stream: str, megabytes: int, documents: int | None) -> None:
    """What is kept of the export would be more than the 60 MB that may be taken."""
    program = textwrap.dedent(MEMORY_TEST)
    here = str(Path(__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", program, here, stream, str(megabytes)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["megabytes"] < 60
    if documents is None:
        assert result["documents"] > 10_000
    else:
        assert result["documents"] == documents


def test_sql_and_control_characters_are_plain_text() -> None:
    text = "'; DROP TABLE Person; -- \" ` %s :x \\ \x00\x1b\x7f\u2028 é Ω 😀"
    raw = {"proposal": {"proposalNumber": text, "title": text, "persons": [{"login": text, "familyName": text}]}}
    (valid,), refusals, _, _ = validated(json.dumps(raw).encode())
    assert refusals == []
    assert valid.document.proposal.title == text
    assert numbers(items(json.dumps(raw).encode())) == [(1, 1, text)]
