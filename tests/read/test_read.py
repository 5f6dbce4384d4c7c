"""Reading: every form of export, and what is broken does not stop what is around it."""

import gzip
import hashlib
import io
import json
import os
import sys
import threading
import zlib
from pathlib import Path
from typing import Any

import pytest
from support.exports import LIMIT, document, items, numbers

from sync.model.errors import UsageError
from sync.read.reader import RawDocument, Reader, Unreadable, read

ONE, TWO, THREE = document(1), document(2), document(3)
MARK = b"\xef\xbb\xbf"
PRETTY = json.dumps(json.loads(ONE), indent=2).encode()
PRETTY_TWO = json.dumps(json.loads(TWO), indent=2).encode()

FORMS = [
    ("one document", ONE, [(1, 1, "1")]),
    ("one document over several lines", PRETTY, [(1, 1, "1")]),
    ("documents over several lines", PRETTY + b"\n" + PRETTY_TWO, [(1, 1, "1"), (2, 6, "2")]),
    ("NDJSON", ONE + b"\n" + TWO + b"\n", [(1, 1, "1"), (2, 2, "2")]),
    ("NDJSON without the last line end", ONE + b"\n" + TWO, [(1, 1, "1"), (2, 2, "2")]),
    ("NDJSON with blank lines and CRLF", b"\n" + ONE + b"\r\n \r\n" + TWO, [(1, 2, "1"), (2, 4, "2")]),
    ("array on one line", b"[" + ONE + b"," + TWO + b"]", [(1, 1, "1"), (2, 1, "2")]),
    ("array, one document a line", b"[\n" + ONE + b",\n" + TWO + b"\n]\n", [(1, 2, "1"), (2, 3, "2")]),
    ("array over many lines", b"[" + PRETTY + b",\n\n" + PRETTY_TWO + b"]", [(1, 1, "1"), (2, 7, "2")]),
    ("empty array", b" [ ] ", []),
    ("byte order mark", MARK + ONE + b"\n" + TWO, [(1, 1, "1"), (2, 2, "2")]),
    ("byte order mark and array", MARK + b"[" + ONE + b"]", [(1, 1, "1")]),
    ("one behind the other on one line", ONE + TWO + b" " + THREE, [(1, 1, "1"), (2, 1, "2"), (3, 1, "3")]),
    ("one behind the other, over several lines", PRETTY + PRETTY_TWO, [(1, 1, "1"), (2, 5, "2")]),
    ("two on the first line", ONE + TWO + b"\n" + THREE, [(1, 1, "1"), (2, 1, "2"), (3, 2, "3")]),
    ("two on a later line", ONE + b"\n" + TWO + THREE + b"\n", [(1, 1, "1"), (2, 2, "2"), (3, 2, "3")]),
    ("files of lines that were joined", (MARK + ONE + b"\n") + (MARK + TWO + b"\n"), [(1, 1, "1"), (2, 2, "2")]),
    (
        "files without a last line end",
        (MARK + ONE) + (MARK + TWO) + MARK + THREE,
        [(1, 1, "1"), (2, 1, "2"), (3, 1, "3")],
    ),
    ("files over several lines", (MARK + PRETTY) + (MARK + PRETTY_TWO), [(1, 1, "1"), (2, 5, "2")]),
    ("byte order mark before a later line", PRETTY + b"\n" + MARK + PRETTY_TWO, [(1, 1, "1"), (2, 6, "2")]),
    ("byte order marks in an array", b"[" + MARK + ONE + b"," + MARK + TWO + b"]", [(1, 1, "1"), (2, 1, "2")]),
    ("byte order mark at the end", ONE + b"\n" + MARK, [(1, 1, "1")]),
    ("two byte order marks", MARK + MARK + ONE, [(1, 1, "1")]),
]


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize(("export", "expected"), [f[1:] for f in FORMS], ids=[f[0] for f in FORMS])
def test_every_form_of_export_is_read(export: bytes, expected: list[Any], pack: Any) -> None:
    assert numbers(items(pack(export))) == expected


