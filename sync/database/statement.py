"""One statement of `sql/*.sql`: its lines, what its marks say, and how it reads on the database at hand."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from typing import NamedTuple

from pymysql.converters import escape_item

from sync.model.conditions import NO_CONDITIONS, Conditions, Field

TOOL_SCHEMA = "ispyb_sync"
_VALUE = re.compile(r"%\((\w+)\)s")


class Line(NamedTuple):
    """One line of a statement, the condition on which it stands, and whether that is asked of each column."""

    text: str
    condition: str | None = None
    each: bool = False


@dataclass(frozen=True, eq=False)
class Statement:
    """One named statement, and what its marks say.

    line         where its name stands in the file
    comment      the sentences under its name
    rounds       where the rounds begin in which it runs
    finds        what holds for later statements of the entity where it finds or changes a row
    does         the action that it carries out: insert, update or delete
    again        `inserted`: it runs again behind the insert
    counts       `overtaken`: the number that it gives is 0 unless another writer came in between
    stops        what a row that it finds stops: migrate, a mention, or nothing; of the check pass
    text_from    the statement of `every_entity.sql` that it is, if any
    key          the match key that it is about, if it is one of these
    earlier      the keys before that one
    within       whether the key counts within another entity's row only
    """

    file: str
    name: str
    line: int
    pass_: str
    condition: str | None
    lines: tuple[Line, ...]
    comment: tuple[str, ...] = ()
    rounds: int | None = None
    finds: str | None = None
    does: str | None = None
    again: str | None = None
    counts: str | None = None
    stops: str | None = None
    text_from: str | None = None
    key: str | None = None
    earlier: tuple[str, ...] = ()
    within: bool = False

    @property
    def origin(self) -> str:
        """Where the statement comes from, as errors and the server's process list say it."""
        return f"{self.file}:{self.line} {self.name}"

    def render(self, given: Conditions = NO_CONDITIONS, tool_schema: str = TOOL_SCHEMA) -> str | None:
        """The statement as it is sent, or None where the condition of its name does not hold."""
        return _rendered(self, given, tool_schema)


def literal(value: object) -> str:
    """A value as SQL writes it; several, in brackets, as IN takes them."""
    if isinstance(value, tuple):
        return f"({', '.join(map(literal, value))})"
    return f"X'{value.hex()}'" if isinstance(value, bytes) else str(escape_item(value, "utf8mb4"))


def put_values(sql: str, values: Mapping[str, str]) -> str:
    """A statement with what a run gives it, as SQL writes that, in place of `%(run)s` and the like."""
    return _VALUE.sub(lambda found: values[found[1]], sql)


def worded(lines: Iterable[Line], words: Mapping[str, str]) -> tuple[Line, ...]:
    """Lines on stand-ins, with names in place of them."""
    return tuple(Line(put_words(text, words), condition, each) for text, condition, each in lines)


def put_words(text: str, words: Mapping[str, str]) -> str:
    """SQL with names in place of stand-ins, each where it stands as a word or behind an underscore."""
    return _any_of(tuple(words)).sub(lambda found: words[found[0]], text)


@cache
def _any_of(stand_ins: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile(rf"(?<![a-zA-Z0-9])(?:{'|'.join(stand_ins)})(?!\w)")


def origin_and_text(sql: str) -> tuple[str, str]:
    """The two parts of a statement as `render` gives it: the comment that says where it comes from, and the rest."""
    comment, _, text = sql.partition(" */ ")
    return f"{comment} */", text


@cache
def _rendered(statement: Statement, given: Conditions, tool_schema: str) -> str | None:
    facts = given.facts | {"within"} if statement.within else given.facts
    if not holds(statement.condition, facts):
        return None
    body = "\n".join(_standing(statement, facts, given.fields))
    if tool_schema != TOOL_SCHEMA:
        body = body.replace(f"{TOOL_SCHEMA}.", f"`{tool_schema}`.")
    return f"/* {statement.origin} */ {body.strip().removesuffix(';')}"


def _standing(statement: Statement, facts: frozenset[str], fields: Iterable[Field]) -> Iterator[str]:
    """The lines that stand, each for the columns that it stands for."""
    for each, group in groupby(statement.lines, lambda line: line.each):
        if not each:
            yield from (line.text for line in group if holds(line.condition, facts))
            continue
        choices = [(condition, [line.text for line in same]) for condition, same in groupby(group, _condition)]
        for field in fields:
            known = facts | field.facts
            if field.name == statement.key:
                known |= {"this"}
            if field.name in statement.earlier:
                known |= {"earlier"}
            for text in first_that_holds(choices, known):
                yield field.put_into(text)


def _condition(line: Line) -> str | None:
    return line.condition


def holds(condition: str | None, facts: Collection[str]) -> bool:
    """Whether a condition holds where these facts do; one that is not there always does."""
    if condition is None:
        return True
    return all(_one_of(alternatives, facts) for alternatives in _parts(condition))


def first_that_holds(choices: Iterable[tuple[str | None, list[str]]], facts: Collection[str]) -> Iterable[str]:
    """Of lines with their condition, those of the first one that holds; or none."""
    return next((lines for condition, lines in choices if holds(condition, facts)), ())


@cache
def _parts(condition: str) -> list[list[str]]:
    """The alternatives of each part of a condition."""
    return [[alternative.strip() for alternative in part.split("|")] for part in condition.split(",")]


def _one_of(alternatives: Iterable[str], facts: Collection[str]) -> bool:
    for alternative in alternatives:
        if alternative.startswith("not "):
            if alternative.removeprefix("not ") not in facts:
                return True
        elif alternative in facts:
            return True
    return False
