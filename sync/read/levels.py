"""The kinds of objects in a document, as its classes tell them: where they stand, and what may stand in them."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast, get_args, get_origin

from msgspec import NODEFAULT, Struct
from msgspec.structs import fields

from sync.model.documents import Document
from sync.model.people import Holds, Person, Thing
from sync.model.values import OLD_KEY, PHONE, TEXT, Kind


@dataclass(frozen=True)
class Part:
    """One field of a kind of objects: plain values of a kind, or objects, or a list of them."""

    name: str
    required: bool
    kind: Kind | None
    child: "Level | None"
    many: bool


@dataclass(frozen=True)
class Level:
    """One kind of object: its path, its class, its fields, and their names.

    texts, phones, old_keys   fields of these kinds
    """

    path: str
    model: type[Thing]
    parts: tuple[Part, ...]
    known: frozenset[str]
    texts: tuple[str, ...]
    phones: tuple[str, ...]
    old_keys: tuple[str, ...]

    @property
    def entity(self) -> str:
        """The entity; empty for the document itself."""
        return getattr(self.model, "entity", "")

    @property
    def is_of_people(self) -> bool:
        """Whether it is a person, whose text is read apart."""
        return issubclass(self.model, Person)

    @cached_property
    def holding(self) -> tuple[Part, ...]:
        """Its fields that hold objects."""
        return tuple(part for part in self.parts if part.child is not None)

    @cached_property
    def children(self) -> tuple[tuple[str, bool, "Level"], ...]:
        """The kinds of objects in it: the name of the field, whether it is a list, and the kind."""
        return tuple((part.name, part.many, part.child) for part in self.parts if part.child is not None)

    def without(self, paths: Collection[str]) -> "Level":
        """The same, less the kinds at these paths and all that is in them."""
        parts = []
        for part in self.parts:
            if part.child is not None and part.child.path not in paths:
                parts.append(Part(part.name, part.required, None, part.child.without(paths), part.many))
        return Level(self.path, self.model, tuple(parts), self.known, self.texts, self.phones, self.old_keys)

    def all(self) -> Iterator["Level"]:
        """This one, and those in it."""
        yield self
        for _, _, child in self.children:
            yield from child.all()

    def places(self, thing: dict[str, Any], path: str = "") -> Iterator[tuple["Level", str, dict[str, Any]]]:
        """This object and those in it, each with its kind and its place, such as sessions[3].persons[0]."""
        yield self, path, thing
        for name, is_list, child in self.children:
            value = thing.get(name)
            at = f"{path}.{name}" if path else name
            if isinstance(value, dict) and not is_list:
                yield from child.places(value, at)
            elif isinstance(value, list) and is_list:
                for number, one in enumerate(value):
                    if isinstance(one, dict):
                        yield from child.places(one, f"{at}[{number}]")


def level(model: type[Thing], path: str = "") -> Level:
    """The kind of object that a class of `sync.model.documents` describes."""
    parts = []
    for field in fields(cast(type[Struct], model)):
        meant, many = next(_meant(field.type))
        kind = meant if isinstance(meant, Kind) else None
        child = None
        if not isinstance(meant, Kind):
            child = level(meant, f"{path}.{field.name}".lstrip(".") + ("[]" if many else ""))
        parts.append(Part(field.name, field.default is NODEFAULT, kind, child, many))

    def of_kind(kind: Kind) -> tuple[str, ...]:
        return tuple(part.name for part in parts if part.kind is kind)

    known = frozenset(part.name for part in parts)
    return Level(path, model, tuple(parts), known, of_kind(TEXT), of_kind(PHONE), of_kind(OLD_KEY))


def _meant(annotation: Any, many: bool = False) -> Iterator[tuple[Kind | type[Thing], bool]]:
    """The kind of values, or the class of objects, that a field holds, and whether it holds a list of them."""
    for note in getattr(annotation, "__metadata__", ()):
        if isinstance(note, Kind):
            yield note, many
        elif isinstance(note, Holds):
            yield note.model, many
    if isinstance(annotation, type) and issubclass(annotation, Thing):
        yield annotation, many
    for part in get_args(annotation):
        yield from _meant(part, many or get_origin(annotation) is list)


ROOT = level(Document)
KEYS = {kind.path: kind.known for kind in ROOT.all()}
"""The known keys of each kind of object, by its path."""
