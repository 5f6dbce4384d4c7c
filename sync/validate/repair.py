"""Takes out of a document what is wrong with it: the smallest thing around each error.

A thing in a list leaves REFUSED in its place. A person goes on without a laboratory that is wrong, a protein
without its person; a lab contact falls with its person. An error outside all of these, or in the proposal's
own fields, refuses the document. The document that was given is never changed.
"""

from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from sync.model.documents import REFUSED, Document, LabContact, Person, Protein, Session, SessionPerson
from sync.model.refusals import Refusal, refused_value
from sync.read.closest import closest_key
from sync.read.levels import KEYS
from sync.read.parse import INVALID_DOCUMENT
from sync.validate.wording import complaint, remedy

Place = tuple[int | str, ...]
"""Where something is in a document, as keys and list positions; empty for the document itself."""

MOST_ERRORS = 10_000
"""A document with more errors is refused as a whole, without a list of them."""

_CODES = {"null_word": "value_not_allowed"}
"""Of errors in a value that is of the right kind."""

_ENTITIES: dict[int | str, str] = {
    "persons": "person",
    "person": "person",
    "laboratory": "laboratory",
    "labcontacts": "lab_contact",
    "sessions": "session",
    "proteins": "protein",
}
_STAND_INS: dict[str, BaseModel] = {
    "person": Person.model_construct(login=""),
    "session_person": SessionPerson.model_construct(login=""),
    "lab_contact": LabContact.model_construct(cardName=""),
    "session": Session.model_construct(visit_number=0),
    "protein": Protein.model_construct(acronym=""),
}
"""Validation takes an instance as it is: they keep the places of refused things until it is done."""


class Repair:
    """One document on its way to being valid. `raw` is what is left of it, `refusals` what was taken out."""

    def __init__(self, raw: dict[str, Any], number: int, proposal: str | None) -> None:
        self.raw = raw
        self.refusals: list[Refusal] = []
        self._number = number
        self._proposal = proposal
        self._places: set[Place] = set()
        self._own: dict[int, object] = {}

    def take_out(self, error: ValidationError) -> bool:
        """Takes out all that these errors are about; False if that is the document."""
        if error.error_count() > MOST_ERRORS:
            message = f"the document has {error.error_count():,} errors; the document is refused. {remedy(None)}"
            self._refuse("proposal", (), INVALID_DOCUMENT, None, message)
            return False
        places = {self._refuse_error(details) for details in error.errors(include_url=False)}
        if () in places:
            return False
        for place in sorted(places, key=len):
            if not any(place[:length] in places for length in range(1, len(place))):
                self._remove(place)
        return True

    def mark(self, document: Document) -> None:
        """Puts REFUSED where a thing was taken out of a list."""
        for place in sorted(self._places, key=len):
            inner: Any = document
            for part in place[:-1]:
                if inner is REFUSED:
                    break
                inner = inner[part] if isinstance(part, int) else getattr(inner, part)
            if inner is not REFUSED:
                inner[place[-1]] = REFUSED

    def _refuse_error(self, error: ErrorDetails) -> Place:
        """Reports one error; returns the place of what has to go."""
        entity, place = _thing_around(error)
        misspelt = _misspelt(error)
        what_to_do = "Correct the key." if misspelt else remedy(error)
        has_value = error["type"] not in ("missing", "no_key")
        self._refuse(
            entity,
            error["loc"],
            _CODES.get(error["type"], INVALID_DOCUMENT),
            refused_value(error["input"]) if has_value else None,
            f"{complaint(error)}{misspelt}; {_consequence(entity, place)}. {what_to_do}",
            field=str(error["loc"][-1]) if len(error["loc"]) > len(place) else None,
        )
        if place[-1:] == ("person",) and "labcontacts" in place:
            place = place[:-1]
            message = "its person is refused; the lab contact is refused. Correct the person."
            self._refuse("lab_contact", place, "parent_refused", None, message)
        return place

    def _refuse(
        self, entity: str, path: Place, code: str, value: str | None, message: str, field: str | None = None
    ) -> None:
        self.refusals.append(Refusal(entity, code, self._number, self._proposal, _path(path), field, value, message))

    def _remove(self, place: Place) -> None:
        """Takes a thing out of this document's own copy."""
        inner = self.raw = self._copy(self.raw)
        for part in place[:-1]:
            inner[part] = self._copy(inner[part])
            inner = inner[part]
        last = place[-1]
        if isinstance(last, int):
            entity = _ENTITIES[place[-2]]
            in_session = entity == "person" and place[0] == "sessions"
            inner[last] = _STAND_INS["session_person" if in_session else entity]
            self._places.add(place)
        else:
            del inner[last]

    def _copy(self, container: Any) -> Any:
        """The container, copied unless it is a copy already."""
        if id(container) not in self._own:
            container = container.copy()
            self._own[id(container)] = container
        return container


def _thing_around(error: ErrorDetails) -> tuple[str, Place]:
    """The entity and the place of the smallest thing around an error."""
    location = error["loc"]
    entity = "proposal"
    place: Place = ()
    for index, part in enumerate(location):
        if part in ("laboratory", "person"):
            absent = error["input"] is None or error["type"] == "missing"
            if absent and index + 1 == len(location):
                break  # what lacks a person is at fault, not the person
            entity, place = _ENTITIES[part], location[: index + 1]
        elif part in _ENTITIES and index + 1 < len(location):
            entity, place = _ENTITIES[part], location[: index + 2]
        elif part == "session_options":
            entity = "session_has_person"
    return entity, place


def _consequence(entity: str, place: Place) -> str:
    if place[-1:] == ("laboratory",):
        return "the person goes on without a laboratory"
    if place[-1:] == ("person",) and place[0] == "proteins":
        return "the protein goes on without a person"
    if not place:
        return "the document is refused"
    return "the person is left out here" if "person" in entity else f"the {entity.replace('_', ' ')} is refused"


def _misspelt(error: ErrorDetails) -> str:
    """The key that was probably meant to be the one that is missing, if there is such a key."""
    if error["type"] == "missing":
        missing = {str(error["loc"][-1])}
    elif error["type"] == "no_key":
        missing = set(error["ctx"]["names"].split(", "))
    else:
        return ""
    known = _known_keys(error["loc"][:-1] if error["type"] == "missing" else error["loc"])
    for key in error["input"]:
        if key not in known and isinstance(key, str) and (meant := closest_key(key, known)) in missing:
            return f"; the key `{refused_value(key)}` is not known (did you mean {meant}?)"
    return ""


def _known_keys(place: Place) -> frozenset[str]:
    path = "".join("[]" if isinstance(part, int) else f".{part}" for part in place)
    return KEYS[path.removeprefix(".")]


def _path(place: Place) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)
    return text.removeprefix(".")
