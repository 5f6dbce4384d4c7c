"""The list of runs, and one run, on a terminal."""

from collections.abc import Iterator
from datetime import datetime

from rich.console import Console
from rich.table import Table
from rich.text import Text

from sync.history.questions.listing import Idle, Listing
from sync.history.runs import Run
from sync.model.refusals import refused_value
from sync.show.console import render
from sync.show.lines import fits

WIDE = 110
"""Columns that the list of runs needs whole."""
COUNTED = ("inserted", "updated", "deleted", "refused")


def render_run(run: Run, console: Console, *, verbose: bool = False) -> None:
    """Prints one run of history: who, when, on which export and with which settings, then its report."""
    who = f"run {run.report.run}, {run.started:%Y-%m-%d %H:%M:%S} UTC, by {_actor(run)} ({run.report.trigger})"
    console.print(Text(f"{who}, ispyb-sync {run.tool_version}"), soft_wrap=True)
    export = refused_value(run.export or "an export without a name")
    if run.bytes is not None:
        export += f", {run.bytes:,} bytes"
    if run.sha256 is not None:
        export += f", SHA-256 {run.sha256}"
    console.print(Text(f"of {export}"), soft_wrap=True)
    chosen = [f"{name} {refused_value(value)}" for name, value in run.settings.items() if value]
    console.print(Text(f"with {', '.join(chosen)}"), soft_wrap=True)
    if run.elsewhere:
        console.print(Text(f"on {_ispyb_of(run)}: its ids mean nothing here"), soft_wrap=True)
    render(run.report, console, verbose=verbose)


def render_runs(listed: Listing, console: Console) -> None:
    """Prints past runs, one a line, newest first; on a narrow terminal without the account and the export.

    Between them stands how many did nothing. The first line names the database.
    """
    runs, head = listed.runs, f"history: {listed.database}"
    if not runs:
        none = "no run changed or refused anything; --all lists them all" if listed.idle else "no runs"
        console.print(Text(f"{head}; {none}"), soft_wrap=True)
        return
    console.print(Text(head), soft_wrap=True)
    wide, table = console.width >= WIDE, Table(box=None, pad_edge=False)
    for name in ("run", "started (UTC)", "mode", "status"):
        table.add_column(name, no_wrap=True)
    for name in COUNTED:
        table.add_column(name, justify="right", no_wrap=True)
    for name in ("trigger", "actor", "export") if wide else ():
        table.add_column(name, overflow="fold")
    rows = list(_rows(listed, wide=wide))
    for row in rows:
        table.add_row(*row)
    if wide or fits(table, console):
        console.print(table)
    else:  # a line for each, rather than headers that are broken
        for run, started, mode, status, *counts in rows:
            words = [f"{number} {name}" for name, number in zip(COUNTED, counts, strict=False) if number != "-"]
            line = " ".join(filter(None, (run, started, mode, status))) + (f": {', '.join(words)}" if words else "")
            console.print(Text(line), soft_wrap=True)
    if listed.idle:
        console.print(Text("  idle: changed and refused nothing; --all lists these runs too", style="dim"))
    if others := sorted({_ispyb_of(run) for run in runs if run.elsewhere}):
        console.print(Text(f"  elsewhere: on {', '.join(others)}; nothing here goes by these runs"), soft_wrap=True)
    if not wide:
        console.print(Text(f"  trigger, actor and export need {WIDE} columns; `history RUN` has them", style="dim"))


def _rows(listed: Listing, *, wide: bool) -> Iterator[tuple[str, ...]]:
    """The cells of each row, those of idle runs between the others."""
    for place, run in enumerate(listed.runs):
        if idle := listed.idle.get(place):
            yield _idle(idle, wide=wide)
        report = run.report
        sums = [sum(getattr(c, name) for c in report.entities.values()) for name in COUNTED[:-1]]
        yield (
            str(report.run),
            _moment(run.started, wide=wide),
            report.mode,
            "elsewhere" if run.elsewhere else report.status,
            *(f"{number:,}" if number else "-" for number in (*sums, len(report.refusals))),
            *((report.trigger, _actor(run), refused_value(run.export or "")) if wide else ()),
        )
    if idle := listed.idle.get(len(listed.runs)):
        yield _idle(idle, wide=wide)


def _idle(idle: Idle, *, wide: bool) -> tuple[str, ...]:
    """The first cells of a row that stands for runs that did nothing."""
    return "…", _moment(idle.latest, wide=wide), "", f"{idle.runs:,} idle"


def _moment(moment: datetime, *, wide: bool) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}" if wide else f"{moment:%Y-%m-%d %H:%M}"


def _actor(run: Run) -> str:
    """Who asked for a run: the database account, unless a token or an event says more."""
    return refused_value(run.report.actor or run.account)


def _ispyb_of(run: Run) -> str:
    return refused_value(run.settings.get("schema", "another ISPyB"))
