#!/usr/bin/env python3
"""Writes a facility's export as NDJSON to standard output: the reference workload of the benchmark.

The same seed gives the same export. With 20,000 proposals: 24,000 people with a popularity skew, 2,000 laboratories,
110,000 proposal links, 80,000 sessions, 320,000 session links, 150,000 proteins and 20,000 lab contacts, in 260 MB.
One person in twenty has a login alone; sessions and proteins come with and without externalId. `--changed 1` changes
one document in a hundred.

    scripts/generate_export.py --proposals 20000 > export.ndjson
    scripts/generate_export.py --proposals 20000 --changed 1 > changed.ndjson
"""

import argparse
import random
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, TextIO

import orjson

SEED = 20_261_123
_SYLLABLES = ["ba", "ré", "mi", "lö", "ka", "né", "to", "sü", "vi", "ra", "pe", "ño", "gu", "da", "ça", "li"]
_CITIES = ["Grenoble", "Hamburg", "Lund", "Trieste", "Barcelona", "Didcot", "Berlin", "Zürich", "Málaga", "Orléans"]
_COUNTRIES = ["France", "Germany", "Sweden", "Italy", "Spain", "United Kingdom", "Switzerland"]
_BEAMLINES = ["ID23-1", "ID23-2", "ID30A-1", "ID30B", "BM07", "P11", "BioMAX", "XALOC"]
_TITLES = ["Dr", "Prof", "Mr", "Ms", None]
_ROLES = ["Principal Investigator", "Co-Investigator", "Local Contact", "Staff", None]
_START = datetime(2024, 1, 8, 8, 0)

Json = dict[str, Any]


def documents(proposals: int, *, changed: float = 0, seed: int = SEED) -> Iterator[Json]:
    """Gives the documents of an export; `changed` is the percentage of documents that differ, the first among them."""
    facility = Facility(proposals, seed)
    for number in range(proposals):
        yield facility.document(number, changed=changed > 0 and number % max(1, round(100 / changed)) == 0)


