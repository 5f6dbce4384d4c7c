"""Every place of an export that names something, in the order of the documents.

A value that does not fit is refused here, where it stands: a key with its mention, any other field alone.
The fields of a document come in the order in which design.md's documents show them.
"""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from oracle.facts import Facts
from oracle.kinds import Kind

Json = dict[str, Any]
Place = tuple[int, str]
"""Number of the document, path in it."""


@dataclass(frozen=True)
class Refusal:
    """What must be refused: at one place of `places` or more, with one of `codes`."""

    entity: str
    codes: frozenset[str]
    places: frozenset[Place]
    field: str | None = None


@dataclass(eq=False)
class Mention:
    """One place that names something, numbered in the order of the export.

    nulls    the columns that it empties, if they may be
    belied   the columns of which it gives a value that does not fit, and the default says something else
    unkept   values of keys that the live table has no column for: they still tell things apart
    refused  the code that refuses it, or None
    """

    number: int
    entity: str
    document: int
    path: str
    values: Json = field(default_factory=dict)
    nulls: set[str] = field(default_factory=set)
    belied: set[str] = field(default_factory=set)
    unkept: set[Any] = field(default_factory=set)
    parents: "dict[str, Mention]" = field(default_factory=dict)
    refused: str | None = None
    thing: Any = None

    @property
    def place(self) -> Place:
        return self.document, self.path


