"""Turns documents into staged rows, and loads them in batches.

Each distinct content is staged once: people and laboratories repeat on every session. Rows of a document keep the
order of the file; `position` is the place of a row's last copy, by which the last one wins. A list of
persons that is given and empty is staged as a link to nobody: pruning tells it from one that is not given.
What does not fit the live column is refused by `sync.stage.misfits`: by the column, and what many documents share,
which waits long, when it is met. Never decides who is who.
"""

from collections.abc import Callable, Iterable, Sequence
from statistics import median_high
from typing import Any

from msgspec import UNSET

from sync.model.entities import DOCUMENT, ENTITIES, Entity
from sync.model.people import Participant
from sync.model.refusals import REFUSED, Refusal, ValidDocument
from sync.schema.target import Target
from sync.stage.columns import Columns, Fields, Row, clears_of, columns_of, values_of
from sync.stage.misfits import Fitting
from sync.stage.shapes import IN_SHARED, OF_DOCUMENT, Shape
from sync.stage.waiting import Waiting

Load = Callable[[Entity, Columns], None]

BATCH_ROWS = 12_000
"""Rows kept in memory before they are loaded: some 6 MB."""

MOST_SHARED = 50_000
"""People kept, as their positions change with each mention: some 60 MB. Of more, those go that were not mentioned for
the longest time, since a few are on many proposals."""

_POSITION = 1
_SHARED = tuple(entity for entity in reversed(ENTITIES) if entity.is_shared)
"""What many documents name, before what it refers to."""


