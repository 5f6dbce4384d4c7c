"""A run, parents before children: what ISPyB holds afterwards, what is refused, what is counted."""

import copy
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from oracle.facts import ANY, Facts
from oracle.joining import join
from oracle.kinds import Kind, kinds
from oracle.laboratories import (
    give_to_completed,
    has_external_key,
    is_renamed,
    laboratory_of,
    leave_disputed,
    prefer_own,
)
from oracle.match import (
    claim,
    find,
    find_all,
    find_emptied,
    gives_up,
    going,
    holders,
    mark_given_up,
    refuse_forgotten_codes,
    settle,
)
from oracle.mentions import Json, Mention, Reader, Refusal
from oracle.things import Thing

Tables = dict[str, list[Json]]


@dataclass
class Outcome:
    """What a run leaves: rows by table, counts by entity, refusals, how many things had copies that differ."""

    tables: Tables
    counts: dict[str, Counter[str]] = field(default_factory=dict)
    refusals: list[Refusal] = field(default_factory=list)
    things: dict[str, list[Thing]] = field(default_factory=dict)
    refused_documents: set[int] = field(default_factory=set)


def run(documents: list[Json], tables: Tables, facts: Facts, *, nulls: str = "keep") -> Outcome:
    """Reconciles the rows with the documents. Ids of new rows are text; neither argument is changed."""
    known = kinds(facts)
    reader = Reader(facts, known, clear=nulls == "clear")
    for document in documents:
        reader.read(document)
    this = _Run(facts, known, reader.mentions, Outcome(copy.deepcopy(tables)))
    this.outcome.refusals, this.outcome.refused_documents = reader.refusals, reader.refused_documents
    this.laboratories_and_people()
    this.proposals()
    this.links("proposal_has_person", "proposal")
    this.sessions()
    this.links("session_has_person", "session")
    this.proteins()
    this.lab_contacts()
    return this.outcome


