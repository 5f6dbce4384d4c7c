"""Finds and parses `sql/*.sql`: hand-written statements, one file per entity.

A file is a header, then named statements:

    -- pass: match                                  the statements below run in this pass, in file order
    -- rounds: begin                                those up to `-- rounds: end` run until they find nothing more
    -- name: match_login                            one statement, ended by a semicolon
    -- name: join_site_id -- if: siteId             left out whole where the table has no such column
        AND t.siteId = s.siteId -- if: siteId       a line that is left out there

Behind its name a statement says in marks what it is; `sql/README.md` lists them all:

    -- name: join_login -- finds: joined            where it finds or changes a row, `joined` holds from here on
    -- name: insert -- does: insert                 it runs where the plan has something to insert
    -- name: match_login -- again: inserted         it runs once more behind the insert
    -- name: rivals -- counts: overtaken            it gives one number: 0 unless another writer came in between
    -- name: duplicate_login -- stops: mention      `ispyb-sync check` asks it; rows that it finds stop mentions of them

A condition is a list of column names of the target table (of another one: `person.login`), joined by `,` (all of
them) or `|` (one of them), each possibly after `not`, or a fact: about the table, as `unique(visit_number)`; about the
staged rows, as `given(siteId)` (`sync.statements.staged_facts`); or that an earlier statement found something, as
`joined`.

What is the same for many columns is written once:

        QUOTE(t.a_column), -- for: portal, not text
        QUOTE(CONVERT(t.a_column USING utf8mb4)), -- for: portal, text

Lines marked `-- for:` that follow one another are gone through once for each column of the entity, in the order of
the registry, and then for each row that it refers to; the first whose condition holds stands, with the column's name in
the live table in place of `a_column`, and its name in documents and staging tables in place of `a_field`. Lines that
follow one another with the same mark are one. Their conditions ask for facts about the column
(`sync.schema.target.Table.fields`), and for those that all lines ask for.

What is the same for many entities is written once too, in `every_entity.sql`. An entity's file says where it runs:

    -- name: share -- as: share
    -- name: join_login -- as: join_key(login)
    -- name: match_acronym -- as: match_key(acronym, proposal)      a key that counts within a proposal

There the entity's name, table and key stand in place of `an_entity`, `a_table`, `a_primary_key` and `a_key`; the entity
within whose rows the key counts, and its primary key, in place of `a_scope` and `a_scope_id`; the first entity that a
row belongs to in place of `an_owner` and `an_owner_id`. Lines marked `-- for:` may ask for `this` and `earlier` keys.

A file that is of no entity repeats lines for entities: those marked `-- each:`, as `-- for:` does it for columns, and
with `an_entity`, `a_table` and the like in them. Behind the name of a statement the mark repeats all of it.

        UNION -- each: of_document, person
        SELECT t.proposalId FROM a_table AS t -- each: of_document, person

Nothing else is ever put into a statement, except the name of the tool's schema in place of `ispyb_sync`.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cache
from itertools import groupby
from pathlib import Path

from sync.database.connection import Ispyb
from sync.database.statement import Line, Statement, first_that_holds, holds, put_words, worded
from sync.model.entities import BY_NAME, DOCUMENT, ENTITIES, Entity

SHARED = "every_entity"
_MARK = re.compile(r"\s*-- (?P<mark>if|for|each): (?P<condition>.+)$")
_NAME = re.compile(r"-- name: (?P<name>\w+)(?P<marks>( -- \w+: .+)?)$")
_OF_STATEMENTS = {"if", "as", "each", "finds", "does", "again", "counts", "stops"}
_AS = re.compile(r"(?P<name>\w+)(\((?P<key>\w+)(, (?P<scope>\w+))?\))?$")
_MAKES = re.compile(r"CREATE TEMPORARY TABLE (\S+)")
_PASS = re.compile(r"-- pass: (?P<pass>\w+)$")
_ROUNDS = re.compile(r"-- rounds: (?P<edge>begin|end)$")


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


@cache
def for_entity(statement: Statement, entity: Entity) -> Statement:
    """A statement on stand-ins as it is for one entity; one of the entity's own file is that already."""
    if statement.file == f"{entity.name}.sql":
        return statement
    words = _words(entity, None, None)
    return replace(statement, name=f"{statement.name}_{entity.name}", lines=worded(statement.lines, words))


def tables_made(statements: Iterable[Statement], ispyb: Ispyb) -> list[str]:
    """The temporary tables that statements make, as they name them."""
    made = (_MAKES.search(ispyb.text(statement) or "") for statement in statements)
    return [table[1] for table in made if table]