class Stager:
    """Stages documents one by one; `flush` loads what is left.

    load      takes an entity and the columns of its rows, in the order of `Table.staged_columns`
    refuse    takes each refusal
    """

    def __init__(self, target: Target, load: Load, refuse: Callable[[Refusal], None], *, clear_nulls: bool) -> None:
        self._load = load
        self._clear_nulls = clear_nulls
        self._fields = {entity.name: Fields(entity, target) for entity in ENTITIES}
        self._fit = Fitting(self._fields, refuse)
        self._waiting = {e.name: Waiting(len(e.references)) for e in ENTITIES if not e.is_shared}
        # Rows of what is shared are lists, as their positions change; those that wait do so apart from the others.
        self._gone: dict[str, list[Row]] = {entity.name: [] for entity in _SHARED}
        self._shared: dict[str, dict[Any, list[Any]]] = {entity.name: {} for entity in _SHARED}
        self._position = 0
        self._at: ValidDocument

    def add(self, valid: ValidDocument) -> None:
        """Stages one document; its number is the row_id of its proposal."""
        self._at = valid
        self._fit.labels[valid.number] = valid.proposal
        self._fields[DOCUMENT.name].last_row = valid.number - 1
        for shape in OF_DOCUMENT:
            self._stage_in(shape, valid.document, "", None, None)
        if sum(map(len, self._waiting.values())) + sum(map(len, self._gone.values())) >= BATCH_ROWS:
            self._flush_rows()
        most = max(self._shared.values(), key=len)
        if len(most) >= MOST_SHARED:
            self._let_go(median_high(row[_POSITION] for row in most.values()))

    def flush(self) -> None:
        """Loads all that waits, and forgets the people and laboratories seen so far."""
        self._let_go(self._position + 1)
        self._flush_rows()

    def _let_go(self, since: int) -> None:
        """Adds to the rows that wait what was not mentioned since this position, and forgets it.

        A laboratory goes with the last of its people.
        """
        in_use: set[Any] = set()
        for entity in _SHARED:
            staying = {}
            for thing, row in self._shared[entity.name].items():
                stays = row[_POSITION] >= since or thing in in_use
                for inner, inner_row in self._inside(entity, thing):
                    inner_row[_POSITION] = max(inner_row[_POSITION], row[_POSITION])
                    if stays:
                        in_use.add(inner)
                if stays:
                    staying[thing] = row
                else:
                    self._wait(entity, row)
            self._shared[entity.name] = staying

    def _inside(self, entity: Entity, thing: Any) -> list[tuple[Any, list[Any]]]:
        """What a shared thing refers to, each with its row."""
        found = []
        for name, other in IN_SHARED[entity.name]:
            if inner := getattr(thing, name):
                found.append((inner, self._shared[other.name][inner]))
        return found

    def _wait(self, entity: Entity, row: list[Any]) -> None:
        """Adds a row of what is shared to those that wait, and loads these where they are many."""
        if len(self._gone[entity.name]) >= BATCH_ROWS:
            self._flush_rows()
        self._gone[entity.name].append(tuple(row))

    def _flush_rows(self) -> None:
        for entity in ENTITIES:
            if waiting := self._waiting.get(entity.name):
                self._load(entity, self._fit.columns(entity, waiting.take()))
            elif rows := self._gone.get(entity.name):  # what is shared was checked when it was met
                self._load(entity, columns_of(rows))
                rows.clear()
        self._fit.labels.clear()

    def _stage_in(self, shape: Shape, holder: Any, path: str, above: Entity | None, row: int | None) -> None:
        """The things of one kind that stand in another one, of which `row` is the row, or in the document."""
        at = f"{path}.{shape.name}" if path else shape.name
        value = getattr(holder, shape.name)
        if not shape.many:
            self._stage(shape, [value], [at], above, row)
        elif value:
            self._stage(shape, value, [f"{at}[{number}]" for number in range(len(value))], above, row)

    def _stage(
        self, shape: Shape, things: Sequence[Any], paths: Sequence[str], above: Entity | None, above_row: int | None
    ) -> None:
        """Things of one kind, with who is named in them, and all that they own: together, which is quicker."""
        if REFUSED in things:
            for thing, path in zip(things, paths, strict=True):
                if thing is not REFUSED:
                    self._stage(shape, [thing], [path], above, above_row)
                    continue
                pointed = [[above_row if above and name == above.name else None] for name in shape.refers_to]
                self._add(shape.entity, [path], pointed, [None], refused="invalid_document")
            return
        entity, many = shape.entity, len(things)
        named: dict[str, Sequence[int | None]] = {} if above is None else {above.name: [above_row] * many}
        lists = []
        for part in shape.shared:
            values = [getattr(thing, part.name) for thing in things]
            if not part.many:
                named[part.entity.name] = [
                    self._mention(part, value, f"{path}.{part.name}") if value else None
                    for value, path in zip(values, paths, strict=True)
                ]
                continue
            people = [
                self._people(part, value or (), f"{path}.{part.name}")
                for value, path in zip(values, paths, strict=True)
            ]
            named[part.entity.name] = [rows[0] if rows else None for rows, _ in people]
            if part.link is not None:
                lists.append((part, part.link, values, people))
        first = self._add(entity, paths, [named[name] for name in shape.refers_to], things)
        for part, link, values, people in lists:
            for row, (value, (rows, options)) in enumerate(zip(values, people, strict=True), start=first):
                if value is not None and value is not UNSET:
                    self._links(link, part.linked, f"{paths[row - first]}.{part.name}", row, rows, options)
        for part in shape.owned:
            for row, (thing, path) in enumerate(zip(things, paths, strict=True), start=first):
                self._stage_in(part, thing, path, entity, row)

    def _add(
        self,
        entity: Entity,
        paths: Sequence[str],
        references: Sequence[Sequence[int | None]],
        things: Sequence[Any],
        refused: str | None = None,
    ) -> int:
        """Adds rows to those that wait, `references` by the column; returns the row_id of the first.

        things    of a class of documents, or None
        refused   why all of them are, if they are
        """
        fields, many = self._fields[entity.name], len(paths)
        first = fields.last_row + 1
        values = [fields.nothing if thing is None else fields.pick(thing) for thing in things]
        clears: list[str] = []
        if self._clear_nulls:
            clears = ["" if thing is None else clears_of(entity, fields.all, thing) for thing in things]
        waiting = self._waiting[entity.name]
        waiting.add(first, self._position + 1, self._at.number, paths, references, values, clears, refused)
        fields.last_row += many
        self._position += many
        return first

    def _people(self, part: Shape, people: Iterable[Any], path: str) -> tuple[list[int], list[Any]]:
        """The rows of those in a list, and what is said of the link to each."""
        known = self._shared[part.entity.name]
        rows: list[int] = []
        options: list[Any] = []
        for number, one in enumerate(people):
            if type(one) is Participant:
                options.append(one.session_options)
                thing: Any = one.person
            else:
                options.append(None)
                thing = one
            row = known.get(thing)
            if row is None:
                rows.append(self._mention(part, thing, f"{path}[{number}]"))
            else:
                self._position = row[_POSITION] = self._position + 1
                rows.append(row[0])
        return rows, options

    def _links(
        self, link: Entity, linked: tuple[int, ...], path: str, row: int, people: list[int], options: list[Any]
    ) -> None:
        """The links of a list to the thing that has it, each once; of an empty list one to nobody."""
        paths = [f"{path}[{number}]" for number in range(len(people))] or [path]
        ends: list[Sequence[int | None]] = [[row] * len(paths), people or [None]]
        if len(set(people)) < len(people):
            said = [(person, o and values_of(link, o)) for person, o in zip(people, options, strict=True)]
            once = sorted(map(said.index, set(said)))
            ends = [[end[n] for n in once] for end in ends]
            paths, options = [paths[n] for n in once], [options[n] for n in once]
        self._add(link, paths, [ends[end] for end in linked], options or [None])

    def _mention(self, shape: Shape, thing: Any, path: str) -> int:
        """The row of somebody or something that is staged once for all its mentions."""
        entity = shape.entity
        row = None if thing is REFUSED else self._shared[entity.name].get(thing)
        if row is not None:
            self._position = row[_POSITION] = self._position + 1
            return int(row[0])
        named: dict[str, int | None] = {}
        if thing is not REFUSED:
            for part in shape.shared:
                value = getattr(thing, part.name)
                named[part.entity.name] = self._mention(part, value, f"{path}.{part.name}") if value else None
        fields = self._fields[entity.name]
        fields.last_row += 1
        self._position += 1
        first = fields.last_row, self._position, self._at.number, path
        references = [named.get(name) for name in shape.refers_to]
        if thing is REFUSED:
            self._gone[entity.name].append((*first, "invalid_document", None, None, "", *references, *fields.nothing))
            return first[0]
        clears = clears_of(entity, fields.all, thing) if self._clear_nulls else ""
        new = self._fit.row(entity, (*first, None, None, None, clears, *references, *fields.pick(thing)))
        self._shared[entity.name][thing] = list(new)
        return first[0]
