"""People are named again on every session: each distinct text is read once, and known by its bytes from then on.

How somebody takes part in a session mostly stands last in the text: what stands before it is the text of the person.
Refuses nothing itself: where a person is not valid, the document has to be checked as a whole, since only then do
errors name their places.
"""

from collections.abc import Callable, Iterable
from operator import attrgetter
from typing import Any
from zoneinfo import ZoneInfo

import orjson
from msgspec import UNSET, DecodeError, Struct, ValidationError
from msgspec.json import Decoder
from msgspec.structs import force_setattr

from sync.model.people import Laboratory, Maybe, Participant, Person, SessionOptions, SessionPerson
from sync.model.values import Wrong
from sync.read.levels import Level, level
from sync.validate.keep import Keeper
from sync.validate.unknown_keys import Odd, unknown_keys

MOST_KNOWN = 36_000
"""Distinct texts kept in each of two halves, the younger and the older one, with their people: some 50 MB."""

_OPTIONS = b'"session_options"'
_BETWEEN, _BEFORE = b", \t\r\n", b": \t\r\n"


class _Laboratory(Laboratory, frozen=True, forbid_unknown_fields=False):
    pass


class _Person(Person, frozen=True, forbid_unknown_fields=False):
    laboratory: Maybe[_Laboratory] = UNSET


class _SessionOptions(SessionOptions, frozen=True, forbid_unknown_fields=False):
    pass


class _SessionPerson(SessionPerson, frozen=True, forbid_unknown_fields=False):
    laboratory: Maybe[_Laboratory] = UNSET
    session_options: Maybe[_SessionOptions] = UNSET


class _Met(Struct, gc=False):
    """Somebody, something or None, and what is odd in its text."""

    thing: Any
    odd: tuple[Odd, ...] = ()


class _Known:
    """What was met: the younger half, and the older one, which is forgotten when the younger is full."""

    def __init__(self, meet: Callable[[Any], _Met]) -> None:
        self.younger: dict[Any, _Met] = {}
        self._older: dict[Any, _Met] = {}
        self._meet = meet

    def find(self, key: Any) -> _Met:
        """What is known by a key, or is met now. Raises Wrong."""
        return self.younger.get(key) or self._find_again(key)

    def _find_again(self, key: Any) -> _Met:
        found = self._older.get(key) or self._meet(key)
        if len(self.younger) >= MOST_KNOWN:
            self._older, self.younger = self.younger, {}
        self.younger[key] = found
        return found


