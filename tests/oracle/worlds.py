"""Random rows and exports: few values, so that they meet.

Everything that names a thing comes from a handful of values: shared, missing, swapped, in another spelling.
"""

from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from oracle.facts import Facts
from oracle.mentions import Json

ABSENT: Any = object()


@dataclass(frozen=True)
class World:
    """One example: rows that are there by table, the export, and the setting `nulls`."""

    rows: dict[str, list[Json]]
    documents: list[Json]
    nulls: str


def _fields(**choices: list[Any]) -> st.SearchStrategy[Json]:
    """An object whose fields are absent or one of the choices."""
    fixed = st.fixed_dictionaries({name: st.sampled_from(values) for name, values in choices.items()})
    return fixed.map(lambda fields: {name: value for name, value in fields.items() if value is not ABSENT})


_LOGINS = [ABSENT, ABSENT, None, "", "a", "b", "c", "A", "b ", "é", "e"]
_IDS = [ABSENT, ABSENT, None, 0, 1, 2, 3]
_LONG = "x" * 46

LABORATORY = _fields(
    externalId=[ABSENT, ABSENT, None, 1, 2],
    laboratoryExtPk=[ABSENT, None, 1, 2, 3],
    name=["N", "N", "n", "M", "Né", ABSENT, _LONG],
    city=[ABSENT, ABSENT, None, "C", "c"],
    address=[ABSENT, "x", "y", None],
    organization=[ABSENT, "o"],
)
PERSON = st.builds(
    lambda person, laboratory: person if laboratory is ABSENT else person | {"laboratory": laboratory},
    _fields(
        externalId=_IDS,
        login=[*_LOGINS, *_LOGINS, _LONG, "α"],
        siteId=[ABSENT, ABSENT, ABSENT, None, 1, 2, 2**40],
        familyName=[ABSENT, None, "F", "f", "G", "x" * 101],
        phoneNumber=[ABSENT, ABSENT, None, "None", "1"],
    ),
    st.one_of(st.just(ABSENT), st.just(ABSENT), st.none(), LABORATORY),
)


def _list(items: st.SearchStrategy[Json], most: int) -> st.SearchStrategy[Any]:
    return st.one_of(
        st.lists(items, max_size=most), st.lists(items, min_size=1, max_size=most), st.sampled_from([None, ABSENT])
    )


_PROPOSAL = _fields(
    externalId=[ABSENT, ABSENT, None, 0, 1, 2],
    proposalCode=["MX", "MX", "mx", ABSENT, None, ""],
    proposalNumber=["1", "1", "2", "3", ABSENT, None, "9" * 46],
    title=[ABSENT, None, "T", "U", "β", "x" * 201],
    state=[ABSENT, None, "Open", "closed", "Lost"],
)


def _without_absent(raw: Json) -> Json:
    return {name: value for name, value in raw.items() if value is not ABSENT}


def documents(entities: set[str]) -> st.SearchStrategy[Json]:
    """One document; only the entities named have a part in it, besides the proposal and its people."""
    proposal = st.builds(
        lambda fields, persons: _without_absent(fields | {"persons": persons}), _PROPOSAL, _list(PERSON, 3)
    )
    return st.builds(lambda proposal: {"proposal": proposal}, proposal)


def worlds(facts: Facts, entities: set[str]) -> st.SearchStrategy[World]:
    """Examples that the tables of this variant can hold."""
    return st.builds(
        lambda rows, docs, nulls: World(_possible(rows, facts), docs, nulls),
        st.fixed_dictionaries(
            {
                "Laboratory": st.lists(_LABORATORY_ROW, max_size=3),
                "Person": st.lists(_PERSON_ROW, max_size=5),
                "Proposal": st.lists(_PROPOSAL_ROW, max_size=3),
                "ProposalHasPerson": st.lists(_fields(proposalId=[1, 2, 3], personId=[1, 2, 3]), max_size=3),
            }
        ),
        st.lists(documents(entities), min_size=1, max_size=4),
        st.sampled_from(["keep", "keep", "clear"]),
    )


def apart(several: list[World]) -> World:
    """Many examples as one, so that they share the cost of a run: no key of one is a key of another."""
    rows: dict[str, list[Json]] = {}
    documents: list[Json] = []
    for number, world in enumerate(several):
        for table, content in world.rows.items():
            rows.setdefault(table, []).extend(_shift(row, number) for row in content)
        documents.extend(_shift(document, number) for document in world.documents)
    return World(rows, documents, several[0].nulls)


