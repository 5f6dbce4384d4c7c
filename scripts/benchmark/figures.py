"""What was measured: each figure with its goal, as a table and as JSON."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

Json = dict[str, Any]

_SECONDS = {"s": 1.0, "ms": 0.001}


@dataclass(frozen=True)
class Figure:
    """One line of the table.

    values       one of each repetition, in `unit`; the median counts
    multiple     of the floor that was measured right before each repetition, median; None where that says nothing
    compared     to what `ratio` puts the figure in relation, if to anything but the floor
    met          whether the goal is met; None where there is no goal or nothing was measured
    note         what else has to be said
    """

    name: str
    what: str
    unit: str
    values: Sequence[float] = ()
    multiple: float | None = None
    ratio: float | None = None
    compared: str = ""
    goal: str = ""
    met: bool | None = None
    note: str = ""

    @property
    def value(self) -> float | None:
        """The median, or None where nothing was measured."""
        return median(self.values) if self.values else None

    def beside(self, floor: float) -> "Figure":
        """With a multiple of the floor of the whole benchmark, where there is none of a floor of its own."""
        if self.multiple is not None or self.value is None or self.unit not in _SECONDS:
            return self
        return replace(self, multiple=self.value * _SECONDS[self.unit] / floor)

    def to_dict(self) -> Json:
        """All of it, and the median."""
        return {
            "name": self.name,
            "what": self.what,
            "unit": self.unit,
            "value": self.value,
            "values": list(self.values),
            "multiple_of_floor": self.multiple,
            "ratio": self.ratio,
            "compared_with": self.compared or None,
            "goal": self.goal or None,
            "met": self.met,
            "note": self.note or None,
        }


def middle(numbers: Sequence[float], beside: Sequence[float]) -> float:
    """The median of the ratios of pairs that were measured one after the other."""
    return median(number / other for number, other in zip(numbers, beside, strict=True))


def show(facts: Json, figures: Sequence[Figure], console: Console) -> None:
    """Prints the table, under what it was measured on."""
    console.print(f"{facts['proposals']:,} proposals, median of {facts['rounds']}; {_pairs(facts['machine'])}")
    console.print(_pairs(facts["server"]))
    console.print(_pairs(facts["workload"]))
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("what", "figure", "x floor", "goal", "met", "note"):
        table.add_column(heading, justify="right" if heading in ("figure", "x floor") else "left", overflow="fold")
    for figure in figures:
        table.add_row(
            figure.what,
            "-" if figure.value is None else f"{_FORMATS[figure.unit](figure.value)} {figure.unit}".strip(),
            "" if figure.multiple is None else f"{figure.multiple:.3g}",
            figure.goal,
            {True: "yes", False: "NO", None: ""}[figure.met],
            "; ".join(filter(None, (_compared(figure), figure.note))),
        )
    console.print(table)


_FORMATS: dict[str, Callable[[float], str]] = {
    "s": lambda value: f"{value:.2f}",
    "1/s": lambda value: f"{value:.1f}",
    "ms": lambda value: f"{value:.1f}",
    "MB": lambda value: f"{value:.0f}",
    "statements": lambda value: f"{value:.0f}",
}


def _compared(figure: Figure) -> str:
    return "" if figure.ratio is None else f"{figure.ratio:.2f} x {figure.compared}"


def _pairs(facts: Json) -> str:
    return ", ".join(
        f"{name} {value:,}" if isinstance(value, int) else f"{name} {value}" for name, value in facts.items()
    )
