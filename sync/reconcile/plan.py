"""What match and compare find: a value, which an apply takes, and a report tells."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sync.model.conditions import Conditions
from sync.model.refusals import Example
from sync.model.report import Counts

Found = Mapping[tuple[str, str], Sequence[tuple[Any, ...]]]
"""Rows by entity and statement."""


@dataclass(frozen=True)
class Left:
    """How many new things of an entity, and changes of known ones, are left to ISPyB, and ten of them.

    values  of its fields that are left: the name of each, how many values would have been written, and ten of them
    """

    new: int = 0
    changed: int = 0
    examples: tuple[Example, ...] = ()
    values: Sequence[tuple[str, int, tuple[Example, ...]]] = ()


@dataclass(frozen=True)
class Plan:
    """What is to be done; the rows themselves are in the staging tables. All is by the names of entities.

    conditions  what the marks of their statements ask for: the live tables, the staged rows, and what was found
    counts      of those that have staged rows: how many these are, and what becomes of them
    left        what of it is left to ISPyB
    found       rows of statements of the report pass
    """

    conditions: Mapping[str, Conditions]
    counts: Mapping[str, Counts]
    left: Mapping[str, Left]
    found: Found
