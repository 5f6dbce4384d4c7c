"""Rules 5 and 8: mentions that are the same thing, and which things contradict each other.

Mentions that share a value of a key are one thing, unless an earlier key tells them apart; joined things are
looked at again, until nothing joins.
"""

from collections.abc import Callable, Iterable
from itertools import combinations
from typing import Any

from oracle.facts import Column
from oracle.kinds import Key, Kind
from oracle.mentions import Mention
from oracle.things import Thing

# Which of the two it is among mentions that contradict each other, the design leaves open: all of them are refused.
CONTRADICTION = frozenset({"duplicate_key", "ambiguous_match"})


def join(kind: Kind, mentions: list[Mention], columns: dict[str, Column]) -> list[Thing]:
    """The things that these mentions name. Refused mentions join nothing but copies of themselves."""
    things = [Thing(kind, [mention], columns) for mention in mentions if mention.refused is None]
    while (pair := _same(kind, things)) is not None:
        unite(things, *pair)
    for thing in things:
        thing.keep_keys()
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
            if key.weak:
                if pair := _same_at_weak(group, alone):
                    return pair
                continue
            if not any(differ(a, b, earlier) for a, b in combinations(group, 2)):
                return group[0], group[1]
    return None


def _same_at_weak(group: list[Thing], alone: list[Thing]) -> tuple[Thing, Thing] | None:
    """Rule 8: what gives only the weak key is the one thing that gives another key as well.

    Those that share a key that the table does not have are one too, unless they give two externalIds.
    """
    for same in sharing(group, lambda thing: thing.unkept if len(thing.unkept) == 1 else set()):
        if len(set().union(*(thing.claims(thing.kind.keys[0]) for thing in same))) < 2:
            same[0].rules.add("unkept_key_shared")
            return same[0], same[1]
    return (group[0], group[1]) if alone and len(group) == 2 else None


def differ(a: Thing, b: Thing, keys: Iterable[Key]) -> bool:
    """Whether one of these keys tells the two apart."""
    return any(a.claims(key) and b.claims(key) and not a.claims(key) & b.claims(key) for key in keys)


def unite(things: list[Thing], first: Thing, second: Thing) -> None:
    """Makes one thing of two; its mentions stay in the order of the export."""
    first.left |= second.left
    first.rules |= second.rules
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
                if key.weak:
                    code = "duplicate_key" if thing.is_named_before(key) else "ambiguous_match"
                    thing.rules.add(f"weak_{code}")
                    thing.refuse(code)
                elif key.names_one_row:
                    thing.refuse(*CONTRADICTION)
                elif kind.name != "laboratory" and not thing.is_named_before(key):
                    thing.refuse("ambiguous_match")
