"""A report for people on a terminal or in a log: totals, refusals, warnings, and for a plan the changes.

Values come from exports and databases: control characters are escaped, and nothing is taken for markup.
"""

from collections import defaultdict

from rich.console import Console
from rich.table import Table
from rich.text import Text

from sync.history.order import in_order, refusals_in_order, vanished_in_order
from sync.model.entities import ENTITIES
from sync.model.refusals import Refusal, printable, refused_value
from sync.model.report import Change, Report, Vanished
from sync.model.text import counted
from sync.show.lines import change_line, fits, place_line, refusal_line, waits_line

LISTED = 10
"""Changes and refusals shown per entity; `--json` has all."""

NOTHING = "nothing to do"

STATUS = {
    "applied": "applied",
    "planned": "planned, nothing written",
    "validated": "valid as JSON; only plan checks lengths, roles, character sets, and keys that contradict each other",
    "rolled_back": "rolled back, nothing written",
    "declined": "declined, nothing written",
    "failed": "failed, nothing written",
    "undone": "applied, and undone since",
    "partly_undone": "applied, and undone in part since",
}
WRITTEN_AGAIN = (
    "note: the next apply of the same export writes this again. Correct it in the User Portal, or stop the timer first."
)


def render(report: Report, console: Console, *, verbose: bool = False) -> None:
    """Prints one report; a plan of nothing is one line, and its warnings are left to the caller."""
    if is_idle(report):
        where = f" in {printable(report.database)}" if report.database else ""
        console.print(Text(f"{NOTHING}{where}: {_why_nothing(report)}; {_documents(report)}"))
        return
    unfit = report.mode == "validate" and report.refusals
    head = f"{report.mode}: {'refused in part' if unfit else STATUS[report.status]}"
    if report.run is not None:
        head += f" (run {report.run})"
    if report.database is not None:
        head += f"; {printable(report.database)}"
    if report.undoes is None and report.mode != "adopt":
        head += f"; {_documents(report)}, {report.documents_refused:,} refused whole"
        if report.mode != "validate" or report.values_refused:
            head += f", {counted(report.values_refused, 'value')} refused"
    elif report.undoes is not None:
        head += f"; takes back run {report.undoes}"
    if "total" in report.seconds:
        head += f"; {report.seconds['total']:.2f} s"
    console.print(Text(head), soft_wrap=True)
    if report.status == "declined":
        return
    if report.mode != "validate":
        if report.nothing_to_do and not report.refusals:
            console.print(Text(f"{NOTHING}: {_why_nothing(report)}"))
        elif any(any(vars(counts).values()) for counts in report.entities.values()):
            _print_totals(report, console)
    if report.undoes is not None and report.status == "applied" and not report.nothing_to_do:
        console.print(Text(WRITTEN_AGAIN), soft_wrap=True)
    _list_refusals(report, console, verbose=verbose)
    render_warnings(report, console, verbose=verbose)
    _list_changes(report, console, LISTED if not verbose else len(report.changes))
    _list_vanished(report, console, LISTED if not verbose else len(report.vanished or ()))


def _documents(report: Report) -> str:
    """How many were read, and how many of them were not examined, as nothing has changed since a run took them."""
    verified = f", {report.documents_verified:,} verified" if report.documents_verified else ""
    return f"{counted(report.documents_read, 'document')} read{verified}"


def _why_nothing(report: Report) -> str:
    if report.undoes is not None:
        return "the run changed nothing"
    if report.mode == "adopt":
        return "no row has the key and no externalId"
    if any(counts.staged for counts in report.entities.values()):
        return "ISPyB holds what the export says"
    if report.documents_verified:
        return "ISPyB and the export are as the last run left them"
    return "no document is of a proposal that was asked for" if report.documents_read else "no document was read"


def is_idle(report: Report) -> bool:
    """Whether this is a plan of nothing: no change, no refusal, and nothing that vanished."""
    return (
        report.mode == "plan"
        and report.status == "planned"
        and report.nothing_to_do
        and not report.refusals
        and not report.vanished
    )


