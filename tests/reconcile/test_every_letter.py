"""A change of case, of accent, of a space at the end alone: it is written, in each text column of each entity.

Collations hold such texts equal, so a comparison that forgot to compare bytes would never write them. The columns are
those of the registry that the live table has as text: one that is added later is tried too. Each change has a row and a
document of its own. One run makes the rows, one changes them all, and one more finds nothing to do. Copies that differ
so are told.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from support.databases import Ispyb
from support.live_columns import altered
from support.small import Json

import sync
from sync.model.entities import ENTITIES
from sync.model.published.json_schema import schema
from sync.model.report import Change

CHANGES = {
    "case": ("e", "E"),
    "accent": ("e", "é"),
    "space at the end": ("e", "e "),
    "no more space at the end": ("e ", "e"),
    "decomposed": ("é", "e\u0301"),
    "composed": ("e\u0301", "é"),
}
OWNED_BY_ISPYB = {
    "session": {"comments"},
    "lab_contact": {"cardName", "defaultCourrierCompany", "courierAccount", "billingReference"},
}
"""What is written once, at the insert."""
FINDS_ITSELF = {"person": {"login"}, "proposal": {"proposalCode", "proposalNumber"}, "protein": {"acronym"}}
"""Keys that find their row by the collation and are written then; a laboratory's name is only compared."""
KEYS = FINDS_ITSELF | {"laboratory": {"name"}}
DEFINITIONS = {"session_has_person": "SessionOptions", "lab_contact": "LabContact"}
"""What the document schema calls an entity, where it is not just the name."""

ROLE_IS_TEXT = "dls"
"""There the role is made text, as a site may have it; it is an ENUM in all published schemas."""

Column = dict[str, str]
_COLUMNS = """
SELECT TABLE_NAME, COLUMN_NAME, DATA_TYPE, CHARACTER_SET_NAME, COLLATION_NAME
FROM information_schema.COLUMNS
WHERE TABLE_SCHEMA = DATABASE() AND DATA_TYPE IN ('char', 'varchar', 'tinytext', 'text', 'mediumtext', 'longtext')
"""


@dataclass(frozen=True)
class Trial:
    """One change of one column; `alone`: the row has no other key than the one that changes.

    equal  the collation of the column holds both texts equal
    """

    number: int
    entity: str
    column: str
    change: str
    alone: bool
    equal: bool

    @property
    def contradicts(self) -> bool:
        """Whether both texts in one export are two values of a key that names one row."""
        return not self.equal and self.entity in ("person", "proposal") and self.column in KEYS[self.entity]

    @property
    def texts(self) -> tuple[str, str]:
        """The text before and after; of a key, one that no other row has."""
        number = self.number if self.column in KEYS.get(self.entity, ()) else ""
        before, after = CHANGES[self.change]
        return f"{number}{before}", f"{number}{after}"

    def documents(self) -> Iterator[Json]:
        """The document that makes the row, and the one that changes it."""
        for text in self.texts:
            yield _document(self.number, self.entity, {self.column: text}, alone=self.alone)

    def problems(self, told: list[Change], rows: dict[Any, Json]) -> Iterator[str]:
        """What is wrong with what the plan told of this document, and with the rows of its table afterwards."""
        before, after = self.texts
        expected = [(self.entity, {self.column: {"old": before, "new": after}})]
        found = [(change.entity, change.fields) for change in told]
        name = f"{self.entity}.{self.column}, {self.change}, found by {'itself' if self.alone else 'another key'}"
        if found != expected:
            yield f"{name}: the plan tells {found}"
        elif (held := rows[told[0].id][self.column]) != after:
            yield f"{name}: the row holds {held!r}"


@pytest.fixture(autouse=True)
def role_is_text(ispyb: Ispyb) -> Iterator[None]:
    if ispyb.variant != ROLE_IS_TEXT:
        yield
        return
    with altered(ispyb, "Session_has_Person", "MODIFY role VARCHAR(60) NULL"):
        yield


def test_a_change_of_letters_alone_is_written(ispyb: Ispyb) -> None:
    trials = list(_trials(ispyb))
    made, changed = zip(*(trial.documents() for trial in trials), strict=True)
    assert _run(sync.apply, ispyb, made).refusals == []
    plan = _run(sync.plan, ispyb, changed)
    done = _run(sync.apply, ispyb, changed)

    rows = {e.name: {row[e.primary_key]: row for row in ispyb.rows(e.table)} for e in ENTITIES}
    told: dict[int, list[Change]] = {trial.number: [] for trial in trials}
    for change in plan.changes:
        told[_number(change.proposal)].append(change)
    assert [text for trial in trials for text in trial.problems(told[trial.number], rows[trial.entity])] == []
    assert done.refusals == []
    assert _run(sync.apply, ispyb, changed).nothing_to_do