class Reader:
    """Reads documents into mentions by entity, and into the refusals of what does not fit."""

    def __init__(self, facts: Facts, kinds: dict[str, Kind], *, clear: bool) -> None:
        self.mentions: dict[str, list[Mention]] = {name: [] for name in kinds}
        self.refusals: list[Refusal] = []
        self.refused_documents: set[int] = set()
        self._refused: dict[tuple[Any, ...], Refusal] = {}
        self._facts = facts
        self._kinds = kinds
        self._clear = clear
        self._document = self._number = 0

    def read(self, document: Json) -> None:
        """One document: the proposal and its people, its cards, its sessions and theirs, its proteins."""
        self._document += 1
        raw = document["proposal"]
        if not _named(raw, "externalId", "proposalNumber"):
            self._refuse("proposal", "invalid_document", "proposal")
            self.refused_documents.add(self._document)
            return
        proposal = self._mention("proposal", raw, "proposal")
        for path, person in _each(raw.get("persons"), "proposal.persons"):
            parents = {"proposal": proposal, "person": self._person(person, path)}
            link = self._mention("proposal_has_person", {}, path, parents)
            proposal.parents.setdefault("person", link.parents["person"])
        for path, contact in _each(raw.get("labcontacts"), "proposal.labcontacts"):
            self._lab_contact(proposal, contact, path)
        for path, session in _each(document.get("sessions"), "sessions"):
            self._session(proposal, session, path)
        for path, protein in _each(document.get("proteins"), "proteins"):
            self._protein(proposal, protein, path)

    def _person(self, raw: Json, path: str) -> Mention:
        laboratory = raw.get("laboratory")
        if laboratory is not None and not _named(laboratory, "externalId", "laboratoryExtPk", "name"):
            self._refuse("laboratory", "invalid_document", f"{path}.laboratory")
            raw = {name: value for name, value in raw.items() if name != "laboratory"}
        if not _named(raw, "externalId", "login", "siteId"):
            return self._invalid("person", path)
        person = self._mention("person", raw, path)
        if raw.get("laboratory") is not None:
            person.parents["laboratory"] = self._mention("laboratory", laboratory, f"{path}.laboratory")
        elif self._clear and "laboratory" in raw:
            person.nulls.add("laboratory")
        return person

    def _lab_contact(self, proposal: Mention, raw: Json, path: str) -> None:
        if not _named(raw, "cardName"):
            self._invalid("lab_contact", path, f"{path}.cardName")
            return
        person = self._person(raw["person"], f"{path}.person")
        if person.refused == "invalid_document":
            self._refuse("lab_contact", "parent_refused", path)
            refused = Mention(self._number, "lab_contact", self._document, path, refused="parent_refused")
            self.mentions["lab_contact"].append(refused)
        else:
            self._mention("lab_contact", raw, path, {"proposal": proposal, "person": person})

    def _session(self, proposal: Mention, raw: Json, path: str) -> None:
        if not _named(raw, "externalId", "expSessionPk", "visit_number"):
            self._invalid("session", path)
            return
        session = self._mention("session", raw, path, {"proposal": proposal})
        if session.refused is None and all(session.values.get(k.needed) is None for k in self._kinds["session"].keys):
            session.refused = "invalid_document"
            self._refuse("session", "invalid_document", path)
        for person_path, person in _each(raw.get("persons"), f"{path}.persons"):
            parents = {"session": session, "person": self._person(person, person_path)}
            invalid = parents["person"].refused == "invalid_document"
            options = None if invalid else person.get("session_options")
            self._mention("session_has_person", options or {}, person_path, parents)

    def _protein(self, proposal: Mention, raw: Json, path: str) -> None:
        if not _named(raw, "externalId", "acronym"):
            self._invalid("protein", path)
            return
        protein = self._mention("protein", raw, path, {"proposal": proposal})
        person = raw.get("person")
        if person is not None:
            mention = self._person(person, f"{path}.person")
            if mention.refused != "invalid_document":
                protein.parents["person"] = mention
        elif self._clear and "person" in raw:
            protein.nulls.add("person")

    def _invalid(self, entity: str, path: str, fault: str | None = None) -> Mention:
        """A thing of a list that nothing names: refused with all that is in it."""
        self._refuse(entity, "invalid_document", fault or path)
        mention = Mention(self._number, entity, self._document, path, refused="invalid_document")
        self.mentions[entity].append(mention)
        return mention

    def _mention(self, entity: str, raw: Json, path: str, parents: dict[str, Mention] | None = None) -> Mention:
        kind = self._kinds[entity]
        columns = self._facts.tables[kind.table]
        self._number += 1
        mention = Mention(self._number, entity, self._document, path, parents=parents or {})
        unkept = ((name, _value(name, raw.get(name), is_key=True)) for name in kind.unkept)
        mention.unkept = {(name, value) for name, value in unkept if value is not None}
        for name in kind.fields:
            column = columns[name]
            given = "laboratoryExtPk" if name == "laboratoryPk" else name
            value = _value(name, raw.get(given), is_key=name in kind.key_fields)
            if value is not None and (code := column.misfit(value)):
                place = f"{path}.session_options" if entity == "session_has_person" else path
                self._refuse(entity, code, f"{place}.{given}", given, value)
                if name in kind.key_fields or (not column.nullable and column.default is None):
                    mention.refused = mention.refused or code
                elif column.data_type == "enum" and column.default is not None:
                    mention.belied.add(name)
            elif value is not None:
                mention.values[name] = column.stored(value)
            elif self._clear and given in raw and column.nullable and name in (*kind.portal, *kind.given_up):
                mention.nulls.add(name)
        self.mentions[entity].append(mention)
        return mention

    def _refuse(self, entity: str, code: str, path: str, name: str | None = None, value: Any = None) -> None:
        """One refusal for each value: a copy of what was refused already need not be reported again."""
        place = frozenset({(self._document, path)})
        refusal = Refusal(entity, frozenset({code}), place, name)
        if name is not None:
            same = self._refused.get((entity, code, name, value))
            if same is not None:
                self.refusals.remove(same)
                refusal = replace(refusal, places=place | same.places)
            self._refused[entity, code, name, value] = refusal
        self.refusals.append(refusal)


def _each(items: list[Json] | None, path: str) -> list[tuple[str, Json]]:
    return [(f"{path}[{number}]", item) for number, item in enumerate(items or ())]


def _named(raw: Json, *names: str) -> bool:
    """Whether one of these has a value; an empty name is none."""
    return any(_value(name, raw.get(name), is_key=True) is not None for name in names)


def _value(name: str, value: Any, *, is_key: bool) -> Any:
    """A value of a document as a column holds it; None for none."""
    if value is None or (is_key and isinstance(value, str) and not value.strip()):
        return None
    if name == "externalId":
        return UUID(value).bytes if isinstance(value, str) else value.to_bytes(16, "big")
    if name in ("phoneNumber", "faxNumber") and value == "None":
        return None
    if name in ("startDate", "endDate", "lastUpdate"):
        moment = datetime.fromisoformat(value).replace(microsecond=0)
        return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
    return int(value) if isinstance(value, bool) else value
