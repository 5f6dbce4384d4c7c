"""What a run leaves to ISPyB: matched, so that others can refer to it, but neither written nor refused.

That is a cancelled session that ISPyB does not know. What hangs on a new row that is left is left too.
"""

from collections.abc import Sequence
from typing import Any

from sync.database.sqlfiles import named
from sync.model.conditions import Conditions
from sync.model.entities import ENTITIES, PROPOSAL, SESSION, Entity
from sync.schema.target import Target
from sync.statements.send import Runner

_CANCELLED = 9


class Leaving:
    """Marks what is left, once it is matched; nothing is asked of the database where an export has no such thing."""

    def __init__(self, runner: Runner, target: Target) -> None:
        self._runner = runner
        names = target[SESSION].staged_columns
        self._scheduled = names.index("scheduled") if "scheduled" in names else None
        self.is_needed = False

    def see(self, entity: Entity, columns: Sequence[Sequence[Any]]) -> None:
        """Notes rows that are staged."""
        if entity is SESSION and self._scheduled is not None and _CANCELLED in columns[self._scheduled]:
            self.is_needed = True

    def mark(self, entity: Entity, conditions: Conditions) -> None:
        """Marks what is left of an entity that is matched; its parents are marked already."""
        if entity is SESSION:
            self._runner.run(named("leave", "leave_cancelled"), conditions)
        for parent, column in _parents(entity):
            self._run("leave_along", an_entity=entity.name, a_parent=parent, a_row=column)

    def count(self, entity: Entity) -> int:
        """How many things are left."""
        return int(self._run("count_left", an_entity=entity.name).scalar_one()) if self.is_needed else 0

    def _run(self, name: str, **stand_ins: str) -> Any:
        sql = named("leave", name).render(staging_schema=self._runner.staging_schema) or ""
        for stand_in, word in stand_ins.items():
            sql = sql.replace(stand_in, word)
        return self._runner.connection.exec_driver_sql(sql)


def _parents(entity: Entity) -> list[tuple[str, str]]:
    """The entities that rows of this one cannot be without, each with the column of the staging table."""
    known = {f"{parent.name}_row": parent.name for parent in ENTITIES}
    needed = [(known[column], column) for column in entity.references if known[column] != entity.parent_of_field]
    below_proposal = ENTITIES.index(entity) > ENTITIES.index(PROPOSAL)
    return [*needed, (PROPOSAL.name, "document")] if below_proposal else needed