def test_copies_that_differ_in_letters_alone_are_told(ispyb: Ispyb) -> None:
    trials = [trial for trial in _trials(ispyb) if not trial.contradicts]
    made, changed = zip(*(trial.documents() for trial in trials), strict=True)
    plan = _run(sync.plan, ispyb, made + changed)
    assert plan.refusals == []
    told = {w.message.partition(":")[0]: w.count for w in plan.warnings if w.code == "conflicting_copies"}
    assert told == Counter(trial.entity for trial in trials)


def test_each_kind_of_text_is_tried(ispyb: Ispyb) -> None:
    trials = list(_trials(ispyb))
    tried = {(trial.entity, trial.column) for trial in trials}
    assert {("protein", "name"), ("laboratory", "address"), ("session", "beamLineName"), ("proposal", "title")} <= tried
    assert (("session_has_person", "role") in tried) == (ispyb.variant == ROLE_IS_TEXT)
    for entity, names in KEYS.items():
        for name in names:
            ways = {trial.alone for trial in trials if (trial.entity, trial.column) == (entity, name)}
            assert ways == ({False, True} if entity in FINDS_ITSELF else {False})


def _run(verb: Callable[..., sync.Report], ispyb: Ispyb, documents: tuple[Json, ...]) -> sync.Report:
    return verb(list(documents), database=ispyb.role_url, staging_schema=ispyb.staging_schema)


def _number(proposal: str | None) -> int:
    """The number of the document whose proposal is called so, such as MX-12 or MX-12E."""
    (number,) = re.findall(r"-(\d+)", proposal or "")
    return int(number)


def _trials(ispyb: Ispyb) -> Iterator[Trial]:
    """Each change that a column can hold; of a key that finds its row by the collation, with another key and alone."""
    number = 0
    for entity, column in _columns(ispyb):
        for change, texts in CHANGES.items():
            holds, equal = compared(ispyb, column, texts)
            finds_itself = equal and column["COLUMN_NAME"] in FINDS_ITSELF.get(entity, ())
            for alone in (False, True)[: holds * (1 + finds_itself)]:
                number += 1
                yield Trial(number, entity, column["COLUMN_NAME"], change, alone, equal)


def _columns(ispyb: Ispyb) -> Iterator[tuple[str, Column]]:
    """The text columns of the eight tables that are the portal's, with their entity."""
    with ispyb.engine.connect() as connection:
        live = [dict(row) for row in connection.exec_driver_sql(_COLUMNS).mappings()]
    for entity in ENTITIES:
        documented = _text_fields(DEFINITIONS.get(entity.name, entity.name.title()))
        written = documented & set(entity.columns) - OWNED_BY_ISPYB.get(entity.name, set())
        for column in live:
            if column["TABLE_NAME"] == entity.table and column["COLUMN_NAME"] in written:
                yield entity.name, column


def _text_fields(definition: str) -> set[str]:
    """The fields of a part of a document that are text and nothing else."""
    properties = schema()["$defs"].get(definition, {"properties": {}})["properties"]
    kinds = {name: {option.get("type") for option in field.get("anyOf", [field])} for name, field in properties.items()}
    return {name for name, types in kinds.items() if types - {"null"} == {"string"}}


def compared(ispyb: Ispyb, column: Column, texts: tuple[str, str]) -> tuple[bool, bool]:
    """Whether a column keeps both texts as they are, and whether its collation holds them equal."""
    if column["DATA_TYPE"] == "char" and any(text.endswith(" ") for text in texts):
        return False, False
    charset, collation = column["CHARACTER_SET_NAME"], column["COLLATION_NAME"]
    kept = f"CONVERT(CONVERT(%s USING {charset}) USING utf8mb4) = BINARY %s"
    equal = f"CONVERT(%s USING {charset}) COLLATE {collation} = CONVERT(%s USING {charset})"
    with ispyb.engine.connect() as connection:
        one, other = texts
        sql = f"SELECT {kept} AND {kept}, {equal}"
        holds, same = connection.exec_driver_sql(sql, (one, one, other, other, one, other)).one()
    return bool(holds), bool(same)


def _document(number: int, entity: str, values: Json, *, alone: bool) -> Json:
    """A document that holds everything, with these values in the one thing of that entity; `alone`: by no other key."""
    things: dict[str, Json] = {
        "laboratory": {"name": f"lab {number}", "externalId": number, "laboratoryExtPk": number},
        "person": {"login": f"u{number}"},
        "proposal": {"proposalCode": "MX", "proposalNumber": str(number)},
        "session": {"externalId": number},
        "session_has_person": {},
        "protein": {"acronym": f"p{number}"},
    }
    named = {} if alone or entity == "session_has_person" else {"externalId": number}
    things[entity] |= named | values
    person = things["person"] | {"laboratory": things["laboratory"]}
    member = person | {"session_options": things["session_has_person"]}
    return {
        "proposal": things["proposal"] | {"persons": [person]},
        "sessions": [things["session"] | {"persons": [member]}],
        "proteins": [things["protein"]],
    }