class Facility:
    """The people and laboratories of so many proposals, and documents about them; equal numbers are equal documents."""

    def __init__(self, proposals: int, seed: int = SEED) -> None:
        self._proposals = proposals
        self._seed = seed
        self._people = max(10, proposals * 24 // 20)
        self._laboratories = [_laboratory(n, random.Random(seed + n)) for n in range(max(2, proposals // 10))]
        self._known: dict[int, Json] = {}
        self._everything = next((n for n in range(proposals) if _has_everything(self._document(n))), None)

    def document(self, number: int, *, changed: bool = False) -> Json:
        """The document of one proposal, or of one more where its number is past the last."""
        document = self._document(number)
        if number == self._everything:
            _name_twice(document)
        return _change(document) if changed else document

    def _document(self, number: int) -> Json:
        chance = random.Random(f"{self._seed}:{number}")
        team = self._team(number, chance)
        return {
            "proposal": _proposal(number, chance, team),
            "sessions": [self._session(number, visit, chance, team) for visit in range(chance.randint(0, 8))],
            "proteins": [_protein(number, place, chance, team) for place in range(chance.randint(0, 15))],
        }

    def with_everything(self) -> Json:
        """A document with things of each kind, a person named in two ways, and a participant named in two roles."""
        if self._everything is None:
            raise ValueError(
                f"of {self._proposals} proposals none has sessions, proteins and lab contacts of all kinds"
            )
        return self.document(self._everything)

    def _team(self, number: int, chance: random.Random) -> list[Json]:
        # Everybody is named: the first is new with each proposal, and in some the second too.
        team = [self.person(number % self._people)]
        if number < self._people - self._proposals:
            team.append(self.person(self._proposals + number))
        size = 1 + chance.randint(2, 7)
        return team + [self._somebody(chance) for _ in range(size - len(team))]

    def _session(self, number: int, visit: int, chance: random.Random, team: list[Json]) -> Json:
        size = chance.randint(2, 6)
        there = chance.sample(team, min(len(team), size))
        there += [self._somebody(chance) for _ in range(size - len(there))]
        return _session(number, visit, chance, there)

    def _somebody(self, chance: random.Random) -> Json:
        return self.person(int(self._people * chance.random() ** 2.2))

    def person(self, number: int) -> Json:
        """One person, the same each time."""
        if number not in self._known:
            self._known[number] = _person(number, self._laboratories)
        return self._known[number]


def _proposal(number: int, chance: random.Random, team: list[Json]) -> Json:
    cards = chance.randint(0, 2)
    if team[1] is team[0]:
        cards = min(cards, 1)  # a person has one card in a proposal
    return {
        "title": " ".join(_word(chance) for _ in range(6)).capitalize(),
        "proposalCode": "MX",
        "proposalNumber": str(10_000 + number),
        "proposalType": "MX",
        "externalId": 1_000_000 + number,
        "state": "Open",
        "persons": team,
        "labcontacts": [
            {"cardName": f"{person['familyName'][:20]}-{number}-{place}", "person": person}
            for place, person in enumerate(team[:cards])
        ],
    }


def _session(number: int, visit: int, chance: random.Random, there: list[Json]) -> Json:
    start = _START + timedelta(days=chance.randint(0, 900), hours=8 * chance.randint(0, 2))
    session: Json = {
        "startDate": start.isoformat(),
        "endDate": (start + timedelta(hours=8 * chance.randint(1, 6))).isoformat(),
        "beamLineName": chance.choice(_BEAMLINES),
        "scheduled": 1,
        "nbShifts": chance.randint(1, 6),
        "visit_number": visit + 1,
        "beamLineOperator": f"{_word(chance)} {_word(chance)}".title(),
        "comments": None,
        "persons": [
            person | {"session_options": {"role": chance.choice(_ROLES), "remote": chance.randint(0, 1)}}
            for person in there
        ],
    }
    # One session in five has no externalId, as those from before the User Portal had one.
    session["externalId" if chance.random() < 0.8 else "expSessionPk"] = 5_000_000 + number * 10 + visit
    return session


def _protein(number: int, place: int, chance: random.Random, team: list[Json]) -> Json:
    protein: Json = {
        "name": f"{_word(chance)} {_word(chance)}",
        "acronym": f"{_word(chance)[:8].upper()}{place}",
        "description": " ".join(_word(chance) for _ in range(8)),
        "safetyLevel": chance.choice(["GREEN", "YELLOW", "RED"]),
        "molecularMass": round(chance.uniform(5, 200), 2),
        "proteinType": "protein",
        "person": {key: team[0][key] for key in ("login", "externalId") if key in team[0]},
    }
    if chance.random() < 0.7:
        protein["externalId"] = 20_000_000 + number * 20 + place
    return protein


def _person(number: int, laboratories: list[Json]) -> Json:
    chance = random.Random(number)
    given, family = _word(chance).title(), (_word(chance) + _word(chance)).title()
    person = {
        "givenName": given,
        "familyName": family,
        "title": chance.choice(_TITLES),
        "login": f"u{number:06}",
        "emailAddress": f"u{number:06}@example.org",
        "phoneNumber": f"+33 4 76 {number % 100:02} {number // 100 % 100:02} {chance.randint(10, 99)}",
        "laboratory": laboratories[int(len(laboratories) * chance.random() ** 1.5)],
    }
    if chance.random() >= 0.05:
        person["externalId"] = 100_000 + number
    return person


def _laboratory(number: int, chance: random.Random) -> Json:
    return {
        "name": f"Institute of {_word(chance)} {number}".title(),
        "address": f"{chance.randint(1, 200)} rue de la {_word(chance)}",
        "city": chance.choice(_CITIES),
        "country": chance.choice(_COUNTRIES),
        "url": f"https://institute-{number}.example.org/",
        "organization": f"{_word(chance)} {_word(chance)}".title(),
        "laboratoryExtPk": 1000 + number,
    }


def _word(chance: random.Random) -> str:
    return "".join(chance.choice(_SYLLABLES) for _ in range(chance.randint(2, 5)))


def _has_everything(document: Json) -> bool:
    """Several things of each kind, of which some have an externalId and some only their other key."""
    keyed = ({"externalId" in thing for thing in document[name]} for name in ("sessions", "proteins"))
    return all(found == {True, False} for found in keyed) and len(document["proposal"]["labcontacts"]) > 1


def _name_twice(document: Json) -> None:
    """As portals do: a person by login alone, and one participant in two roles."""
    document["proteins"][0]["person"] = {"login": document["proposal"]["persons"][0]["login"]}
    people = document["sessions"][0]["persons"]
    people.append(people[0] | {"session_options": {"role": "Team Leader", "remote": 1}})


def _change(document: Json) -> Json:
    """What a day brings: a title, a beamline, a protein, somebody who comes along."""
    document["proposal"]["title"] += ", continued"
    for session in document["sessions"][:1]:
        session["beamLineName"] = "ID99"
        there = {person["login"] for person in session["persons"]}
        others = [person for person in document["proposal"]["persons"] if person["login"] not in there]
        session["persons"] += [person | {"session_options": {"role": "Staff"}} for person in others[:1]]
    for protein in document["proteins"][:1]:
        protein["safetyLevel"] = "RED" if protein["safetyLevel"] == "GREEN" else "GREEN"
    return document


def write(out: TextIO, proposals: int, *, changed: float = 0, seed: int = SEED) -> None:
    """Writes an export as NDJSON."""
    for document in documents(proposals, changed=changed, seed=seed):
        out.write(orjson.dumps(document).decode() + "\n")


def main() -> None:
    """Parses the arguments and writes to standard output."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--proposals", type=int, default=20_000)
    parser.add_argument("--changed", type=float, default=0, metavar="PERCENT")
    parser.add_argument("--seed", type=int, default=SEED)
    arguments = parser.parse_args()
    write(sys.stdout, arguments.proposals, changed=arguments.changed, seed=arguments.seed)


if __name__ == "__main__":
    main()
