"""What a run leaves to ISPyB: matched, so that others can refer to it, but neither written nor refused.

Those are the entities of the setting `leave`, and what ISPyB does not know and need not know: cancelled sessions. What
hangs on a new row that is left is left too.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from sync.database.sqlfiles import named, put_words
from sync.database.statement import put_values
from sync.model.entities import DOCUMENT, ENTITIES, Entity, Mark
from sync.model.refusals import Notice
from sync.reconcile.plan import Left
from sync.schema.target import Target
from sync.statements.send import Runner

_CODE = "left_to_ispyb"


class Leaving:
    """Marks what is left, once it is matched; nothing is asked of the database where nothing is left.

    entities   those of the setting
    """

    def __init__(self, runner: Runner, target: Target, entities: Collection[Entity]) -> None:
        self.entities = entities
        self._runner = runner
        self._target = target
        self._unneeded: set[Entity] = set()

    @property
    def is_needed(self) -> bool:
        """Whether anything may be left."""
        return bool(self._unneeded or self.entities)

    def see(self, entity: Entity, columns: Sequence[Sequence[Any]]) -> None:
        """Notes rows that are staged."""
        mark, names = entity.unneeded, self._target[entity].staged_columns
        if mark is not None and mark.field in names and mark.value in columns[names.index(mark.field)]:
            self._unneeded.add(entity)

    def mark(self, entity: Entity) -> None:
        """Marks what is left of an entity that is matched; its parents are marked already."""
        for parent, column in _parents(entity):
            self._run("leave_along", an_entity=entity.name, a_parent=parent, a_row=column)
        if entity in self.entities:
            self._run("leave_new", an_entity=entity.name)
        elif entity in self._unneeded and entity.unneeded is not None:
            self._run("leave_unneeded", **_marked(entity.name, entity.unneeded))

    def drop_actions(self, entities: Iterable[Entity]) -> dict[Entity, int]:
        """Takes back what was to be done with known rows of what is left; says how many changes that were."""
        left = filter(self.entities.__contains__, entities)
        return {entity: int(self._run("leave_known", an_entity=entity.name).rowcount) for entity in left}

    def count(self, entity: Entity) -> int:
        """How many new things are left."""
        return int(self._run("count_left", an_entity=entity.name).scalar_one()) if self.is_needed else 0

    def places(self, entity: Entity, parent: str) -> set[tuple[int, str]]:
        """Document and path of each reference to a parent that is left; rows go on without it."""
        if not self.is_needed:
            return set()
        rows = self._run("left_references", an_entity=entity.name, a_parent=parent, a_row=f"{parent}_row")
        return {(document, path) for document, path in rows}

    def notices(self, entity: Entity, left: Left) -> Iterator[Notice]:
        """What is told of an entity, of which so much is left."""
        if entity in self.entities:
            if left.new + left.changed:
                words = f"rows of {entity.name} were not written, as the setting leave has it"
                yield Notice(_CODE, f"{words}: {left.new:,} new, {left.changed:,} changed", left.new + left.changed)
        elif left.new:
            words = f"rows of {entity.name} were skipped: they hang on something new that was skipped"
            if entity in self._unneeded and entity.unneeded is not None:
                words = f"{entity.unneeded.rows} that ISPyB does not know were skipped"
            yield Notice(_CODE, words, left.new)

    def _run(self, name: str, **stand_ins: str) -> Any:
        return self._runner.connection.exec_driver_sql(_filled(name, self._runner.staging_schema, **stand_ins))


def statements(entity: Entity, target: Target, staging_schema: str) -> Iterator[str]:
    """The statements that mark what need not be known, and what hangs on it, where nothing else is left."""
    for parent, column in _parents(entity):
        yield _filled("leave_along", staging_schema, an_entity=entity.name, a_parent=parent, a_row=column)
    mark = entity.unneeded
    if mark is not None and mark.field in target[entity].staged_columns:
        yield _filled("leave_unneeded", staging_schema, **_marked(entity.name, mark))


def _filled(name: str, staging_schema: str, **stand_ins: str) -> str:
    values = {"mark": stand_ins.pop("mark", "")}
    return put_words(put_values(named("leave", name).render(staging_schema=staging_schema) or "", values), stand_ins)


def _marked(entity: str, mark: Mark) -> dict[str, str]:
    return {"an_entity": entity, "a_field": mark.field, "mark": str(mark.value)}


def values_left(values: Mapping[str, int]) -> Iterator[Notice]:
    """What is told of fields of the setting, each with how many values of it were given."""
    for name, count in values.items():
        if count:
            yield Notice(_CODE, f"values of {name} were not written, as the setting leave has it", count)


def _parents(entity: Entity) -> list[tuple[str, str]]:
    """The entities that rows of this one cannot be without, each with the column of the staging table."""
    known = {f"{parent.name}_row": parent.name for parent in ENTITIES}
    optional = {entity.parent_of_field, *entity.keeps}
    needed = [(known[column], column) for column in entity.references if known[column] not in optional]
    return needed if entity.is_shared or entity is DOCUMENT else [*needed, (DOCUMENT.name, "document")]
