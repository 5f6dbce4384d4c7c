"""Reports made up, to be shown."""

from sync.model.refusals import Refusal
from sync.model.report import Change, Report


def planned(*changes: Change, refusals: list[Refusal] | None = None) -> Report:
    report = Report("plan", "planned", changes=list(changes), refusals=refusals or [])
    for change in changes:
        counts = report.entities[change.entity]
        name = {"insert": "inserted", "update": "updated", "delete": "deleted"}[change.action]
        setattr(counts, name, getattr(counts, name) + 1)
    return report


def update(number: int, proposal: str | None = None, entity: str = "person", **fields: tuple[object, object]) -> Change:
    values = {name: {"old": old, "new": new} for name, (old, new) in fields.items()}
    return Change(entity, number, "update", f"u{number}", proposal, values)


def refusal(code: str, document: int, proposal: str) -> Refusal:
    return Refusal("person", code, document, proposal, "proposal", "login", "x", "Do this.")
