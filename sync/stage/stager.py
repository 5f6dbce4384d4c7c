"""Turns documents into staged rows, and loads them in batches.

Each distinct content is staged once: people and laboratories repeat on every session. A person who
is mentioned again by externalId, with keys alone and the same ones, is the same mention. Rows of a document keep
the order of the file; `position` is the place of a row's last copy, by which the last one wins. A list of
persons that is given and empty is staged as a link to nobody: pruning tells it from one that is not given.
What does not fit the live column is refused by `sync.stage.misfits`: by the column, and people and laboratories, which
wait long, when they are met. Never decides who is who.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from statistics import median_high
from typing import Any

from sync.model import entities
from sync.model.documents import Document, LabContact, Protein, Session
from sync.model.entities import ENTITIES, Entity
from sync.model.people import Known
from sync.model.refusals import REFUSED, Refusal, ValidDocument
from sync.schema.target import Target
from sync.stage.columns import Columns, Fields, Row, clears_of
from sync.stage.misfits import Fitting, columns_of
from sync.stage.spellings import says_nothing_new, says_the_same, spelled_otherwise

Load = Callable[[Entity, Columns], None]

BATCH_ROWS = 12_000
"""Rows kept in memory before they are loaded: some 6 MB."""

MOST_SHARED = 50_000
"""People kept, as their positions change with each mention: some 60 MB. Of more, those go that were not mentioned for
the longest time, since a few are on many proposals."""

_POSITION = 1
_REFUSED = 4


class Stager:
    """Stages documents one by one; `flush` loads what is left.

    load      takes an entity and the columns of its rows, in the order of `Table.staged_columns`
    refuse    takes each refusal

    left      how many values of fields that are left to ISPyB were given, each named as person.phoneNumber
    """

    def __init__(self, target: Target, load: Load, refuse: Callable[[Refusal], None], *, clear_nulls: bool) -> None:
        self.left: Counter[str] = Counter()
        self._load = load
        self._clear_nulls = clear_nulls
        self._fields = {entity.name: Fields(entity, target) for entity in ENTITIES}
        self._fit = Fitting(self._fields, refuse)
        self._rows: dict[str, list[Row]] = {entity.name: [] for entity in ENTITIES}
        self._shared: dict[str, list[Known]] = {"laboratory": [], "person": []}
        self._first_of: dict[bytes, Known | None] = {}
        self._brief: list[Known] = []
        self._waiting = 0
        self._position = 0
        self._at: ValidDocument

    def add(self, valid: ValidDocument) -> None:
        """Stages one document; its number is the row_id of its proposal."""
        self._at = valid
        self._fit.labels[valid.number] = valid.proposal
        document: Document = valid.document
        self._proposal(document)
        for number, contact in enumerate(document.proposal.labcontacts or ()):
            self._lab_contact(contact, f"proposal.labcontacts[{number}]")
        for number, session in enumerate(document.sessions or ()):
            self._session(session, f"sessions[{number}]")
        for number, protein in enumerate(document.proteins or ()):
            self._protein(protein, f"proteins[{number}]")
        if self._waiting >= BATCH_ROWS:
            self._flush_rows()
        people = self._shared["person"]
        if len(people) >= MOST_SHARED:
            self._let_go(median_high(known.row[_POSITION] for known in people))

    def flush(self) -> None:
        """Loads all that waits, and forgets the people and laboratories seen so far."""
        self._let_go(self._position + 1)
        self._flush_rows()

    def _let_go(self, since: int) -> None:
        """Adds to the rows that wait the people who were not mentioned since this position, and forgets them.

        A laboratory goes with the last of its people.
        """
        self._stage_spellings()
        people, laboratories = self._shared["person"], self._shared["laboratory"]
        in_use = {brief.row[0] for brief in self._brief if brief.row[_POSITION] >= since}
        kept, kept_laboratories = [], set()
        for known in people:
            stays = known.row[_POSITION] >= since or known.row[0] in in_use
            if (laboratory := known.data["laboratory"]) is not None:
                laboratory.row[_POSITION] = max(laboratory.row[_POSITION], known.row[_POSITION])
                if stays:
                    kept_laboratories.add(laboratory.row[0])
            if stays:
                kept.append(known)
        kept_people = {known.row[0] for known in kept}
        for brief in self._brief:
            if brief.row[0] not in kept_people:
                brief.row = None
        self._brief = [brief for brief in self._brief if brief.row is not None]
        self._shared["person"] = self._staged(entities.PERSON, people, kept_people)
        self._shared["laboratory"] = self._staged(entities.LABORATORY, laboratories, kept_laboratories)
        self._first_of = {name: first for name, first in self._first_of.items() if first is None or first.row}

    def _staged(self, entity: Entity, shared: list[Known], kept: set[int]) -> list[Known]:
        """Adds the rows of those that are not kept to the rows that wait, or loads them; returns the others."""
        for known in shared:
            if known.row[0] not in kept:
                if len(self._rows[entity.name]) >= BATCH_ROWS:
                    self._flush_rows()
                self._rows[entity.name].append(tuple(known.row))
                known.row.clear()  # of equal mentions too
                known.row = None
        return [known for known in shared if known.row is not None]

    def _flush_rows(self) -> None:
        for entity in ENTITIES:
            rows = self._rows[entity.name]
            if rows:
                # People and laboratories were checked when they were met.
                self._load(entity, columns_of(rows) if entity.name in self._shared else self._fit.columns(entity, rows))
                self._rows[entity.name] = []
        self._fit.labels.clear()
        self._waiting = 0

    def _proposal(self, document: Document) -> None:
        people: Any = document.proposal.persons or ()
        rows = [self._person(person, f"proposal.persons[{number}]") for number, person in enumerate(people)]
        proposer = rows[0] if rows else None
        self._fields["proposal"].last_row = self._at.number - 1  # the document's number is the row's
        self._row(entities.PROPOSAL, document.proposal, "proposal", proposer)
        for number, person_row in _first_of_each(rows):
            self._row(entities.PROPOSAL_HAS_PERSON, None, f"proposal.persons[{number}]", person_row)
        if document.proposal.persons == []:
            self._row(entities.PROPOSAL_HAS_PERSON, None, "proposal.persons", None)

    def _session(self, session: Session, path: str) -> None:
        session_row = self._row(entities.SESSION, session, path)
        if session is REFUSED:
            return
        seen = set()
        people: Any = session.persons or ()
        for number, participant in enumerate(people):
            person_path = f"{path}.persons[{number}]"
            refused = participant is REFUSED
            options: Known | None = None if refused else participant.session_options
            person_row = self._person(REFUSED if refused else participant.person, person_path)
            link = (person_row, options and (options.data["role"], options.data["remote"]))
            if link not in seen:
                seen.add(link)
                self._row(entities.SESSION_HAS_PERSON, options, person_path, session_row, person_row)
        if session.persons == []:
            self._row(entities.SESSION_HAS_PERSON, None, f"{path}.persons", session_row, None)

    def _protein(self, protein: Protein, path: str) -> None:
        person_row = None
        if protein is not REFUSED and protein.person is not None:
            person_row = self._person(protein.person, f"{path}.person")
        self._row(entities.PROTEIN, protein, path, person_row)

    def _lab_contact(self, contact: LabContact, path: str) -> None:
        person_row = None if contact is REFUSED else self._person(contact.person, f"{path}.person")
        self._row(entities.LAB_CONTACT, contact, path, person_row)

    def _person(self, person: Any, path: str) -> int:
        """The row of a person, staged once for all its mentions."""
        if person is REFUSED:
            return self._row(entities.PERSON, REFUSED, path, None)
        known: Known = person
        row = known.row
        if not row:
            return self._meet_person(known, path)
        self._position += 1
        row[_POSITION] = self._position
        found: int = row[0]
        return found

    def _meet_person(self, known: Known, path: str) -> int:
        name = known.data["externalId"]  # not the login: one may be spelled in several ways, of which the last wins
        if name is not None and not self._clear_nulls:
            first = self._first_of.setdefault(name, known)
            if first is not None and first is not known:
                if says_the_same(known.data, first.data):  # known before, and forgotten by those who validate
                    known.row = first.row
                    return self._person(known, path)
                if first.row[_REFUSED] is None and says_nothing_new(known.data, first.data):
                    # Saying less, it has a position of its own: it makes nothing of the first one the last.
                    known.row = list(first.row)
                    self._brief.append(known)
                    return self._person(known, path)
                self._first_of[name] = None  # the last of several wins: each is staged
        laboratory_row = None
        if (laboratory := known.data["laboratory"]) is not None:
            if laboratory.row is None:
                self._share(entities.LABORATORY, laboratory, f"{path}.laboratory")
            laboratory_row = laboratory.row[0]
        return self._share(entities.PERSON, known, path, laboratory_row)

    def _stage_spellings(self) -> None:
        """Stages mentions that say less than an earlier one, where a login alone has another spelling of theirs."""
        fields = self._fields["person"]
        for known in spelled_otherwise(self._shared["person"], self._brief):
            fields.last_row += 1
            _, position, number, path, refused, contradicts, clears, *_ = known.row
            row = (fields.last_row, position, number, path, refused, contradicts, clears, None)
            self._rows["person"].append(self._fit.row(entities.PERSON, (*row, *fields.pick(known.data))))

    def _share(self, entity: Entity, known: Known, path: str, *references: int | None) -> int:
        row_id = self._row(entity, known, path, *references)
        known.row = list(self._fit.row(entity, self._rows[entity.name].pop()))
        self._shared[entity.name].append(known)
        return row_id

    def _row(self, entity: Entity, thing: Any, path: str, *references: int | None) -> int:
        """Adds one row to those that wait; returns its row_id. `thing` is a model, known, REFUSED or None."""
        fields = self._fields[entity.name]
        fields.last_row = row_id = fields.last_row + 1
        self._position += 1
        self._waiting += 1
        refused, clears = None, ""
        if thing is None:
            values = fields.nothing
        elif thing is REFUSED:
            refused = "invalid_document"
            values = fields.nothing
        else:
            data = thing.data if type(thing) is Known else thing.__dict__
            values = fields.pick(data)
            for name in fields.left:
                self.left[f"{entity.name}.{name}"] += data[name] is not None
            if self._clear_nulls:
                clears = clears_of(entity, fields.all, thing)
        self._rows[entity.name].append(
            (row_id, self._position, self._at.number, path, refused, None, clears, *references, *values)
        )
        return row_id


def _first_of_each(rows: Iterable[int]) -> Iterable[tuple[int, int]]:
    """Number and row of each person, the first time it is named."""
    first: dict[int, int] = {}
    for number, row in enumerate(rows):
        first.setdefault(row, number)
    return ((number, row) for row, number in first.items())
