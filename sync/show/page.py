"""A report as one HTML file that loads nothing: sync/show/templates/report.html, with its CSS and JavaScript inside.

Every value goes through Jinja's autoescape, or as JSON into a data block that JavaScript reads and sets as text.
The page's own security policy lets no other script run, whatever a value holds.
"""

import base64
import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from itertools import islice
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from sync.history.order import in_order, refusals_in_order, vanished_in_order
from sync.history.runs import Run
from sync.model.entities import ENTITIES
from sync.model.refusals import Example, Refusal, as_json, printable, refused_value
from sync.model.report import Report
from sync.model.text import tool_version
from sync.show.chart import chart
from sync.show.console import STATUS
from sync.show.lines import waits_line

MOST_ROWS = 100_000
MOST_LETTERS = 50_000_000
"""What one page holds at most, of rows and of letters in them: browsers still open and filter that at once."""
REFUSALS_FIRST = 3
KINDS = ("insert", "update", "adopt", "delete", "refused", "left", "vanished")
_EXACT = 2**53  # JavaScript's numbers are exact up to here
_COLUMNS = {  # and what of the list each of them counts
    "inserted": "insert",
    "updated": "update adopt",
    "adopted": "adopt",
    "deleted": "delete",
    "refused": "refused left",
    "unchanged": "",
    "staged": "",
}
_TILES = ("inserted", "updated", "adopted", "deleted", "refused", "unchanged")