def _parse(file: str, text: str) -> Iterator[Statement]:
    pass_, rounds = "", None
    lines = text.splitlines()
    for number, line in enumerate(lines, start=1):
        if not line.startswith("-- "):
            continue
        if found := _PASS.match(line):
            pass_ = found["pass"]
        elif found := _ROUNDS.match(line):
            rounds = number if found["edge"] == "begin" else None
        elif found := _NAME.match(line):
            marks = _marks(found["marks"], f"{file}:{number}")
            shared, condition, each = (marks.pop(mark, None) for mark in ("as", "if", "each"))
            comment, body = _body(lines[number:])
            statement = Statement(file, found["name"], number, pass_, condition, body, comment, rounds)
            statement = replace(statement, **marks)  # type: ignore[arg-type]  # of marks, only these are left
            if shared is not None:
                yield _taken(statement, shared)
            elif not body or not body[-1].text.endswith(";"):
                raise ValueError(f"{statement.origin}: the statement has no semicolon at the end of a line")
            elif each is not None:
                yield from (for_entity(statement, entity) for entity in ENTITIES if holds(each, _facts(entity)))
            else:
                yield statement
    if rounds is not None:
        raise ValueError(f"{file}:{rounds}: the rounds have no end")


def _marks(text: str, place: str) -> dict[str, str]:
    """What stands behind the name of a statement."""
    marks = dict(part.split(": ", 1) for part in text.split(" -- ")[1:])
    if unknown := marks.keys() - _OF_STATEMENTS:
        raise ValueError(f"{place}: {', '.join(sorted(unknown))}: not a mark of statements; see sql/README.md")
    return marks


def _body(lines: Iterable[str]) -> tuple[tuple[str, ...], tuple[Line, ...]]:
    """The sentences under a statement's name, and its lines up to the one that ends it, or the next name."""
    comment: list[str] = []
    body: list[Line] = []
    each: list[str | None] = []
    for raw in lines:
        if not (raw.strip() or body):
            break
        if raw.lstrip().startswith("--"):
            if _NAME.match(raw) or _PASS.match(raw) or _ROUNDS.match(raw):
                break
            comment += [] if body else [raw.removeprefix("-- ")]
            continue
        found = _MARK.search(raw)
        line = Line(raw[: found.start()], found["condition"], found["mark"] == "for") if found else Line(raw)
        if line.text.strip():
            each.append(line.condition if found and found["mark"] == "each" else None)
            body.append(line)
        if line.text.endswith(";"):
            break
    return tuple(comment), tuple(_for_each(body, each))


def _for_each(lines: Iterable[Line], each: Iterable[str | None]) -> Iterator[Line]:
    """Lines, those with a condition in `each` for the entities of which it holds."""
    for is_each, group in groupby(zip(lines, each, strict=True), lambda pair: pair[1] is not None):
        if not is_each:
            yield from (line for line, _ in group)
            continue
        choices = [
            (condition, [line.text for line, _ in same]) for condition, same in groupby(group, lambda pair: pair[1])
        ]
        for entity in ENTITIES:
            words = _words(entity, None, None)
            for text in first_that_holds(choices, _facts(entity)):
                yield Line(put_words(text, words))


@cache
def _facts(entity: Entity) -> frozenset[str]:
    """What `-- each:` asks for; sql/README.md says what each means."""
    facts = set(entity.parents)
    if DOCUMENT.name in entity.belongs_to:
        facts.add("of_document")
    elif entity.belongs_to and DOCUMENT.name in BY_NAME[entity.belongs_to[0]].belongs_to:
        facts.add("of_part")
    if entity.is_link:
        facts.add("link")
    if entity.is_named_anywhere:
        facts.add("named_anywhere")
    return frozenset(facts)


def _taken(statement: Statement, shared: str) -> Statement:
    """A statement of `every_entity.sql` as it is for one entity, and for one of its keys."""
    taken = _AS.match(shared)
    entity = BY_NAME[statement.file.removesuffix(".sql")]
    source = next((s for s in load(SHARED) if taken and s.name == taken["name"]), None)
    if taken is None or source is None or taken["key"] not in (None, *entity.keys) or statement.lines:
        raise ValueError(f"{statement.origin}: {shared} is no statement of {SHARED}.sql, or has lines of its own")
    key = taken["key"]
    words = _words(entity, key, taken["scope"])
    conditions = filter(None, (source.condition, statement.condition))
    return replace(
        statement,
        condition=put_words(", ".join(conditions), words) or None,
        lines=worded(source.lines, words),
        comment=(*source.comment, *statement.comment),
        finds=source.finds,
        does=source.does,
        again=source.again,
        counts=source.counts,
        stops=statement.stops or source.stops,
        text_from=source.origin,
        key=key,
        earlier=entity.keys[: entity.keys.index(key)] if key else (),
        within=taken["scope"] is not None,
    )


def _words(entity: Entity, key: str | None, scope: str | None) -> dict[str, str]:
    """By stand-in, what stands for it."""
    words = {"an_entity": entity.name, "a_table": entity.table, "a_primary_key": entity.primary_key}
    if key is not None:
        words["a_key"] = key
    if entity.second_id is not None:
        words["a_second_id"] = entity.second_id
    if entity.belongs_to:
        owner = BY_NAME[entity.belongs_to[0]]
        words |= {"an_owner": owner.name, "an_owner_table": owner.table, "an_owner_id": owner.primary_key}
    if scope is not None:
        words |= {"a_scope": scope, "a_scope_id": BY_NAME[scope].primary_key}
    return words
