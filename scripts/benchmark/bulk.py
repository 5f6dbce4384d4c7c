"""Whole exports: loaded, loaded again, changed a little, of twice and four times the size."""

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from support.databases import Ispyb

from benchmark import command
from benchmark.command import Done
from benchmark.figures import Figure, middle
from benchmark.floor import Floor

RECHECK = "--recheck"
_GENERATOR = Path(__file__).parent.parent / "generate_export.py"

Say = Callable[[str], None]


def generate(folder: Path, proposals: int, changed: float = 0) -> Path:
    """Writes an export, in a process of its own, unless it is there."""
    path = folder / f"{proposals}{'-changed' if changed else ''}.ndjson"
    if not path.exists():
        part = path.with_suffix(".part")
        with part.open("wb") as file:
            flags = ["--proposals", str(proposals), "--changed", str(changed)]
            subprocess.run([sys.executable, _GENERATOR, *flags], stdout=file, check=True)
        part.rename(path)
    return path


class Bulk:
    """Whole exports on one database, each right after a floor."""

    def __init__(self, ispyb: Ispyb, floor: Floor, folder: Path, proposals: int, say: Say) -> None:
        self._ispyb = ispyb
        self._floor = floor
        self._folder = folder
        self._proposals = proposals
        self._say = say
        self._export = generate(folder, proposals)
        self.done: dict[str, list[Done]] = {}
        self.floors: dict[str, list[float]] = {}

    def load(self) -> Done:
        """Loads the export into empty tables, without measuring."""
        self._ispyb.reset()
        return _checked(command.apply(self._ispyb, self._export), "inserted")

    def round(self, wanted: Callable[[str], bool]) -> None:
        """One repetition of all that is wanted; leaves the export of `proposals` in the database, some changed."""
        if wanted("double"):
            double = generate(self._folder, 2 * self._proposals)
            self._ispyb.reset()
            self._measure("double_initial", double, "inserted")
            self._measure("double_unchanged", double, None)
        self._ispyb.reset()
        self._measure("initial", self._export, "inserted")
        if wanted("unchanged") or wanted("double"):
            self._measure("unchanged", self._export, None)
        if wanted("recheck"):
            self._measure("recheck", self._export, None, RECHECK)
        if wanted("changed"):
            self._measure("changed", generate(self._folder, self._proposals, changed=1), "updated")

    def memory(self, times: int) -> Done:
        """The initial load of so many times the proposals."""
        self._ispyb.reset()
        return _checked(command.apply(self._ispyb, generate(self._folder, times * self._proposals)), "inserted")

    def figures(self, wanted: Callable[[str], bool]) -> list[Figure]:
        """What the rounds have shown."""
        found = []
        for name, what, goal in _FIGURES:
            if wanted(name):
                found.append(self._figure(name, what, goal))
        if wanted("double"):
            found += [self._doubled("initial"), self._doubled("unchanged")]
        return found

    def _measure(self, name: str, export: Path, must: str | None, *flags: str) -> None:
        floor = self._floor.measure()
        done = _checked(command.apply(self._ispyb, export, *flags), must)
        self.floors.setdefault(name, []).append(floor)
        self.done.setdefault(name, []).append(done)
        self._say(f"{name:<16} {done.seconds:6.2f} s   floor {floor:6.2f} s   {done.megabytes:4.0f} MB")

    def _seconds(self, name: str) -> list[float]:
        return [done.seconds for done in self.done[name]]

    def _figure(self, name: str, what: str, goal: float) -> Figure:
        words = f"<= {goal} x floor"
        multiple = middle(self._seconds(name), self.floors[name])
        return Figure(name, what, "s", self._seconds(name), multiple, goal=words, met=multiple <= goal)

    def _doubled(self, name: str) -> Figure:
        seconds = self._seconds(f"double_{name}")
        ratio = middle(seconds, self._seconds(name))
        return Figure(
            f"double_{name}",
            f"{2 * self._proposals:,} proposals, {name}",
            "s",
            seconds,
            middle(seconds, self.floors[f"double_{name}"]),
            ratio,
            f"{self._proposals:,} proposals",
            "<= 2.1 x the time",
            ratio <= 2.1,
            f"the floor is of {self._proposals:,}",
        )


_FIGURES = (
    ("initial", "initial load into empty tables, history on", 3.5),
    ("unchanged", "the same export again, nothing changed", 0.6),
    ("changed", "1 % changed", 0.7),
    ("recheck", f"the same export again with {RECHECK}", 2.0),
)


def _checked(done: Done, must: str | None) -> Done:
    """A run that refuses, or does what it should not, measures something else."""
    counts = {what: done.count(what) for what in ("inserted", "updated", "deleted", "refused")}
    wrong = counts["refused"] or (must is None and sum(counts.values())) or (must is not None and not counts[must])
    if wrong:
        raise RuntimeError(f"the run that should have {must or 'changed nothing'}: {counts}")
    return done


def peak(done: Sequence[Done]) -> list[float]:
    """The most memory of each run, in MB."""
    return [one.megabytes for one in done]
