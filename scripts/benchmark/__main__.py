"""Measures the tool against the goals of speed and size, prints a table and writes it as JSON.

    scripts/bench                                      all, at full size: some ten minutes
    scripts/bench --proposals 300 --rounds 1           a first look, in seconds
    scripts/bench --only initial --only unchanged

It starts a MariaDB of its own, or uses the one that ISPYB_SYNC_TEST_SERVER names. Nothing else should run meanwhile.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from generate_export import Facility
from rich.console import Console
from sqlalchemy import URL
from support.databases import Ispyb, create, drop

from benchmark import reading, served, single, statements
from benchmark.bulk import Bulk, generate, peak
from benchmark.figures import Figure, Json, show
from benchmark.floor import Floor
from sync.demo.server import RUNNING, server

NAMES = (
    "initial",
    "unchanged",
    "changed",
    "recheck",
    "double",
    "validate",
    "api",
    "http",
    "process",
    "memory",
    "statements",
)
_LIKE_A_REAL_SERVER = (
    "--innodb-buffer-pool-size=2G",
    "--innodb-log-file-size=1G",
    "--loose-innodb-flush-method=O_DIRECT",
    "--loose-skip-debug-no-sync",
)
_VARIABLES = (
    "version",
    "innodb_buffer_pool_size",
    "innodb_log_file_size",
    "innodb_flush_log_at_trx_commit",
    "log_bin",
    "local_infile",
)

_err = Console(stderr=True, highlight=False)


def main() -> None:
    """Parses the arguments, measures, prints, writes."""
    arguments = _arguments()
    with ExitStack() as stack:
        url = stack.enter_context(server(extra=() if os.environ.get(RUNNING) else _LIKE_A_REAL_SERVER))
        folder = arguments.keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ispyb-sync-bench-")))
        folder.mkdir(parents=True, exist_ok=True)
        ispyb, other = (_database(stack, url) for _ in range(2))
        facts, figures = _measure(arguments, ispyb, other, folder)
    show(facts, figures, Console(highlight=False, width=None if sys.stdout.isatty() else 160))
    facts["figures"] = [figure.to_dict() for figure in figures]
    arguments.out.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--proposals", type=int, default=20_000, metavar="N")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="of whole exports; the median counts")
    parser.add_argument("--samples", type=int, default=50, metavar="N", help="of single proposals")
    parser.add_argument("--only", action="append", choices=NAMES, metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--keep", type=Path, metavar="DIR", help="where exports are kept, and found the next time")
    parser.add_argument("--out", type=Path, default=Path("bench.json"), metavar="FILE")
    return parser.parse_args()


def _database(stack: ExitStack, url: URL) -> Ispyb:
    """An empty ISPyB of py-ispyb's schema, migrated, with the login of the sync."""
    ispyb = create(url, "py")
    stack.callback(drop, ispyb)
    return ispyb


def _measure(arguments: argparse.Namespace, ispyb: Ispyb, other: Ispyb, folder: Path) -> tuple[Json, list[Figure]]:
    proposals, wanted = arguments.proposals, arguments.only or NAMES
    floor = Floor(ispyb, other, folder)
    bulk = Bulk(ispyb, floor, folder, proposals, _err.print)
    bulk.load()
    floor.prepare()
    for number in range(arguments.rounds):
        _err.print(f"round {number + 1} of {arguments.rounds}")
        bulk.round(wanted.__contains__)
    figures = [Figure("floor", "the floor: LOAD DATA of the same rows", "s", floor.seconds, 1.0)]
    figures += bulk.figures(wanted.__contains__)
    for figure in _more_figures(arguments, wanted.__contains__, ispyb, other, bulk, folder):
        _err.print(f"{figure.name:<16} {figure.value:6.1f} {figure.unit}")
        figures.append(figure)
    figures = [figure.beside(median(floor.seconds)) for figure in figures]
    facts = {
        "proposals": proposals,
        "rounds": arguments.rounds,
        "machine": {"cores": os.cpu_count(), "load": f"{os.getloadavg()[0]:.1f}"},
        "server": _server(ispyb),
        "workload": floor.rows | {"export MB": generate(folder, proposals).stat().st_size // 1_000_000},
    }
    facts["workload"]["rows"] = sum(floor.rows.values())
    return facts, figures


def _more_figures(
    arguments: argparse.Namespace,
    wanted: Callable[[str], bool],
    ispyb: Ispyb,
    other: Ispyb,
    bulk: Bulk,
    folder: Path,
) -> Iterator[Figure]:
    """What is measured on the database that the rounds have left, and then what empties it."""
    proposals = arguments.proposals
    if wanted("validate"):
        yield from reading.figures(ispyb, generate(folder, proposals), arguments.rounds)
    if wanted("process"):
        yield single.process(ispyb, proposals, min(arguments.samples, 10))
    if wanted("api"):
        yield from single.api(ispyb, other, proposals, arguments.samples)
    if wanted("http"):
        yield from served.http(ispyb, proposals, arguments.samples)
    if wanted("memory"):
        for times, values in ((1, peak(bulk.done["initial"])), (4, peak([bulk.memory(4)]))):
            what = f"peak memory of the client, {times * proposals:,} proposals"
            yield Figure("memory", what, "MB", values, goal="<= 200 MB", met=max(values) <= 200)
    if wanted("statements"):
        seconds = [done.seconds for done in bulk.done["initial"]]
        one = Facility(proposals).with_everything()
        yield from statements.figures(ispyb, one, generate(folder, proposals), proposals, median(seconds))


def _server(ispyb: Ispyb) -> Json:
    with ispyb.engine.connect() as connection:
        row = connection.exec_driver_sql(f"SELECT {', '.join(f'@@{name}' for name in _VARIABLES)}").one()
    return dict(zip(_VARIABLES, row, strict=True))


if __name__ == "__main__":
    main()
