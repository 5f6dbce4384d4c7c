"""Finds and parses `sql/*.sql`: hand-written statements, one file per entity.

A file is a header, then named statements:

    -- pass: match                                  the statements below run in this pass, in file order
    -- rounds: begin                                those up to `-- rounds: end` run until they find nothing more
    -- name: match_login                            one statement, ended by a semicolon
    -- name: join_site_id -- if: siteId             left out whole where the table has no such column
        AND t.siteId = s.siteId -- if: siteId       a line that is left out there

Behind its name a statement says in marks what it is (`Statement` has them; `sql/README.md` lists them all):

    -- name: join_login -- finds: joined            where it finds or changes a row, `joined` holds from here on
    -- name: insert -- does: insert                 it runs where the plan has something to insert
    -- name: match_login -- again: inserted         it runs once more behind the insert
    -- name: rivals -- counts: overtaken            one number: 0 unless another writer came in between

A condition is a list of column names of the target table (of another one: `person.login`), joined by `,` (all of
them) or `|` (one of them), each possibly after `not`, or a fact: about the table, as `unique(visit_number)`; about the
staged rows, as `given(siteId)` (`sync.statements.staged_facts`); or that an earlier statement found something, as
`joined`.

What is the same for many columns is written once:

        QUOTE(t.a_column), -- for: portal, not text
        QUOTE(CONVERT(t.a_column USING utf8mb4)), -- for: portal, text

Lines marked `-- for:` that follow one another are gone through once for each column of the entity, in the order of
the registry; the first whose condition holds stands, with the column's name in the live table in place of `a_column`,
and its name in documents and staging tables in place of `a_field`. Lines that follow one another with the same mark are
one. Their conditions ask for facts about the column (`sync.schema.target.Table.fields`), and for those that all lines
ask for.

Nothing else is ever put into a statement, except the name of the tool's schema in place of `ispyb_sync`.
"""

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path

from sync.model.conditions import NO_CONDITIONS, Conditions

STAGING_SCHEMA = "ispyb_sync"
_MARK = re.compile(r"\s*-- (?P<mark>if|for): (?P<condition>.+)$")
_NAME = re.compile(r"-- name: (?P<name>\w+)(?P<marks>( -- \w+: .+)?)$")
_OF_STATEMENTS = ("if", "finds", "does", "again", "counts")
_MAKES = re.compile(r"CREATE TEMPORARY TABLE (\S+)")
_PASS = re.compile(r"-- pass: (?P<pass>\w+)$")
_ROUNDS = re.compile(r"-- rounds: (?P<edge>begin|end)$")


@dataclass(frozen=True)
class Line:
    """One line of a statement, the condition on which it stands, and whether that is asked of each column."""

    text: str
    condition: str | None = None
    each: bool = False


@dataclass(frozen=True, eq=False)
class Statement:
    """One named statement, and what its marks say.

    line      where its name stands in the file
    rounds    where the rounds begin in which it runs
    finds     what holds for later statements of the entity where it finds or changes a row
    does      the action that it carries out: insert, update or delete
    again     `inserted`: it runs again behind the insert
    counts    `overtaken`: the number that it gives is 0 unless another writer came in between
    """

    file: str
    name: str
    line: int
    pass_: str
    condition: str | None
    lines: tuple[Line, ...]
    rounds: int | None = None
    finds: str | None = None
    does: str | None = None
    again: str | None = None
    counts: str | None = None

    @property
    def origin(self) -> str:
        """Where the statement comes from, as errors and the server's process list say it."""
        return f"{self.file}:{self.line} {self.name}"

    def render(self, given: Conditions = NO_CONDITIONS, staging_schema: str = STAGING_SCHEMA) -> str | None:
        """The statement as it is sent, or None where the condition of its name does not hold."""
        return _rendered(self, given, staging_schema)


def origin_and_text(sql: str) -> tuple[str, str]:
    """The two parts of a statement as `render` gives it: the comment that says where it comes from, and the rest."""
    comment, _, text = sql.partition(" */ ")
    return f"{comment} */", text


