"""The mistakes that could be made in a SQL file: each one place, one other text.

A comparison turned, a bound moved, a condition or a BINARY or a NOT dropped, NULL for NOT NULL, the branches of an IF
or a CASE swapped, MIN for MAX, an outer join made an inner one. Some say the same as before in other words, or cannot
run; who reads the list finds out which.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from mutating.tokens import Token, tokens

SKIPPED = ("", "create", "digest", "draw", "confirm", "unsettled")
"""Passes that no case looks at: the run's tables, and what is left out (`tests/verify/test_verified.py`)."""

_TURNED = {"=": "<>", "<>": "=", "<=>": "=", "<": ">", ">": "<", "<=": ">", ">=": "<"}
_MOVED = {"<": "<=", "<=": "<", ">": ">=", ">=": ">"}
_ENDS = frozenset(
    (
        *(
            "AND",
            "OR",
            "WHEN",
            "THEN",
            "ELSE",
            "END",
            "SET",
            "ON",
            "WHERE",
            "GROUP",
            "HAVING",
            "ORDER",
            "LIMIT",
            "UNION",
        ),
        *("INNER", "LEFT", "STRAIGHT_JOIN", ";"),
    )
)
_OPENERS = frozenset(("WHERE", "HAVING", "ON", "AND", "OR", "WHEN", "("))


@dataclass(frozen=True)
class Change:
    """One change of one file: the text from `start` to `end` becomes another."""

    file: str
    kind: str
    statement: str
    start: int
    end: int
    text: str

    def apply(self, sql: str) -> str:
        """The file with this change."""
        return sql[: self.start] + self.text + sql[self.end :]

    def line(self, sql: str) -> int:
        """The number of its first line."""
        return sql.count("\n", 0, self.start) + 1

    def show(self, sql: str) -> str:
        """Where it is, and its lines before and after."""
        first, last = sql.rfind("\n", 0, self.start) + 1, sql.find("\n", self.end)
        before = sql[first:last]
        after = sql[first : self.start] + self.text + sql[self.end : last]
        lines = [f"sql/{self.file}.sql:{self.line(sql)} {self.statement}: {self.kind}"]
        lines += [f"  - {line.strip()}" for line in before.splitlines()]
        lines += [f"  + {line.strip()}" for line in after.splitlines()]
        return "\n".join(lines)


def changes(file: str, sql: str) -> list[Change]:
    """All changes of one file, each once."""
    found = [token for token in tokens(sql) if token.pass_ not in SKIPPED]
    return list(dict.fromkeys(change for maker in _MAKERS for change in maker(file, sql, found)))


def choose(several: Sequence[Change], count: int, seed: int) -> list[Change]:
    """So many of them, as many of each kind as there are; the same for the same seed and SQL."""
    drawn = random.Random(seed)
    by_kind: dict[str, list[Change]] = {}
    for change in several:
        by_kind.setdefault(change.kind, []).append(change)
    for group in by_kind.values():
        drawn.shuffle(group)
    chosen: list[Change] = []
    while len(chosen) < count and any(by_kind.values()):
        kinds = [kind for kind, group in by_kind.items() if group]
        drawn.shuffle(kinds)
        chosen += [by_kind[kind].pop() for kind in kinds[: count - len(chosen)]]
    return chosen


def _words(file: str, sql: str, found: list[Token]) -> Iterator[Change]:
    """A word or mark for another one."""
    for before, token, after in zip(found, found[1:], found[2:], strict=False):

        def change(kind: str, text: str, token: Token = token) -> Change:
            return Change(file, kind, token.statement, token.start, token.end, text)

        if token.text in _TURNED and not _assigns(found, token):
            yield change("comparison turned", _TURNED[token.text])
        if token.text in _MOVED:
            yield change("bound moved", _MOVED[token.text])
        if token.kind == "number" and (before.kind == "operator" or after.kind == "operator"):
            yield change("bound moved", str(int(token.text) + 1))
        if token.text in ("MIN", "MAX") and after.text == "(":
            yield change("MIN and MAX swapped", "MAX" if token.text == "MIN" else "MIN")
        if token.text in ("AND", "OR"):
            yield change("AND and OR swapped", "OR" if token.text == "AND" else "AND")
        if token.text == "DISTINCT" or (token.text == "NOT" and before.text != "IS"):
            yield Change(file, f"{token.text} dropped", token.statement, token.start, after.start, "")
        if token.text == "LEFT" and after.text == "JOIN":
            yield change("outer join made inner", "INNER")
        if before.text == "IS" and token.text in ("NULL", "NOT"):
            end = after.end if token.text == "NOT" else token.end
            text = "NULL" if token.text == "NOT" else "NOT NULL"
            yield Change(file, "NULL and NOT NULL swapped", token.statement, token.start, end, text)


