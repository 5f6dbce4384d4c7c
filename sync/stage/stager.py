"""Turns documents into staged rows, and loads them in batches.

Each distinct content is staged once: people and laboratories repeat on every session. Rows of a document keep the
order of the file; `position` is the place of a row's last copy, by which the last one wins. A list of
persons that is given and empty is staged as a link to nobody: pruning tells it from one that is not given.
What does not fit the live column is refused by `sync.stage.misfits`: by the column, and what many documents share,
which waits long, when it is met. Never decides who is who.
"""

from collections.abc import Callable
from functools import lru_cache
from statistics import median_high
from typing import Any

from sync.model.entities import DOCUMENT, ENTITIES, Entity
from sync.model.people import Participant
from sync.model.refusals import REFUSED, Refusal, ValidDocument
from sync.schema.target import Target
from sync.stage.columns import Columns, Fields, Row, clears_of, columns_of, given
from sync.stage.misfits import Fitting
from sync.stage.shapes import IN_SHARED, OF_DOCUMENT, Shape

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
        self._rows: dict[str, list[Row]] = {entity.name: [] for entity in ENTITIES}
        # Rows of what is shared are lists, as their positions change.
        self._shared: dict[str, dict[Any, list[Any]]] = {entity.name: {} for entity in _SHARED}
        self._waiting = 0
        self._position = 0
        self._at: ValidDocument

    def add(self, valid: ValidDocument) -> None:
        """Stages one document; its number is the row_id of its proposal."""
        self._at = valid
        self._fit.labels[valid.number] = valid.proposal
        self._fields[DOCUMENT.name].last_row = valid.number - 1
        for shape in OF_DOCUMENT:
            self._stage_all(shape, valid.document, "", {})
        if self._waiting >= BATCH_ROWS:
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
        """Adds a row to those that wait, and loads these where they are many."""
        if len(self._rows[entity.name]) >= BATCH_ROWS:
            self._flush_rows()
        self._rows[entity.name].append(tuple(row))

    def _flush_rows(self) -> None:
        for entity in ENTITIES:
            rows = self._rows[entity.name]
            if rows:  # what is shared was checked when it was met
                self._load(entity, columns_of(rows) if entity.is_shared else self._fit.columns(entity, rows))
                self._rows[entity.name] = []
        self._fit.labels.clear()
        self._waiting = 0

    def _stage_all(self, shape: Shape, holder: Any, path: str, within: dict[str, int | None]) -> None:
        """The things of one kind that stand in another one, or in the document; `within` is the other one's row."""
        at = f"{path}.{shape.name}" if path else shape.name
        value = getattr(holder, shape.name)
        if not shape.many:
            self._thing(shape, value, at, within)
            return
        for number, thing in enumerate(value or ()):
            self._thing(shape, thing, f"{at}[{number}]", within)

    def _thing(self, shape: Shape, thing: Any, path: str, within: dict[str, int | None]) -> None:
        """One thing of a document, with who is named in it, and all that it owns."""
        named = within.copy()
        lists = []
        if thing is REFUSED:
            self._row(shape.entity, REFUSED, path, *(named.get(name) for name in shape.refers_to))
            return
        for part in shape.shared:
            at = f"{path}.{part.name}"
            value = getattr(thing, part.name)
            if not part.many:
                named[part.entity.name] = self._mention(part, value, at) if value else None
            else:
                rows = [self._taking_part(part, one, f"{at}[{number}]") for number, one in enumerate(value or ())]
                named[part.entity.name] = rows[0][0] if rows else None
                if part.link is not None:
                    lists.append((part.link, part.linked, at, rows, value == []))
        row = self._row(shape.entity, thing, path, *(named[name] for name in shape.refers_to))
        for link, linked, at, rows, is_empty in lists:
            self._links(link, linked, at, row, rows)
            if is_empty:
                self._row(link, None, at, *((row, None)[end] for end in linked))
        for part in shape.owned:
            self._stage_all(part, thing, path, {shape.entity.name: row})

    def _taking_part(self, part: Shape, one: Any, path: str) -> tuple[int, Any]:
        """The row of somebody in a list, and what is said of the link to them."""
        if isinstance(one, Participant):
            return self._mention(part, one.person, path), one.session_options
        return self._mention(part, one, path), None

    def _links(self, link: Entity, linked: tuple[int, ...], path: str, row: int, people: list[tuple[int, Any]]) -> None:
        """The links of a list to the thing that has it, each once."""
        seen = set()
        for number, (person, options) in enumerate(people):
            mark = (person, options and _said(link, options))
            if mark not in seen:
                seen.add(mark)
                ends = (row, person)
                self._row(link, options, f"{path}[{number}]", *[ends[end] for end in linked])

    def _mention(self, shape: Shape, thing: Any, path: str) -> int:
        """The row of somebody or something that is staged once for all its mentions."""
        entity = shape.entity
        if thing is REFUSED:
            return self._row(entity, REFUSED, path, *(None for _ in entity.references))
        row = self._shared[entity.name].get(thing)
        if row is None:
            named: dict[str, int | None] = {}
            for part in shape.shared:
                value = getattr(thing, part.name)
                named[part.entity.name] = self._mention(part, value, f"{path}.{part.name}") if value else None
            self._row(entity, thing, path, *(named[name] for name in shape.refers_to))
            row = list(self._fit.row(entity, self._rows[entity.name].pop()))  # it does not wait with the others
            self._shared[entity.name][thing] = row
        else:
            self._position += 1
            row[_POSITION] = self._position
        found: int = row[0]
        return found

    def _row(self, entity: Entity, thing: Any, path: str, *references: int | None) -> int:
        """Adds one row to those that wait; returns its row_id. `thing` is of a class of documents, REFUSED or None."""
        fields = self._fields[entity.name]
        fields.last_row = row_id = fields.last_row + 1
        self._position += 1
        self._waiting += 1
        refused, clears = None, ""
        if thing is None:
            values = fields.nothing
        elif thing is REFUSED:
            refused = "invalid_document"
            values = fields.nothing
        else:
            values = fields.pick(thing)
            if self._clear_nulls:
                clears = clears_of(entity, fields.all, thing)
        self._rows[entity.name].append(
            (row_id, self._position, self._at.number, path, refused, None, None, clears, *references, *values)
        )
        return row_id


@lru_cache(maxsize=1000)
def _said(link: Entity, options: Any) -> tuple[Any, ...]:
    """The values that somebody's options give; absent and null are the same here."""
    return tuple(given(getattr(options, name)) for name in link.columns)
