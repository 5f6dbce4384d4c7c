"""What a run leaves to ISPyB: matched, so that others can refer to it, but neither written nor refused.

Those are the entities of the setting `leave`, and what ISPyB does not know and need not know: cancelled sessions. What
hangs on a new row that is left is left too.
"""

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from sync.database.sqlfiles import named
from sync.database.statement import put_values, put_words
from sync.history.changes import label
from sync.model.entities import DOCUMENT, ENTITIES, Entity, Mark
from sync.model.refusals import Example, Notice, told
from sync.reconcile.plan import Left
from sync.statements.live_ispyb import LiveIspyb

_CODE = "left_to_ispyb"


class Leaving:
    """Marks what is left, once it is matched; nothing is asked of the database where nothing is left.

    entities   those of the setting
    """

    def __init__(self, ispyb: LiveIspyb, entities: Collection[Entity]) -> None:
        self.entities = entities
        self._ispyb = ispyb
        self._unneeded: set[Entity] = set()

    @property
    def is_needed(self) -> bool:
        """Whether anything may be left."""
        return bool(self._unneeded or self.entities)

    def see(self, entity: Entity, columns: Sequence[Sequence[Any]]) -> None:
        """Notes rows that are staged."""
        mark, names = entity.unneeded, self._ispyb.target[entity].staged_columns
        if mark is not None and mark.field in names and mark.value in columns[names.index(mark.field)]:
            self._unneeded.add(entity)

    def mark(self, entity: Entity) -> None:
        """Marks what is left of an entity that is matched; its parents are marked already."""
        for parent, column in _parents(entity):
            self._run("leave_along", entity, a_parent=parent, a_row=column)
        if entity in self.entities:
            self._run("leave_new", entity)
        elif entity in self._unneeded and entity.unneeded is not None:
            self._run("leave_unneeded", entity, **_marked(entity.unneeded))

    def take(self, entity: Entity) -> Left:
        """What is left of an entity that is compared; takes back what was to be done with its known rows."""
        is_left = entity in self.entities
        known = "TRUE" if is_left else "FALSE"
        rows = self._run("left_rows", entity, known=known).all() if self.is_needed else ()
        new, changed = (int(count) for count in rows[0][:2]) if rows else (0, 0)
        examples = tuple(_example(document, of, path, label(key)) for _, _, document, of, path, key in rows)
        if is_left:
            self._run("leave_known", entity)
        return Left(new, changed, examples, () if is_left else tuple(self._values(entity)))

    def _values(self, entity: Entity) -> Iterator[tuple[str, int, tuple[Example, ...]]]:
        """What would have been written into each field that is left."""
        for name, column in self._ispyb.target[entity].left.items():
            if column is not None:
                known = "FALSE" if name in entity.initial else "TRUE"
                rows = self._run("left_values", entity, known=known, a_field=name, a_column=column.name).all()
                if rows:
                    examples = tuple(_example(document, of, path, value) for _, document, of, path, value in rows)
                    yield f"{entity.name}.{name}", int(rows[0][0]), examples

    def places(self, entity: Entity, parent: str) -> set[tuple[int, str]]:
        """Document and path of each reference to a parent that is left; rows go on without it."""
        if not self.is_needed:
            return set()
        rows = self._run("left_references", entity, a_parent=parent, a_row=f"{parent}_row")
        return {(document, path) for document, path in rows}

    def notices(self, entity: Entity, left: Left) -> Iterator[Notice]:
        """What is told of an entity, of which so much is left."""
        if entity in self.entities:
            if left.new + left.changed:
                words = f"rows of {entity.name} were not written, as the setting leave has it"
                words = f"{words}: {left.new:,} new, {left.changed:,} changed"
                yield Notice(_CODE, words, left.new + left.changed, left.examples)
        elif left.new:
            words = f"rows of {entity.name} were skipped: they hang on something new that was skipped"
            if entity in self._unneeded and entity.unneeded is not None:
                words = f"{entity.unneeded.rows} that ISPyB does not know were skipped"
            yield Notice(_CODE, words, left.new, left.examples)
        for name, count, examples in left.values:
            yield Notice(_CODE, f"values of {name} were not written, as the setting leave has it", count, examples)

    def _run(self, name: str, entity: Entity, **stand_ins: str) -> Any:
        sql = _filled(name, entity, self._ispyb, **stand_ins)
        return self._ispyb.connection.exec_driver_sql(sql, execution_options={"no_parameters": True})


def statements(entity: Entity, ispyb: LiveIspyb) -> Iterator[str]:
    """The statements that mark what need not be known, and what hangs on it, where nothing else is left."""
    for parent, column in _parents(entity):
        yield _filled("leave_along", entity, ispyb, a_parent=parent, a_row=column)
    mark = entity.unneeded
    if mark is not None and mark.field in ispyb.target[entity].staged_columns:
        yield _filled("leave_unneeded", entity, ispyb, **_marked(mark))


def _filled(name: str, entity: Entity, ispyb: LiveIspyb, **more: str) -> str:
    """A statement of leave.sql as it is for one entity; `more` are stand-ins and values."""
    values: dict[str, str] = {value: more.pop(value) for value in ("mark", "known") if value in more}
    sql = ispyb.text(named("leave", name), ispyb.target.conditions(entity)) or ""
    own = {"an_entity": entity.name, "a_table": entity.table, "a_primary_key": entity.primary_key}
    return put_words(put_values(sql, values), own | more)


def _marked(mark: Mark) -> dict[str, str]:
    return {"a_field": mark.field, "mark": str(mark.value)}


def _example(document: int, proposal: str | None, path: str, value: Any) -> Example:
    return Example(document, label(proposal), path, told(value))


def _parents(entity: Entity) -> list[tuple[str, str]]:
    """The entities that rows of this one cannot be without, each with the column of the staging table."""
    known = {f"{parent.name}_row": parent.name for parent in ENTITIES}
    optional = {entity.parent_of_field, *entity.keeps}
    needed = [(known[column], column) for column in entity.references if known[column] not in optional]
    return needed if entity.is_shared or entity is DOCUMENT else [*needed, (DOCUMENT.name, "document")]
