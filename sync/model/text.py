"""Text that is shown: what comes from elsewhere, made safe, counts, and the release."""

import json
import re
from functools import cache

_QUOTED = re.compile(r"(\b(?:key|column|constraint|field|table) )?'(?:[^'\\]|\\.|'')*'", re.IGNORECASE)


def masked_words(words: str) -> str:
    """A server's words without the values that it quotes; the names of keys and columns stay."""
    return _QUOTED.sub(lambda found: found[0] if found[1] else "'(masked)'", words)


def printable(text: str) -> str:
    """The text with everything escaped that moves a cursor, breaks a line or turns the direction of writing."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def json_begin(value: object, most: int) -> str:
    """So many characters of the JSON of a value, from its beginning; no more of it is written than that needs.

    Raises TypeError or ValueError where JSON has no words for it.
    """
    text = ""
    for part in json.JSONEncoder(ensure_ascii=False, allow_nan=False).iterencode(value):
        text += part[:most].encode("utf-8", "replace").decode()
        if len(text) >= most:
            break
    return text[:most]


def counted(number: int, thing: str) -> str:
    """A count with its noun: 1 row, 2,000 rows."""
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"


@cache
def tool_version() -> str:
    """The release as the installed package says; kept, since looking takes longer than most statements."""
    from importlib.metadata import version  # it takes long to load, and help does without

    return version("ispyb-sync")
