"""Rule 5: mentions that are the same thing, and which things contradict each other.

Mentions that share a value of a key are one thing, unless an earlier key tells them apart; joined things are
looked at again, until nothing joins.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

from oracle.facts import Column
from oracle.kinds import Key, Kind
from oracle.mentions import Json, Mention, Place

# Which of the two it is among mentions that contradict each other, the design leaves open: all of them are refused.
CONTRADICTION = frozenset({"duplicate_key", "ambiguous_match"})


@dataclass(eq=False)
class Thing:
    """What one row is made of: its mentions, in the order of the export.

    row      the row of ISPyB that it is, or None for a new one
    codes    why it is refused, or empty; any of them where the design does not say which
    at       the field at fault
    new_id   its id if it is inserted
    """

    kind: Kind
    mentions: list[Mention]
    columns: dict[str, Column]
    row: Json | None = None
    codes: frozenset[str] = frozenset()
    at: str | None = None
    new_id: object = None
    also: list[Json] = field(default_factory=list)
    """Further rows that its name finds: laboratories only."""
    several: list[Json] = field(default_factory=list)
    """The rows that one key finds, where it is refused since they are several."""
    left: dict[Key, list[Json]] = field(default_factory=dict)
    """Rows that are not meant since they give the key up in this run."""
    _claims: dict[tuple[int, Key], set[Any]] = field(default_factory=dict, repr=False)

    @property
    def refused(self) -> bool:
        return bool(self.codes)

    @property
    def id(self) -> Any:
        return self.row[self.kind.primary_key] if self.row else self.new_id

    @property
    def places(self) -> frozenset[Place]:
        return frozenset(mention.place for mention in self.mentions)

    @property
    def values(self) -> Json:
        """The united fields: of copies that differ the last one counts; a value beats a null."""
        united: Json = {}
        for mention in self.mentions:
            united |= mention.values
        return united

    @property
    def nulls(self) -> set[str]:
        """The columns that some copy empties and no copy gives a value."""
        return set().union(*(mention.nulls for mention in self.mentions)) - self.values.keys() - self.parents.keys()

    @property
    def parents(self) -> dict[str, Mention]:
        """The last mention of each thing that it points at."""
        united: dict[str, Mention] = {}
        for mention in self.mentions:
            united |= mention.parents
        return united

    @property
    def conflicting(self) -> bool:
        """Whether copies of it differ."""
        given: dict[str, set[Any]] = {}
        for mention in self.mentions:
            for name, value in mention.values.items():
                given.setdefault(name, set()).add(value)
        return any(len(values) > 1 for values in given.values())

    @property
    def proposals(self) -> set[Any]:
        """The proposals that it is named under."""
        return {_proposal(mention) for mention in self.mentions} - {None}

    def key(self, key: Key) -> Any:
        """The value of a key, from the united fields."""
        return key.value(self.columns, self.values, _proposal(self.mentions[0]))

    def claims(self, key: Key) -> set[Any]:
        """The values of a key in all of its mentions."""
        if (len(self.mentions), key) not in self._claims:
            values = (key.value(self.columns, mention.values, _proposal(mention)) for mention in self.mentions)
            self._claims[len(self.mentions), key] = {value for value in values if value is not None}
        return self._claims[len(self.mentions), key]

    def is_named_before(self, key: Key) -> bool:
        """Whether it gives an earlier key than this one."""
        return any(self.claims(earlier) for earlier in self.kind.keys[: self.kind.keys.index(key)])

    def refuse(self, *codes: str, at: str | None = None) -> None:
        """Refuses it, unless it is refused already."""
        if not self.codes:
            self.codes, self.at = frozenset(codes), at


def _proposal(mention: Mention) -> Any:
    """The proposal within which some keys count: the id of its row, or what will be one."""
    proposal = mention.parents.get("proposal")
    return None if proposal is None else (proposal.thing.id or id(proposal.thing))


def join(kind: Kind, mentions: list[Mention], columns: dict[str, Column]) -> list[Thing]:
    """The things that these mentions name. Refused mentions join nothing but copies of themselves."""
    things = [Thing(kind, [mention], columns) for mention in mentions if mention.refused is None]
    while (pair := _same(kind, things)) is not None:
        unite(things, *pair)
    _refuse_contradictions(kind, things)
    if kind.name == "laboratory":
        _give_to_the_lowest(kind.keys[-1], things)
    refused: dict[str, Thing] = {}
    for mention in mentions:
        if mention.refused is not None:
            thing = refused.setdefault(repr((mention.refused, mention.values)), Thing(kind, [], columns))
            thing.mentions.append(mention)
            thing.refuse(mention.refused)
    things += refused.values()
    for thing in things:
        for mention in thing.mentions:
            mention.thing = thing
    return things


def sharing(things: Iterable[Thing], values: Callable[[Thing], set[Any]]) -> list[list[Thing]]:
    """Things that have a value in common, by value; those of two or more."""
    groups: dict[Any, list[Thing]] = {}
    for thing in things:
        for value in values(thing):
            groups.setdefault(value, []).append(thing)
    return [group for group in groups.values() if len(group) > 1]


def _same(kind: Kind, things: list[Thing]) -> tuple[Thing, Thing] | None:
    """Two things that are one."""
    for number, key in enumerate(kind.keys):
        earlier = kind.keys[:number]
        for group in sharing(things, lambda thing, key=key: thing.claims(key)):
            alone = [thing for thing in group if not thing.is_named_before(key)]
            if len(alone) > 1:
                return alone[0], alone[1]
            if kind.name == "laboratory" and not key.names_one_row:
                continue  # see _give_to_the_lowest
            if not any(differ(a, b, earlier) for a, b in combinations(group, 2)):
                return group[0], group[1]
    return None


def differ(a: Thing, b: Thing, keys: Iterable[Key]) -> bool:
    """Whether one of these keys tells the two apart."""
    return any(a.claims(key) and b.claims(key) and not a.claims(key) & b.claims(key) for key in keys)


def unite(things: list[Thing], first: Thing, second: Thing) -> None:
    """Makes one thing of two; its mentions stay in the order of the export."""
    first.left |= second.left
    first.mentions = sorted(first.mentions + second.mentions, key=lambda mention: mention.number)
    things.remove(second)
    for mention in second.mentions:
        mention.thing = first


def _give_to_the_lowest(name: Key, things: list[Thing]) -> None:
    """A laboratory mentioned by its name alone is the one of that name with the lowest external key.

    One that is refused does not count: the mention by name then stands for itself.
    """
    for group in sharing(things, lambda thing: thing.claims(name)):
        alone = [thing for thing in group if not thing.is_named_before(name)]
        others = [thing for thing in group if thing not in alone and not thing.refused]
        if alone and others:
            unite(things, min(others, key=external_keys), alone[0])


def external_keys(thing: Thing) -> list[Any]:
    """What the lowest external key is the lowest by."""
    external = [min(thing.claims(key), default=None) for key in thing.kind.keys[:2]]
    return [part for value in external for part in (value is None, value or ())]


def contradict(group: list[Thing], key: Key) -> bool:
    """Whether mentions give different values of a column of a key. What one does not give contradicts nothing."""
    mentions = [mention for thing in group for mention in thing.mentions]
    given = ((group[0].columns[n].key(m.values[n]) for m in mentions if n in m.values) for n in key.fields)
    return any(len(set(values)) > 1 for values in given)


def _refuse_contradictions(kind: Kind, things: list[Thing]) -> None:
    """Different things that claim one key, and one thing that claims two values of a key that names one row."""
    for key in kind.keys:
        if key.names_one_row:
            for thing in things:
                if len(thing.claims(key)) > 1 or contradict([thing], key):
                    thing.refuse(*CONTRADICTION)
        for group in sharing(things, lambda thing, key=key: thing.claims(key)):
            for thing in group:
                if key.names_one_row:
                    thing.refuse(*CONTRADICTION)
                elif kind.name != "laboratory" and not thing.is_named_before(key):
                    thing.refuse("ambiguous_match")