BROKEN = b'{"proposal": {"title": "x"'
NAN = b'{"proposal": {"title": NaN}}'
JSON, DOCUMENT = "invalid_json", "invalid_document"
BAD_PIECES = [
    ("unfinished", BROKEN, JSON, "unexpected end"),
    ("a string without end", b'{"proposal": {"title": "x}}', JSON, "column"),
    ("one bracket too many", TWO + b"}", JSON, "column"),
    ("text behind the document", TWO + b" x", JSON, "column"),
    ("single quotes", b"{'proposal': {}}", JSON, "column 2"),
    ("NaN", b'{"proposal": {"title": NaN}}', JSON, "NaN is not a number"),
    ("Infinity", b'{"proposal": {"title": -Infinity}}', JSON, "-Infinity is not a number"),
    ("a number beyond all floats", b'{"proposal": {"title": 1e999}}', JSON, "infinity"),
    ("invalid UTF-8", b'{"proposal": {"title": "\xff"}}', JSON, "not UTF-8: 0xff at byte 25"),
    ("half a surrogate pair", b'{"proposal": {"title": "\\ud800"}}', JSON, "surrogate"),
    ("a raw control character", b'{"proposal": {"title": "\x01"}}', JSON, "control character"),
    ("deep nesting", b'{"x": ' + b"[" * 2000 + b"]" * 2000 + b"}", JSON, "nested too deeply"),
    ("too large", b'{"x": "' + b"y" * LIMIT + b'"}', DOCUMENT, "larger than 10,000 bytes"),
    ("too large, of many brackets", b'{"x": [' + b"{}," * 200_000 + b"{}]}", DOCUMENT, "larger than"),
    ("too large, of backslashes", b'{"x": "' + b"\\" * 700_000 + b'"}', DOCUMENT, "larger than"),
    ("10 MB on one line", b'{"x": "' + b'\\"' * 5_000_000 + b'"}', DOCUMENT, "larger than"),
    ("a number", b"5", DOCUMENT, "a number where a document is expected"),
    ("text", b'"a, ] b"', DOCUMENT, "text where a document is expected"),
    ("null", b"null", DOCUMENT, "null where"),
    ("false", b"false", DOCUMENT, "true or false where"),
    ("a list", b"[[1], [2]]", DOCUMENT, "a list where"),
    ("no value at all", b"proposal", JSON, "column 1"),
]
IDS = [piece[0] for piece in BAD_PIECES]
PIECES = [piece[1:] for piece in BAD_PIECES]


@pytest.mark.parametrize(("piece", "code", "words"), PIECES, ids=IDS)
def test_a_broken_line_does_not_stop_those_around_it(piece: bytes, code: str, words: str) -> None:
    found = items(b"\n".join([ONE, piece, TWO, piece, THREE]))
    assert numbers(found) == [(1, 1, "1"), (2, 2, code), (3, 3, "2"), (4, 4, code), (5, 5, "3")]
    assert isinstance(found[1], Unreadable)
    assert found[1].message.startswith("line 2: ")
    assert words in found[1].message
    assert found[1].hint


@pytest.mark.parametrize("comma", [b",", b",\n"], ids=["one line", "lines"])
@pytest.mark.parametrize(("piece", "code", "words"), PIECES, ids=IDS)
def test_a_broken_element_does_not_stop_those_around_it(piece: bytes, code: str, words: str, comma: bytes) -> None:
    found = items(b"[" + comma.join([ONE, piece, TWO, piece, THREE]) + b"]")
    step = comma.count(b"\n")
    codes = ["1", code, "2", code, "3"]
    assert numbers(found) == [(n, 1 + (n - 1) * step, c) for n, c in enumerate(codes, 1)]


