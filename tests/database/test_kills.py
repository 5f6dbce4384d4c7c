"""kill -9 of the client and of the server: ISPyB is as before or as after, history agrees, and the next run works."""

import json
import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pymysql
import pytest
from sqlalchemy import URL
from support.databases import Ispyb, create
from support.killing import Server, State, Story, apply, killed_after, killed_at, restartable, wait_until_gone
from support.migrating import Fresh, down, fresh, is_current, up, whole
from support.small import export, holds, role, run

import sync
from sync.database import retry as patience
from sync.demo.server import _find
from sync.model.errors import DatabaseError, UsageError
from sync.stage import load

needs_mariadbd = pytest.mark.skipif(_find("mariadbd") is None, reason="no mariadbd on this machine")

CLIENT_KILLS, SERVER_KILLS = (30, 1100), (6, 120)
UNDO_KILLS, SERVER_UNDO_KILLS = (5, 80), (3, 40)
MIGRATION_KILLS, SERVER_MIGRATION_KILLS = (8, 160), (3, 40)
"""So many in the suite, and under -m soak."""


@pytest.fixture
def dls(databases: Callable[[str], Ispyb], monkeypatch: pytest.MonkeyPatch) -> Ispyb:
    monkeypatch.setattr(load, "FEW_ROWS", 0)  # so that there is a LOAD DATA
    ispyb = databases("dls")
    ispyb.reset()
    return ispyb


def many(kills: tuple[int, int]) -> pytest.MarkDecorator:
    """A few kills in the suite, many in a soak; each number seeds the moments."""
    return pytest.mark.parametrize(
        ("seed", "kills"), [(1, kills[0]), pytest.param(2, kills[1], marks=pytest.mark.soak)], ids=["few", "many"]
    )


@many(CLIENT_KILLS)
def test_a_client_killed_at_any_moment_of_an_apply(dls: Ispyb, seed: int, kills: int) -> None:
    moments = random.Random(seed)
    apply(dls, export(4))
    story = Story(dls)
    start = time.monotonic()
    apply(dls, story.export)
    duration = time.monotonic() - start
    story.turn_page()
    done = killed = 0
    while killed < kills or not done:
        killed += killed_after(partial(apply, dls, story.export), moments.uniform(0, 1.3 * duration))
        done += story.settle()
        if not done:
            duration *= 1.05  # the machine is slower than it was
    story.end()


@pytest.mark.parametrize(
    ("first", "step"), [(True, 3), *(pytest.param(first, 1, marks=pytest.mark.soak) for first in (True, False))]
)
def test_a_client_killed_at_each_statement_of_an_apply(dls: Ispyb, first: bool, step: int) -> None:
    """Before it and right after it was sent, in turn, each third one; in a soak each one, and the other way round."""
    apply(dls, export(4))
    story = Story(dls)
    statement, done = 1, 0
    while killed_at(partial(apply, dls, story.export), statement, sent=statement % 2 == first):
        done += story.settle()
        statement += step
    assert story.settle()  # the one that had no statement left to be killed at
    assert statement > 40
    story.end()


@many(MIGRATION_KILLS)
def test_a_client_killed_at_any_moment_of_a_migration(server_url: URL, seed: int, kills: int) -> None:
    moments = random.Random(seed)
    with fresh(server_url, "legacy") as legacy:
        original = legacy.tables()
        start = time.monotonic()
        up(legacy)
        duration = time.monotonic() - start
        migrated = whole(legacy)
        for _ in range(kills):
            killed_after(partial(moments.choice((up, down)), legacy), moments.uniform(0, duration))
            if moments.random() < 0.3:
                _converges(legacy, original, migrated)
        _converges(legacy, original, migrated)


def _converges(legacy: Fresh, original: dict[str, str], migrated: dict[str, str]) -> None:
    up(legacy)
    assert is_current(legacy)
    assert whole(legacy) == migrated
    down(legacy)
    assert legacy.tables() == original


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor() as pool:
        yield pool


@pytest.fixture(scope="module")
def mortal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Ispyb]]:
    with restartable(tmp_path_factory.mktemp("server")) as server:
        yield server, create(server.url, "dls")


@needs_mariadbd
@many(SERVER_KILLS)
def test_a_server_killed_at_any_moment_of_an_apply(
    mortal: tuple[Server, Ispyb],
    monkeypatch: pytest.MonkeyPatch,
    pool: ThreadPoolExecutor,
    tmp_path: Path,
    seed: int,
    kills: int,
) -> None:
    server, ispyb = mortal
    monkeypatch.setattr(load, "FEW_ROWS", 0)
    monkeypatch.setattr(patience, "PAUSE_SECONDS", 0.1)  # 3 s in all: a server is back sooner
    moments = random.Random(seed)
    path = tmp_path / "export.ndjson"
    came_back = 0
    ispyb.reset()
    apply(ispyb, export(4))
    story = Story(ispyb)
    start = time.monotonic()
    apply(ispyb, story.export)
    duration = time.monotonic() - start
    story.turn_page()
    for kill in range(kills):
        path.write_text("\n".join(map(json.dumps, story.export)))
        applying = pool.submit(sync.apply, path, database=ispyb.role_url, staging_schema=ispyb.staging_schema)
        time.sleep(moments.uniform(0, duration))
        server.kill()
        for_good = kill % 4 == 0
        if not for_good:
            server.start()
        error = applying.exception(60)
        if for_good:
            server.start()
        ispyb.engine.dispose()
        done = story.settle()
        if error is not None and not isinstance(error, DatabaseError):
            raise error
        assert done or error is not None
        assert not done or error is None or "is written is not known" in str(error)
        came_back += not for_good and error is None
    assert came_back
    story.end()


