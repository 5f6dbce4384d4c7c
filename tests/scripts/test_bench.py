"""The benchmark: a small run measures the lines of the table, and writes what it has printed."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL

from sync.demo.server import RUNNING

ROOT = Path(__file__).parents[2]
NAMES = [
    *(
        "floor",
        "initial",
        "unchanged",
        "changed",
        "recheck",
        "double_initial",
        "double_unchanged",
        "validate",
        "unknown",
        "process",
    ),
    *(
        "api_new",
        "api_unchanged",
        "api_changed",
        "http_p50",
        "http_p99",
        "http_rate",
        "memory",
        "memory",
        "statements",
        "history",
    ),
]
"""The lines of the table, in their order."""

ASKED_FOR = ("initial", "unchanged", "changed", "recheck", "validate", "process", "api", "http", "statements")
LARGER = {"double_initial", "double_unchanged", "memory"}


@pytest.mark.parametrize("all_lines", [False, pytest.param(True, marks=pytest.mark.soak)])
def test_a_small_run_has_a_figure_for_each_goal(server_url: URL, tmp_path: Path, all_lines: bool) -> None:
    out = tmp_path / "bench.json"
    only = [] if all_lines else [flag for name in ASKED_FOR for flag in ("--only", name)]
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "benchmark",
            "--proposals",
            "30",
            "--rounds",
            "1",
            "--samples",
            "1",
            "--out",
            out,
            *only,
        ],
        env=os.environ | {RUNNING: server_url.render_as_string(hide_password=False), "PYTHONPATH": "scripts:tests"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    bench = json.loads(out.read_text())
    assert (bench["proposals"], bench["rounds"]) == (30, 1)
    assert bench["machine"]["cores"] >= 1
    assert {"version", "innodb_buffer_pool_size", "innodb_flush_log_at_trx_commit", "log_bin"} <= set(bench["server"])
    assert bench["workload"]["Proposal"] == 30
    figures: list[dict[str, Any]] = bench["figures"]
    assert [figure["name"] for figure in figures] == [name for name in NAMES if all_lines or name not in LARGER]
    for figure in figures:
        assert figure["what"] in " ".join(done.stdout.split())
        if figure["note"] == "not there":
            assert figure["met"] is None
            continue
        assert figure["value"] > 0
        assert min(figure["values"]) <= figure["value"] <= max(figure["values"])
        assert (figure["multiple_of_floor"] is not None) == (figure["unit"] in ("s", "ms"))
        assert (figure["met"] in (True, False)) == (figure["goal"] is not None)
    by_name = {figure["name"]: figure for figure in figures}
    assert by_name["statements"]["met"]
    assert by_name["floor"]["goal"] is None
    assert by_name["api_new"]["ratio"] > 0
