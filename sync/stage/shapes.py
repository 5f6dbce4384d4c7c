"""Which things of a document become rows, as the classes of documents and the registry tell it."""

from dataclasses import dataclass

from sync.model.entities import BY_NAME, LINKS, Entity
from sync.read.levels import ROOT, Level, Part


@dataclass(frozen=True)
class Shape:
    """One kind of things, where they stand in another one or in the document.

    name       of the field that they stand in
    many       whether that is a list of them
    refers_to  entities of the rows that a row points at, in the order of its references
    shared     what is named in one and has rows of its own, which many documents name: people, laboratories
    owned      what stands in one and belongs to it
    link       the entity of the rows that say who is in this list; None where no table has that
    linked     what such a row points at, in the order of its references: 0 the thing that has the list, 1 who is in it
    """

    name: str
    many: bool
    entity: Entity
    refers_to: tuple[str, ...]
    shared: tuple["Shape", ...]
    owned: tuple["Shape", ...]
    link: Entity | None = None
    linked: tuple[int, ...] = ()


_LINK_OF = {link.belongs_to: link for link in LINKS}


def _shape(part: Part, level: Level, holder: Entity | None) -> Shape:
    entity = BY_NAME[level.entity]
    inner = [(p, p.child) for p in level.holding if p.child is not None and not BY_NAME[p.child.entity].is_link]
    shapes = [_shape(p, child, entity) for p, child in inner]
    link = _LINK_OF.get((holder.name, entity.name)) if part.many and holder is not None else None
    return Shape(
        part.name,
        part.many,
        entity,
        _pointed_at(entity),
        tuple(shape for shape in shapes if shape.entity.is_shared),
        tuple(shape for shape in shapes if not shape.entity.is_shared),
        link,
        () if link is None else tuple(int(name == entity.name) for name in _pointed_at(link)),
    )


def _pointed_at(entity: Entity) -> tuple[str, ...]:
    return tuple(reference.removesuffix("_row") for reference in entity.references)


OF_DOCUMENT = tuple(_shape(part, part.child, None) for part in ROOT.holding if part.child is not None)
"""What stands in a document itself."""

_ALL = [kind for kind in ROOT.all() if kind is not ROOT]
IN_SHARED: dict[str, tuple[tuple[str, Entity], ...]] = {
    kind.entity: tuple((name, BY_NAME[c.entity]) for name, _, c in kind.children if BY_NAME[c.entity].is_shared)
    for kind in _ALL
    if BY_NAME[kind.entity].is_shared
}
"""By entity, what a shared thing names itself: the field, and whose row that is."""

FIELD_OF_LINK = {c.entity: name for kind in _ALL for name, _, c in kind.children if BY_NAME[c.entity].is_link}
"""By entity of a link, the field of a person that says how they are linked."""