@dataclass
class _Run:
    facts: Facts
    kinds: dict[str, Kind]
    mentions: dict[str, list[Mention]]
    outcome: Outcome

    def laboratories_and_people(self) -> None:
        """A laboratory found by its name is the one that its people have, so people are matched first."""
        labs = self._joined("laboratory")
        people = self._joined("person")
        self._find(going(labs))
        find_all(going(people), self._find)
        for person in [person for person in going(people) if person.row is None]:
            find_emptied(person, people, self._rows("person"))
        give_to_completed(labs)
        for lab in going(labs):
            prefer_own(lab, people)
        settle(labs)
        leave_disputed(labs, self._rows("laboratory"))
        claim(labs, self._rows("laboratory"))
        settle(people)
        claim(people, self._rows("person"))
        for lab in labs:
            lab.also = [row for row in lab.also if not is_renamed(row, labs)]
        self._write("laboratory", labs)
        for person in going(people):
            self._refuse_parent(person, "laboratory")
        self._write("person", people, laboratory_of)

    def proposals(self) -> None:
        """The proposer is the first person of the list; a new proposal needs somebody."""
        things = self._joined("proposal")
        self._match("proposal", things)
        refuse_forgotten_codes(things, self._rows("proposal"))
        for thing in things:
            if thing.row is None and self._proposer(thing) is None:
                # Where the code is forgotten as well, the design does not say which comes first.
                thing.codes |= {"no_proposer"} if "forgotten_code" in thing.rules else set()
                thing.refuse("no_proposer")
        self._write("proposal", things, lambda thing: {"personId": self._proposer(thing)})

    def links(self, entity: str, parent: str) -> None:
        """One link of two rows; what is refused at either end refuses it."""
        things = self._things_by_ends(entity, parent)
        kind, rows = self.kinds[entity], self._rows(entity)
        id_column = "proposalId" if parent == "proposal" else "sessionId"
        for thing in going(things):
            ends = {id_column: thing.parents[parent].thing.id, "personId": thing.parents["person"].thing.id}
            same = [row for row in rows if all(row[name] == value for name, value in ends.items())]
            thing.row = same[0] if same else None
        self._write(
            kind.name,
            things,
            lambda t: {id_column: t.parents[parent].thing.id, "personId": t.parents["person"].thing.id},
        )

    def sessions(self) -> None:
        """A session known under another proposal stays there; a new one that two proposals claim is nobody's."""
        things = self._joined("session", parent="proposal")
        rows = self._rows("session")
        named = going(things)

        def again(some: list[Thing]) -> None:
            self._find(some)
            for thing in named:
                thing.codes -= {"belongs_elsewhere"}
            self._leave_elsewhere(going(named), rows)

        find_all([thing for thing in named if len(thing.proposals) < 2], again)
        again([thing for thing in named if len(thing.proposals) > 1])
        for thing in named:
            if len(thing.proposals) > 1:
                # Where two proposals claim it, it is both; the design does not say which.
                thing.codes |= {"duplicate_key"}
        settle(things)
        claim(things, rows)
        self._write("session", things, lambda thing: {"proposalId": thing.parents["proposal"].thing.id})

    def _leave_elsewhere(self, sessions: list[Thing], rows: list[Json]) -> None:
        """What is known elsewhere stays there; a key that it gives up there in this run means another session."""
        found = [thing for thing in sessions if thing.row is not None]
        at_home = [thing for thing in found if thing.proposals == {thing.row["proposalId"]}]
        for thing in found:
            known = thing.row
            if thing in at_home:
                continue
            if any(gives_up(known, key, at_home) for key in thing.kind.keys if holders(thing, key, [known])):
                thing.row = None
                find(thing, [row for row in rows if row is not known])
            else:
                thing.refuse("belongs_elsewhere")

    def proteins(self) -> None:
        """A refused person leaves the protein without one, or with the one that it has."""
        things = self._joined("protein", parent="proposal")
        self._match("protein", things)
        for thing in going(things):
            self._refuse_parent(thing, "person")
        self._write(
            "protein",
            things,
            lambda thing: {"proposalId": thing.parents["proposal"].thing.id, "personId": self._person_of(thing)},
        )

    def lab_contacts(self) -> None:
        """A card needs its person. One that only its person finds keeps the name that it has in ISPyB."""
        for mention in self.mentions["lab_contact"]:
            person = mention.parents.get("person")
            if mention.refused is None and person is not None:
                mention.values["personId"] = person.thing.id
                mention.refused = "parent_refused" if person.thing.refused else None
        things = self._joined("lab_contact", parent="proposal")
        rows = self._rows("lab_contact")
        by_name, by_person = self.kinds["lab_contact"].keys
        for thing in going(things):
            thing.row = next(iter(holders(thing, by_name, rows)), None)
        named = [thing.row for thing in going(things)]
        for thing in going(things):
            if thing.row is None:
                thing.row = next((row for row in holders(thing, by_person, rows) if row not in named), None)
        claim(things, rows)
        self._write("lab_contact", things, lambda thing: {"proposalId": thing.parents["proposal"].thing.id})

    def _joined(self, entity: str, parent: str | None = None) -> list[Thing]:
        kind = self.kinds[entity]
        for mention in self.mentions[entity]:
            if parent and mention.refused is None and mention.parents[parent].thing.refused:
                mention.refused = "parent_refused"
        return join(kind, self.mentions[entity], self.facts.tables[kind.table])

    def _match(self, entity: str, things: list[Thing]) -> None:
        find_all(going(things), self._find)
        settle(things)
        claim(things, self._rows(entity))

    def _find(self, things: list[Thing]) -> None:
        for thing in things:
            find(thing, self._rows(thing.kind.name))

    def _things_by_ends(self, entity: str, parent: str) -> list[Thing]:
        kind = self.kinds[entity]
        by_ends: dict[Any, Thing] = {}
        for mention in self.mentions[entity]:
            ends = [end.thing for name in (parent, "person") if (end := mention.parents[name])]
            thing = by_ends.setdefault(tuple(map(id, ends)), Thing(kind, [], self.facts.tables[kind.table]))
            thing.mentions.append(mention)
            if any(end is None or end.refused for end in ends):
                thing.refuse("parent_refused")
        return list(by_ends.values())

    def _rows(self, entity: str) -> list[Json]:
        return self.outcome.tables[self.kinds[entity].table]

    def _proposer(self, proposal: Thing) -> Any:
        """The id of the first person of the last list that is not empty.

        If that one is refused, a known proposal keeps its proposer, and a new one gets the first of all its lists
        who can be used.
        """
        first = proposal.parents.get("person")
        if first is not None and _is_usable(first):
            return first.thing.id
        if proposal.row is not None:
            return proposal.row["personId"]
        links = [m for m in self.mentions["proposal_has_person"] if m.parents["proposal"] in proposal.mentions]
        return next((m.parents["person"].thing.id for m in links if _is_usable(m.parents["person"])), None)

    def _person_of(self, thing: Thing) -> Any:
        mention = thing.parents.get("person")
        if mention is not None and _is_usable(mention):
            return mention.thing.id
        return None if thing.row is None or "person" in thing.nulls else thing.row["personId"]

    def _refuse_parent(self, thing: Thing, name: str) -> None:
        """A parent that may be missing is refused alone: the one that the last copy gives."""
        parent = thing.parents.get(name)
        if parent is not None and not _is_usable(parent):
            places = frozenset((document, f"{path}.{name}") for document, path in thing.places)
            self.outcome.refusals.append(Refusal(thing.kind.name, frozenset({"parent_refused"}), places, name))

    def _write(self, entity: str, things: list[Thing], references: Callable[[Thing], Json] = lambda _: {}) -> None:
        """Inserts and updates; counts; reports what is refused."""
        kind = self.kinds[entity]
        columns = self.facts.tables[kind.table]
        mark_given_up(things)
        counts = self.outcome.counts[entity] = Counter(staged=len(things))
        self.outcome.things[entity] = things
        for thing in things:
            if thing.refused:
                counts["refused"] += 1
                reported = {m.refused for m in thing.mentions} - {"parent_refused"}
                if not thing.codes & reported and "belied" not in thing.rules:
                    self.outcome.refusals.append(Refusal(entity, thing.codes, thing.places))
            elif thing.row is not None:
                new = _updates(thing, self.facts) | references(thing)
                changed = {name: value for name, value in new.items() if thing.row[name] != value}
                counts["updated" if changed else "unchanged"] += 1
                thing.row.update(changed)
            else:
                counts["inserted"] += 1
                thing.new_id = f"new {entity} {id(thing)}"
                row = {name: column.default for name, column in columns.items()}
                row |= _inserts(thing, self.facts) | references(thing)
                if entity != "session_has_person":
                    row[kind.primary_key] = thing.new_id
                self._rows(entity).append(row)


def _is_usable(person: Mention) -> bool:
    return person.thing is not None and not person.thing.refused


def _updates(thing: Thing, facts: Facts) -> Json:
    """The columns that the portal owns, with the values of the export."""
    kind, values = thing.kind, thing.values
    names = [name for name in (*kind.key_fields, *kind.portal) if name not in kind.initial]
    if kind.name == "laboratory" and not has_external_key(thing):
        names = ["address", "url"]
    return {name: values.get(name) for name in names if name in values or name in thing.nulls}


def _inserts(thing: Thing, facts: Facts) -> Json:
    kind, values = thing.kind, thing.values
    row = {name: values.get(name) for name in kind.fields if name in values or name in thing.nulls}
    if kind.name == "session":
        row["lastUpdate"] = values.get("lastUpdate", values.get("endDate", ANY))
        if facts.unique_visits:
            row["visit_number"] = values.get("visit_number")
    return row
