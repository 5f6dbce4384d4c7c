"""A copy of the project in which one file of SQL may be changed, and the tests that should fail there.

The project's own files are never written. Tests are run in the order in which they are likely to notice; the first that
fails ends the trial. SQL that the server refuses counts as noticed, and so does a run without an end.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from mutating.changes import Change
from sync.database.sqlfiles import SHARED

ROOT = Path(__file__).parent.parent.parent
COPIED = ("sync", "sql", "migrations", "tests", "scripts", "pyproject.toml")
PATIENCE, LEAST = 10, 60.0
"""Tests that take so many times as long as without a change, and so many seconds more, are said to have no end."""
FIRST = "dls"
"""The variant that is tried first: it has the most unique keys."""
_PASSED, _FAILED, _NOTHING = 0, 1, 5


class Unusable(Exception):
    """The tests could not be run at all, or fail without any change."""


@dataclass(frozen=True)
class Tests:
    """Some of the tests, as arguments of pytest."""

    name: str
    arguments: tuple[str, ...]


BESIDE_CASES = Tests(
    "full exports, other writers, defaults",
    (
        *("tests/reconcile/test_full.py", "tests/reconcile/test_other_writers.py", "tests/schema/test_live_columns.py"),
        *("-m", "not soak", "-k", "test_full or test_other_writers or columns_with_a_default"),
    ),
)
"""Of what no case can look at."""


def tests_of(entity: str, folder: Path) -> Iterator[Tests]:
    """What should notice a change of an entity's SQL, or of what is the same for all, the likeliest first."""
    yield from _tests_of_rules(entity, folder)
    yield BESIDE_CASES


def _tests_of_rules(entity: str, folder: Path) -> Iterator[Tests]:
    cases = "tests/reconcile/test_cases.py"
    if entity == SHARED:
        yield Tests("all cases", (cases, f"-k-{FIRST}"))  # in one, or it is taken for a flag
        yield Tests("every letter", ("tests/reconcile/test_every_letter.py", "-k", FIRST))
        yield Tests("oracle", ("tests/reconcile/test_oracle.py", "-m", "soak", "-k", "in_short"))
        yield Tests("all cases, other variants", (cases, "-k", f"not -{FIRST}"))
        return
    yield Tests(f"cases of {entity}", (cases, "-k", f"[{entity}/ and -{FIRST}]"))
    yield Tests("every letter", ("tests/reconcile/test_every_letter.py", "-k", FIRST))
    yield Tests("oracle", ("tests/reconcile/test_oracle.py", "-m", "soak", "-k", "in_short"))
    yield Tests(f"cases of {entity}, other variants", (cases, "-k", f"[{entity}/ and not -{FIRST}]"))
    for other in ("run", "undo", *_children(entity, folder)):
        yield Tests(f"cases of {other}", (cases, "-k", f"[{other}/ and -{FIRST}]"))


def _children(entity: str, folder: Path) -> list[str]:
    """The entities that are matched after this one, as their files say."""
    after = {file.stem: file.read_text(encoding="utf-8").partition("-- after ")[2] for file in folder.glob("*.sql")}
    named = {name: text.partition("\n")[0].replace(",", " ").split() for name, text in after.items()}
    return sorted(name for name, parents in named.items() if entity in parents)


class Copy:
    """A copy of the project in a folder that is there for it alone."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        ignore = shutil.ignore_patterns("__pycache__")
        for name in COPIED:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, folder / name, ignore=ignore)
            else:
                shutil.copy2(ROOT / name, folder / name)

    @property
    def sql(self) -> Path:
        """The folder of its SQL."""
        return self.folder / "sql"

    def notices(self, change: Change, seconds: Mapping[Tests, float]) -> str | None:
        """Which test notices a change, or None; `seconds` is how long the tests take without a change."""
        file = self.sql / f"{change.file}.sql"
        original = file.read_text(encoding="utf-8")
        file.write_text(change.apply(original), encoding="utf-8")
        try:
            failing = (
                self.failing(tests, LEAST + PATIENCE * seconds[tests]) for tests in tests_of(change.file, self.sql)
            )
            return next(filter(None, failing), None)
        finally:
            file.write_text(original, encoding="utf-8")

    def failing(self, tests: Tests, patience: float | None = None) -> str | None:
        """The first of these tests that fails, or None; `patience` in seconds, None for as long as it takes."""
        command = [sys.executable, "-m", "pytest", "-n", "0", "-x", "-p", "no:cacheprovider", "--tb", "no"]
        paths = filter(None, (str(self.folder), os.environ.get("PYTHONPATH")))
        try:
            done = subprocess.run(
                [*command, *tests.arguments],
                cwd=self.folder,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
                capture_output=True,
                text=True,
                timeout=patience,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"{tests.name}: no end"
        if done.returncode in (_PASSED, _NOTHING):
            return None
        lines = [line for line in done.stdout.splitlines() if line.startswith(("FAILED ", "ERROR "))]
        if done.returncode != _FAILED or not lines:
            raise Unusable(f"{tests.name}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
        return f"{tests.name}: {lines[0].partition('::')[2].partition(' - ')[0]}"