def render_warnings(report: Report, console: Console, *, verbose: bool = False) -> None:
    """Prints what does not stop a run, one a line, each with one example or all that there are.

    A plan shows all examples of people who are linked and no longer listed: pruning would delete them.
    """
    for warning in report.warnings:
        words = f"{warning.word}: {printable(warning.message)} ({warning.count:,})"
        console.print(Text(words, style="yellow" if warning.word == "warning" else "dim"), soft_wrap=True)
        all_shown = verbose or (warning.code == "stale_links" and report.mode == "plan")
        for example in warning.examples if all_shown else warning.examples[:1]:
            console.print(Text(f"  {place_line(example)}"), soft_wrap=True)
        more = warning.count - len(warning.examples)
        if all_shown and warning.examples and more > 0:
            console.print(Text(f"  … and {more:,} more", style="dim"))


def _print_totals(report: Report, console: Console) -> None:
    """A table; on a terminal that is too narrow for its headers, a line for each entity."""
    table = _totals(report)
    if fits(table, console):
        console.print(table)
        return
    for entity, counts in report.entities.items():
        words = [f"{number:,} {name}" for name, number in vars(counts).items() if number]
        if words:
            console.print(Text(f"{entity}: {', '.join(words)}"), soft_wrap=True)


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


def _list_refusals(report: Report, console: Console, *, verbose: bool) -> None:
    """Causes, each with how many rows wait for it; what waits is listed only where all is."""
    limit = len(report.refusals) if verbose else LISTED
    waiting = report.waiting
    by_entity: dict[str, dict[str, list[Refusal]]] = defaultdict(lambda: defaultdict(list))
    for refusal in refusals_in_order(report.refusals):
        if verbose or refusal.cause not in waiting:
            by_entity[refusal.entity][refusal.code].append(refusal)
    for entity, by_code in by_entity.items():
        shares = _shares([len(refusals) for refusals in by_code.values()], limit)
        for (code, refusals), share in zip(by_code.items(), shares, strict=True):
            word = "refused" if report.undoes is None else "left"
            console.print(Text(f"{word}: {entity} {code} ({len(refusals):,})", style="bold red"))
            for refusal in refusals[:share]:
                waits = waits_line(waiting[refusal.place])
                console.print(Text(f"  {refusal_line(refusal)}{waits}"), soft_wrap=True)
            _rest(console, len(refusals) - share)
    if waiting and not verbose:
        rows = counted(waiting.total(), "row")
        console.print(Text(f"  {rows} in all wait for what is refused above; --json or -v shows them", style="dim"))


def _shares(counts: list[int], limit: int) -> list[int]:
    """How many of each code are shown when `limit` are shown of them all: as evenly as can be."""
    shares = [0] * len(counts)
    left = min(limit, sum(counts))
    while left > 0:
        for place, count in enumerate(counts):
            if shares[place] < count and left > 0:
                shares[place] += 1
                left -= 1
    return shares


def _list_changes(report: Report, console: Console, limit: int) -> None:
    by_entity: dict[str, list[Change]] = defaultdict(list)
    for change in report.changes:
        by_entity[change.entity].append(change)
    for entity in (entity.name for entity in ENTITIES if entity.name in by_entity):
        changes = by_entity[entity]
        console.print(Text(f"{entity} ({len(changes):,})", style="bold"))
        for change in in_order(changes, limit):
            console.print(Text(f"  {change_line(change)}"), soft_wrap=True)
        _rest(console, len(changes) - limit)


def _list_vanished(report: Report, console: Console, limit: int) -> None:
    by_entity: dict[str, list[Vanished]] = defaultdict(list)
    for thing in vanished_in_order(report.vanished or ()):
        by_entity[thing.entity].append(thing)
    for entity, things in by_entity.items():
        console.print(Text(f"vanished: {entity} ({len(things):,}), in ISPyB and not in the export", style="bold"))
        for thing in things[:limit]:
            names = [thing.key or "", f"[{refused_value(thing.proposal)}]" if thing.proposal else ""]
            words = " ".join(refused_value(name) for name in names if name)
            console.print(Text(f"  {thing.id} {words}: externalId {thing.externalId}"), soft_wrap=True)
        _rest(console, len(things) - limit)


def _rest(console: Console, more: int) -> None:
    if more > 0:
        console.print(Text(f"  … and {more:,} more; --json or -v shows all", style="dim"))
