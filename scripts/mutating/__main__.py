"""Makes one change at a time in sql/, runs the tests that should notice, and prints what nobody noticed.

    scripts/mutate                          100 changes of the eight entities, and of what is the same for all
    scripts/mutate --count 10 --only person
    scripts/mutate --list --only protein    the changes that it would make, without making them

The changes are the same for the same seed and the same SQL. The files of this folder are not touched: each change is
made in a copy. One MariaDB serves them all, that of ISPYB_SYNC_TEST_SERVER or a private one. Exit code 1: some were not
noticed.
"""

import argparse
import os
import queue
import sys
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from mutating.changes import Change, changes, choose
from mutating.trial import ROOT, Copy, Tests, Unusable, tests_of
from sync.database.sqlfiles import SHARED
from sync.demo.server import RUNNING, server
from sync.model.entities import ENTITIES

NAMES = [*(entity.name for entity in ENTITIES), SHARED]


def main() -> int:
    """Parses the arguments, makes the changes, prints; returns the exit code."""
    arguments = _arguments()
    sql = {name: (ROOT / "sql" / f"{name}.sql").read_text(encoding="utf-8") for name in arguments.only or NAMES}
    every = [change for name, text in sql.items() for change in changes(name, text)]
    chosen = choose(every, arguments.count, arguments.seed)
    if arguments.list:
        print("\n".join(change.show(sql[change.file]) for change in chosen))
        return 0
    try:
        unnoticed = _try_all(chosen, sql, arguments.jobs)
    except Unusable as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"\n{len(chosen)} changes of {len(every)}: {len(chosen) - len(unnoticed)} noticed, {len(unnoticed)} not")
    for change in unnoticed:
        print(change.show(sql[change.file]))
    return 1 if unnoticed else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/mutate", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=100, metavar="N")
    parser.add_argument("--seed", type=int, default=1, metavar="S")
    parser.add_argument("--only", action="append", choices=NAMES, metavar="ENTITY", help=", ".join(NAMES))
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="so many changes are tried at once")
    parser.add_argument("--list", action="store_true", help="show the changes, do not try them")
    return parser.parse_args()


def _try_all(chosen: list[Change], sql: dict[str, str], jobs: int) -> list[Change]:
    """Those that no test noticed. First the tests must pass without any change."""
    with (
        tempfile.TemporaryDirectory(prefix="ispyb-sync-mutate-") as folder,
        server() as url,
        ThreadPoolExecutor(jobs) as pool,
    ):
        os.environ[RUNNING] = url.render_as_string(hide_password=False)
        copies: queue.Queue[Copy] = queue.Queue()
        for number in range(jobs):
            copies.put(Copy(Path(folder) / str(number)))
        every = list(dict.fromkeys(tests for change in chosen for tests in tests_of(change.file, ROOT / "sql")))
        seconds = dict(zip(every, pool.map(partial(_must_pass, copies), every), strict=True))
        noticed = pool.map(partial(_try, copies, sql, seconds), chosen)
        return [change for change, by in zip(chosen, noticed, strict=True) if by is None]


def _must_pass(copies: "queue.Queue[Copy]", tests: Tests) -> float:
    """How many seconds they take."""
    copy, start = copies.get(), time.monotonic()
    try:
        if failing := copy.failing(tests):
            raise Unusable(f"fails without any change: {failing}")
    finally:
        copies.put(copy)
    return time.monotonic() - start


def _try(
    copies: "queue.Queue[Copy]", sql: dict[str, str], seconds: Mapping[Tests, float], change: Change
) -> str | None:
    copy, start = copies.get(), time.monotonic()
    try:
        by = copy.notices(change, seconds)
    finally:
        copies.put(copy)
    place = f"sql/{change.file}.sql:{change.line(sql[change.file])} {change.statement}: {change.kind}"
    print(f"{place}  {by or 'NOT NOTICED'}  {time.monotonic() - start:.0f} s", flush=True)
    return by


if __name__ == "__main__":
    sys.exit(main())