@needs_mariadbd
@pytest.mark.parametrize("sent", [False, True], ids=["before the commit", "while it commits"])
def test_a_server_killed_at_the_commit(
    mortal: tuple[Server, Ispyb], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, sent: bool
) -> None:
    """Whether the run is there is looked up when the server is back; it is applied once in any case."""
    server, ispyb = mortal
    ispyb.engine.dispose()
    ispyb.reset()
    path = tmp_path / "export.ndjson"
    path.write_text("\n".join(map(json.dumps, export(3))))
    execute = pymysql.Connection._execute_command  # type: ignore[attr-defined]
    seen: list[str] = []

    def execute_or_die(self: Any, command: int, sql: Any) -> None:
        text = sql.decode(errors="replace") if isinstance(sql, bytes) else str(sql)
        last = text == "COMMIT" and seen[-1:] == ["record_run"]
        if last or "record_run" in text:
            seen.append("COMMIT" if last else "record_run")
        last = last and seen.count("COMMIT") == 1
        if last and not sent:
            server.kill()
            server.start()
        execute(self, command, sql)
        if last and sent:
            server.kill()
            server.start()

    monkeypatch.setattr(pymysql.Connection, "_execute_command", execute_or_die)
    report = sync.apply(path, database=ispyb.role_url, staging_schema=ispyb.staging_schema)
    monkeypatch.undo()
    ispyb.engine.dispose()
    assert report.status == "applied"
    assert State.of(ispyb).runs == [report.run]
    assert sent or seen.count("record_run") == 2
    assert holds(ispyb, 3)


@pytest.fixture
def seeing(dls: Ispyb) -> Iterator[None]:
    """A role that sees all tables: an undo deletes only what it can see is not in use."""
    schema = dls.engine.url.database
    run(dls, f"GRANT SELECT ON `{schema}`.* TO `{role(dls)}`")
    yield
    run(dls, f"REVOKE SELECT ON `{schema}`.* FROM `{role(dls)}`")


@pytest.mark.usefixtures("seeing")
@many(UNDO_KILLS)
def test_a_client_killed_at_any_moment_of_an_undo(dls: Ispyb, seed: int, kills: int) -> None:
    moments = random.Random(seed)

    def kill(undo: Callable[[], object], duration: float) -> None:
        killed_after(undo, moments.uniform(0, 1.3 * duration))
        wait_until_gone(dls)

    _undo_again_and_again(dls, dls.role_url, kills, kill)


@needs_mariadbd
@many(SERVER_UNDO_KILLS)
def test_a_server_killed_at_any_moment_of_an_undo(
    mortal: tuple[Server, Ispyb], pool: ThreadPoolExecutor, seed: int, kills: int
) -> None:
    server, ispyb = mortal
    ispyb.engine.dispose()
    ispyb.reset()
    moments = random.Random(seed)

    def kill(undo: Callable[[], object], duration: float) -> None:
        undoing = pool.submit(undo)
        time.sleep(moments.uniform(0, 1.3 * duration))
        server.kill()
        server.start()
        if (error := undoing.exception(60)) is not None and not isinstance(error, DatabaseError | UsageError):
            raise error
        ispyb.engine.dispose()

    _undo_again_and_again(ispyb, ispyb.url, kills, kill)


def _undo_again_and_again(
    ispyb: Ispyb, url: str, kills: int, kill: Callable[[Callable[[], object], float], None]
) -> None:
    """After each kill the run is undone or is not, and in the end it is."""
    apply(ispyb, export(2))
    before = _without_timestamps(ispyb)
    duration = 0.0
    for _ in range(kills + 1):
        number = apply(ispyb, export(4, family="Other", title="Other")).run
        undo = partial(sync.undo, number, database=url, staging_schema=ispyb.staging_schema, lock_timeout=10)
        after = State.of(ispyb)
        if duration:
            kill(undo, duration)
        if State.of(ispyb) == after:
            start = time.monotonic()
            undo()
            duration = duration or time.monotonic() - start
        else:
            with pytest.raises(UsageError, match="undone already"):
                undo()
        assert _without_timestamps(ispyb) == before


@needs_mariadbd
@many(SERVER_MIGRATION_KILLS)
def test_a_server_killed_at_any_moment_of_a_migration(
    mortal: tuple[Server, Ispyb], pool: ThreadPoolExecutor, seed: int, kills: int
) -> None:
    server, _ = mortal
    moments = random.Random(seed)
    with fresh(server.url, "legacy") as legacy:
        original = legacy.tables()
        start = time.monotonic()
        up(legacy)
        duration = time.monotonic() - start
        migrated = whole(legacy)
        for _ in range(kills):
            migrating = pool.submit(moments.choice((up, down)), legacy)
            time.sleep(moments.uniform(0, duration))
            server.kill()
            server.start()
            if (error := migrating.exception(60)) is not None and not isinstance(error, DatabaseError):
                raise error
            if moments.random() < 0.3:
                _converges(legacy, original, migrated)
        _converges(legacy, original, migrated)


def _without_timestamps(ispyb: Ispyb) -> dict[str, list[dict[str, object]]]:
    rows = State.of(ispyb).rows
    return {
        table: [{name: row[name] for name in row if not name.lower().endswith("timestamp")} for row in rows[table]]
        for table in rows
    }
