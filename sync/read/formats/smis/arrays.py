"""The four arrays: from a folder, a zip, or one object; several proposals may each have files of their own.

Files are called `sessions`, `sessions.json`, `sessions.json.gz`, each also with a prefix `CODE-NUMBER_json_`; those of
one prefix belong together. Text that is not UTF-8 is read as Latin-1. Of the files of one prefix all are taken or none:
people who stand in a file that cannot be read would look like people who are no longer there.
"""

import io
import re
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

import orjson

from sync.model.errors import NotWhole, UnreadableExport
from sync.model.text import printable
from sync.read.buffer import GZIP, MARK
from sync.read.closest import closest_key
from sync.read.parse import INVALID_DOCUMENT, INVALID_JSON, kind_of
from sync.read.turning.form import Broken
from sync.read.turning.sent import MOST_BYTES, Sent, too_large, unpacked

NAMES = ("proposers", "sessions", "samples", "labcontacts")
_FILE = re.compile(rf"(?:(?P<prefix>.+)_json_)?(?P<name>{'|'.join(NAMES)})(?:\.json)?(?:\.gz)?")
_SHOWN = 60


@dataclass
class Group:
    """Arrays that belong together, each with the name by which its place is told; one that was not sent is absent."""

    name: str
    arrays: dict[str, list[Any]] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, value: object, place: str) -> None:
        """Takes an array. Raises ValueError in plain words."""
        if name in self.arrays:
            raise ValueError(f"{place} and {self.places[name]} are both the array {name}")
        if value is None:
            return  # not known
        if not isinstance(value, list):
            raise ValueError(f"{place}: {kind_of(value)} where an array is expected")
        self.arrays[name] = value
        self.places[name] = place


class _NoJson(ValueError):
    """Why a text is no JSON; `is_cut` is whether it ends too early."""

    def __init__(self, words: str, *, is_cut: bool) -> None:
        super().__init__(words)
        self.is_cut = is_cut


class Arrays:
    """Iterates over the groups of what was sent.

    latin_1       files that are not UTF-8
    other_files   files that are none of the four
    beside        what stands in objects beside the four, of each object
    """

    def __init__(self, sent: Sent) -> None:
        self.latin_1: list[str] = []
        self.other_files: list[str] = []
        self.beside: list[dict[str, Any]] = []
        self._sent = sent

    def __iter__(self) -> Iterator[Group | Broken]:
        """Raises UnreadableExport where nothing of it are the four arrays."""
        sent = self._sent
        if sent.folder is not None:
            files = {path.name: path for path in sent.files()}
            yield from self._groups(files, lambda name: sent.read(files[name]))
        elif sent.values is not None:
            many = [sent.values] if isinstance(sent.values, dict) else sent.values
            for value in many:
                yield self._object(value)
        else:
            data = sent.read()
            if data.startswith(b"PK"):
                yield from self._of_zip(data)
            else:
                yield self._of_text(data)

    def _of_text(self, data: bytes) -> Group:
        try:
            value = self._parsed(data, self._sent.name)
        except _NoJson as error:
            kind = NotWhole if error.is_cut else UnreadableExport
            raise kind(str(error), hint="The form smis is a folder, a zip, or one object of arrays.") from None
        return self._object(value)

    def _object(self, value: object) -> Group:
        """The group that one object is. Raises UnreadableExport."""
        keys = value.keys() if isinstance(value, dict) else ()
        if not isinstance(value, dict) or not set(NAMES) & value.keys():
            shown = printable(str(value)[:_SHOWN])
            close = [f"{key} ({near}?)" for key in keys if (near := closest_key(str(key), NAMES))]
            raise UnreadableExport(
                f"{self._sent.name}: none of {', '.join(NAMES)} is in it; it begins with {', '.join(close) or shown}",
                hint="The form smis is one object of these arrays, or a folder or zip of files of these names.",
            )
        self.beside.append({str(key): value[key] for key in keys if key not in NAMES})
        group = Group("")
        try:
            for name in NAMES:
                if name in value:
                    group.add(name, value[name], name)
        except ValueError as error:
            raise UnreadableExport(
                f"{self._sent.name}: {error}", hint="Correct the export of the User Portal."
            ) from None
        return group

    def _of_zip(self, data: bytes) -> Iterator[Group | Broken]:
        name = self._sent.name
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                entries = {entry.filename: entry for entry in archive.infolist() if not entry.is_dir()}

                def content(file: str) -> bytes:
                    if entries[file].file_size > MOST_BYTES:
                        raise too_large(f"{name}/{printable(file)}")
                    return archive.read(file)

                yield from self._groups(entries, content)
        except zipfile.BadZipFile as error:
            raise NotWhole(f"{name}: the zip is damaged ({error})", hint="Copy or write it again.") from None

    def _groups(self, files: Iterable[str], content: Callable[[str], bytes]) -> Iterator[Group | Broken]:
        """The groups of files, by folder and prefix. Raises UnreadableExport: none, or only a broken one."""
        named: dict[tuple[str, str], list[tuple[str, str]]] = {}
        for file in files:
            path = PurePosixPath(file)
            found = _FILE.fullmatch(path.name)
            if found is None:
                self.other_files.append(printable(file))
            else:
                named.setdefault((str(path.parent), found["prefix"] or ""), []).append((found["name"], file))
        if not named:
            raise UnreadableExport(
                f"{self._sent.name}: none of its files is called {', '.join(NAMES)}",
                hint="Names are such as sessions.json or MX-415_json_sessions.json.",
            )
        for (_, prefix), of_prefix in named.items():
            group = Group(prefix)
            file = ""
            try:
                for name, file in of_prefix:
                    group.add(name, self._parsed(content(file), printable(file)), printable(file))
            except (ValueError, RuntimeError, NotImplementedError, zlib.error) as error:  # of a zip: encrypted, damaged
                words = f"{printable(str(error))}; nothing of {prefix or 'these files'} is taken"
                code = INVALID_JSON if isinstance(error, _NoJson) else INVALID_DOCUMENT
                broken = Broken(words, _CORRECT, printable(file), code)
                if len(named) == 1:
                    raise UnreadableExport(f"{self._sent.name}: {broken.message}", hint=broken.hint) from None
                yield broken
            else:
                yield group

    def _parsed(self, data: bytes, name: str) -> object:
        """The value of a JSON text. Raises _NoJson in plain words."""
        if data.startswith(GZIP):
            data = unpacked(data, name)
        text = data.removeprefix(MARK)
        try:
            text.decode()
        except UnicodeDecodeError:
            self.latin_1.append(name)
            text = text.decode("latin-1").encode()
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError as error:
            words = f"{name} is not JSON: {error.msg} (line {error.lineno}, column {error.colno})"
            raise _NoJson(words, is_cut="end of data" in error.msg) from None


_CORRECT = "Correct the file, or send it again."
