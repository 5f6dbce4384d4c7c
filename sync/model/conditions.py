"""What the marks in `sql/*.sql` ask for: facts, and the columns that a line is repeated for."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Field:
    """One column of an entity: its name in documents and staging tables, in the live table, and what is known of it."""

    name: str
    column: str
    facts: frozenset[str]


@dataclass(frozen=True)
class Conditions:
    """What the marks of a statement ask for: facts, and the columns of its entity."""

    facts: frozenset[str] = frozenset()
    fields: tuple[Field, ...] = ()

    def with_facts(self, facts: Iterable[str]) -> "Conditions":
        """The same, and more facts."""
        return Conditions(self.facts.union(facts), self.fields)


NO_CONDITIONS = Conditions()
