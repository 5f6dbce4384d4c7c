"""Random examples: rows that are there, an export, a setting; and many of them as one."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hypothesis import strategies as st

from oracle.exports import DOCUMENT, one_of_each
from oracle.facts import Facts
from oracle.mentions import Json

_PRIMARY = {
    "Laboratory": "laboratoryId",
    "Person": "personId",
    "Proposal": "proposalId",
    "ProposalHasPerson": "proposalHasPersonId",
    "BLSession": "sessionId",
    "Session_has_Person": None,
    "Protein": "proteinId",
    "LabContact": "labContactId",
}
_PARENTS = {
    "Person": {"laboratoryId": "Laboratory"},
    "Proposal": {"personId": "Person"},
    "ProposalHasPerson": {"proposalId": "Proposal", "personId": "Person"},
    "BLSession": {"proposalId": "Proposal"},
    "Session_has_Person": {"sessionId": "BLSession", "personId": "Person"},
    "Protein": {"proposalId": "Proposal", "personId": "Person"},
    "LabContact": {"proposalId": "Proposal", "personId": "Person"},
}
_UNIQUE = {
    "Person": [("externalId",)],
    "Proposal": [("externalId",)],
    "BLSession": [("externalId",)],
    "Session_has_Person": [("sessionId", "personId")],
    "LabContact": [("cardName", "proposalId"), ("personId", "proposalId")],
}
_UNIQUE_IN_DLS = {
    "Person": [("login",)],
    "Proposal": [("proposalCode", "proposalNumber")],
    "BLSession": [("proposalId", "visit_number")],
}

Rows = dict[str, list[Json]]


@dataclass(frozen=True)
class World:
    """One example: rows that are there by table, the export, and the setting `nulls`."""

    rows: Rows
    documents: list[Json]
    nulls: str


def _rows(most: int, **choices: list[Any]) -> st.SearchStrategy[list[Json]]:
    return st.lists(one_of_each(**choices), max_size=most)


_IDS = [None, None, *(number.to_bytes(16, "big") for number in range(4))]
_ANY_ROW = [1, 1, 2, 3]
_ROWS = st.fixed_dictionaries(
    {
        "Laboratory": _rows(
            3,
            externalId=[None, *_IDS],
            laboratoryExtPk=[None, None, 1, 2, 3],
            name=["N", "N", "n ", "M", None],
            city=[None, None, "C"],
            address=[None, "x"],
        ),
        "Person": _rows(
            5,
            externalId=_IDS,
            login=[None, None, "a", "a", "b", "c", "B ", "e"],
            siteId=[None, None, None, 1, 2],
            familyName=[None, "F"],
            phoneNumber=[None, "1"],
            laboratoryId=[None, *_ANY_ROW],
        ),
        "Proposal": _rows(
            3,
            externalId=_IDS,
            proposalCode=["MX", "MX", "AB", None],
            proposalNumber=["1", "1", "2", "3", None],
            title=[None, "T"],
            personId=_ANY_ROW,
        ),
        "ProposalHasPerson": _rows(3, proposalId=_ANY_ROW, personId=_ANY_ROW),
        "BLSession": _rows(
            4,
            proposalId=_ANY_ROW,
            externalId=_IDS,
            expSessionPk=[None, None, 1, 2, 3],
            visit_number=[None, 0, 1, 2],
            beamLineName=[None, "ID1"],
            comments=[None, "mine"],
            lastUpdate=[datetime(2020, 1, 1)],
        ),
        "Session_has_Person": _rows(3, sessionId=_ANY_ROW, personId=_ANY_ROW, role=[None, "Staff"], remote=[0, 1]),
        "Protein": _rows(
            4,
            proposalId=_ANY_ROW,
            personId=[None, *_ANY_ROW],
            externalId=_IDS,
            acronym=["H", "H", "h", "L"],
            name=[None, "n"],
        ),
        "LabContact": _rows(
            3,
            proposalId=_ANY_ROW,
            personId=_ANY_ROW,
            cardName=["Home", "HOME ", "Office", "Lab"],
            defaultCourrierCompany=[None, "mine"],
        ),
    }
)


_NOBODY = {"externalId": None, "siteId": None, "familyName": None, "phoneNumber": None, "laboratoryId": None}
_KNOWN = _NOBODY | {"externalId": _IDS[3], "login": "c", "siteId": 1}
_AT_HOME = {
    "Person": [_NOBODY | {"login": "a"}, _NOBODY | {"login": "b"}, _KNOWN],
    "Proposal": [
        {"externalId": None, "proposalCode": "MX", "proposalNumber": "1", "title": None, "personId": 1},
        {"externalId": _IDS[3], "proposalCode": "MX", "proposalNumber": "3", "title": None, "personId": 1},
    ],
}
"""Rows that the plain documents find, so that what hangs on them is found as well."""
_SESSION = {"proposalId": 1, "beamLineName": None, "comments": "mine", "lastUpdate": datetime(2020, 1, 1)}
_LABORATORY = {"name": "N", "city": None, "address": None}
_AT_WORK = _AT_HOME | {
    "Person": [_NOBODY | {"login": "a"}, _NOBODY | {"login": "b"}, _NOBODY | {"login": "o"}, _KNOWN],
    "Laboratory": [
        _LABORATORY | {"externalId": None, "laboratoryExtPk": 1},
        _LABORATORY | {"externalId": _IDS[3], "laboratoryExtPk": 2},
    ],
    "BLSession": [
        _SESSION | {"externalId": _IDS[3], "expSessionPk": 1, "visit_number": 1},
        _SESSION | {"externalId": None, "expSessionPk": 2, "visit_number": 2},
    ],
    "Session_has_Person": [
        {"sessionId": session, "personId": person, "role": "Staff", "remote": 0}
        for session, person in ((1, 1), (1, 2), (1, 3), (2, 1), (2, 3))
    ],
    "Protein": [
        {"proposalId": 1, "personId": None, "externalId": _IDS[3], "acronym": "H", "name": None},
        {"proposalId": 1, "personId": 1, "externalId": None, "acronym": "L", "name": "n"},
        {"proposalId": 1, "personId": None, "externalId": _IDS[2], "acronym": "T", "name": None},
        {"proposalId": 1, "personId": None, "externalId": None, "acronym": "T", "name": None},
    ],
    "LabContact": [
        {"proposalId": 1, "personId": 1, "cardName": "Home", "defaultCourrierCompany": "mine"},
        {"proposalId": 1, "personId": 2, "cardName": "Office", "defaultCourrierCompany": None},
    ],
}
"""The same with what hangs on them."""


def worlds(facts: Facts) -> st.SearchStrategy[World]:
    """Examples that the tables of this variant can hold."""

    def world(rows: Rows, more: Rows, documents: list[Json], nulls: str) -> World:
        rows = {table: more.get(table, []) + content for table, content in rows.items()}
        return World(_possible(rows, facts), documents, nulls)

    documents = st.lists(DOCUMENT, min_size=1, max_size=4)
    nulls = st.sampled_from(["keep", "keep", "clear"])
    return st.builds(world, _ROWS, st.sampled_from([{}, _AT_HOME, *[_AT_WORK] * 3]), documents, nulls)


def apart(several: list[World]) -> World:
    """Many examples as one, so that they share the cost of a run: no key of one is a key of another."""
    rows: Rows = {}
    documents: list[Json] = []
    for number, world in enumerate(several):
        for table, content in world.rows.items():
            rows.setdefault(table, []).extend(_shift(row, number) for row in content)
        documents.extend(_shift(document, number) for document in world.documents)
    return World(rows, documents, several[0].nulls)


_SHIFTED = {
    *("externalId", "laboratoryExtPk", "laboratoryPk", "siteId", "expSessionPk"),
    *("name", "login", "proposalNumber"),
    *filter(None, _PRIMARY.values()),
}


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


def _possible(tables: Rows, facts: Facts) -> Rows:
    """The rows that the unique and foreign keys let stand, with ids from 1 on."""
    kept: Rows = {}
    for table, primary in _PRIMARY.items():
        columns = facts.tables[table]
        unique = _UNIQUE.get(table, []) + (_UNIQUE_IN_DLS.get(table, []) if facts.unique_visits else [])
        seen: set[Any] = set()
        kept[table] = []
        for number, given in enumerate(tables[table], start=1):
            row = given | {"laboratoryPk": given.get("laboratoryExtPk")} | ({primary: number} if primary else {})
            row = {name: value for name, value in row.items() if name in columns}
            for name, parent in _PARENTS.get(table, {}).items():
                ids = [other[_PRIMARY[parent]] for other in kept[parent]]
                row[name] = row[name] if row[name] in ids else None
            if any(row[name] is None and not columns[name].nullable for name in _PARENTS.get(table, {})):
                continue
            keys = [(names, tuple(columns[name].key(row.get(name)) for name in names)) for names in unique]
            keys = [key for key in keys if None not in key[1]]
            if seen.isdisjoint(keys):
                seen.update(keys)
                kept[table].append(row)
    return kept
