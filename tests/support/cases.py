"""Test cases as YAML: rows given, an export, rows and a report expected (see tests/README.md).

This module reads a case and refuses what it does not know, so that a mistyped key is not a test that tests
nothing. Words in YAML stay words: `no`, `12:30` and `2024-01-31` are text, only true and false are booleans.
"""

import re
import uuid
import zlib
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator
from support.facts import known_columns, meets, migrated
from support.variants import TABLES, VARIANTS

AT_ONCE = 4
"""On so many variants a case runs in the suite."""
FOLDER = Path(__file__).parents[1] / "cases"
ANY = "$any"

Rows = dict[str, list[dict[str, Any]]]
Document = dict[str, Any]

_COUNTS = {"staged", "inserted", "updated", "unchanged", "refused", "deleted"}
_REFUSAL = {"entity", "code", "document", "proposal", "path", "field", "value", "message"}
_WARNING = {"code", "count", "message", "examples"}
# Without these a row is not what the case is about.
_KEYS = {"externalId", "laboratoryExtPk", "login", "siteId", "expSessionPk", "visit_number", "acronym"}


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Expectation(_Strict):
    """What one run leaves behind. `tables` are all keys of `expect` that are not named here."""

    tables: Rows = {}
    report: dict[str, dict[str, int]] = {}
    refusals: list[dict[str, Any]] = []
    warnings: list[dict[str, Any]] = []
    status: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _gather_tables(cls, data: dict[str, Any]) -> dict[str, Any]:
        named = cls.model_fields.keys() - {"tables"}
        return {key: value for key, value in data.items() if key in named} | {
            "tables": {key: value for key, value in data.items() if key not in named}
        }

    @model_validator(mode="after")
    def _known_words(self) -> Self:
        _known("entity in report", self.report, TABLES)
        for counts in self.report.values():
            _known("count", counts, _COUNTS)
        for refusal in self.refusals:
            _known("key of a refusal", refusal, _REFUSAL)
        for warning in self.warnings:
            _known("key of a warning", warning, _WARNING)
        return self


class Step(_Strict):
    """One export and what it does; or the undo of an earlier step, by its number, which starts at 1."""

    meanwhile: list[str] = []
    export: list[Document] | None = None
    undo: int | None = None
    expect: Expectation

    @model_validator(mode="before")
    @classmethod
    def _list_of_documents(cls, data: dict[str, Any]) -> dict[str, Any]:
        export = data.get("export")
        return data | {"export": [export]} if isinstance(export, dict) else data

    @model_validator(mode="after")
    def _does_one_thing(self) -> Self:
        if (self.export is None) == (self.undo is None):
            raise ValueError("a step needs either export or undo")
        return self


class Case(Step):
    """One file."""

    why: str
    variants: list[str] = Field(default=list(VARIANTS))
    needs: list[str] = []
    settings: dict[str, Any] = {}
    given: Rows = {}
    then: list[Step] = []

    @model_validator(mode="after")
    def _known_variants(self) -> Self:
        _known("variant", self.variants, VARIANTS)
        return self

    @property
    def steps(self) -> list[Step]:
        """The first export, then the others."""
        return [self, *self.then]

    def columns(self) -> dict[str, set[str]]:
        """Every table and column that the case names in its rows."""
        named: dict[str, set[str]] = {}
        for rows in (self.given, *(step.expect.tables for step in self.steps)):
            for table, content in rows.items():
                named.setdefault(table, set()).update(*content)
        return named

    @cached_property
    def suiting(self) -> list[str]:
        """The variants that have what the case needs, and the tables and key columns that it names."""
        columns = self.columns()
        needs = [f"{table}.{name}" for table, names in columns.items() for name in names & _KEYS]
        needs += self.needs
        return [
            variant
            for variant in VARIANTS
            if variant in self.variants
            and migrated(variant).keys() >= columns.keys()
            and all(meets(variant, need) for need in needs)
        ]

    def check_columns(self) -> None:
        """Raise ValueError for a table or column that no variant has."""
        for table, columns in self.columns().items():
            known = known_columns(table)
            if not known:
                raise ValueError(f"no variant has a table {table}")
            _known(f"column of {table}", columns, known)


def load(path: Path) -> Case:
    """Read one case; raises ValueError that names the file."""
    try:
        return Case.model_validate(yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader))
    except (ValueError, TypeError, AttributeError, yaml.YAMLError) as error:
        raise ValueError(f"{path}: {error}") from None


def load_all() -> dict[str, Case]:
    """Read every case, by its name such as person/match_login."""
    paths = sorted(FOLDER.glob("*/*.yaml"))
    _known("case folder", {path.parent.name for path in paths}, {*TABLES, "run", "undo"})
    return {path.relative_to(FOLDER).with_suffix("").as_posix(): load(path) for path in paths}


def on_all(cases: dict[str, Case]) -> list[tuple[str, str]]:
    """Each case with each variant that suits it."""
    return [(name, variant) for name, case in cases.items() for variant in case.suiting]


def on_some(cases: dict[str, Case]) -> list[tuple[str, str]]:
    """Each case with four of the variants that suit it: by its name, so that each meets as many as the next."""
    return [(name, variant) for name, case in cases.items() for variant in _some(name, case)]


def _some(name: str, case: Case) -> list[str]:
    """With and without a unique visit number, since that changes most, where the case suits both."""
    order = sorted(case.suiting, key=lambda variant: zlib.crc32(f"{name} {variant}".encode()))
    unique = [variant for variant in order if meets(variant, "BLSession.visit_number unique")]
    plain = [variant for variant in order if variant not in unique]
    first = [*unique[:1], *plain[:1]]
    return [*first, *(variant for variant in order if variant not in first)][:AT_ONCE]


def encode_id(value: int | str | None) -> bytes | None:
    """The 16 bytes of an externalId: an integer big-endian, or a UUID's own."""
    if value is None:
        return None
    return value.to_bytes(16, "big") if isinstance(value, int) else uuid.UUID(value).bytes


def _known(what: str, words: Any, known: Any) -> None:
    unknown = sorted(set(words) - set(known))
    if unknown:
        raise ValueError(f"unknown {what}: {', '.join(unknown)}")


class _Loader(yaml.CSafeLoader):
    """YAML with the plain values of JSON, and no key twice."""


_Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("null", r"null|~|", ["n", "~", ""]),
    ("bool", r"true|false", ["t", "f"]),
    ("int", r"-?(0|[1-9][0-9]*)", list("-0123456789")),
    ("float", r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?", list("-0123456789")),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), _first)


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    keys = [loader.construct_object(key) for key, _ in node.value]
    twice = {str(key) for key in keys if keys.count(key) > 1}
    if twice:
        raise ValueError(f"line {node.start_mark.line + 1}: given twice: {', '.join(sorted(twice))}")
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)
