"""Turns documents into staged rows, and loads them in batches.

Each distinct content is staged once: people and laboratories repeat on every session. Rows of a document keep the
order of the file; `position` is the place of a row's last copy, by which the last one wins. A list of
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
from sync.model.people import Laboratory, Person
from sync.model.refusals import REFUSED, Refusal, ValidDocument
from sync.schema.target import Target
from sync.stage.columns import Columns, Fields, Row, clears_of, columns_of, given
from sync.stage.misfits import Fitting

Load = Callable[[Entity, Columns], None]

BATCH_ROWS = 12_000
"""Rows kept in memory before they are loaded: some 6 MB."""

MOST_SHARED = 50_000
"""People kept, as their positions change with each mention: some 60 MB. Of more, those go that were not mentioned for
the longest time, since a few are on many proposals."""

_POSITION = 1


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
        self._people: dict[Person, list[Any]] = {}  # rows are lists, as their positions change
        self._laboratories: dict[Laboratory, list[Any]] = {}
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
        if len(self._people) >= MOST_SHARED:
            self._let_go(median_high(row[_POSITION] for row in self._people.values()))

    def flush(self) -> None:
        """Loads all that waits, and forgets the people and laboratories seen so far."""
        self._let_go(self._position + 1)
        self._flush_rows()

    def _let_go(self, since: int) -> None:
        """Adds to the rows that wait the people who were not mentioned since this position, and forgets them.

        A laboratory goes with the last of its people.
        """
        people = {}
        for person, row in self._people.items():
            if person.laboratory:
                laboratory_row = self._laboratories[person.laboratory]
                laboratory_row[_POSITION] = max(laboratory_row[_POSITION], row[_POSITION])
            if row[_POSITION] >= since:
                people[person] = row
            else:
                self._wait(entities.PERSON, row)
        in_use = {person.laboratory for person in people}
        laboratories = {}
        for laboratory, row in self._laboratories.items():
            if laboratory in in_use:
                laboratories[laboratory] = row
            else:
                self._wait(entities.LABORATORY, row)
        self._people, self._laboratories = people, laboratories

    def _wait(self, entity: Entity, row: list[Any]) -> None:
        """Adds a row to those that wait, and loads these where they are many."""
        if len(self._rows[entity.name]) >= BATCH_ROWS:
            self._flush_rows()
        self._rows[entity.name].append(tuple(row))

    def _flush_rows(self) -> None:
        for entity in ENTITIES:
            rows = self._rows[entity.name]
            if rows:
                checked = entity in (entities.PERSON, entities.LABORATORY)  # when they were met
                self._load(entity, columns_of(rows) if checked else self._fit.columns(entity, rows))
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
            options = None if refused else participant.session_options
            person_row = self._person(REFUSED if refused else participant.person, person_path)
            link = (person_row, options and (given(options.role), given(options.remote)))
            if link not in seen:
                seen.add(link)
                self._row(entities.SESSION_HAS_PERSON, options, person_path, session_row, person_row)
        if session.persons == []:
            self._row(entities.SESSION_HAS_PERSON, None, f"{path}.persons", session_row, None)

    def _protein(self, protein: Protein, path: str) -> None:
        person_row = None
        if protein is not REFUSED and protein.person:
            person_row = self._person(protein.person, f"{path}.person")
        self._row(entities.PROTEIN, protein, path, person_row)

    def _lab_contact(self, contact: LabContact, path: str) -> None:
        person_row = None if contact is REFUSED else self._person(contact.person, f"{path}.person")
        self._row(entities.LAB_CONTACT, contact, path, person_row)

    def _person(self, person: Any, path: str) -> int:
        """The row of a person, staged once for all its mentions."""
        if person is REFUSED:
            return self._row(entities.PERSON, REFUSED, path, None)
        row = self._people.get(person)
        if row is None:
            laboratory_row = self._laboratory(person.laboratory, f"{path}.laboratory") if person.laboratory else None
            row = self._people[person] = self._shared(entities.PERSON, person, path, laboratory_row)
        else:
            self._position += 1
            row[_POSITION] = self._position
        found: int = row[0]
        return found

    def _laboratory(self, laboratory: Laboratory, path: str) -> int:
        row = self._laboratories.get(laboratory)
        if row is None:
            row = self._laboratories[laboratory] = self._shared(entities.LABORATORY, laboratory, path)
        found: int = row[0]
        return found

    def _shared(self, entity: Entity, thing: Any, path: str, *references: int | None) -> list[Any]:
        """A row that does not wait: its position changes with each mention."""
        self._row(entity, thing, path, *references)
        return list(self._fit.row(entity, self._rows[entity.name].pop()))

    def _row(self, entity: Entity, thing: Any, path: str, *references: int | None) -> int:
        """Adds one row to those that wait; returns its row_id. `thing` is of a class of documents, REFUSED or None."""
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
            values = fields.pick(thing)
            for name in fields.left:
                self.left[f"{entity.name}.{name}"] += given(getattr(thing, name)) is not None
            if self._clear_nulls:
                clears = clears_of(entity, fields.all, thing)
        self._rows[entity.name].append(
            (row_id, self._position, self._at.number, path, refused, None, None, clears, *references, *values)
        )
        return row_id


def _first_of_each(rows: Iterable[int]) -> Iterable[tuple[int, int]]:
    """Number and row of each person, the first time it is named."""
    first: dict[int, int] = {}
    for number, row in enumerate(rows):
        first.setdefault(row, number)
    return ((number, row) for row, number in first.items())
