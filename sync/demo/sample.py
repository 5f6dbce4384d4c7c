"""The sample export of the demo: some fifty proposals, and the same a day later.

Made up, and the same every time. Some of its people and proposals are those of `sql/legacy.sql`, typed in there
by hand: the demo shows that they are found and gain their externalId.
"""

from copy import deepcopy
from datetime import datetime, timedelta
from typing import Any

Document = dict[str, Any]

_LABORATORIES = [
    ("Institute of Structural Biology", "71 avenue des Martyrs", "Grenoble", "France"),
    ("University of Trieste", "Piazzale Europa 1", "Trieste", "Italy"),
    ("Lund Protein Centre", "Sölvegatan 39", "Lund", "Sweden"),
    ("Max Delbrück Institute", "Robert-Rössle-Straße 10", "Berlin", "Germany"),
    ("Universitat de Girona", "Plaça Sant Domènec 3", "Girona", "Spain"),
    ("Diamond Village College", "1 Chestnut Lane", "Didcot", "United Kingdom"),
]
_KNOWN_PEOPLE = [
    ("aweaver", "Alice", "Weaver", 0),
    ("blindstrom", "Björn", "Lindström", 2),
    ("crossi", "Chiara", "Rossi", 1),
]
_GIVEN = ["Anna", "Bruno", "Céline", "David", "Elif", "Frédéric", "Grete", "Hana", "Íñigo", "Jana"]
_FAMILY = ["Aubry", "Bianchi", "Çelik", "Dvorak", "Eriksson", "Fontaine", "García", "Hübner"]
_BEAMLINES = ["ID23-1", "ID30B", "MASSIF-1", "BM07"]
_PROTEINS = ["HSP70", "LacY", "Lysozyme", "Thaumatin", "Insulin", "Ferritin"]
_PROPOSALS = 50
_FIRST_DAY = datetime(2026, 3, 2, 8, 30)


def export() -> list[Document]:
    """The documents of the first export."""
    return [_document(number) for number in range(_PROPOSALS)]


def changed_export() -> list[Document]:
    """The same a day later: some updates, a changed login, two more participants, a letter that does not fit."""
    documents = deepcopy(export())
    documents[3]["proposal"]["title"] = "Ferritin in the crystal, a second season"
    documents[7]["proposal"]["persons"].append(_person(40))
    documents[10]["sessions"][0]["beamLineName"] = "ID30A-3"
    _rename(documents, _person(12)["login"], "married.name")
    documents[11]["proposal"]["title"] = "α-Synuclein and its partners"  # latin1 has no Greek
    documents[12]["proposal"]["persons"].append(  # typed in by hand, and new to the portal
        {"login": "fhaddad", "externalId": 1060, "familyName": "Haddad", "givenName": "Farid"}
    )
    return documents


def _rename(documents: list[Document], old: str, new: str) -> None:
    for document in documents:
        people = [*document["proposal"]["persons"]]
        for part in (*document["sessions"], document["proposal"], *document["proteins"]):
            people += part.get("persons", [])
            people += [part["person"]] if "person" in part else []
            people += [contact["person"] for contact in part.get("labcontacts", [])]
        for person in people:
            if person["login"] == old:
                person["login"] = new


def _document(number: int) -> Document:
    team = [_person(number), _person(number * 3 + 1), _person(number * 5 + 2)]
    return {
        "proposal": {
            "title": f"{_PROTEINS[number % 6]} and its partners",
            "proposalCode": "MX",
            "proposalNumber": str(2101 + number),
            "proposalType": "MX",
            "externalId": 5000 + number,
            "state": "Open",
            "persons": _distinct(team),
            "labcontacts": [{"cardName": f"{team[0]['familyName']}-{number}", "person": team[0]}]
            if number % 3 == 0
            else [],
        },
        "sessions": [_session(number, visit, team) for visit in range(number % 3)],
        "proteins": [
            {
                "name": name,
                "acronym": name,
                "externalId": 90_000 + number * 10 + place,
                "safetyLevel": "GREEN",
                "person": {"login": team[0]["login"]},
            }
            for place, name in enumerate(_PROTEINS[: number % 5])
        ],
    }


def _session(number: int, visit: int, team: list[Document]) -> Document:
    start = _FIRST_DAY + timedelta(days=number * 2 + visit)
    roles = ["Principal Investigator", "Co-Investigator", None]
    return {
        "externalId": 70_000 + number * 10 + visit,
        "startDate": start.isoformat(),
        "endDate": (start + timedelta(hours=8)).isoformat(),
        "beamLineName": _BEAMLINES[(number + visit) % 4],
        "scheduled": 1,
        "nbShifts": 1,
        "visit_number": 10 + visit,
        "persons": [
            person | {"session_options": {"role": role, "remote": visit % 2}}
            for person, role in zip(_distinct(team), roles, strict=False)
        ],
    }


def _person(number: int) -> Document:
    number %= 60
    if number < len(_KNOWN_PEOPLE):
        login, given, family, laboratory = _KNOWN_PEOPLE[number]
    else:
        given, family = _GIVEN[number % 10], _FAMILY[number % 8]
        login, laboratory = f"user{number:03}", number % 6
    name, address, city, country = _LABORATORIES[laboratory]
    return {
        "givenName": given,
        "familyName": family,
        "login": login,
        "externalId": 1000 + number,
        "emailAddress": f"{login}@example.org",
        "laboratory": {
            "name": name,
            "address": address,
            "city": city,
            "country": country,
            "laboratoryExtPk": 411 + laboratory,
        },
    }


def _distinct(people: list[Document]) -> list[Document]:
    return list({person["login"]: person for person in people}.values())
