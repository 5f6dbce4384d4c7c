"""SQL statements of a run: how many, apart from load batches, and what history's take."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, event
from sqlalchemy.pool import NullPool
from support.databases import Ispyb
from support.ran import statements_run

from benchmark.figures import Figure, Json
from sync.api import Request, run
from sync.database.sqlfiles import load
from sync.model.entities import ENTITIES
from sync.model.settings import Settings


def sent(ispyb: Ispyb, export: Any) -> tuple[list[str], float]:
    """Applies an export in this process: its statements but for load batches, and the seconds of history's.

    Those that went together in a block are counted one by one.
    """
    found: list[str] = []
    engine = create_engine(f"{ispyb.role_url}?charset=utf8mb4", poolclass=NullPool)
    event.listen(engine, "before_cursor_execute", lambda *arguments: found.append(arguments[2]))
    with statements_run() as statements:
        run(Request("apply", export, Settings(staging_schema=ispyb.staging_schema), engine))
    engine.dispose()
    history = {s.origin for entity in ENTITIES for s in load(entity.name) if s.pass_ == "history"}
    milliseconds = sum(ran.milliseconds for ran in statements if ran.origin in history)
    alone = [sql for sql in found if "BEGIN NOT ATOMIC" not in sql and not _is_load_batch(sql, ispyb)]
    in_blocks = Counter(f"/* {ran.origin} */" for ran in statements)
    in_blocks.subtract(sql[: sql.find("*/") + 2] for sql in alone)
    return [*alone, *in_blocks.elements()], milliseconds / 1000


def _is_load_batch(sql: str, ispyb: Ispyb) -> bool:
    """LOAD DATA is sent past SQLAlchemy; few rows go as INSERT, without an origin. Fingerprints go by the thousand."""
    schema = f"`{ispyb.staging_schema}`"
    batches = (f"INSERT INTO {schema}.stage_", f"REPLACE INTO {schema}.fingerprint", "/* fingerprint.sql:")
    return sql.startswith(("LOAD DATA", *batches))


def figures(ispyb: Ispyb, one: Json, export: Path, proposals: int, initial: float | None) -> Iterator[Figure]:
    """Of one proposal and of the export, each into empty tables."""
    ispyb.reset()
    of_one, _ = sent(ispyb, one)
    ispyb.reset()
    of_all, history = sent(ispyb, export)
    yield Figure(
        "statements",
        f"SQL statements, {proposals:,} proposals",
        "statements",
        [len(of_all)],
        goal="the same for 1 and for all",
        met=len(of_all) == len(of_one),
        note=f"{len(of_one)} for 1 proposal; batches of rows not counted",
    )
    share = f", {history / initial:.0%} of the initial load" if initial else ""
    yield Figure("history", "history's statements in the initial load", "s", [history], note=f"part of it{share}")