def _shift(value: Any, number: int, name: str = "") -> Any:
    """The same with every key moved: numbers by a hundred, text by a word in front."""
    if isinstance(value, dict):
        return {key: _shift(item, number, key) for key, item in value.items()}
    if isinstance(value, list):
        return [_shift(item, number) for item in value]
    if name not in _SHIFTED or value is None:
        return value
    if isinstance(value, bytes):
        return (int.from_bytes(value, "big") + 100 * number).to_bytes(16, "big")
    if isinstance(value, str):
        return f"{number}{value}" if value.strip() else value
    return value + 100 * number


def _id(value: int | None) -> bytes | None:
    return None if value is None else value.to_bytes(16, "big")


_KEYS = st.sampled_from([None, None, 0, 1, 2, 3]).map(_id)
_LABORATORY_ROW = st.fixed_dictionaries(
    {
        "externalId": st.sampled_from([None, None, None, 1, 2]).map(_id),
        "laboratoryExtPk": st.sampled_from([None, None, 1, 2, 3]),
        "name": st.sampled_from(["N", "N", "n ", "M", None]),
        "city": st.sampled_from([None, None, "C"]),
        "address": st.sampled_from([None, "x"]),
    }
)
_PERSON_ROW = st.fixed_dictionaries(
    {
        "externalId": _KEYS,
        "login": st.sampled_from([None, None, "a", "a", "b", "c", "B ", "e"]),
        "siteId": st.sampled_from([None, None, None, 1, 2]),
        "familyName": st.sampled_from([None, "F"]),
        "phoneNumber": st.sampled_from([None, "1"]),
        "laboratoryId": st.sampled_from([None, 1, 2, 3]),
    }
)
_PROPOSAL_ROW = st.fixed_dictionaries(
    {
        "externalId": _KEYS,
        "proposalCode": st.sampled_from(["MX", "MX", None]),
        "proposalNumber": st.sampled_from(["1", "2", "3", None]),
        "title": st.sampled_from([None, "T"]),
        "personId": st.sampled_from([1, 2, 3]),
    }
)

_UNIQUE = {
    "Person": [("externalId",)],
    "Proposal": [("externalId",)],
    "BLSession": [("externalId",)],
    "LabContact": [("cardName", "proposalId"), ("personId", "proposalId")],
    "Session_has_Person": [("sessionId", "personId")],
}
_UNIQUE_IN_DLS = {
    "Person": [("login",)],
    "Proposal": [("proposalCode", "proposalNumber")],
    "BLSession": [("proposalId", "visit_number")],
}
_PARENTS = {
    "Person": {"laboratoryId": "Laboratory"},
    "Proposal": {"personId": "Person"},
    "ProposalHasPerson": {"proposalId": "Proposal", "personId": "Person"},
}
_PRIMARY = {
    "Laboratory": "laboratoryId",
    "Person": "personId",
    "Proposal": "proposalId",
    "ProposalHasPerson": "proposalHasPersonId",
    "BLSession": "sessionId",
    "Protein": "proteinId",
    "LabContact": "labContactId",
}


_SHIFTED = {
    *("externalId", "laboratoryExtPk", "laboratoryPk", "siteId", "expSessionPk"),
    *("name", "login", "proposalNumber", *_PRIMARY.values()),
}
_ORDER = [*_PRIMARY, "Session_has_Person"]


def _possible(tables: dict[str, list[Json]], facts: Facts) -> dict[str, list[Json]]:
    """The rows that the unique and foreign keys let stand, with ids from 1 on."""
    kept: dict[str, list[Json]] = {}
    for table in _ORDER:
        rows = tables.get(table, [])
        columns = facts.tables[table]
        unique = _UNIQUE.get(table, []) + (_UNIQUE_IN_DLS.get(table, []) if facts.unique_visits else [])
        seen: set[Any] = set()
        kept[table] = []
        for number, given in enumerate(rows, start=1):
            row = {_PRIMARY[table]: number} | given if table in _PRIMARY else dict(given)
            if "laboratoryExtPk" in row and "laboratoryExtPk" not in columns:
                row["laboratoryPk"] = row.pop("laboratoryExtPk")
            row = {name: value for name, value in row.items() if name in columns}
            for name, parent in _PARENTS.get(table, {}).items():
                ids = [other[_PRIMARY[parent]] for other in kept[parent]]
                if row[name] not in ids:
                    row[name] = None if columns[name].nullable or not ids else ids[row[name] % len(ids)]
            if any(row[name] is None and not columns[name].nullable for name in _PARENTS.get(table, {})):
                continue
            keys = [(names, tuple(columns[name].key(row.get(name)) for name in names)) for names in unique]
            keys = [key for key in keys if None not in key[1]]
            if seen.isdisjoint(keys):
                seen.update(keys)
                kept[table].append(row)
    return kept
