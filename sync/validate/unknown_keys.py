"""What is odd in documents and yet taken: unknown keys, words for nothing, 0 in old keys.

Each is counted, and told once, with the places where it was met first. Of the many people of an export only those are
looked at that were not met before; of the rest only the union of the keys of all objects of a kind, unless something
is new, so this costs little.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from pydantic import BaseModel

from sync.model.documents import Laboratory, Person
from sync.model.people import Odd
from sync.model.refusals import MOST_EXAMPLES, Example, Notice, refused_value
from sync.model.values import NULL_WORD, NULL_WORDS
from sync.read.closest import closest_key
from sync.read.levels import KEYS, ROOT, Level, level

_MOST_KEYS = 1000

_TAKEN_FOR_NULL = "taken for null"


class Place(StrEnum):
    """Where documents name people, and how these take part."""

    PROPOSAL = "proposal.persons[]"
    LAB_CONTACT = "proposal.labcontacts[].person"
    PROTEIN = "proteins[].person"
    SESSION = "sessions[].persons[]"
    OPTIONS = "sessions[].persons[].session_options"


@dataclass
class _Met:
    count: int = 0
    examples: list[Example] = field(default_factory=list)


class Survey:
    """Looks at valid documents one by one; `notices` tells what was found."""

    def __init__(self) -> None:
        self._met: dict[Odd, _Met] = {}
        self._unknown = 0
        self._beyond = 0
        self._wanting: set[Odd] = set()

    def look(self, raw: dict[str, Any], number: int, proposal: str | None) -> None:
        """Counts all that is odd in one document."""
        for kind, _, thing in ROOT.places(raw):
            for odd, _ in _all_odd(kind, thing):
                self._count(odd, 1)
        self._exemplify(raw, number, proposal)

    def look_around_people(
        self,
        raw: dict[str, Any],
        people: Iterable[tuple[Place, dict[str, Any]]],
        odd_values: Mapping[Odd, int],
        around_people: bool,
        number: int,
        proposal: str | None,
    ) -> None:
        """The same, where it is known what is odd in its people.

        people         those with unknown keys
        odd_values     how often they have which
        around_people  whether there are odd values elsewhere
        """
        self._find_unknown(_AROUND_PEOPLE, [raw])
        for place, person in people:
            self._find_unknown(_LEVELS[place], [person])
        for odd, times in odd_values.items():
            self._count(odd, times)
        if around_people:
            for kind, _, thing in _AROUND_PEOPLE.places(raw):
                for odd, _ in _odd_values(kind, thing):
                    self._count(odd, 1)
        if self._wanting:
            self._exemplify(raw, number, proposal)

    def notices(self) -> Iterator[Notice]:
        """One for each thing that is odd."""
        for odd, met in self._met.items():
            yield Notice(odd[0], _message(*odd), met.count, tuple(met.examples))
        if self._beyond:
            yield Notice("unknown_key", f"more than {_MOST_KEYS:,} different unknown keys", self._beyond)

    def _find_unknown(self, kind: Level, things: list[dict[str, Any]]) -> None:
        if not kind.known.issuperset(set().union(*things)):
            for thing in things:
                for odd, _ in _unknown_keys(kind, thing):
                    self._count(odd, 1)
        for name, is_list, child in kind.children:
            if is_list:
                inner = [one for thing in things for one in thing.get(name) or () if isinstance(one, dict)]
            else:
                inner = [one for thing in things if isinstance(one := thing.get(name), dict)]
            if inner:
                self._find_unknown(child, inner)

    def _count(self, odd: Odd, times: int) -> None:
        met = self._met.get(odd)
        if met is None:
            if odd[0] == "unknown_key":
                if self._unknown == _MOST_KEYS:
                    self._beyond += times
                    return
                self._unknown += 1
            met = self._met[odd] = _Met()
        met.count += times
        if len(met.examples) < MOST_EXAMPLES:
            self._wanting.add(odd)

    def _exemplify(self, raw: dict[str, Any], number: int, proposal: str | None) -> None:
        """Takes examples from this document of what was met in it and has too few of them."""
        if not self._wanting:
            return
        for kind, path, thing in ROOT.places(raw):
            for odd, key in _all_odd(kind, thing):
                if odd in self._wanting and len(examples := self._met[odd].examples) < MOST_EXAMPLES:
                    place = f"{path}.{refused_value(key)}".removeprefix(".")
                    examples.append(
                        Example(number, proposal and refused_value(proposal), place, refused_value(thing[key]))
                    )
        self._wanting.clear()


def has_unknown_keys(model: type[BaseModel], raw: dict[str, Any]) -> bool:
    """Whether a valid person, or how one takes part, has unknown keys."""
    laboratory = raw.get("laboratory")
    return not (
        raw.keys() <= model.model_fields.keys()
        and (laboratory is None or laboratory.keys() <= Laboratory.model_fields.keys())
    )


def odd_values(model: type[BaseModel], raw: dict[str, Any]) -> Counter[Odd]:
    """What is odd in the values of a valid person, or of how one takes part."""
    kind = _PERSON if model is Person else _LEVELS[Place.OPTIONS]
    return Counter(odd for inner, _, thing in kind.places(raw) for odd, _ in _odd_values(inner, thing))


def _all_odd(kind: Level, thing: dict[str, Any]) -> Iterator[tuple[Odd, Any]]:
    yield from _unknown_keys(kind, thing)
    yield from _odd_values(kind, thing)


def _unknown_keys(kind: Level, thing: dict[str, Any]) -> Iterator[tuple[Odd, Any]]:
    for key in thing.keys() - kind.known:
        yield ("unknown_key", kind.path, key), key


def _odd_values(kind: Level, thing: dict[str, Any]) -> Iterator[tuple[Odd, Any]]:
    for name in (*kind.texts, *kind.phones):
        value = thing.get(name)
        if isinstance(value, str) and value in NULL_WORDS:
            is_null = value == NULL_WORD and name in kind.phones
            yield ("null_word", _TAKEN_FOR_NULL if is_null else kind.entity, name), name
    for name in kind.old_keys:
        if thing.get(name) == 0:
            yield ("zero_key", kind.entity, name), name


def _message(code: str, kind: str, key: object) -> str:
    name = refused_value(key)
    if code == "null_word" and kind == _TAKEN_FOR_NULL:
        return f'the text "{NULL_WORD}" in {name} is taken for null'
    if code == "null_word":
        return f"a word that stands for nothing is written as text into {kind}.{name}; send null instead"
    if code == "zero_key":
        return f"0 in {kind}.{name} is taken for null; send null instead"
    message = f"unknown key `{kind}.{name}`" if kind else f"unknown key `{name}`"
    close = closest_key(name, KEYS[kind])
    return f"{message} (did you mean {close}?)" if close else message


_AROUND_PEOPLE = ROOT.without(set(Place))
_LEVELS = {kind.path: kind for kind in ROOT.all()}
_PERSON = level(Person)
