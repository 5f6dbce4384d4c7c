"""Plan, apply, apply again, a changed export and undo on a live table, and for which columns and variants to try it."""

import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from sqlalchemy import Engine
from support import whole
from support.compare import changes
from support.databases import Ispyb
from support.facts import ALIASES, meets, migrated
from support.small import Json
from support.variants import TABLES, VARIANTS

import sync
from sync.check.findings import Finding, check
from sync.model.entities import ENTITIES
from sync.model.errors import SyncError
from sync.model.settings import Settings

AT_ONCE = 1
"""So often each column is dropped in the suite, and half of them changed otherwise; the soak tries all of it."""
FIELDS = [(entity.table, name) for entity in ENTITIES for name in entity.columns if name != "externalId"]
TIMES = {"recordTimeStamp", "bltimeStamp"}
TEXT = ("varchar", "text", "enum")
KINDS = (*TEXT, "int", "tinyint", "float", "double", "datetime", "timestamp")

Rows = dict[str, list[dict[str, object]]]
Engines = Callable[[str], Engine]


def trials(changes: Iterable[tuple[str, str, str]], suits: Callable[[set[str], str], bool]) -> list[Any]:
    """Changes of a column (table, field, what is changed) that suit it, on some variants; in the soak on all."""
    by_column: dict[tuple[str, str], list[tuple[str, str, str, str]]] = {}
    for table, field, what in changes:
        by_column.setdefault((table, field), []).extend(
            (table, field, what, variant)
            for variant in VARIANTS
            if meets(variant, f"{table}.{field}") and suits(_facts(variant, table, field), what)
        )
    some = [trial for every in by_column.values() for trial in sorted(every, key=_by_name)[:AT_ONCE]]
    some = [trial for trial in some if trial[2] == "dropped" or _by_name(trial) % 2]
    return [
        *(pytest.param(*trial, id=" ".join(trial)) for trial in some),
        *(
            pytest.param(*trial, id=f"{' '.join(trial)} soak", marks=pytest.mark.soak)
            for every in by_column.values()
            for trial in every
        ),
    ]


def _by_name(trial: tuple[str, ...]) -> int:
    return zlib.crc32(" ".join(trial).encode())


def of_each(whats: Iterable[str]) -> list[tuple[str, str, str]]:
    """Each field with each of these."""
    return [(table, field, what) for table, field in FIELDS for what in whats]


def _facts(variant: str, table: str, field: str) -> set[str]:
    columns = migrated(variant)[table]
    return columns.get(field) or columns[ALIASES[field]]


def kind_of(facts: set[str]) -> str:
    """The type of a column, without its length."""
    types = {fact.partition("(")[0] for fact in facts}
    return next(kind for kind in KINDS if kind in types)


class Live:
    """The runs on one database, whose live tables a test has changed."""

    def __init__(self, ispyb: Ispyb, engines: Engines) -> None:
        self.ispyb = ispyb
        self._engine = engines(ispyb.role_url)
        self._root = engines(ispyb.url)
        self._schema: dict[str, Any] = {"staging_schema": ispyb.staging_schema}

    def errors(self) -> list[Finding]:
        """What `check` says cannot work."""
        return [finding for finding in check(self._engine, Settings(**self._schema)) if finding.level == "error"]

    def apply(self, export: Iterable[Json], **settings: Any) -> sync.Report:
        return sync.apply(export, database=self._engine, **self._schema, **settings)

    def plan(self, export: Iterable[Json]) -> sync.Report:
        return sync.plan(export, database=self._engine, **self._schema)

    def undo(self, run: int | None) -> None:
        assert run is not None
        assert sync.undo(run, database=self._root, **self._schema).refusals == []

    def rows(self) -> Rows:
        return {
            table: [{name: value for name, value in row.items() if name not in TIMES} for row in self.ispyb.rows(table)]
            for table in TABLES.values()
        }

    def cycle(self, first: Json, second: Json) -> tuple[Rows, Rows, list[str]]:
        """Everything that can be done, and nothing is refused; gives the rows of both exports, and the warnings."""
        planned = self.plan([first])
        assert planned.refusals == []
        assert not any(self.rows().values())
        applied = self.apply([first])
        assert applied.refusals == []
        assert _counts(applied) == _counts(planned)
        rows = self.rows()
        self.ispyb.age_timestamps()
        before = self.ispyb.snapshot()
        assert not any(written for written, _ in _counts(self.apply([first])).values())
        assert list(changes(before, self.ispyb.snapshot())) == []
        self.ispyb.age_timestamps(days=-1)
        changed = self.apply([second])
        assert changed.refusals == []
        rows_changed = self.rows()
        self.undo(changed.run)
        assert self.rows() == rows
        self.undo(applied.run)
        assert not any(self.rows().values())
        return rows, rows_changed, [warning.message for warning in applied.warnings if warning.code == "missing_column"]


def _counts(report: sync.Report) -> dict[str, tuple[int, int]]:
    return {name: (counts.inserted + counts.updated, counts.staged) for name, counts in report.entities.items()}


@pytest.fixture
def live(request: pytest.FixtureRequest, databases: Callable[[str], Ispyb], engines: Engines) -> Live:
    """The database of the variant that the test has as its parameter, empty."""
    ispyb = databases(request.getfixturevalue("variant"))
    ispyb.reset()
    return Live(ispyb, engines)


_unchanged: dict[str, tuple[Rows, Rows, list[str]]] = {}


def unchanged(live: Live) -> tuple[Rows, Rows, list[str]]:
    """What the two editions give on the variant as it is."""
    variant = live.ispyb.variant
    if variant not in _unchanged:
        _unchanged[variant] = live.cycle(whole.document(1), whole.document(2))
        live.ispyb.reset()
    return _unchanged[variant]


def lost(rows: Rows, wanted: Rows, spared: tuple[str, str] | None = None) -> Iterator[str]:
    """Say which values are not what they are without the change; those of a dropped column are spared."""
    for table, expected in wanted.items():
        for row, other in zip(rows[table], expected, strict=True):
            for name in other:
                if (table, name) != spared and text(row[name]) != text(other[name]):
                    yield f"{table}.{name}: {row[name]!r} instead of {other[name]!r}"


def text(value: object) -> str:
    """A value as text, whatever the type of its column; an externalId as its bytes."""
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)


def works(live: Live, column: str) -> bool:
    """Whether `check` finds nothing; if it does, it names the column, and a run is refused before it reads anything."""
    errors = live.errors()
    if errors:
        assert all(column in error.message for error in errors), errors
        refused(live, column)
    return not errors


def refused(live: Live, column: str) -> None:
    """Plan and apply stop before the export is read, and say which column is in the way."""

    def unread() -> Iterator[Json]:
        pytest.fail("the export was read")
        yield {}

    for run in (live.plan, live.apply):
        with pytest.raises(SyncError, match=column):
            run(unread())
