"""Plan, apply, apply again, a changed export and undo on a live table, and for which columns and variants to try it."""

import zlib
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from sqlalchemy import Engine
from support import soak, whole
from support.compare import changes
from support.databases import Ispyb, Snapshot
from support.facts import ALIASES, meets, migrated
from support.live_columns import altered
from support.small import Json
from support.told import untold
from support.variants import TABLES, VARIANTS

import sync
from sync.check.findings import Finding, check
from sync.model.entities import ENTITIES
from sync.model.errors import SyncError
from sync.model.settings import Settings

FIELDS = [(entity.table, name) for entity in ENTITIES for name in entity.columns if name != "externalId"]
TIMES = {"recordTimeStamp", "bltimeStamp"}
TEXT = ("varchar", "text", "enum")
NOTHING: Snapshot = {table: (None, []) for table in TABLES.values()}
KINDS = (*TEXT, "int", "tinyint", "float", "double", "datetime", "timestamp")

Rows = dict[str, list[dict[str, object]]]
Engines = Callable[[str], Engine]
Change = tuple[str, str, str]
Trial = tuple[str, str, str, str]
Suits = Callable[[set[str], str], bool]


def alone(changes: Iterable[Change], suits: Suits) -> list[Trial]:
    """For the soak: changes of a column (table, field, what is changed) that suit it, on every variant."""
    return [trial for every in _by_column(changes, suits) for trial in every] if soak.asked() else []


def some(changes: Iterable[Change], suits: Suits) -> list[Trial]:
    """For the suite: of each column one change, on one variant, so that each variant has as many of a table."""
    met: Counter[tuple[str, str]] = Counter()
    chosen = []
    for every in _by_column(changes, suits):
        trial = min(every, key=lambda trial: (met[trial[0], trial[3]], _by_name(trial)))
        met[trial[0], trial[3]] += 1
        chosen.append(trial)
    return chosen


def together(trials: Iterable[Trial]) -> list[Any]:
    """The variant and the changes that may be made there at once: one of each table."""
    rounds: dict[tuple[str, int], list[Change]] = {}
    met: Counter[tuple[str, str]] = Counter()
    for table, field, what, variant in trials:
        rounds.setdefault((variant, met[table, variant]), []).append((table, field, what))
        met[table, variant] += 1
    return [
        pytest.param(variant, changes, id=" ".join([variant, *(f"{table}.{field}" for table, field, _ in changes)]))
        for (variant, _), changes in rounds.items()
    ]


def _by_column(changes: Iterable[Change], suits: Suits) -> list[list[Trial]]:
    found: dict[tuple[str, str], list[Trial]] = {}
    for table, field, what in changes:
        found.setdefault((table, field), []).extend(
            (table, field, what, variant)
            for variant in VARIANTS
            if meets(variant, f"{table}.{field}") and suits(_facts(variant, table, field), what)
        )
    return [trials for trials in found.values() if trials]


def _by_name(trial: tuple[str, ...]) -> int:
    return zlib.crc32(" ".join(trial).encode())


def of_each(whats: Iterable[str]) -> list[Change]:
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
        assert list(untold(planned.changes, NOTHING, before)) == []
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


def lost(rows: Rows, wanted: Rows, spared: Collection[tuple[str, str]] = ()) -> Iterator[str]:
    """Say which values are not what they are without the change; those of dropped columns are spared."""
    for table, expected in wanted.items():
        for row, other in zip(rows[table], expected, strict=True):
            for name in other:
                if (table, name) not in spared and text(row[name]) != text(other[name]):
                    yield f"{table}.{name}: {row[name]!r} instead of {other[name]!r}"


def text(value: object) -> str:
    """A value as text, whatever the type of its column; an externalId as its bytes."""
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)


@contextmanager
def changed(live: Live, alterations: Iterable[tuple[str, str]]) -> Iterator[None]:
    """Alters tables (table, how), and `check` finds nothing that keeps a run from working."""
    with ExitStack() as stack:
        for table, how in alterations:
            stack.enter_context(altered(live.ispyb, table, how))
        assert live.errors() == []
        yield


def stops(live: Live, column: str) -> None:
    """`check` names the column, and plan and apply stop before the export is read, and say which is in the way."""
    errors = live.errors()
    assert errors
    assert all(column in error.message for error in errors), errors

    def unread() -> Iterator[Json]:
        pytest.fail("the export was read")
        yield {}

    for run in (live.plan, live.apply):
        with pytest.raises(SyncError, match=column):
            run(unread())