@cache
def _rendered(statement: Statement, given: Conditions, staging_schema: str) -> str | None:
    if not _holds(statement.condition, given.facts):
        return None
    body = "\n".join(_standing(statement.lines, given))
    if staging_schema != STAGING_SCHEMA:
        body = body.replace(f"{STAGING_SCHEMA}.", f"`{staging_schema}`.")
    return f"/* {statement.origin} */ {body.strip().removesuffix(';')}"


def _standing(lines: Iterable[Line], given: Conditions) -> Iterator[str]:
    """The lines that stand, each for the columns that it stands for."""
    for each, group in groupby(lines, lambda line: line.each):
        if not each:
            yield from (line.text for line in group if _holds(line.condition, given.facts))
            continue
        choices = [(condition, [line.text for line in same]) for condition, same in groupby(group, _condition)]
        for field in given.fields:
            facts = given.facts | field.facts
            for text in next((texts for condition, texts in choices if _holds(condition, facts)), ()):
                yield text.replace("a_column", field.column).replace("a_field", field.name)


def _condition(line: Line) -> str | None:
    return line.condition


def _holds(condition: str | None, facts: Collection[str]) -> bool:
    if condition is None:
        return True
    return all(_one_of(part.split("|"), facts) for part in condition.split(","))


def _one_of(alternatives: list[str], facts: Collection[str]) -> bool:
    for alternative in map(str.strip, alternatives):
        if alternative.startswith("not "):
            if alternative.removeprefix("not ") not in facts:
                return True
        elif alternative in facts:
            return True
    return False


def folder() -> Path:
    """The folder of the SQL files: inside the installed package, or beside it in a checkout."""
    inside = Path(__file__).parents[1] / "sql"
    return inside if inside.is_dir() else Path(__file__).parents[2] / "sql"


@cache
def load(name: str) -> tuple[Statement, ...]:
    """The statements of `sql/<name>.sql`, in file order."""
    file = f"{name}.sql"
    return tuple(_parse(file, (folder() / file).read_text(encoding="utf-8")))


@cache
def of_pass(name: str, pass_: str) -> tuple[Statement, ...]:
    """The statements of one pass of `sql/<name>.sql`, in file order."""
    return tuple(statement for statement in load(name) if statement.pass_ == pass_)


@cache
def named(name: str, statement: str) -> Statement:
    """The one statement of that name in `sql/<name>.sql`."""
    (found,) = (one for one in load(name) if one.name == statement)
    return found


def tables_made(statements: Iterable[Statement], staging_schema: str) -> list[str]:
    """The temporary tables that statements make, as they name them."""
    made = (_MAKES.search(statement.render(NO_CONDITIONS, staging_schema) or "") for statement in statements)
    return [table[1] for table in made if table]


def _parse(file: str, text: str) -> Iterator[Statement]:
    pass_, rounds = "", None
    start, name = 0, ""
    marks: dict[str, str] = {}
    body: list[Line] = []
    for number, raw in enumerate(text.splitlines(), start=1):
        line, mark, condition = _split_mark(raw)
        if found := _NAME.match(raw):
            start, name, body = number, found["name"], []
            marks = _marks(found["marks"], f"{file}:{number}")
        elif found := _PASS.match(line):
            pass_ = found["pass"]
        elif found := _ROUNDS.match(line):
            rounds = number if found["edge"] == "begin" else None
        elif name and line.strip() and not line.lstrip().startswith("--"):
            body.append(Line(line, condition, mark == "for"))
            if line.endswith(";"):
                yield Statement(file, name, start, pass_, marks.pop("if", None), tuple(body), rounds, **marks)
                name = ""
    if name:
        raise ValueError(f"{file}:{start} {name}: the statement has no semicolon at the end of a line")
    if rounds is not None:
        raise ValueError(f"{file}:{rounds}: the rounds have no end")


def _marks(text: str, place: str) -> dict[str, str]:
    """What stands behind the name of a statement."""
    marks = dict(part.split(": ", 1) for part in text.split(" -- ")[1:])
    if unknown := marks.keys() - set(_OF_STATEMENTS):
        raise ValueError(f"{place}: {', '.join(sorted(unknown))}: not a mark of statements; see sql/README.md")
    return marks


def _split_mark(line: str) -> tuple[str, str | None, str | None]:
    found = _MARK.search(line)
    return (line[: found.start()], found["mark"], found["condition"]) if found else (line, None, None)