def _assigns(found: list[Token], token: Token) -> bool:
    """Whether an equals sign gives a column its value."""
    at = found.index(token)
    return token.text == "=" and found[at - 2].text in ("SET", "UPDATE", ",")


def _binaries(file: str, sql: str, found: list[Token]) -> Iterator[Change]:
    """Each BINARY of a line: one of two would still make the comparison one of bytes."""
    for token in found:
        if token.text == "BINARY":
            first, last = sql.rfind("\n", 0, token.start) + 1, sql.find("\n", token.start)
            text = sql[first:last].replace("BINARY ", "")
            yield Change(file, "BINARY dropped", token.statement, first, last, text)


def _conditions(file: str, sql: str, found: list[Token]) -> Iterator[Change]:
    """A part of a WHERE, ON, HAVING, WHEN or parenthesis: it is as if it always held, or in an OR never."""
    for at, opener in enumerate(found):
        depth = opener.depth + (opener.text == "(")
        operand = _operand(found, at + 1, depth)
        if opener.text not in _OPENERS or not operand or operand[0].text in ("DUPLICATE", "SELECT", "WITH"):
            continue
        end = found[at + 1 + len(operand)].text if at + 1 + len(operand) < len(found) else ";"
        joined = opener.text if opener.text in ("AND", "OR") else end
        if joined not in ("AND", "OR") and opener.text in ("(", "ON"):
            continue
        text = "FALSE" if joined == "OR" or (joined != "AND" and opener.text == "WHEN") else "TRUE"
        yield Change(file, "condition dropped", opener.statement, operand[0].start, operand[-1].end, text)


def _operand(found: list[Token], at: int, depth: int) -> list[Token]:
    """The tokens from a place on, up to the end of this part of a condition."""
    end = at
    while end < len(found) and found[end].depth >= depth:
        if found[end].depth == depth and (found[end].text in _ENDS or found[end].text == ","):
            break
        end += 1
    return found[at:end]


def _branches(file: str, sql: str, found: list[Token]) -> Iterator[Change]:
    """The two results of an IF, the first two choices of NVL and COALESCE, two neighbours of a CASE."""
    for at, token in enumerate(found[:-1]):
        if token.text in ("IF", "NVL", "COALESCE") and found[at + 1].text == "(":
            arguments = _arguments(found, at + 2, token.depth + 1)
            one, other = arguments[1:3] if token.text == "IF" else arguments[:2]
        elif token.text in ("THEN", "ELSE"):
            one = _operand(found, at + 1, token.depth)
            other = _next_result(found, at + 1 + len(one), token.depth)
        else:
            continue
        if one and other and "--" not in sql[one[0].start : other[-1].end]:
            texts = [sql[part[0].start : part[-1].end] for part in (one, other)]
            between = sql[one[-1].end : other[0].start]
            swapped = texts[1] + between + texts[0]
            if texts[0] != texts[1]:
                yield Change(file, "branches swapped", token.statement, one[0].start, other[-1].end, swapped)


def _arguments(found: list[Token], at: int, depth: int) -> list[list[Token]]:
    """The arguments of a function, from behind its parenthesis on."""
    end = next(n for n in range(at, len(found)) if found[n].depth < depth)
    commas = [n for n in range(at, end) if found[n].depth == depth and found[n].text == ","]
    return [found[a + 1 : b] for a, b in pairwise([at - 1, *commas, end])]


def _next_result(found: list[Token], at: int, depth: int) -> list[Token]:
    """The result of the branch that follows in a CASE, if any."""
    while found[at].text not in ("THEN", "ELSE", "END") or found[at].depth > depth:
        at += 1
    return _operand(found, at + 1, depth) if found[at].text != "END" else []


_MAKERS: tuple[Callable[[str, str, list[Token]], Iterator[Change]], ...] = (
    _words,
    _binaries,
    _conditions,
    _branches,
)
