"""What one row is made of: its mentions, their united values, and what became of it."""

from dataclasses import dataclass, field
from typing import Any

from oracle.facts import Column
from oracle.kinds import Key, Kind
from oracle.mentions import Json, Mention, Place


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
    rules: set[str] = field(default_factory=set)
    """Rare rules that it is an example of."""
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
    def belied(self) -> set[str]:
        """The columns whose default would say something else than the documents, if it is inserted."""
        return set().union(*(mention.belied for mention in self.mentions)) - self.values.keys()

    @property
    def unkept(self) -> set[Any]:
        """Values of keys that the live table has no column for."""
        return set().union(*(mention.unkept for mention in self.mentions))

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

    def keep_keys(self) -> None:
        """A null empties no key but one after the first that it gives: by that one it will be found from now on."""
        first = next((number for number, key in enumerate(self.kind.keys) if self.claims(key)), len(self.kind.keys))
        kept = {name for key in self.kind.keys[: first + 1] for name in key.fields}
        for mention in self.mentions:
            mention.nulls -= kept

    def is_named_before(self, key: Key) -> bool:
        """Whether it gives an earlier key than this one; for a weak key, also one that the live table does not have."""
        earlier = self.kind.keys[: self.kind.keys.index(key)]
        return any(self.claims(other) for other in earlier) or (key.weak and bool(self.unkept))

    def refuse(self, *codes: str, at: str | None = None) -> None:
        """Refuses it, unless it is refused already."""
        if not self.codes:
            self.codes, self.at = frozenset(codes), at


def _proposal(mention: Mention) -> Any:
    """The proposal within which some keys count: the id of its row, or what will be one."""
    proposal = mention.parents.get("proposal")
    return None if proposal is None else (proposal.thing.id or id(proposal.thing))
