"""Rules 1 to 4 and 6: which row of ISPyB a thing is, and whether it may have the keys that it wants.

Rows are those before the run. A refusal once made stays, but that of a thing which does not know its row: when another
one gives the key up, what is left may say which.
"""

from collections.abc import Callable, Iterable

from oracle.joining import CONTRADICTION, sharing, unite
from oracle.kinds import Key
from oracle.mentions import Json
from oracle.things import Thing


def find(thing: Thing, rows: list[Json]) -> None:
    """Rules 2 and 3: the row of the first key that finds one.

    A key that finds a row with another earlier key is not decided here: its holder may give it up (`claim`).
    """
    for number, key in enumerate(thing.kind.keys):
        found = [row for row in holders(thing, key, rows) if row not in thing.left.get(key, [])]
        allowed = [row for row in found if not is_somebody_else(thing, row, thing.kind.keys[:number])]
        if thing.kind.forgiving:
            found = allowed
        if len(found) > 1 and thing.kind.name == "laboratory" and not key.names_one_row:
            found = sorted(found, key=lambda row: row["laboratoryId"])
            thing.also = found[1:]
            allowed = found = found[:1]
        if len(found) > 1:
            thing.refuse("ambiguous_match", at=key.needed)
            thing.several = found
            return
        if found and allowed:
            thing.row = found[0]
            return


def find_all(things: list[Thing], again: Callable[[list[Thing]], None]) -> None:
    """Finds; then, of several rows that hold a key, those that get another value of it in this run do not count.

    again   finds what it is given, and refuses what then is to be refused at once
    """
    again(things)
    while freed := {thing: left for thing in things if (left := _given_up(thing, things))}:
        for thing, (key, left) in freed.items():
            thing.left[key] = left
            thing.codes, thing.at, thing.several = frozenset(), None, []
        again(list(freed))


def find_emptied(thing: Thing, things: list[Thing], rows: list[Json]) -> None:
    """A row of which others empty the earlier keys that tell it from the thing: the next run would find it."""
    for number, key in enumerate(thing.kind.keys):
        found = [row for row in holders(thing, key, rows) if not gives_up(row, key, things)]
        for row in found if len(found) == 1 else ():
            owners = [other for other in going(things) if other.row is row]
            given = {name for owner in owners for name in owner.values}
            emptied = {name for owner in owners for name in owner.nulls} - given
            earlier = [k for k in thing.kind.keys[:number] if k.needed not in emptied]
            if not is_somebody_else(thing, row, earlier):
                thing.row = row
                thing.rules.add("found_emptied")
                return


def _given_up(thing: Thing, things: list[Thing]) -> tuple[Key, list[Json]] | None:
    """Of the rows that a key finds, those that others leave in this run, if not more than one of them stays."""
    if not thing.several:
        return None
    (key,) = (key for key in thing.kind.keys if key.needed == thing.at)
    left = [row for row in thing.several if gives_up(row, key, things)]
    return (key, left) if len(thing.several) - len(left) < 2 else None


def holders(thing: Thing, key: Key, rows: Iterable[Json]) -> list[Json]:
    """The rows that hold the thing's value of a key."""
    value = thing.key(key)
    return [] if value is None else [row for row in rows if row_key(thing, key, row) == value]


def row_key(thing: Thing, key: Key, row: Json) -> object:
    """A row's value of a key."""
    return key.value(thing.columns, row, row.get("proposalId"))


def is_somebody_else(thing: Thing, row: Json, keys: Iterable[Key]) -> bool:
    """Whether one of these keys tells the row from the thing; an empty one does not."""
    return any(thing.key(key) is not None and row_key(thing, key, row) not in (None, thing.key(key)) for key in keys)


def settle(things: list[Thing]) -> None:
    """Rule 5: things that turn out to be one row are one thing, or are refused if their keys contradict.

    A new thing of which a value does not fit is refused where the column's default would say something else.
    """
    found = [thing for thing in things if thing.row is not None and not thing.refused]
    for group in sharing(found, lambda thing: {thing.id}):
        if any(_contradict(group, key) for key in group[0].kind.keys) or _is_renamed(group):
            for thing in group:
                thing.refuse("duplicate_key")
        else:
            for thing in group[1:]:
                unite(things, group[0], thing)
    for thing in going(things):
        if thing.row is None and thing.belied:
            thing.rules.add("belied")
            thing.refuse("value_not_allowed")


