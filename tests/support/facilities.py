"""Small facilities whose documents share people and laboratories, and what happens to them between two runs.

Everything is drawn from a seed. `number` moves all keys apart from those of other facilities, so that many can share a
run, and each can go through the same alone.
"""

from copy import deepcopy
from dataclasses import dataclass, field
from random import Random
from typing import Any

Json = dict[str, Any]

_PEOPLE, _LABORATORIES, _PROPOSALS = 10, 4, 6


@dataclass
class Facility:
    """The documents of a facility as they are now."""

    number: int
    seed: int
    documents: list[Json] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = Random(f"{self.seed} {self.number}")
        self.documents = [self._document(n) for n in range(self.random.randint(2, _PROPOSALS))]

    def change(self) -> None:
        """Something in the export is otherwise from now on."""
        for _ in range(self.random.choice([0, 1, 1, 1, 2])):
            self.random.choice(
                [self._change_person] * 6 + [self._change_laboratory] * 3 + [self._change_document] * 3
            )()

    def drift(self) -> list[str]:
        """What others do in ISPyB: statements, of which some may not be possible."""
        return [self._drift() for _ in range(self.random.choice([0, 0, 0, 1, 1, 2]))]

    # Documents

    def _id(self, n: int) -> int:
        return 1000 * self.number + n

    def _word(self, text: str, n: int) -> str:
        return f"{text}{self.number}_{n}"

    def _laboratory(self, n: int) -> Json:
        whole = {
            "externalId": self._id(n),
            "laboratoryExtPk": self._id(n) + 1,
            "name": self._word("Lab", min(n, 2)),  # two have one name
            "city": "C",
            "address": f"{n} Street",
        }
        return self._some(
            whole, ("externalId",), ("laboratoryExtPk",), ("name", "city"), ("laboratoryExtPk", "name", "city")
        )

    def _person(self, n: int) -> Json:
        whole = {
            "externalId": self._id(n),
            "login": self._word("u", n),
            "siteId": self._id(n) + 1,
            "familyName": self._word("F", n),
            "phoneNumber": str(n),
        }
        person = self._some(whole, ("externalId",), ("login",), ("siteId",), ("externalId", "login"))
        if self.random.random() < 0.25:
            person["laboratory"] = self._laboratory(n % _LABORATORIES)
        return person

    def _some(self, whole: Json, *keys: tuple[str, ...]) -> Json:
        """The whole thing, or one of the ways to name it with some of the rest."""
        if self.random.random() < 0.5:
            return whole
        names = self.random.choice(keys)
        rest = [name for name in whole if name not in {n for several in keys for n in several}]
        return {name: whole[name] for name in (*names, *(n for n in rest if self.random.random() < 0.3))}

    def _people(self, least: int, most: int) -> list[Json]:
        return [self._person(n) for n in self.random.sample(range(_PEOPLE), self.random.randint(least, most))]

    def _document(self, n: int) -> Json:
        proposal = {
            "externalId": self._id(n),
            "proposalCode": "MX",
            "proposalNumber": str(self._id(n) + 1),
            "title": f"T{n}",
            "persons": self._people(1, 3),
        }
        if self.random.random() < 0.3:
            proposal["labcontacts"] = [{"cardName": "Home", "person": self._person(self.random.randrange(_PEOPLE))}]
        document: Json = {"proposal": proposal}
        document["sessions"] = [
            {
                "externalId": self._id(10 * n + visit),
                "expSessionPk": self._id(10 * n + visit) + 1,
                "visit_number": visit,
                "lastUpdate": "2024-01-31T08:00:00",
                "persons": self._people(0, 2),
            }
            for visit in range(1, self.random.randint(1, 3))
        ]
        if self.random.random() < 0.3:
            document["proteins"] = [{"acronym": "H", "person": self._person(self.random.randrange(_PEOPLE))}]
        return document

    # Changes to the export

    def _mentions(self) -> list[Json]:
        found = []
        for document in self.documents:
            found += document["proposal"]["persons"]
            found += [card["person"] for card in document["proposal"].get("labcontacts", ())]
            found += [person for session in document["sessions"] for person in session["persons"]]
            found += [protein["person"] for protein in document.get("proteins", ()) if "person" in protein]
        return found

    def _change_person(self) -> None:
        person = self.random.choice(self._mentions() or [{}])
        n = self.random.randrange(_PEOPLE + 2)
        change: Json = self.random.choice(
            [
                {"phoneNumber": "new"},
                {"phoneNumber": None},
                {"phoneNumber": "x" * 50},
                {"familyName": "é"},
                {"login": self._word("u", n)},
                {"externalId": self._id(n)},
                {"siteId": self._id(n) + 1},
                {"login": None},
                {"unknown": 1},
                {"laboratory": self._laboratory(self.random.randrange(_LABORATORIES + 1))},
                {"laboratory": None},
                dict(self._person(n)),
            ]
        )
        if self.random.random() < 0.2 and len(person) > 1:
            person.pop(self.random.choice(sorted(person)))
        else:
            person.update(change)

    def _change_laboratory(self) -> None:
        laboratories = [person["laboratory"] for person in self._mentions() if person.get("laboratory")]
        laboratory = self.random.choice(laboratories or [{}])
        n = self.random.randrange(_LABORATORIES + 1)
        change: Json = self.random.choice(
            [
                {"address": "new"},
                {"name": self._word("Lab", n)},
                {"externalId": self._id(n)},
                {"laboratoryExtPk": self._id(n) + 1},
                {"city": "D"},
            ]
        )
        if self.random.random() < 0.4 and len(laboratory) > 1:
            laboratory.pop(self.random.choice(sorted(laboratory)))
        else:
            laboratory.update(change)

    def _change_document(self) -> None:
        documents, random = self.documents, self.random
        place = random.randrange(len(documents))
        document = documents[place]
        what = random.randrange(11)
        if what == 0 and len(documents) > 1:
            del documents[place]
        elif what == 1:
            documents.append(self._document(random.randrange(_PROPOSALS + 1)))
        elif what == 2:
            documents.append(deepcopy(document))
        elif what == 3:
            random.shuffle(documents)
        elif what == 4 and len(document["proposal"]["persons"]) > 1:
            document["proposal"]["persons"].pop()
        elif what == 5:
            document["proposal"]["persons"].append(self._person(random.randrange(_PEOPLE)))
        elif what == 6:
            document["proposal"]["title"] = random.choice(["new", None, "x" * 300])
        elif what == 7 and document["sessions"]:
            n = random.randrange(30)
            random.choice(document["sessions"]).update(
                random.choice([{"externalId": self._id(n)}, {"expSessionPk": self._id(n) + 1}])
            )
        elif what == 8:
            document["proposal"]["proposalNumber"] = str(self._id(random.randrange(_PROPOSALS)) + 1)
        elif what == 9:
            document["proposal"]["persons"] = []
        else:
            document["proposal"]["unknown"] = random.randrange(3)

    # What others do

    def _drift(self) -> str:
        random = self.random
        n, m = random.randrange(_PEOPLE), random.randrange(_PEOPLE)
        login, other = self._word("u", n), self._word("u", m)
        number = str(self._id(random.randrange(_PROPOSALS)) + 1)
        laboratory = self._word("Lab", random.randrange(3))
        proposal = f"(SELECT MIN(proposalId) FROM Proposal WHERE proposalNumber = '{number}')"
        somebody = f"(SELECT MIN(personId) FROM Person WHERE login = '{other}')"
        return random.choice(
            [
                f"UPDATE Person SET phoneNumber = 'drift' WHERE login = '{login}'",
                f"UPDATE Person SET login = '{other}' WHERE login = '{login}'",
                f"UPDATE Person SET login = NULL WHERE login = '{login}'",
                f"UPDATE Person SET externalId = NULL WHERE login = '{login}'",
                f"UPDATE Person SET siteId = {self._id(m) + 1} WHERE login = '{login}'",
                f"UPDATE Person SET laboratoryId = (SELECT MAX(laboratoryId) FROM Laboratory) WHERE login = '{login}'",
                f"INSERT INTO Person (login, siteId) VALUES ('{login}x', {self._id(m) + 1})",
                f"UPDATE Laboratory SET name = '{laboratory}' WHERE city = 'C' AND name REGEXP '^Lab{self.number}_'",
                f"UPDATE Laboratory SET externalId = NULL WHERE name = '{laboratory}'",
                f"UPDATE Laboratory SET address = 'drift' WHERE name = '{laboratory}'",
                f"INSERT INTO Laboratory (name, city) VALUES ('{laboratory}', 'C')",
                f"DELETE FROM ProposalHasPerson WHERE proposalId = {proposal} LIMIT 1",
                f"INSERT INTO ProposalHasPerson (proposalId, personId) SELECT {proposal}, {somebody}",
                f"UPDATE Proposal SET title = 'drift' WHERE proposalNumber = '{number}'",
                f"UPDATE Proposal SET externalId = NULL WHERE proposalNumber = '{number}'",
                f"UPDATE Proposal SET personId = {somebody} WHERE proposalNumber = '{number}'",
                f"UPDATE BLSession SET proposalId = {proposal} WHERE externalId = "
                f"UNHEX('{self._id(10 * random.randrange(3) + 1):032X}')",
                f"UPDATE BLSession SET externalId = NULL WHERE externalId = UNHEX('{self._id(11):032X}')",
                f"DELETE t FROM Session_has_Person AS t INNER JOIN BLSession AS b USING (sessionId) "
                f"WHERE b.proposalId = {proposal}",
                f"UPDATE LabContact SET cardName = 'Office' WHERE proposalId = {proposal}",
                f"UPDATE Protein SET acronym = 'h' WHERE proposalId = {proposal}",
            ]
        )
