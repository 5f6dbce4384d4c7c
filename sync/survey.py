"""Unknown keys in documents: counted, and told once each with the closest known name.

Only the union of the keys of all objects of a kind is looked at unless something is new, so this costs little.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from typing import Any, get_args, get_origin

from pydantic import BaseModel

from sync.documents import Document, Laboratory
from sync.refusals import Notice, refused_value

_MOST_KEYS = 1000


class Place(StrEnum):
    """Where documents name people, and how these take part."""

    PROPOSAL = "proposal.persons[]"
    LAB_CONTACT = "proposal.labcontacts[].person"
    PROTEIN = "proteins[].person"
    SESSION = "sessions[].persons[]"
    OPTIONS = "sessions[].persons[].session_options"


@dataclass(frozen=True)
class _Level:
    """One kind of object in a document: its path, its known keys, and the kinds of objects in it."""

    path: str
    known: frozenset[str]
    children: tuple[tuple[str, bool, "_Level"], ...]


@dataclass
class _Unknown:
    known: frozenset[str]
    count: int


class Survey:
    """Looks at documents one by one; `notices` tells what was found."""

    def __init__(self) -> None:
        self._root = _ROOT
        self._around_people = _AROUND_PEOPLE
        self._people = _LEVELS
        self._unknown: dict[tuple[str, object], _Unknown] = {}
        self._beyond = 0

    def look(self, raw: dict[str, Any]) -> None:
        """Counts the unknown keys of one valid document."""
        self._look(self._root, [raw])

    def look_around_people(self, raw: dict[str, Any], people: Iterable[tuple[Place, dict[str, Any]]]) -> None:
        """The same, where it is known which of its people have unknown keys."""
        self._look(self._around_people, [raw])
        for place, person in people:
            self._look(self._people[place], [person])

    def is_odd(self, model: type[BaseModel], raw: dict[str, Any]) -> bool:
        """Whether a valid person, or how one takes part, has unknown keys."""
        known = model.model_fields.keys()
        laboratory = raw.get("laboratory")
        return not (raw.keys() <= known and (laboratory is None or laboratory.keys() <= Laboratory.model_fields.keys()))

    def notices(self) -> Iterator[Notice]:
        """One for each unknown key."""
        for (path, key), unknown in self._unknown.items():
            yield Notice("unknown_key", _message(path, key, unknown.known), unknown.count)
        if self._beyond:
            yield Notice("unknown_key", f"more than {_MOST_KEYS:,} different unknown keys", self._beyond)

    def _look(self, level: _Level, things: list[dict[str, Any]]) -> None:
        if not level.known.issuperset(set().union(*things)):
            self._count(level, things)
        for name, is_list, child in level.children:
            if is_list:
                inner = [one for thing in things for one in thing.get(name) or () if isinstance(one, dict)]
            else:
                inner = [one for thing in things if isinstance(one := thing.get(name), dict)]
            if inner:
                self._look(child, inner)

    def _count(self, level: _Level, things: list[dict[str, Any]]) -> None:
        for thing in things:
            for key in thing.keys() - level.known:
                unknown = self._unknown.get((level.path, key))
                if unknown is not None:
                    unknown.count += 1
                elif len(self._unknown) < _MOST_KEYS:
                    self._unknown[level.path, key] = _Unknown(level.known, 1)
                else:
                    self._beyond += 1


def _message(path: str, key: object, known: frozenset[str]) -> str:
    name = refused_value(key)
    message = f"unknown key `{path}.{name}`" if path else f"unknown key `{name}`"
    by_lower_case = {known_name.lower(): known_name for known_name in sorted(known)}
    close = get_close_matches(name.lower(), by_lower_case, n=1, cutoff=0.75)
    return f"{message} (did you mean {by_lower_case[close[0]]}?)" if close else message


def _level(model: type[BaseModel], path: str) -> _Level:
    children = []
    for name, info in model.model_fields.items():
        for child, is_list in _models_in(info.annotation):
            child_path = f"{path}.{name}".lstrip(".") + ("[]" if is_list else "")
            children.append((name, is_list, _level(child, child_path)))
    return _Level(path, frozenset(model.model_fields), tuple(children))


def _models_in(annotation: object) -> Iterator[tuple[type[BaseModel], bool]]:
    """The models that a field holds, and whether it holds a list of them."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation, False
    for part in get_args(annotation):
        for model, is_list in _models_in(part):
            yield model, is_list or get_origin(annotation) is list


def _levels(level: _Level) -> Iterator[_Level]:
    yield level
    for _, _, child in level.children:
        yield from _levels(child)


def _without(level: _Level, paths: Collection[str]) -> _Level:
    """A kind of object, less the kinds at these paths and all that is in them."""
    kept = [(name, many, _without(child, paths)) for name, many, child in level.children if child.path not in paths]
    return _Level(level.path, level.known, tuple(kept))


_ROOT = _level(Document, "")
_AROUND_PEOPLE = _without(_ROOT, set(Place))
_LEVELS = {level.path: level for level in _levels(_ROOT)}