def _contradict(group: list[Thing], key: Key) -> bool:
    """Whether things, each whole, give different values of a key."""
    if key.names_one_row and len({thing.key(key) for thing in group} - {None}) > 1:
        return True
    given = ({t.columns[name].key(v) for t in group if (v := t.values.get(name)) is not None} for name in key.fields)
    return any(len(values) > 1 for values in given)


def _is_renamed(group: list[Thing]) -> bool:
    """Whether a row that one of them finds by its name alone gets another name by the others.

    The next run would not find it. A missing city equals a missing city, and no other; so does a missing code.
    """
    name, values = group[0].kind.keys[-1], {n: v for thing in group for n, v in thing.values.items()}
    if len(name.fields) == 1:
        return False
    alone = [thing for thing in group if not thing.is_named_before(name)]
    return any(name.value(thing.columns, values) != thing.key(name) for thing in alone)


def wanted(thing: Thing, key: Key) -> object:
    """The key's value after the run: what the thing gives, else what its row has.

    Of a key of several columns, a column that the thing does not give stays as the row has it; a null may empty it.
    """
    values = thing.values
    if thing.row is not None:
        kept = [name for name in thing.kind.initial if thing.row[name] is not None]
        values = thing.row | values | {name: thing.row[name] for name in kept} | dict.fromkeys(thing.nulls)
    return key.value(thing.columns, values, min(thing.proposals, key=str, default=None))


def claim(things: list[Thing], rows: list[Json]) -> None:
    """Rule 6: a key that another row holds, and does not give up in this run, refuses the thing; and so on."""
    keys = [key for key in things[0].kind.keys if key.names_one_row] if things else []
    for key in keys:
        for group in sharing(going(things), lambda thing, key=key: {_claimed(thing, key)} - {None}):
            for thing in group:
                thing.refuse(*CONTRADICTION)
    while fallen := [(t, key) for t in going(things) for key in keys if _is_taken(t, key, things, rows)]:
        for thing, key in fallen:
            also = {"keys_disagree"} if thing.row is None else set()
            thing.refuse("key_taken", *also, *({"ambiguous_match"} if key in thing.left else ()), at=key.needed)


def _claimed(thing: Thing, key: Key) -> object:
    """The value of a key that the thing gets by this run, or None where it has it already."""
    value = wanted(thing, key)
    return None if thing.row is not None and row_key(thing, key, thing.row) == value else value


def _is_taken(thing: Thing, key: Key, things: list[Thing], rows: list[Json]) -> bool:
    value = wanted(thing, key) if key in thing.left else _claimed(thing, key)
    if value is None or (thing.row is None and thing.kind.forgiving):
        return False
    held_by = [row for row in rows if row is not thing.row and row_key(thing, key, row) == value]
    return not all(gives_up(row, key, things) for row in held_by)


def refuse_forgotten_codes(proposals: list[Thing], rows: list[Json]) -> None:
    """A new proposal without a code, of a number that ISPyB has with a code after this run, and not without one."""
    number = Key(("proposalNumber",), "proposalNumber")
    for thing in going(proposals):
        if thing.row is None and "proposalCode" not in thing.values:
            same = holders(thing, number, rows)
            stay = [row for row in same if not gives_up(row, number, proposals)]
            if stay and all(row["proposalCode"] is not None for row in stay):
                thing.rules.add("forgotten_code")
                thing.refuse("ambiguous_match", at="proposalNumber")


def mark_given_up(things: list[Thing]) -> None:
    """Marks who empties a key of its row, and who gets one that is emptied."""
    for thing in going(things):
        names = thing.nulls & set(thing.kind.given_up) if thing.row is not None else set()
        given = {key for key in thing.kind.keys if key.needed in names and row_key(thing, key, thing.row) is not None}
        if not given:
            continue
        thing.rules.add("key_emptied")
        for other in going(things):
            if other is not thing and any(_claimed(other, key) == row_key(thing, key, thing.row) for key in given):
                other.rules.add("emptied_key_taken")


def going(things: Iterable[Thing]) -> list[Thing]:
    """Those that are not refused."""
    return [thing for thing in things if not thing.refused]


def gives_up(row: Json, key: Key, things: list[Thing]) -> bool:
    """Whether the row gets another value of the key in this run."""
    owners = [thing for thing in things if thing.row is row and not thing.refused]
    return any(wanted(thing, key) != row_key(thing, key, row) for thing in owners)
