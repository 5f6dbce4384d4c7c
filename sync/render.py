"""A report for people on a terminal or in a log: totals, refusals, warnings, and for a plan the changes.

Values come from exports and databases: control characters are escaped, and nothing is taken for markup.
"""

from collections import defaultdict
from datetime import datetime

from rich.console import Console
from rich.table import Table
from rich.text import Text

from sync.history import Run
from sync.refusals import Refusal, refused_value
from sync.report import Change, Report

LISTED = 10
"""Changes and refusals shown per entity; `--json` has all."""

_STATUS = {
    "applied": "applied",
    "planned": "planned, nothing written",
    "validated": "validated, no database asked",
    "rolled_back": "rolled back, nothing written",
    "failed": "failed, nothing written",
}


def render(report: Report, console: Console, *, verbose: bool = False) -> None:
    """Prints one report."""
    head = f"{report.mode}: {_STATUS[report.status]}"
    if report.run is not None:
        head += f" (run {report.run})"
    head += f"; {report.documents_read:,} documents read, {report.documents_refused:,} refused"
    if "total" in report.seconds:
        head += f"; {report.seconds['total']:.2f} s"
    console.print(Text(head))
    if report.mode != "validate":
        if report.nothing_to_do and not report.refusals:
            console.print(Text("nothing to do: ISPyB holds what the export says"))
        else:
            console.print(_totals(report))
    _list_refusals(report, console, LISTED if not verbose else len(report.refusals))
    for warning in report.warnings:
        console.print(Text(f"warning: {warning.message} ({warning.count:,})", style="yellow"), soft_wrap=True)
    _list_changes(report, console, LISTED if not verbose else len(report.changes))


def render_runs(runs: list[Run], console: Console) -> None:
    """Prints past runs, one a line, newest first."""
    if not runs:
        console.print(Text("no runs yet"))
        return
    table = Table(box=None, pad_edge=False)
    for name in ("run", "started (UTC)", "mode", "status", "inserted", "updated", "deleted", "refused", "account"):
        table.add_column(name)
    table.add_column("export", overflow="fold")
    for run in runs:
        report = run.report
        sums = [
            f"{sum(getattr(c, name) for c in report.entities.values()):,}"
            for name in ("inserted", "updated", "deleted")
        ]
        table.add_row(
            str(report.run),
            f"{run.started:%Y-%m-%d %H:%M:%S}",
            report.mode,
            report.status,
            *sums,
            f"{len(report.refusals):,}",
            run.account,
            refused_value(run.export or ""),
        )
    console.print(table)


def render_row(changes: list[tuple[int, datetime, Change]], console: Console) -> None:
    """Prints what was done to one row, oldest first."""
    if not changes:
        console.print(Text("no run changed this row"))
    for run, started, change in changes:
        console.print(Text(f"run {run}, {started:%Y-%m-%d %H:%M:%S} UTC: {_line(change)}"), soft_wrap=True)


def _totals(report: Report) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("entity")
    columns = ("staged", "inserted", "updated", "unchanged", "refused", "deleted")
    for name in columns:
        table.add_column(name, justify="right")
    for entity, counts in report.entities.items():
        values = [getattr(counts, name) for name in columns]
        if any(values):
            table.add_row(entity, *(f"{value:,}" if value else "-" for value in values))
    return table


def _list_refusals(report: Report, console: Console, limit: int) -> None:
    by_code: dict[tuple[str, str], list[Refusal]] = defaultdict(list)
    for refusal in report.refusals:
        by_code[refusal.entity, refusal.code].append(refusal)
    for (entity, code), refusals in by_code.items():
        console.print(Text(f"refused: {entity} {code} ({len(refusals):,})", style="bold red"))
        for refusal in refusals[:limit]:
            value = "" if refusal.value is None else f" = {refused_value(refusal.value)}"
            where = f"document {refusal.document}"
            if refusal.proposal:
                where += f" ({refused_value(refusal.proposal)})"
            if refusal.path:
                where += f" {refusal.path}"
            console.print(Text(f"  {where}{value}: {refusal.message}"), soft_wrap=True)
        _rest(console, len(refusals) - limit)


def _list_changes(report: Report, console: Console, limit: int) -> None:
    by_entity: dict[str, list[Change]] = defaultdict(list)
    for change in report.changes:
        by_entity[change.entity].append(change)
    for entity, changes in by_entity.items():
        console.print(Text(f"{entity} ({len(changes):,})", style="bold"))
        ordered = sorted(changes, key=lambda c: (c.proposal or "", c.action, c.id or 0))
        for change in ordered[:limit]:
            console.print(Text(f"  {_line(change)}"), soft_wrap=True)
        _rest(console, len(changes) - limit)


def _line(change: Change) -> str:
    number = "" if change.id is None else f" {change.id}"
    key = "" if change.key is None else f" {refused_value(change.key)}"
    proposal = f" [{refused_value(change.proposal)}]" if change.proposal else ""
    if change.action == "insert":
        values = ", ".join(
            f"{name} {refused_value(value['new'])}" for name, value in change.fields.items() if value["new"] is not None
        )
    else:
        values = ", ".join(
            f"{name} {refused_value(value['old'])} -> {refused_value(value['new'])}"
            for name, value in change.fields.items()
        )
    return f"{change.action}{number}{key}{proposal}: {values}" if values else f"{change.action}{number}{key}{proposal}"


def _rest(console: Console, more: int) -> None:
    if more > 0:
        console.print(Text(f"  … and {more:,} more; --json or -v shows all", style="dim"))
