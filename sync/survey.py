"""What documents carry that is not taken: unknown keys, and the word None for a phone number.

Each is counted, and told once. Only the set of keys of each object is looked at, so this costs little.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, get_args, get_origin

from pydantic import BaseModel

from sync.documents import Document, Person
from sync.refusals import Notice, refused_value
from sync.values import NULL_WORD

_PHONES = ("phoneNumber", "faxNumber")
_MOST_SHAPES = 1000
_MOST_KEYS = 1000


@dataclass
class _Level:
    """One kind of object in a document: its path, known keys, and the objects in it."""

    path: str
    known: frozenset[str]
    has_phones: bool
    children: list[tuple[str, bool, "_Level"]]
    shapes: Counter[tuple[object, ...]] = field(default_factory=Counter)


class Survey:
    """Looks at documents one by one; `notices` tells what was found."""

    def __init__(self) -> None:
        self._root = _level(Document, "")
        self._unknown: dict[tuple[str, object], _Unknown] = {}
        self._beyond = 0
        self._null_words: Counter[str] = Counter()

    def look(self, raw: dict[str, Any]) -> None:
        """Counts what one valid document carries."""
        self._look(self._root, [raw])

    def notices(self) -> Iterator[Notice]:
        """One for each unknown key, and one for each field with the word None."""
        self._gather(self._root, deep=True)
        for (path, key), unknown in self._unknown.items():
            yield Notice("unknown_key", _unknown_message(path, key, unknown.known), unknown.count)
        if self._beyond:
            yield Notice("unknown_key", f"more than {_MOST_KEYS:,} different unknown keys", self._beyond)
        for name, count in self._null_words.items():
            yield Notice("null_word", f'the text "{NULL_WORD}" in {name} is taken for null', count)

    def _look(self, level: _Level, things: list[dict[str, Any]]) -> None:
        level.shapes.update(map(tuple, things))
        if len(level.shapes) > _MOST_SHAPES:
            self._gather(level)
        if level.has_phones:
            for name in _PHONES:
                if count := [thing.get(name) for thing in things].count(NULL_WORD):
                    self._null_words[name] += count
        for name, is_list, child in level.children:
            found = [thing[name] for thing in things if name in thing]
            if is_list:
                found = [one for several in found if several for one in several]
            found = [one for one in found if isinstance(one, dict)]
            if found:
                self._look(child, found)

    def _gather(self, level: _Level, *, deep: bool = False) -> None:
        """Turns sets of keys into counts of unknown keys."""
        for shape, count in level.shapes.items():
            for key in shape:
                if key not in level.known:
                    self._count(level, key, count)
        level.shapes.clear()
        if deep:
            for _, _, child in level.children:
                self._gather(child, deep=True)

    def _count(self, level: _Level, key: object, count: int) -> None:
        unknown = self._unknown.get((level.path, key))
        if unknown is not None:
            unknown.count += count
        elif len(self._unknown) < _MOST_KEYS:
            self._unknown[level.path, key] = _Unknown(level.known, count)
        else:
            self._beyond += count


@dataclass
class _Unknown:
    known: frozenset[str]
    count: int


def _unknown_message(path: str, key: object, known: frozenset[str]) -> str:
    name = refused_value(key)
    message = f"unknown key `{path}.{name}`" if path else f"unknown key `{name}`"
    by_lower_case = {field_name.lower(): field_name for field_name in sorted(known)}
    close = get_close_matches(name.lower(), by_lower_case, n=1, cutoff=0.75)
    return f"{message} (did you mean {by_lower_case[close[0]]}?)" if close else message


def _level(model: type[BaseModel], path: str) -> _Level:
    children = []
    for name, info in model.model_fields.items():
        for child, is_list in _models_in(info.annotation):
            child_path = f"{path}.{name}".lstrip(".") + ("[]" if is_list else "")
            children.append((name, is_list, _level(child, child_path)))
    return _Level(path, frozenset(model.model_fields), issubclass(model, Person), children)


def _models_in(annotation: object) -> Iterator[tuple[type[BaseModel], bool]]:
    """The models that a field holds, and whether it holds a list of them."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation, False
    for part in get_args(annotation):
        for model, is_list in _models_in(part):
            yield model, is_list or get_origin(annotation) is list
