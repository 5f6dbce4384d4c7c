"""The words of a SQL file, each with its place, its statement and how deep in parentheses it stands.

Comments are left out, marks such as `-- if: siteId` among them. This knows no grammar: only what a change needs.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

_NAME = re.compile(r"-- name: (\w+)")
_PASS = re.compile(r"-- pass: (\w+)")
_TOKEN = re.compile(
    r"""
    (?P<comment>--[^\n]*)
    | (?P<string>'(?:[^'\\]|\\.|'')*'|"[^"]*"|`[^`]*`)
    | (?P<number>\d+(?:\.\d+)?(?:e\d+)?)
    | (?P<word>[A-Za-z_@][\w.]*)
    | (?P<operator><=>|<>|<=|>=|:=|[=<>])
    | (?P<mark>[^\s\w])
    """,
    re.VERBOSE,
)


@dataclass(frozen=True)
class Token:
    """One word, number, text or mark; an opening parenthesis stands as deep as what is outside."""

    kind: str
    text: str
    start: int
    end: int
    depth: int
    statement: str
    pass_: str


def tokens(sql: str) -> Iterator[Token]:
    """The tokens of a file that stand in a statement, in their order."""
    pass_ = statement = ""
    depth = 0
    for found in _TOKEN.finditer(sql):
        kind, text = found.lastgroup or "", found[0]
        if kind == "comment":
            pass_ = _PASS.match(text)[1] if _PASS.match(text) else pass_  # type: ignore[index]
            if name := _NAME.match(text):
                statement, depth = name[1], 0
            continue
        depth -= text == ")"
        if statement:
            yield Token(kind, text, *found.span(), depth, statement, pass_)
        depth += text == "("
