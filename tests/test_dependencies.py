"""What the package imports is declared: an installation without the test's own packages starts."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
OF_AN_EXTRA = {"serve": "sync/serve", "listen": "sync/listen"}
"""The room that may import what an extra brings."""
OF_TESTS = {"docker", "testcontainers"}
"""The demo looks for them, and goes on without."""


def declared(requirements: list[str]) -> set[str]:
    """The names of the packages, as pip writes them."""
    names = (re.match(r"[\w.-]+", requirement) for requirement in requirements)
    return {_plain(name[0]) for name in names if name}


def imported(path: Path) -> Iterator[str]:
    """The top-level modules that a file imports."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition(".")[0]


@pytest.mark.parametrize("extra", [None, *OF_AN_EXTRA])
def test_what_is_imported_is_declared(extra: str | None) -> None:
    rooms = {name: set((ROOT / room).rglob("*.py")) for name, room in OF_AN_EXTRA.items()}
    files = rooms[extra] if extra else {*(ROOT / "sync").rglob("*.py"), *(ROOT / "migrations").rglob("*.py")}
    files = files if extra else files - set().union(*rooms.values())
    may = declared(PROJECT["dependencies"] + (PROJECT["optional-dependencies"][extra] if extra else []))
    packages = packages_distributions()
    wrong = {
        f"{path.relative_to(ROOT)}: {module}"
        for path in files
        for module in imported(path)
        if module not in sys.stdlib_module_names
        and module not in {"sync", *(() if extra else OF_TESTS)}
        and not may & {_plain(name) for name in packages.get(module, [])}
    }
    assert files
    assert not wrong


def _plain(name: str) -> str:
    return name.lower().replace("_", "-")