@pytest.mark.parametrize(("piece", "code", "words"), PIECES, ids=IDS)
def test_a_broken_first_piece_does_not_hide_what_follows(piece: bytes, code: str, words: str) -> None:
    for export in (piece + b"\n" + ONE + b"\n" + TWO, b"[" + piece + b"," + ONE + b"," + TWO + b"]"):
        if not export.startswith(b"[["):  # an array on the first line is the export itself
            assert [c for _, _, c in numbers(items(export))] == [code, "1", "2"]


def test_broken_first_lines_are_refused_one_by_one() -> None:
    other = b'{"title": 1, "proposal": {"proposalNumber": "1"}}'
    found = numbers(items(b"\n".join([b'{"proposal": {"title": NaN}}', b"x", other, BROKEN, other])))
    assert [code for _, _, code in found] == [JSON, JSON, "1", JSON, "1"]


OUTER = [
    ("array cut off after a document", b"[" + ONE + b"," + TWO, [(1, 1, "1"), (2, 1, "2"), (3, 1, JSON)]),
    ("array cut off after a comma", b"[" + ONE + b",\n", [(1, 1, "1"), (2, 2, JSON)]),
    ("array cut off in a document", b"[" + ONE + b"," + TWO[:-5], [(1, 1, "1"), (2, 1, JSON)]),
    ("text after the array", b"[" + ONE + b"]\n" + TWO, [(1, 1, "1"), (2, 2, JSON)]),
    ("comma at the end of the array", b"[" + ONE + b",]", [(1, 1, "1"), (2, 1, JSON)]),
    ("two commas", b"[" + ONE + b",," + TWO + b"]", [(1, 1, "1"), (2, 1, JSON), (3, 1, "2")]),
    ("comma at the start of the array", b"[," + ONE + b"]", [(1, 1, JSON), (2, 1, "1")]),
    ("NDJSON cut off", ONE + b"\n" + TWO[:-3], [(1, 1, "1"), (2, 2, JSON)]),
    ("text after a document over lines", PRETTY + b"\nx", [(1, 1, "1"), (2, 6, JSON)]),
    ("a broken document over lines", PRETTY[:-2] + b"x\n" + ONE, [(1, 1, JSON), (2, 5, "1")]),
    ("broken between two on one line", ONE + NAN + TWO, [(1, 1, "1"), (2, 1, JSON), (3, 1, "2")]),
    (
        "broken between two on a later line",
        ONE + b"\n" + TWO + NAN + THREE,
        [(1, 1, "1"), (2, 2, "2"), (3, 2, JSON), (4, 2, "3")],
    ),
    ("unfinished after one on a later line", ONE + b"\n" + TWO + BROKEN, [(1, 1, "1"), (2, 2, "2"), (3, 2, JSON)]),
    ("a broken document alone", NAN, [(1, 1, JSON)]),
    ("a document of a misspelt key", b'{"Proposal": 5}', [(1, 1, "{'Proposal': 5}")]),
]


@pytest.mark.parametrize(("export", "expected"), [o[1:] for o in OUTER], ids=[o[0] for o in OUTER])
def test_what_is_wrong_between_documents_has_a_position(export: bytes, expected: list[Any]) -> None:
    assert numbers(items(export)) == expected


def test_position_of_a_fault_counts_documents_and_lines() -> None:
    lines = [document(n) for n in range(1, 31)]
    lines[16] = BROKEN
    found = items(b"\n".join(lines))
    assert [(i.number, i.line) for i in found if isinstance(i, Unreadable)] == [(17, 17)]
    assert len(found) == 30


def test_the_line_of_a_fault_inside_a_long_document_is_told() -> None:
    found = items(b'[{"proposal":\n\n{"title": nope}}]')
    assert isinstance(found[0], Unreadable)
    assert found[0].line == 1
    assert found[0].message.startswith("line 3: ")


