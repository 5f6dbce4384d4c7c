"""Which letters a character set of the server holds: known of the usual ones, asked of all others.

Python's codecs differ from MariaDB's in single letters (greek has no euro sign there), so they are not used. The server
is sent all letters of the Basic Multilingual Plane at once, converted to the character set and back: those that return
are held.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

from sqlalchemy import Connection

_ASCII = frozenset(map(chr, range(0x20, 0x7F)))


def _encodes(text: str, codec: str) -> bool:
    try:
        return text.isascii() or bool(text.encode(codec))
    except UnicodeEncodeError:
        return False


def _any(text: str) -> bool:
    return _encodes(text, "utf-8")  # half of a pair of surrogates is no letter


def _of_one_plane(text: str) -> bool:
    return text.isascii() or (max(text) <= "\uffff" and _any(text))


def _windows_latin1(text: str) -> bool:
    return _encodes(text, "cp1252")


_KNOWN: dict[str, Callable[[str], bool]] = {
    "latin1": _windows_latin1,
    "ascii": str.isascii,
    "utf8": _of_one_plane,
    "utf8mb3": _of_one_plane,
    "utf8mb4": _any,
    "ucs2": _of_one_plane,
    "utf16": _any,
    "utf16le": _any,
    "utf32": _any,
    "binary": _any,
}
"""What holds a text. MariaDB's latin1 is the Windows code page."""

_ENCODINGS = {"ucs2": "utf-16-be", "utf16": "utf-16-be", "utf16le": "utf-16-le", "utf32": "utf-32-be"}


@dataclass(frozen=True)
class Repertoire:
    """The letters of one character set.

    letters    those of the Basic Multilingual Plane, where the server was asked
    in_bytes   whether the length of a column counts bytes
    """

    charset: str
    letters: frozenset[str] | None = None

    @property
    def in_bytes(self) -> bool:
        """Whether a column of so many characters holds so many bytes."""
        return self.charset == "binary"

    def holds(self, text: str) -> bool:
        """Whether each letter can be stored; line breaks and tabs can be everywhere."""
        return self._holds(text)

    def octets(self, text: str) -> int:
        """How many bytes the text takes at the most."""
        encoding = _ENCODINGS.get(self.charset)
        if encoding is not None:
            return len(text.encode(encoding))
        return len(text) if text.isascii() else len(text.encode())

    @cached_property
    def _holds(self) -> Callable[[str], bool]:
        letters = self.letters
        if letters is None:
            return _KNOWN[self.charset]
        if letters >= _ASCII:
            return lambda text: text.isascii() or letters.issuperset(text)
        return letters.issuperset


def repertoires(connection: Connection, charsets: Iterable[str]) -> dict[str, Repertoire]:
    """The repertoire of each character set; asks the server for those that are not known."""
    return {name: Repertoire(name, None if name in _KNOWN else _asked(connection, name)) for name in set(charsets)}


def _asked(connection: Connection, charset: str) -> frozenset[str]:
    # The name of a character set comes from information_schema; a name cannot be a parameter.
    sql = f"SELECT CONVERT(CONVERT(%s USING `{charset}`) USING utf8mb4)"
    letters = "".join(map(chr, (*range(0x20, 0xD800), *range(0xE000, 0x10000))))
    returned = str(connection.exec_driver_sql(sql, (letters,)).scalar_one())
    return frozenset(sent for sent, back in zip(letters, returned, strict=True) if sent == back) | frozenset("\t\n\r")
