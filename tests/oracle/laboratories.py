"""What is special about laboratories: their names are not unique, and people have them already."""

from oracle.joining import external_keys, unite
from oracle.kinds import Key
from oracle.match import going, holders, row_key, wanted
from oracle.mentions import Json
from oracle.things import Thing


def has_external_key(lab: Thing) -> bool:
    """Whether it gives one of the keys before its name."""
    return any(lab.key(key) for key in lab.kind.keys[:2])


def give_to_completed(labs: list[Thing]) -> None:
    """A laboratory mentioned by its name alone is the one that gets this name by all that is given and its row has."""
    for alone in [lab for lab in going(labs) if not lab.is_named_before(lab.kind.keys[-1])]:
        name = alone.kind.keys[-1]
        named = [lab for lab in going(labs) if lab.is_named_before(name)]
        if owners := [lab for lab in named if _called(lab, named, name) == alone.key(name)]:
            unite(labs, min(owners, key=external_keys), alone)


def _called(lab: Thing, labs: list[Thing], name: Key) -> object:
    """What a laboratory's row is called after the run, or None where those that found it disagree."""
    given = [other.values for other in labs if other is lab or (lab.row is not None and other.row is lab.row)]
    if any(len({lab.columns[n].key(v[n]) for v in given if n in v}) > 1 for n in name.fields):
        return None
    values = {n: v[n] for v in given for n in name.fields if n in v}
    return name.value(lab.columns, (lab.row or {}) | values)


def prefer_own(lab: Thing, people: list[Thing]) -> None:
    """Of several rows of one name, the one that its people have, if each of them has one; else the lowest id."""
    if not lab.also or lab.row is None:
        return
    rows = [lab.row, *lab.also]
    own = [
        next((row for row in rows if person.row and row["laboratoryId"] == person.row["laboratoryId"]), None)
        for person in going(people)
        if any(parent.thing is lab for parent in person.parents.values())
    ]
    lab.row = min((row for row in own if row), key=lambda row: row["laboratoryId"]) if own and all(own) else rows[0]
    lab.also = [row for row in rows if row is not lab.row]


def leave_disputed(labs: list[Thing], rows: list[Json]) -> None:
    """The rows that a laboratory refused for what ISPyB holds may mean keep their keys, and no other gets its name.

    Else the next run would find something else. Who is refused by this may mean rows as well. An externalId that is
    there stays anyway.
    """
    while True:
        disputes = [lab for lab in labs if lab.codes in ({"ambiguous_match"}, {"duplicate_key"})]
        meant = [row for lab in disputes for key in lab.kind.keys[1:] for row in holders(lab, key, rows)]
        names = {lab.key(lab.kind.keys[-1]) for lab in disputes} - {None}
        touched = [lab for lab in going(labs) if lab.row is not None and _changes(lab, meant, names)]
        if not touched:
            return
        for lab in touched:
            lab.refuse("duplicate_key")


def _changes(lab: Thing, meant: list[Json], names: set[object]) -> bool:
    """Whether it changes a key of one of these rows, or gets one of these names."""
    columns, name = lab.columns, lab.kind.keys[-1]
    given = {n: v for n in lab.kind.key_fields if (v := lab.values.get(n)) is not None}
    changed = any(columns[n].key(v) != columns[n].key(lab.row[n]) for n, v in given.items())
    is_named = wanted(lab, name) in names and row_key(lab, name, lab.row) not in names
    return is_named or (changed and lab.row in meant)


def is_renamed(row: Json, labs: list[Thing]) -> bool:
    """Whether a laboratory gets another name in this run: who has it does not keep it for its old name."""
    name = labs[0].kind.keys[-1]
    owners = [lab for lab in going(labs) if lab.row is row]
    return any(wanted(lab, name) != row_key(lab, name, row) for lab in owners)


def laboratory_of(person: Thing) -> Json:
    """The column of a person that refers to a laboratory, if anything is to be written there."""
    mention = person.parents.get("laboratory")
    if mention is None:
        return {"laboratoryId": None} if "laboratory" in person.nulls else {}
    lab: Thing = mention.thing
    if lab.refused:
        return {}
    has = person.row and person.row["laboratoryId"]
    own = [row for row in lab.also if row["laboratoryId"] == has and not has_external_key(lab)]
    return {"laboratoryId": own[0]["laboratoryId"] if own else lab.id}