def test_a_document_may_hold_what_looks_like_another_one() -> None:
    inner = b'{"proposal": {"proposalNumber": "x"}}'
    nested = b'{"proposal": {"proposalNumber": "1"}, "copies": [' + inner + b", " + inner + b"]}"
    text = json.dumps({"proposal": {"proposalNumber": "2", "title": ', {"proposal": {}}, [{'}}).encode()
    for export in (b"[" + b",".join([nested, text, THREE]) + b"]", b"\n".join([nested, text, THREE])):
        assert [c for _, _, c in numbers(items(export))] == ["1", "2", "3"]


def test_documents_may_start_with_any_key() -> None:
    export = b'[{"x": 1, "proposal": {"proposalNumber": "1"}}, {"sessions": [], "proposal": {"proposalNumber": "2"}}]'
    assert [c for _, _, c in numbers(items(export))] == ["1", "2"]


@pytest.mark.parametrize("number", [2**64, 2**127 + 1, 2**128 - 1])
def test_long_external_ids_stay_exact(number: int) -> None:
    for value in (f'{{"proposal": {{"externalId" : {number}}}}}', f'[{{"proposal":{{"externalId":{number}}}}}]'):
        (found,) = items(value.encode())
        assert isinstance(found, RawDocument)
        assert found.raw["proposal"]["externalId"] == number


def test_of_equal_keys_the_last_one_counts() -> None:
    assert numbers(items(b'{"proposal": {"proposalNumber": "1", "proposalNumber": "2"}}')) == [(1, 1, "2")]


def test_a_duplicated_document_is_read_twice() -> None:
    assert numbers(items(ONE + b"\n" + ONE)) == [(1, 1, "1"), (2, 2, "1")]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64])
def test_the_size_of_the_chunks_does_not_matter(size: int) -> None:
    class Slow(io.RawIOBase):
        def __init__(self, data: bytes) -> None:
            self.data = io.BytesIO(data)

        def read(self, _count: int = -1) -> bytes:
            return self.data.read(size)

    exports = [form[1] for form in FORMS] + [outer[1] for outer in OUTER]
    for export in [*exports, *map(gzip.compress, exports)]:
        assert numbers(read(Slow(export), max_document_bytes=LIMIT)) == numbers(items(export))


# Sources


def test_a_file_is_named_measured_and_summed(tmp_path: Path) -> None:
    path = tmp_path / "export.ndjson.gz"
    path.write_bytes(gzip.compress(ONE + b"\n" + TWO))
    reader = read(path, max_document_bytes=LIMIT)
    assert (reader.bytes_read, reader.total_bytes) == (0, path.stat().st_size)
    assert len(list(reader)) == 2
    assert reader.bytes_read == reader.total_bytes
    assert reader.info.name == str(path)
    assert reader.info.bytes == path.stat().st_size
    assert reader.info.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_standard_input_is_read(monkeypatch: pytest.MonkeyPatch, pack: Any) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(pack(ONE + b"\n" + TWO))))
    reader = read("-", max_document_bytes=LIMIT)
    assert [c for _, _, c in numbers(reader)] == ["1", "2"]
    assert reader.info.name == "standard input"
    assert reader.total_bytes is None


def test_standard_input_that_is_closed_is_wrong_usage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)  # as Python sets it after `<&-`
    with pytest.raises(UsageError, match="cannot read standard input: it is closed"):
        list(read("-", max_document_bytes=LIMIT))


def test_open_files_are_read_binary_and_text(tmp_path: Path) -> None:
    path = tmp_path / "export.json"
    path.write_bytes('{"proposal": {"proposalNumber": "é"}}'.encode("latin-1"))
    with path.open(encoding="latin-1") as text:
        assert [c for _, _, c in numbers(read(text, max_document_bytes=LIMIT))] == ["é"]
    with path.open("rb") as binary:
        reader = read(binary, max_document_bytes=LIMIT)
        assert reader.total_bytes == path.stat().st_size
        assert [c for _, _, c in numbers(reader)] == [JSON]
    assert [c for _, _, c in numbers(read(io.StringIO(ONE.decode()), max_document_bytes=LIMIT))] == ["1"]