class Mentions:
    """The people of one export."""

    def __init__(self, zone: ZoneInfo) -> None:
        self._begun = _Known(self._meet_begun)
        self._options_behind = _Known(self._meet_options_behind)
        self._whole = _Known(self._meet_whole)
        self._laboratories = _Known(self._meet_laboratory)
        self._options = _Known(self._meet_options)
        self._keep_person = Keeper(level(Person), zone).keep
        self._keep_laboratory = Keeper(level(Laboratory), zone).keep
        self._keep_options = Keeper(level(SessionOptions), zone).keep

    def people(self, texts: Iterable[bytes], odd: list[Odd]) -> list[Person]:
        """The people of texts; what is odd in these is added to what is. Raises Wrong."""
        get, find = self._begun.younger.get, self._begun.find
        found = []
        for text in texts:
            begun = text[:-1]
            met = get(begun) or find(begun)
            if met.odd:
                odd += met.odd
            found.append(met.thing)
        return found

    def participants(self, texts: Iterable[bytes], odd: list[Odd]) -> list[Participant]:
        """The same of texts that may say how the people take part."""
        get, get_options = self._begun.younger.get, self._options_behind.younger.get
        found = []
        for text in texts:
            begun, name, behind = text.rpartition(_OPTIONS)
            if name:
                begun = begun[:-1]  # without the comma, if it stands there
                met, options = get(begun), get_options(behind)
                if met is None or options is None:
                    met, options = self._participant(begun, behind, text)
            else:
                met, options = self._begun.find(text[:-1]), _NO_OPTIONS
            if met.odd or options.odd:
                if _MISPLACED in met.odd:  # in another spelling, with an escape
                    met, options = self._whole.find(text).thing
                odd += met.odd + options.odd
            found.append(Participant(met.thing, options.thing))
        return found

    def _participant(self, begun: bytes, behind: bytes, text: bytes) -> tuple[_Met, _Met]:
        try:
            return self._begun.find(begun), self._options_behind.find(behind)
        except Wrong:  # they stand in another order, or are not of the person
            pair: tuple[_Met, _Met] = self._whole.find(text).thing
            return pair

    def _meet_begun(self, text: bytes) -> _Met:
        """A person whose text is not closed."""
        return self._met(*_PERSON(text.rstrip(_BETWEEN) + b"}"))

    def _meet_options_behind(self, text: bytes) -> _Met:
        """Options, from behind their name to the end of the person."""
        sent, odd = _SESSION_OPTIONS(text.lstrip(_BEFORE).removesuffix(b"}"))
        return self._met_options(sent, odd)

    def _meet_whole(self, text: bytes) -> _Met:
        """A person and options, in whatever order they stand."""
        sent, odd = _SESSION_PERSON(text)
        return _Met((self._met(sent, odd), self._met_options(sent.session_options, [])))

    def _met_options(self, sent: Any, odd: list[Odd]) -> _Met:
        if not sent:
            return _NO_OPTIONS
        options = self._options.find(sent)
        return _Met(options.thing, (*odd, *options.odd)) if odd else options

    def _met(self, sent: Person, odd: list[Odd]) -> _Met:
        person = sent if type(sent) is Person else Person(*_OF_PERSON(sent))
        if sent.laboratory:
            laboratory = self._laboratories.find(sent.laboratory)
            force_setattr(person, _LABORATORY, laboratory.thing)
            odd = [*odd, *laboratory.odd]
        return _Met(person, (*odd, *self._keep_person([person])))

    def _meet_laboratory(self, sent: Laboratory) -> _Met:
        laboratory = Laboratory(*_OF_LABORATORY(sent))
        return _Met(laboratory, tuple(self._keep_laboratory([laboratory])))

    def _meet_options(self, sent: SessionOptions) -> _Met:
        options = SessionOptions(*_OF_OPTIONS(sent))
        return _Met(options, tuple(self._keep_options([options])))


class _Reads:
    """Reads one kind of text: quickly, or with keys that nobody knows."""

    def __init__(self, known: Any, unknown: Any, kind: Level) -> None:
        self._decode = Decoder(known).decode
        self._decode_any = Decoder(unknown).decode
        self._kind = kind

    def __call__(self, text: bytes) -> tuple[Any, list[Odd]]:
        """What was sent, and its unknown keys. Raises Wrong."""
        try:
            try:
                return self._decode(text), []
            except ValidationError:
                sent, raw = self._decode_any(text), orjson.loads(text)
        except (DecodeError, ValueError):
            raise Wrong("model_type") from None
        return sent, [odd for kind, _, thing in self._kind.places(raw) for odd, _ in unknown_keys(kind, thing)]


_PERSON = _Reads(Person, _Person, level(Person))
_SESSION_PERSON = _Reads(SessionPerson, _SessionPerson, level(SessionPerson))
_SESSION_OPTIONS = _Reads(SessionOptions | None, _SessionOptions | None, level(SessionOptions, "session_options"))

_NO_OPTIONS = _Met(None)
_MISPLACED = ("unknown_key", "", "session_options")
*_, _LABORATORY = Person.__struct_fields__  # it stands last
_OF_PERSON = attrgetter(*Person.__struct_fields__)
_OF_LABORATORY = attrgetter(*Laboratory.__struct_fields__)
_OF_OPTIONS = attrgetter(*SessionOptions.__struct_fields__)
