"""The small chart of a page: how many rows each run of the past changed, on a logarithmic scale."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sync.history.runs import Run

WIDTH, HEIGHT, CAP = 600, 100, 4
_GAP = 0.2  # of a bar's room
_WIDEST = 40


@dataclass(frozen=True)
class Past:
    """One run of the past: what it changed, in rows."""

    number: int | None
    started: str
    mode: str
    inserted: int
    updated: int
    deleted: int
    refused: int

    @property
    def changed(self) -> int:
        """All rows that the run wrote."""
        return self.inserted + self.updated + self.deleted


def chart(runs: Sequence[Run], this: int | None) -> dict[str, Any] | None:
    """What the template draws, oldest run first, `this` run marked; None where there is no run."""
    past = [_past(run) for run in sorted(runs, key=lambda run: run.started)]
    if not past:
        return None
    decades = max(1, math.ceil(math.log10(1 + max(run.changed for run in past))))
    step = WIDTH / len(past)
    bars = [_bar(run, place * step, step, decades) | {"this": run.number == this} for place, run in enumerate(past)]
    return {
        "width": WIDTH,
        "height": HEIGHT,
        "bars": bars,
        "lines": [_y(decade, decades) for decade in range(1, decades + 1)],
        "marks": [f"{10**decade:,}" for decade in range(decades, 0, -1)] + ["0"],
        "first": past[0].started,
        "last": past[-1].started,
        "runs": past[::-1],
        "words": f"{len(past)} runs from {past[0].started} to {past[-1].started};"
        f" the largest changed {max(run.changed for run in past):,} rows",
    }


def _past(run: Run) -> Past:
    counts = run.report.entities.values()
    return Past(
        number=run.report.run,
        started=f"{run.started:%Y-%m-%d %H:%M}",
        mode=run.report.mode,
        inserted=sum(c.inserted for c in counts),
        updated=sum(c.updated for c in counts),
        deleted=sum(c.deleted for c in counts),
        refused=len(run.report.refusals),
    )


def _bar(run: Past, x: float, step: float, decades: int) -> dict[str, Any]:
    y = _y(math.log10(1 + run.changed), decades)
    width = min(step * (1 - _GAP), _WIDEST)
    return {
        "x": round(x + (step - width) / 2, 2),
        "width": round(width, 2),
        "y": y,
        "height": round(HEIGHT - y, 2),
        "refused": run.refused,
        "words": f"run {run.number}, {run.started} UTC, {run.mode}: {run.inserted:,} inserted,"
        f" {run.updated:,} updated, {run.deleted:,} deleted, {run.refused:,} refused",
    }


def _y(logarithm: float, decades: int) -> float:
    """Where a value stands, from the top; the cap of the highest bar has room above it."""
    return round(CAP + (HEIGHT - CAP) * (1 - logarithm / decades), 2)