def test_a_named_pipe_is_read(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=lambda: path.write_bytes(ONE))
    writer.start()
    reader = read(path, max_document_bytes=LIMIT)
    assert reader.total_bytes is None
    assert [c for _, _, c in numbers(reader)] == ["1"]
    writer.join()


def test_dicts_are_taken_as_they_are() -> None:
    raw = json.loads(ONE)
    assert numbers(read(raw, max_document_bytes=1)) == [(1, None, "1")]
    found = list(read(iter([raw, [raw], None]), max_document_bytes=1))
    assert numbers(found) == [(1, None, "1"), (2, None, DOCUMENT), (3, None, DOCUMENT)]
    assert read([raw], max_document_bytes=1).info.sha256 is None
    assert list(read([], max_document_bytes=1)) == []


NO_DOCUMENT = [
    ("an HTML page", b"<!DOCTYPE html>\n<html><body>\n  <p>Log in, please</p>\n</body></html>", "<!DOCTYPE html>"),
    ("an error of the portal", b'{"error": "no such proposal", "status": 404}', "no such proposal"),
    ("an error over several lines", b'{\n  "error": {\n    "code": 500\n  }\n}\n', r'{\n  "error"'),
    ("an array of errors", b'[{"error": "x"},\n{"error": "y"}]', r'[{"error": "x"},\n'),
    ("lines of errors", b'{"error": "x"}\n{"error": "y"}\n', '{"error": "x"}'),
    ("an empty object", b"{}", "{}"),
    ("a JSON scalar", b"17", "17"),
    ("an array that is cut off at once", b"[", "["),
    ("an envelope", b'{"data": [' + ONE + b"]}", '{"data": [{"proposal"'),
    ("a list in a list", b"[[" + ONE + b"]]", '[[{"proposal"'),
    ("text that is not UTF-8", b"\xff\xfa\x00\x1b[31m", r"\xff\xfa\x00\x1b[31m"),
    ("a long line", b"x" * 9000, "x" * 60 + "…"),
]


@pytest.mark.parametrize(("export", "words"), [n[1:] for n in NO_DOCUMENT], ids=[n[0] for n in NO_DOCUMENT])
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_an_input_without_a_document_is_wrong_usage_and_shows_its_start(export: bytes, words: str, pack: Any) -> None:
    with pytest.raises(UsageError, match="there is no document in it") as raised:
        items(pack(export))
    assert words in raised.value.message
    assert len(raised.value.message) < 150
    assert raised.value.message.isprintable()


@pytest.mark.parametrize("source", [{"error": "x"}, [{"error": "x"}, None]], ids=["a dict", "dicts"])
def test_dicts_without_a_document_are_wrong_usage(source: Any) -> None:
    with pytest.raises(UsageError, match=r"begins with \{'error': 'x'\}"):
        list(read(source, max_document_bytes=LIMIT))


def test_an_error_of_the_portal_between_documents_is_refused() -> None:
    found = items(b'{"error": "x"}\n' + ONE + b"\n<html>\n")
    assert numbers(found) == [(1, 1, "{'error': 'x'}"), (2, 2, "1"), (3, 3, JSON)]