def page(run: Run, past: Sequence[Run]) -> str:
    """The report of one run, its changes, and a chart of those of the past."""
    report = run.report
    rows = list(_as_many_as_fit(_rows(report)))
    totals = _totals(report)
    return (
        _environment()
        .get_template("report.html")
        .render(
            _assets(),
            title=_title(report),
            report=report,
            status=STATUS[report.status],
            facts=list(_facts(run)),
            tiles=[(name, _sum(totals, name) if name != "refused" else len(report.refusals)) for name in _TILES],
            refusals=_refusals(report),
            refused=len(report.refusals) - report.waiting.total(),
            waiting=report.waiting.total(),
            kind_refused=_refused(report),
            warnings=[
                {
                    "word": warning.word,
                    "message": printable(warning.message),
                    "count": warning.count,
                    "examples": list(map(_place, warning.examples)),
                }
                for warning in report.warnings
            ],
            vanished=_vanished(report),
            total_columns=list(_COLUMNS),
            totals=[
                {
                    "entity": entity,
                    "cells": [{"number": counts[name], "kinds": kinds} for name, kinds in _COLUMNS.items()],
                }
                for entity, counts in totals.items()
            ],
            chart=chart(past, report.run),
            rows=len(rows),
            left_out=_all_rows(report) - len(rows),
            nothing="Nothing to do." if report.nothing_to_do else "The changes are not kept.",
            data={"rows": rows, "entities": [e.name for e in ENTITIES], "kinds": KINDS},
            written=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
            version=tool_version(),
        )
    )


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("sync.show"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@cache
def _assets() -> dict[str, Markup]:
    """The style and the script, and a policy that allows these two by their hashes and nothing else."""
    style, script = (
        (files("sync.show") / "templates" / name).read_text("utf-8") for name in ("report.css", "report.js")
    )
    policy = "default-src 'none'; base-uri 'none'; form-action 'none'"
    policy += f"; style-src {_hash(style)}; script-src {_hash(script)}"
    return {"style": Markup(style), "script": Markup(script), "policy": Markup(policy)}


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _title(report: Report) -> str:
    what = report.mode if report.undoes is None else f"undo of run {report.undoes}"
    return what.capitalize() if report.run is None else f"Run {report.run}: {what}"


def _refused(report: Report) -> str:
    """The kind of what was not written: an undo leaves rows as they are."""
    return "refused" if report.undoes is None else "left"


def _facts(run: Run) -> Iterator[tuple[str, str]]:
    report = run.report
    if report.database:
        yield "database", refused_value(report.database)
    yield "started (UTC)", f"{run.started:%Y-%m-%d %H:%M:%S}"
    if run.account:
        yield "account", refused_value(run.account)
    if run.report.actor and run.report.actor != run.account:
        yield "trigger", run.report.trigger
        yield "actor", refused_value(run.report.actor)
    if run.export:
        yield "export", refused_value(run.export)
    if run.sha256:
        yield "SHA-256", run.sha256
    if report.documents_read:
        verified = f"{report.documents_verified:,} verified, " if report.documents_verified else ""
        yield "documents", f"{report.documents_read:,} read, {verified}{report.documents_refused:,} refused whole"
        yield "values", f"{report.values_refused:,} refused"
    if "total" in report.seconds:
        yield "took", f"{report.seconds['total']:.2f} s"
    yield "tool", f"ispyb-sync {run.tool_version}"


def _totals(report: Report) -> dict[str, dict[str, int]]:
    """The counts of each entity that has some, and how many of the updates are adoptions."""
    adopted: dict[str, int] = defaultdict(int)
    for change in report.changes:
        adopted[change.entity] += change.adopted
    return {
        name: {**counts.__dict__, "adopted": adopted[name]}
        for name, counts in report.entities.items()
        if any(counts.__dict__.values())
    }


def _sum(totals: dict[str, dict[str, int]], name: str) -> int:
    return sum(counts[name] for counts in totals.values())


def _refusals(report: Report) -> list[dict[str, Any]]:
    """Causes of one entity and code together, in the order of the registry; the first of each in full, each with how
    many rows wait for it."""
    groups: dict[tuple[str, str], list[Refusal]] = defaultdict(list)
    waiting = report.waiting
    for refusal in refusals_in_order(report.refusals):
        if refusal.cause not in waiting:
            groups[refusal.entity, refusal.code].append(refusal)
    return [
        {
            "entity": entity,
            "code": code,
            "count": len(found),
            "first": [
                _place(refusal) | {"message": f"{printable(refusal.message)}{waits_line(waiting[refusal.place])}"}
                for refusal in found[:REFUSALS_FIRST]
            ],
        }
        for (entity, code), found in groups.items()
    ]


def _place(thing: Refusal | Example) -> dict[str, str | None]:
    """Where it is, and the value there."""
    return {"where": _where(thing), "value": None if thing.value is None else as_json(thing.value)}


def _where(thing: Refusal | Example) -> str:
    """The place in the export, or for an undo, which has none, the row."""
    places = [
        "" if thing.document is None else f"document {thing.document}",
        f"({refused_value(thing.proposal)})" if thing.proposal else "",
        printable(thing.path),
    ]
    return " ".join(place for place in places if place)


def _vanished(report: Report) -> list[dict[str, Any]]:
    """What a full export no longer has, counted by entity."""
    counts = Counter(thing.entity for thing in report.vanished or ())
    return [{"entity": entity, "count": count} for entity, count in counts.items()]


def _all_rows(report: Report) -> int:
    """How many rows there are to list, also where only the first changes were read."""
    changed = sum(counts.inserted + counts.updated + counts.deleted for counts in report.entities.values())
    changes = max(changed, len(report.changes)) if report.changes else 0
    return changes + len(report.refusals) + len(report.vanished or ())


def _as_many_as_fit(rows: Iterator[list[Any]]) -> Iterator[list[Any]]:
    letters = 0
    for row in islice(rows, MOST_ROWS):
        letters += len(str(row))
        if letters > MOST_LETTERS:
            return
        yield row


def _rows(report: Report) -> Iterator[list[Any]]:
    """The rows of the list: kind, entity, id, key, proposal, fields as [name, old, new], and words."""
    for change in in_order(report.changes):
        fields = [[name, _exact(v["old"]), _exact(v["new"])] for name, v in change.fields.items()]
        yield [change.kind, change.entity, change.id, change.key, change.proposal, fields, None]
    for refusal in refusals_in_order(report.refusals):
        value = "" if refusal.value is None else f" = {as_json(refusal.value)}"
        words = f"{refusal.code}: {_where(refusal)}{value}: {refusal.message}"
        yield [_refused(report), refusal.entity, None, None, refusal.proposal, [], words]
    for thing in vanished_in_order(report.vanished or ()):
        words = f"externalId {thing.externalId}: in ISPyB, and not in this export"
        yield ["vanished", thing.entity, thing.id, thing.key, thing.proposal, [], words]


def _exact(value: object) -> object:
    """A value that JavaScript does not round."""
    return str(value) if isinstance(value, int | float) and abs(value) >= _EXACT else value
