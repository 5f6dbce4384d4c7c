"""What a process loads: most of the time of a small run goes into that, so each command loads what it needs."""

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
import typer
from support.small import CommandLine

from sync.cli.group import MODULES

ALL = """\
import sys
from sync.cli.main import main
try:
    main()
finally:
    print("loaded:", *sys.modules, file=sys.stderr)
"""
"""A command; at its end, on standard error, what it has loaded."""

FOR_FEW = {
    *("alembic", "fastapi", "httpx", "jinja2", "markupsafe", "pandas", "pika", "prometheus_client", "uvicorn"),
    *("sync.demo.server", "sync.history.undo", "sync.listen", "sync.migrate", "sync.reconcile.script", "sync.serve"),
    *("sync.cli.commands.past", "sync.cli.work.past", "rich.progress", "rich.prompt"),
}
"""What few commands need, or only a run with a flag or at a terminal."""
FOR_WORK = {"msgspec", "pymysql", "rich.console", "sqlalchemy", "sync.api", "sync.pipeline", "sync.cli.work"}
"""What nothing is done without; help does without."""


@pytest.mark.parametrize(
    ("arguments", "needless"),
    [
        (["--version"], FOR_FEW | FOR_WORK | {"sync.cli.commands", "sync.model.settings"}),
        (["--help"], (FOR_FEW | FOR_WORK) - {"sync.cli.commands.past"}),
        (["apply", "--help"], FOR_FEW | FOR_WORK),
        (["validate", "good.ndjson"], FOR_FEW),
        (["apply", "-"], FOR_FEW),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_command_loads_nothing_that_it_does_not_need(
    command: CommandLine, arguments: list[str], needless: set[str]
) -> None:
    with open("good.ndjson") as export:
        program = [sys.executable, "-c", ALL, *arguments]
        done = subprocess.run(program, stdin=export, capture_output=True, text=True, check=True, timeout=60)
    loaded = set(done.stderr.partition("loaded: ")[2].split())
    assert "sync.cli.group" in loaded
    assert loaded & needless == set()


def test_each_command_stands_in_the_module_that_is_loaded_for_it() -> None:
    room = Path(__file__).parents[2] / "sync" / "cli" / "commands"
    modules = sorted(path.stem for path in room.glob("[a-z]*.py"))
    found = {name: typer.main.get_group(import_module(f"sync.cli.commands.{name}").app).commands for name in modules}
    assert {name: list(commands) for name, commands in found.items()} == MODULES