UNUSABLE = [
    ("empty", b"", "is empty"),
    ("blank", b" \n\t\r\n", "is empty"),
    ("byte order mark alone", MARK, "is empty"),
    ("empty, packed", gzip.compress(b""), "is empty"),
    ("gzip cut off at once", gzip.compress(ONE)[:15], "gzip file ends too early"),
    ("one byte of gzip", b"\x1f", "gzip file ends too early"),
    ("gzip damaged at once", b"\x1f\x8b\x08\x00" + b"\xff" * 50, "gzip file is damaged"),
    ("gzip with a wrong checksum", gzip.compress(ONE)[:-8] + b"\0" * 8, "checksum is wrong"),
    ("packed twice", gzip.compress(gzip.compress(ONE)), "packed with gzip twice"),
    ("zip", b"PK\x03\x04" + b"\0" * 50, "a zip archive"),
    ("xz", b"\xfd7zXZ\0" + b"\0" * 50, "xz"),
    ("zstd", b"\x28\xb5\x2f\xfd" + b"\0" * 50, "zstd"),
    ("UTF-16", ONE.decode().encode("utf-16"), "UTF-16"),
]


@pytest.mark.parametrize(("export", "words"), [u[1:] for u in UNUSABLE], ids=[u[0] for u in UNUSABLE])
def test_an_export_that_cannot_be_read_at_all_is_wrong_usage(export: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / "export"
    path.write_bytes(export)
    with pytest.raises(UsageError, match=words) as raised:
        list(read(path, max_document_bytes=LIMIT))
    assert str(path) in raised.value.message
    assert raised.value.hint
    assert raised.value.exit_code == 2


def test_a_file_that_is_not_there_is_told_before_anything_is_read(tmp_path: Path) -> None:
    for path, words in [
        (tmp_path / "missing.json", "No such file"),
        (tmp_path, "is a folder"),
        ("nul\0byte", "null byte"),
        ("x" * 5000, "too long"),
    ]:
        with pytest.raises(UsageError, match=words) as raised:
            Reader(path, max_document_bytes=LIMIT)
        assert raised.value.hint


def test_files_that_cannot_be_read_are_wrong_usage(tmp_path: Path) -> None:
    path = tmp_path / "export.json"
    path.write_bytes(b"\xff")
    closed = path.open("rb")
    closed.close()
    with path.open(encoding="utf-8") as wrong_encoding, (tmp_path / "out").open("wb") as for_writing:
        for source in (closed, wrong_encoding, for_writing):
            with pytest.raises(UsageError, match="cannot read"):
                list(read(source, max_document_bytes=LIMIT))


@pytest.mark.parametrize("source", [5, None, b'{"proposal": {}}', 3.5], ids=repr)
def test_what_is_no_export_is_wrong_usage(source: Any) -> None:
    with pytest.raises(UsageError, match="cannot be read from"):
        read(source, max_document_bytes=LIMIT)


# gzip


def test_gzip_members_are_read_one_after_another() -> None:
    packed = gzip.compress(ONE + b"\n") + gzip.compress(TWO + b"\n") + b"\0" * 500
    assert [c for _, _, c in numbers(items(packed))] == ["1", "2"]


def test_documents_before_the_damage_are_good() -> None:
    lines = b"".join(document(n) + b"\n" for n in range(1, 2001))
    packed = gzip.compress(lines)
    packer = zlib.compressobj(wbits=31)
    whole_blocks = packer.compress(lines) + packer.flush(zlib.Z_FULL_FLUSH)
    for export, words in [
        (packed[: len(packed) // 2], "ends too early"),
        (packed + b"garbage", "damaged"),
        (whole_blocks + b"\xff" * 300, "damaged"),
    ]:
        found = items(export)
        assert len(found) > 100
        assert isinstance(found[-1], Unreadable)
        assert words in found[-1].message
        assert found[-1].number == len(found)
        readable = [item.raw["proposal"]["proposalNumber"] for item in found if isinstance(item, RawDocument)]
        assert readable[:100] == [str(n) for n in range(1, 101)]


def test_a_gzip_without_its_last_bytes_loses_no_document() -> None:
    for export in (ONE + b"\n" + TWO, b"[" + ONE + b"," + TWO + b"]"):
        found = items(gzip.compress(export)[:-4])
        assert [c for _, _, c in numbers(found)] == ["1", "2", JSON]
