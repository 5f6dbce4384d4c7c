"""Turns documents into staged rows, and loads them in batches.

Each distinct content is staged once: people and laboratories repeat on every session. Rows of a document keep
the order of the file; `position` is the place of a row's last copy, by which the last one wins. A list of
persons that is given and empty is staged as a link to nobody: pruning tells it from one that is not given.
Refuses what does not fit the live column (see `sync.fit`); a key that does not fit refuses the row, which is
then staged without it, so that what hangs on the row is refused too. Never decides who is who.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from sync import entities
from sync.documents import Document, LabContact, Person, Protein, Session
from sync.entities import ENTITIES, Entity
from sync.fit import Misfit, misfit
from sync.refusals import REFUSED, Refusal, ValidDocument, refused_value
from sync.target import Target

Row = list[Any]
Load = Callable[[Entity, list[Row]], None]

BATCH_ROWS = 50_000
"""Rows kept in memory before they are loaded: some 30 MB."""

_POSITION = 1
_CLEARABLE_REFERENCES = {"person": ("laboratory",), "protein": ("person",)}


@dataclass(frozen=True)
class _Field:
    """One staged column: where its value comes from, and what is refused."""

    name: str
    misfit: Misfit
    is_key: bool
    is_name: bool
    required: bool
    clearable: bool
    limit: str


class Stager:
    """Stages documents one by one; `flush` loads what is left.

    load      takes an entity and its rows, each in the order of `Entity.staged_columns` less missing columns
    refuse    takes each refusal
    """

    def __init__(self, target: Target, load: Load, refuse: Callable[[Refusal], None], *, clear_nulls: bool) -> None:
        self._load = load
        self._refuse = refuse
        self._clear_nulls = clear_nulls
        self._fields = {entity.name: _fields(entity, target) for entity in ENTITIES}
        self._rows: dict[str, list[Row]] = {entity.name: [] for entity in ENTITIES}
        self._known: dict[str, dict[object, Row]] = {"laboratory": {}, "person": {}}
        self._last_row = dict.fromkeys(self._rows, 0)
        self._waiting = 0
        self._position = 0
        self._at: ValidDocument

    def add(self, valid: ValidDocument) -> None:
        """Stages one document; its number is the row_id of its proposal."""
        self._at = valid
        document: Document = valid.document
        self._proposal(document)
        for number, session in enumerate(document.sessions or ()):
            self._session(session, f"sessions[{number}]")
        for number, protein in enumerate(document.proteins or ()):
            self._protein(protein, f"proteins[{number}]")
        for number, contact in enumerate(document.proposal.labcontacts or ()):
            self._lab_contact(contact, f"proposal.labcontacts[{number}]")
        if self._waiting >= BATCH_ROWS:
            self.flush()

    def flush(self) -> None:
        """Loads the rows that wait, and forgets the people and laboratories seen so far."""
        for entity in ENTITIES:
            rows = self._rows[entity.name]
            known = self._known.get(entity.name)
            if known:
                rows.extend(known.values())
                known.clear()
            if rows:
                self._load(entity, rows)
                self._rows[entity.name] = []
        self._waiting = 0

    def _proposal(self, document: Document) -> None:
        people = document.proposal.persons or ()
        rows = [self._person(person, f"proposal.persons[{number}]") for number, person in enumerate(people)]
        proposer = rows[0] if rows else None
        self._last_row["proposal"] = self._at.number - 1  # the document's number is the row's
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
        for number, person in enumerate(session.persons or ()):
            person_path = f"{path}.persons[{number}]"
            person_row = self._person(person, person_path)
            options = None if person is REFUSED else person.session_options
            link = (person_row, options and (options.role, options.remote))
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

    def _person(self, person: Person, path: str) -> int:
        if person is REFUSED:
            return self._row(entities.PERSON, REFUSED, path, None)
        laboratory_row = None
        if person.laboratory is not None:
            laboratory_row = self._shared(entities.LABORATORY, person.laboratory, f"{path}.laboratory")
        return self._shared(entities.PERSON, person, path, laboratory_row)

    def _shared(self, entity: Entity, model: BaseModel, path: str, *references: int | None) -> int:
        """The row of a person or laboratory, staged once for all its equal copies."""
        data = model.__dict__
        content: tuple[object, ...] = (*references, *[data[name] for name in entity.columns])
        if self._clear_nulls:
            content = (*content, frozenset(model.model_fields_set))
        known = self._known[entity.name]
        row = known.get(content)
        if row is None:
            row_id = self._row(entity, model, path, *references)
            row = known[content] = self._rows[entity.name].pop()
            return row_id
        self._position += 1
        row[_POSITION] = self._position
        found: int = row[0]
        return found

    def _row(self, entity: Entity, model: Any, path: str, *references: int | None) -> int:
        """Adds one row to those that wait; returns its row_id."""
        name = entity.name
        row_id = self._last_row[name] = self._last_row[name] + 1
        self._position += 1
        self._waiting += 1
        fields = self._fields[name]
        refused, clears = None, ""
        if model is REFUSED:
            refused = "invalid_document"
            values = [None] * len(fields)
        elif model is None:
            values = [None] * len(fields)
        else:
            place = f"{path}.session_options" if entity is entities.SESSION_HAS_PERSON else path
            values, refused = self._fitting(entity, fields, model.__dict__, place)
            if self._clear_nulls:
                clears = _clears(entity, fields, model)
        self._rows[name].append([row_id, self._position, self._at.number, path, refused, clears, *references, *values])
        return row_id

    def _fitting(
        self, entity: Entity, fields: list[_Field], data: dict[str, Any], path: str
    ) -> tuple[list[Any], str | None]:
        """The values that fit, None for the others; and the code that refuses the row, or None."""
        values = []
        refused = None
        named = not entity.names
        for field in fields:
            value = data[field.name]
            if value is not None:
                code = field.misfit(value)
                if code is not None:
                    self._refuse_value(entity, field, value, code, path)
                    if field.is_key or field.required:
                        refused = refused or code
                    value = None
                elif field.is_name:
                    named = True
            values.append(value)
        if not named and refused is None:
            refused = "invalid_document"
            self._refuse_nameless(entity, path)
        return values, refused

    def _refuse_value(self, entity: Entity, field: _Field, value: object, code: str, path: str) -> None:
        whole = "the row is refused" if field.is_key or field.required else "the column keeps what it has"
        self._refuse(
            Refusal(
                entity=entity.name,
                code=code,
                document=self._at.number,
                proposal=self._at.proposal,
                path=f"{path}.{field.name}",
                field=field.name,
                value=refused_value(value),
                message=f"{_REASONS[code]}{field.limit}; {whole}. Correct it in the User Portal.",
            )
        )

    def _refuse_nameless(self, entity: Entity, path: str) -> None:
        usable = ", ".join(field.name for field in self._fields[entity.name] if field.is_name)
        self._refuse(
            Refusal(
                entity=entity.name,
                code="invalid_document",
                document=self._at.number,
                proposal=self._at.proposal,
                path=path,
                field=None,
                value=None,
                message=f"no key that this database can match by. Give one of: {usable}.",
            )
        )


_REASONS = {
    "value_too_long": "longer than the column",
    "value_not_encodable": "has a letter that the column's character set lacks",
    "value_not_allowed": "not a value that the column takes",
    "value_out_of_range": "out of the column's range",
}


def _fields(entity: Entity, target: Target) -> list[_Field]:
    table = target[entity]
    fields = []
    for name in entity.columns:
        column = table.column(name)
        if column is None:
            continue
        fields.append(
            _Field(
                name=name,
                misfit=misfit(column),
                is_key=name in entity.keys and (name != "visit_number" or table.visit_number_unique),
                is_name=name in entity.names and (name != "visit_number" or table.visit_number_unique),
                required=not column.nullable and not column.has_default and name != "lastUpdate",
                clearable=column.nullable,
                limit=f" ({entity.table}.{column.name} is {column.column_type}"
                + (f", {column.charset})" if column.charset else ")"),
            )
        )
    return fields


def _clears(entity: Entity, fields: list[_Field], model: BaseModel) -> str:
    """The columns that a null of the document empties, as FIND_IN_SET takes them; never a key."""
    data = model.__dict__
    names = [
        field.name
        for field in fields
        if field.clearable and not field.is_key and field.name in model.model_fields_set and data[field.name] is None
    ]
    for reference in _CLEARABLE_REFERENCES.get(entity.name, ()):
        if reference in model.model_fields_set and data[reference] is None:
            names.append(reference)
    return ",".join(names)


def _first_of_each(rows: Iterable[int]) -> Iterable[tuple[int, int]]:
    """Number and row of each person, the first time it is named."""
    first: dict[int, int] = {}
    for number, row in enumerate(rows):
        first.setdefault(row, number)
    return ((number, row) for row, number in first.items())
