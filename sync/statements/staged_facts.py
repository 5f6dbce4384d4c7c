"""What the staged rows of an export give: a statement that looks for what none of them has is left out.

Of each entity: `several`, more than one row; of each key that the live table has, `given(login)`, some row has it, and
`lacks(login)`, some row has it not; `given(clears)`, a null empties something; `given(unfit)`, a value does not fit;
`given(contradicts)`, one does not where the column has a default. Conditions in `sql/*.sql` ask for them.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from sync.model.entities import ENTITIES, Entity
from sync.schema.target import Target

_MARKS = ("clears", "contradicts", "unfit")


class Given:
    """The rows that are staged so far; `rows` counts them by the name of their entity."""

    def __init__(self, target: Target) -> None:
        self.rows: Counter[str] = Counter()
        self._names = {entity.name: target[entity].staged_columns for entity in ENTITIES}
        self._keys = {entity.name: set(entity.keys).difference(target[entity].missing) for entity in ENTITIES}
        self._facts = {entity.name: {f"lacks({name})" for name in target[entity].missing} for entity in ENTITIES}

    def see(self, entity: Entity, columns: Sequence[Sequence[Any]]) -> None:
        """Notes rows, given as columns in the order of `sync.schema.target.Table.staged_columns`."""
        facts = self._facts[entity.name]
        self.rows[entity.name] += len(columns[0])
        if self.rows[entity.name] > 1:
            facts.add("several")
        for name, values in zip(self._names[entity.name], columns, strict=True):
            if name in self._keys[entity.name]:
                without = values.count(None)
                if without:
                    facts.add(f"lacks({name})")
                if without < len(values):
                    facts.add(f"given({name})")
            elif name in _MARKS and any(values):
                facts.add(f"given({name})")

    def facts(self, entity: Entity) -> frozenset[str]:
        """What conditions may ask for."""
        return frozenset(self._facts[entity.name])
