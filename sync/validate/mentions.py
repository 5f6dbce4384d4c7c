"""People are named again on every session: each distinct mention is validated once, and known from then on.

A document's people become `Known` things, one object for all equal mentions, and what is left of the document is
validated around them. Refuses nothing itself: where a person is not valid, or of a kind that JSON has not, the
whole document has to be validated as it was sent, since only then do errors name their places.
"""

import marshal
from collections import Counter
from collections.abc import Callable
from hashlib import blake2b
from typing import Any
from zoneinfo import ZoneInfo

import orjson
from pydantic import BaseModel, ValidationError

from sync.model.documents import Document, LabContact, Laboratory, Person, Proposal, Protein, Session, SessionOptions
from sync.model.people import Known, Odd, Participant
from sync.validate.unknown_keys import Place, has_unknown_keys, odd_values

MOST_KNOWN = 36_000
"""Distinct mentions kept in each of two halves, the younger and the older one: some 50 MB."""

_KEY_VERSION = 0
"""Of marshal: the one that writes equal values alike, wherever they come from."""
_LONG_KEY = 96
"""Bytes from which on a key is a hash: of many people the keys take more room than all else."""


class _Proposal(Proposal):
    persons: list[Any] | None = None
    labcontacts: "list[_LabContact] | None" = None  # type: ignore[assignment]


class _LabContact(LabContact):
    person: Any


class _Session(Session):
    persons: list[Any] | None = None


class _Protein(Protein):
    person: Any = None


class AroundPeople(Document):
    """A document whose people are known."""

    proposal: _Proposal
    sessions: list[_Session] | None = None  # type: ignore[assignment]
    proteins: list[_Protein] | None = None  # type: ignore[assignment]


class Unknown(Exception):
    """A person that cannot be known."""


class Mentions:
    """The people of one export.

    odd_values  what is odd in the values of the people of the last document
    misspelt    its people with unknown keys: where they are named, and how they were sent
    """

    def __init__(self, timezone: ZoneInfo) -> None:
        self.odd_values: Counter[Odd] = Counter()
        self.misspelt: list[tuple[Place, dict[str, Any]]] = []
        self._timezone = timezone
        self._key = _key
        self._known: dict[type[BaseModel], dict[bytes, Known]] = {Person: {}, Laboratory: {}, SessionOptions: {}}
        self._older: dict[type[BaseModel], dict[bytes, Known]] = {Person: {}, Laboratory: {}, SessionOptions: {}}

    def put_in(self, raw: dict[str, Any], *, from_json: bool) -> dict[str, Any]:
        """A copy of the document in which known people stand for those that were sent. Raises Unknown.

        from_json   whether the document was parsed from JSON, so holds nothing that JSON has not
        """
        self._key = _key_of_json if from_json else _key
        self.odd_values.clear()
        self.misspelt.clear()
        copy = raw.copy()
        proposal = raw.get("proposal")
        if type(proposal) is dict:
            copy["proposal"] = proposal = proposal.copy()
            if type(people := proposal.get("persons")) is list:
                proposal["persons"] = [self._person(person, Place.PROPOSAL) for person in people]
            _in_each(proposal, "labcontacts", self._lab_contact)
        _in_each(copy, "sessions", self._session)
        _in_each(copy, "proteins", self._protein)
        return copy

    def _lab_contact(self, sent: dict[str, Any]) -> dict[str, Any]:
        return sent | {"person": self._person(sent.get("person"), Place.LAB_CONTACT)}

    def _protein(self, sent: dict[str, Any]) -> dict[str, Any]:
        person = sent.get("person")
        return sent if person is None else sent | {"person": self._person(person, Place.PROTEIN)}

    def _session(self, sent: dict[str, Any]) -> dict[str, Any]:
        people = sent.get("persons")
        return sent | {"persons": list(map(self._participant, people))} if type(people) is list else sent

    def _participant(self, sent: Any) -> Participant:
        if type(sent) is not dict:
            raise Unknown
        if "session_options" not in sent:
            return Participant(self._person(sent, Place.SESSION), None)
        person = sent.copy()
        options = person.pop("session_options")
        return Participant(
            self._person(person, Place.SESSION),
            None if options is None else self._find(SessionOptions, options, Place.OPTIONS),
        )

    def _person(self, sent: Any, place: Place) -> Known:
        return self._find(Person, sent, place)

    def _find(self, model: type[BaseModel], sent: Any, place: Place) -> Known:
        try:
            key = self._key(sent)
        except ValueError:  # not of JSON's kinds
            raise Unknown from None
        known = self._known[model].get(key) or self._keep(model, key, lambda: self._meet(model, sent))
        if known.odd_values or known.has_unknown_keys:
            self.odd_values.update(known.odd_values)
            if known.has_unknown_keys:
                self.misspelt.append((place, sent))
        return known

    def _keep(self, model: type[BaseModel], key: bytes, meet: Callable[[], Known]) -> Known:
        """What was known by this key, or is met now; what was not mentioned for two halves is forgotten."""
        known = self._older[model].get(key) or meet()
        if len(self._known[model]) >= MOST_KNOWN:
            self._older[model] = self._known[model]
            self._known[model] = {}
        self._known[model][key] = known
        return known

    def _meet(self, model: type[BaseModel], sent: Any) -> Known:
        """Validates what was not met before."""
        odd: list[object] = []
        try:
            known = Known(model.model_validate(sent, context={"timezone": self._timezone, "odd": odd}))
        except ValidationError:
            raise Unknown from None
        if model is Person and known.laboratory is not None:
            key = self._key(sent["laboratory"])
            laboratory = known.laboratory
            known.data["laboratory"] = self._known[Laboratory].get(key) or self._keep(
                Laboratory, key, lambda: Known(laboratory)
            )
        if odd:
            known.odd_values = odd_values(model, sent)
        known.has_unknown_keys = has_unknown_keys(model, sent)
        return known


def _key(sent: Any) -> bytes:
    """The same for equal values only; short, since many are kept. Raises ValueError for what JSON does not have."""
    return _short(marshal.dumps(sent, _KEY_VERSION))


def _key_of_json(sent: Any) -> bytes:
    """The same for what was parsed from JSON, in a fifth of the time; not for numbers of more than 64 bits."""
    try:
        return _short(bytes(memoryview(orjson.dumps(sent))))  # what orjson gives keeps the kilobyte that it was made in
    except TypeError:
        return _key(sent)


def _short(text: bytes) -> bytes:
    return text if len(text) < _LONG_KEY else b"#" + blake2b(text, digest_size=20).digest()


def _in_each(holder: dict[str, Any], name: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    things = holder.get(name)
    if type(things) is list:
        holder[name] = [change(thing) if type(thing) is dict else thing for thing in things]
