"""What the columns of a variant are, read from its CREATE statements: no server is asked.

A fact is a word: the type (`int`, `varchar(45)`, `enum`), the character set and the collation of text, `null` where
there may be none, `unique` in a unique key that is not the primary one. test_variants.py compares them with what a
server says of the tables that it has built.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cache

from support.variants import VARIANTS, create_statements

ALIASES = {"laboratoryExtPk": "laboratoryPk", "laboratoryPk": "laboratoryExtPk", "modId": "MOD_ID", "MOD_ID": "modId"}
"""One field, two names: which one a table has depends on the variant."""
WITH_EXTERNAL_ID = ("Laboratory", "Person", "Proposal", "BLSession", "Protein", "LabContact")

_TABLE = re.compile(r"CREATE TABLE `?(?P<table>\w+)`? \((?P<body>.*)\n\)(?P<options>.*)", re.DOTALL)
_OPTIONS = re.compile(r"CHARSET ?= ?(\w+).* COLLATE(?: = | )(\w+)")
_TYPES = r"(?:TINY|SMALL|BIG|MEDIUM)?INT(?:EGER)?|VARCHAR|(?:MEDIUM|LONG|TINY)?TEXT|ENUM|DATETIME|TIMESTAMP|DATE|TIME"
_COLUMN = re.compile(
    rf"^\s+`?(?P<name>\w+)`? (?P<type>{_TYPES}|FLOAT|DOUBLE|DECIMAL|BINARY|\w*BLOB|JSON|CHAR)\b"
    r"(?:\((?P<length>[\d, ]+)\))?(?P<rest>.*)$",
    re.MULTILINE,
)
_CHARSET = re.compile(r"CHARACTER SET (\w+) COLLATE (\w+)")
_UNIQUE_KEY = re.compile(r"^\s+UNIQUE (?:KEY|INDEX) \w+ \((.*)\)", re.MULTILINE)
_UNIQUE_INDEX = re.compile(r"CREATE UNIQUE INDEX `?\w+`? ON `?(?P<table>\w+)`? \((?P<columns>.*)\)")

Facts = dict[str, dict[str, set[str]]]


@cache
def migrated(variant: str) -> Mapping[str, Mapping[str, set[str]]]:
    """The facts once the variant is migrated: by table and column."""
    found = original(variant)
    for table in WITH_EXTERNAL_ID:
        found[table]["externalId"] = {"binary(16)", "null"}
    found["BLSession"]["beamLineSetupId"].add("null")
    return found


def original(variant: str) -> Facts:
    """The facts as the CREATE statements have them: by table and column."""
    facts: Facts = {}
    for statement in create_statements(variant):
        if table := _TABLE.search(statement):
            facts[table["table"]] = dict(_columns(table["body"], table["options"]))
            for columns in _UNIQUE_KEY.findall(table["body"]):
                _mark_unique(facts[table["table"]], columns)
        elif index := _UNIQUE_INDEX.search(statement):
            _mark_unique(facts[index["table"]], index["columns"])
    return facts


@cache
def known_columns(table: str) -> frozenset[str]:
    """Name the columns a table has in any variant, migrated; none for a table that no variant has."""
    return frozenset(name for variant in VARIANTS for name in migrated(variant).get(table, ()))


def meets(variant: str, need: str) -> bool:
    """Tell whether a variant has what a case needs.

    `Person.login` is that column, `Person.login unique` a fact about it, `Person.login not unique` the opposite, and
    `no Person.login` that the column is missing.
    """
    wanted, words = (False, need.removeprefix("no ")) if need.startswith("no ") else (True, need)
    place, _, fact = words.partition(" ")
    table, _, name = place.partition(".")
    columns = migrated(variant).get(table, {})
    found = columns.get(name) or columns.get(ALIASES.get(name, name))
    if not fact or found is None:
        return (found is not None) == wanted
    return (fact.removeprefix("not ") in found) == (not fact.startswith("not "))


def _columns(body: str, options: str) -> Iterator[tuple[str, set[str]]]:
    default = _OPTIONS.search(options)
    assert default is not None
    for column in _COLUMN.finditer(body):
        kind = column["type"].lower().replace("integer", "int")
        facts = {f"{kind}({column['length']})" if kind in ("varchar", "binary", "char") else kind}
        if "NOT NULL" not in column["rest"] and "PRIMARY KEY" not in column["rest"]:
            facts.add("null")
        if kind in ("varchar", "char", "enum") or kind.endswith("text"):
            facts.update((_CHARSET.search(column["rest"]) or default).groups())
        yield column["name"], facts


def _mark_unique(columns: dict[str, set[str]], names: str) -> None:
    for name in re.findall(r"\w+", names):
        columns[name].add("unique")
