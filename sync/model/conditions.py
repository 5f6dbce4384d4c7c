"""What the marks in `sql/*.sql` ask for: facts, and the columns that a line is repeated for."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True)
class Field:
    """What a line marked `-- for:` is repeated for: a column of an entity, or a row that its rows refer to.

    name       in documents and staging tables; of a row referred to, the column of the staging table that says which
    column     in the live table
    facts      what is known of it
    parent     the entity that is referred to
    parent_table  its table
    parent_id  the column that refers to it
    """

    name: str
    column: str
    facts: frozenset[str]
    parent: str = ""
    parent_table: str = ""
    parent_id: str = ""

    def put_into(self, line: str) -> str:
        """A line as it is for this column or row."""
        for stand_in, word in (
            ("a_column", self.column),
            ("a_field", self.name),
            ("a_parent_id", self.parent_id),
            ("a_parent_table", self.parent_table),
            ("a_parent", self.parent),
        ):
            line = line.replace(stand_in, word)
        return line


@dataclass(frozen=True)
class Conditions:
    """What the marks of a statement ask for: facts, and the columns of its entity."""

    facts: frozenset[str] = frozenset()
    fields: tuple[Field, ...] = ()

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        """Once: each statement that is rendered is looked up by it."""
        return hash((self.facts, self.fields))

    def with_facts(self, facts: Iterable[str]) -> "Conditions":
        """The same, and more facts."""
        return Conditions(self.facts.union(facts), self.fields)


NO_CONDITIONS = Conditions()
