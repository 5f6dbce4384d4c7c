"""What is odd in documents and yet taken: unknown keys, words for nothing, 0 in old keys.

Each is counted, and told once, with the places where it was met first. For unknown keys a document is looked at once
more, without its people, of whom `sync.validate.mentions` knows what is odd in each text.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Any

import msgspec
import orjson
from msgspec import Raw

from sync.model.refusals import Example, Met, Notice, refused_value, told
from sync.model.values import NULL_WORD, NULL_WORDS
from sync.read.closest import did_you_mean
from sync.read.levels import KEYS, ROOT, Level

_MOST_KEYS = 1000

_TAKEN_FOR_NULL = "taken for null"

Odd = tuple[str, str, object]
"""What is odd: the code of its warning; the kind of object by its path, or by its entity; and the key or field."""


def odd_there(path: str, odd: Iterable[Odd]) -> list[Odd]:
    """What is odd in somebody who is named at a path, where it was told of the person by itself."""
    return [
        (code, (f"{path}.{kind}" if kind else path) if code == "unknown_key" else kind, key) for code, kind, key in odd
    ]


class Survey:
    """Looks at valid documents one by one; `notices` tells what was found."""

    def __init__(self) -> None:
        self._met: dict[Odd, Met] = {}
        self._unknown = 0
        self._beyond = 0
        self._wanting: set[Odd] = set()

    @property
    def wants_examples(self) -> bool:
        """Whether the document that was counted last has something of which there are too few examples."""
        return bool(self._wanting)

    def look(self, raw: dict[str, Any], number: int, proposal: str | None) -> list[Odd]:
        """Counts all that is odd in one document; gives it."""
        found = [odd for kind, _, thing in ROOT.places(raw) for odd, _ in _all_odd(kind, thing)]
        self.count(found)
        self._exemplify(raw, number, proposal)
        return found

    def count(self, odd: Iterable[Odd]) -> None:
        """Counts what is odd in a document."""
        for one, times in Counter(odd).items():
            self._count(one, times)

    def exemplify(self, raw: Callable[[], dict[str, Any]], number: int, proposal: str | None) -> None:
        """Takes examples from the document that was counted last, where there are too few of anything in it."""
        if self._wanting:
            self._exemplify(raw(), number, proposal)

    def notices(self) -> Iterator[Notice]:
        """One for each thing that is odd."""
        for odd, met in self._met.items():
            yield Notice(odd[0], _message(*odd), met.count, tuple(met.examples))
        if self._beyond:
            yield Notice("unknown_key", f"more than {_MOST_KEYS:,} different unknown keys", self._beyond)

    def _count(self, odd: Odd, times: int = 1) -> None:
        met = self._met.get(odd)
        if met is None:
            if odd[0] == "unknown_key":
                if self._unknown == _MOST_KEYS:
                    self._beyond += times
                    return
                self._unknown += 1
            met = self._met[odd] = Met()
        met.count += times
        if met.wants_examples:
            self._wanting.add(odd)

    def _exemplify(self, raw: dict[str, Any], number: int, proposal: str | None) -> None:
        """Takes examples from this document of what was met in it and has too few of them."""
        if not self._wanting:
            return
        for kind, path, thing in ROOT.places(raw):
            for odd, key in _all_odd(kind, thing):
                if odd in self._wanting and (met := self._met[odd]).wants_examples:
                    place = f"{path}.{refused_value(key)}".removeprefix(".")
                    met.examples.append(Example(number, proposal and refused_value(proposal), place, told(thing[key])))
        self._wanting.clear()


def unknown_keys_around_people(text: bytes) -> list[Odd]:
    """The unknown keys of a document that fits, but not those of its people. Raises ValueError if it is no JSON."""
    return list(_unknown_keys_in(_AROUND_PEOPLE, [_ONE.decode(text)]))


def _unknown_keys_in(kind: Level, things: list[dict[str, Raw]]) -> Iterator[Odd]:
    if not kind.known.issuperset(chain.from_iterable(things)):
        for thing in things:
            for odd, key in unknown_keys(kind, thing):
                orjson.loads(bytes(thing[key]))  # of which nobody has looked at more than the brackets
                yield odd
    for name, is_list, child in kind.children:
        inner: list[dict[str, Raw]] = []
        for thing in things:
            if name in thing:
                inner += (_SEVERAL.decode(thing[name]) or ()) if is_list else (_ONE.decode(thing[name]),)
        if inner:
            yield from _unknown_keys_in(child, inner)


def _all_odd(kind: Level, thing: dict[str, Any]) -> Iterator[tuple[Odd, Any]]:
    yield from unknown_keys(kind, thing)
    yield from odd_values(kind, thing)


def unknown_keys(kind: Level, thing: dict[str, Any]) -> Iterator[tuple[Odd, Any]]:
    """The unknown keys of an object, in its order, each once more as it was sent."""
    for key in thing:
        if key not in kind.known:
            yield ("unknown_key", kind.path, key), key


def odd_values(kind: Level, thing: dict[str, Any]) -> Iterator[tuple[Odd, Any]]:
    """Words for nothing and zeros in the values of an object, each with its field."""
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
    return message + did_you_mean(name, KEYS[kind])


_AROUND_PEOPLE = ROOT.without({kind.path for kind in ROOT.all() if kind.is_of_people})
_ONE, _SEVERAL = msgspec.json.Decoder(dict[str, Raw]), msgspec.json.Decoder(list[dict[str, Raw]] | None)
