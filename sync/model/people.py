"""People whose values are validated: one object for all equal mentions, or one for each where a document was odd."""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from pydantic import BaseModel

from sync.model.documents import REFUSED, Document, Person

Odd = tuple[str, str, object]
"""What is odd: the code of its warning; the kind of object by its path, or by its entity; and the key or field."""

_NONE: Counter[Odd] = Counter()
_sets: dict[frozenset[str], frozenset[str]] = {}


class Known:
    """A validated person, laboratory or way of taking part; `row` is for whoever stages it.

    odd_values, has_unknown_keys   what `sync.validate.unknown_keys` found in it
    """

    __slots__ = ("data", "has_unknown_keys", "model_fields_set", "odd_values", "row")

    def __init__(self, thing: BaseModel) -> None:
        self.data = thing.__dict__
        self.model_fields_set = _shared(thing.model_fields_set)
        self.odd_values: Counter[Odd] = _NONE
        self.has_unknown_keys = False
        self.row: Any = None

    def __getattr__(self, name: str) -> Any:
        try:
            return self.data[name]
        except KeyError:
            raise AttributeError(name) from None


class Participant:
    """A known person on a session, and how that person takes part."""

    __slots__ = ("person", "session_options")

    def __init__(self, person: Known, session_options: Known | None) -> None:
        self.person = person
        self.session_options = session_options

    def __getattr__(self, name: str) -> Any:
        return getattr(self.person, name)


def make_known(document: Document) -> Document:
    """Makes the people of a validated document known, each mention for itself; what was given stays as it is."""
    _replace(document.proposal, "persons", lambda people: _each(people, _known_person))
    for thing in (*(document.proposal.labcontacts or ()), *(document.proteins or ())):
        _replace(thing, "person", _known_person)
    for session in document.sessions or ():
        _replace(session, "persons", lambda people: _each(people, _known_participant))
    return document


def _replace(thing: Any, name: str, change: Callable[[Any], Any]) -> None:
    if thing is not REFUSED and thing.__dict__[name] is not None:
        thing.__dict__[name] = change(thing.__dict__[name])


def _known_person(person: Person) -> Known:
    known = Known(person)
    if person.laboratory is not None:
        known.data = known.data | {"laboratory": Known(person.laboratory)}
    return known


def _known_participant(participant: Any) -> Participant:
    person, options = _known_person(participant), participant.session_options
    person.data = {name: value for name, value in person.data.items() if name != "session_options"}
    person.model_fields_set = _shared(person.model_fields_set - {"session_options"})
    return Participant(person, options and Known(options))


def _each(people: list[Any], make: Callable[[Any], Any]) -> list[Any]:
    return [person if person is REFUSED else make(person) for person in people]


def _shared(names: Iterable[str]) -> frozenset[str]:
    """One set for all that are equal: there are few, and people are many."""
    given = frozenset(names)
    return _sets.setdefault(given, given)
