"""The kinds of objects in a document, as the schema tells them: where they stand, and what may stand in them."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, get_args, get_origin

from pydantic import BaseModel

from sync.model.documents import Document
from sync.model.values import OldKey, Phone, Text


@dataclass(frozen=True)
class Level:
    """One kind of object: its path, its known keys, and the kinds of objects in it.

    texts, phones, old_keys   fields of these kinds
    """

    path: str
    entity: str
    known: frozenset[str]
    texts: tuple[str, ...]
    phones: tuple[str, ...]
    old_keys: tuple[str, ...]
    children: tuple[tuple[str, bool, "Level"], ...]

    def without(self, paths: Collection[str]) -> "Level":
        """The same, less the kinds at these paths and all that is in them."""
        children = tuple(
            (name, many, child.without(paths)) for name, many, child in self.children if child.path not in paths
        )
        return Level(self.path, self.entity, self.known, self.texts, self.phones, self.old_keys, children)

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


def level(model: type[BaseModel], path: str = "") -> Level:
    """The kind of object that a class of `sync.model.documents` describes."""
    children = []
    for name, info in model.model_fields.items():
        for child, is_list in _models_in(info.annotation):
            child_path = f"{path}.{name}".lstrip(".") + ("[]" if is_list else "")
            children.append((name, is_list, level(child, child_path)))
    fields = model.model_fields

    def of_kind(kind: Any) -> tuple[str, ...]:
        return tuple(name for name, info in fields.items() if info.annotation == kind | None)

    return Level(
        path,
        getattr(model, "entity", ""),
        frozenset(fields),
        of_kind(Text),
        of_kind(Phone),
        of_kind(OldKey),
        tuple(children),
    )


def _models_in(annotation: object) -> Iterator[tuple[type[BaseModel], bool]]:
    """The models that a field holds, and whether it holds a list of them."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation, False
    for part in get_args(annotation):
        for model, is_list in _models_in(part):
            yield model, is_list or get_origin(annotation) is list


ROOT = level(Document)
KEYS = {kind.path: kind.known for kind in ROOT.all()}
"""The known keys of each kind of object, by its path."""
