"""Several statements sent as one: the way to the server and back takes longer than most of them do for one proposal.

The statements stand in the block as they are in `sql/*.sql`, in their order. The block ends behind the last of them, or
behind the first that found something which decides how the run goes on. Then it tells rows and time of those that ran.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from sync.database.statement import Statement, origin_and_text

FAILED = "SELECT @told"
"""Asks, after an error in a block, what `told` reads: of its statements that had ended before."""


@dataclass(frozen=True)
class Step:
    """One statement of a block; `decides` is whether the block ends behind it if it finds or changes a row."""

    statement: Statement
    sql: str
    decides: bool = False


@dataclass(frozen=True)
class Outcome:
    """What became of one statement: rows found or changed, and those that a SELECT gave."""

    rows: int
    selected: Sequence[tuple[object, ...]] = ()


def compound(steps: Sequence[Step], *, timed: bool) -> str:
    """One statement for all. Its result sets are those of each SELECT, then a text that `told` reads.

    timed  whether the time of each is wanted: to take it costs a small run a twentieth of its time
    """
    first = steps[0].statement.origin
    title = f"/* {first} and {len(steps) - 1} more */"
    return _compound(title, tuple((step.sql, step.decides) for step in steps), timed)


@lru_cache(maxsize=256)
def _compound(title: str, steps: tuple[tuple[str, bool], ...], timed: bool) -> str:
    lines = [_HEAD.format(title=title)]
    for sql, decides in steps:
        origin, text = origin_and_text(sql)
        found = "FOUND_ROWS()" if is_select(sql) else "ROW_COUNT()"
        # Behind the statement: what stands before it, the server's list of processes does not show.
        lines.append(f"{text} {origin};")
        if timed or decides:
            lines.append(f"SET found = {found};")
            found = "found"
        lines += _TOLD_WITH_TIME if timed else (f"SET @told = CONCAT(@told, {found}, ' 0 ');",)
        if decides:
            lines.append("IF found > 0 THEN LEAVE steps; END IF;")
    return "\n".join([*lines, _TAIL])


_HEAD = """\
{title} BEGIN NOT ATOMIC
DECLARE found BIGINT;
DECLARE since DATETIME(6) DEFAULT SYSDATE(6);
SET @told = '';
steps: BEGIN"""
# Kept up to date behind each statement: of an UPDATE of several tables that fails, the server runs no handler.
_TOLD_WITH_TIME = (
    "SET @told = CONCAT(@told, found, ' ', TIMESTAMPDIFF(MICROSECOND, since, SYSDATE(6)), ' ');",
    "SET since = SYSDATE(6);",
)
_TAIL = """\
END steps;
SELECT @told;
END"""


def told(text: str) -> Iterator[tuple[int, float]]:
    """Rows and milliseconds of each statement that ran; 0 milliseconds where no time was taken."""
    numbers = map(int, text.split())
    return ((rows, microseconds / 1000) for rows, microseconds in zip(numbers, numbers, strict=True))


def is_select(sql: str) -> bool:
    """Whether a statement as it is sent, behind its origin, gives rows."""
    return origin_and_text(sql)[1].startswith("SELECT")
