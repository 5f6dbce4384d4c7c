"""What the database knows of a run, put into the report: counts, refusals in words, notices, changes."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from sync.history.changes import label, read_changes, readable_external_id
from sync.model.entities import DOCUMENT, ENTITIES, Entity
from sync.model.refusals import MOST_EXAMPLES, Example, Notice, Refusal, printable, refused_value
from sync.model.report import Counts, Report, Vanished
from sync.reconcile.reconciliation import Found, Reconciliation
from sync.schema.target import Target
from sync.stage.misfits import ROW_REFUSED, VALUE_REFUSED
from sync.statements.by_halves import RefusedRow


def fill(report: Report, reconciliation: Reconciliation, target: Target, *, changes: bool) -> None:
    """Adds what the database knows of the run to the report."""
    found = reconciliation.read(("counts", "deleted", "stale_links", "possible_twins", *_NOTICES))
    for entity in ENTITIES:
        if not reconciliation.is_staged(entity):
            continue
        ((staged, inserted, updated, refused),) = found[entity.name, "counts"]
        left = reconciliation.leaving.count(entity)
        counts = Counts(int(staged), int(inserted), int(updated), refused=int(refused) - left)
        counts.unchanged = counts.staged - counts.inserted - counts.updated - counts.refused
        counts.deleted = sum(int(deleted) for (deleted,) in found.get((entity.name, "deleted"), ()))
        report.entities[entity.name] = counts
        reconciliation.actions[entity.name] = counts.actions
        reconciliation.doomed[entity.name] = counts.deleted
        if counts.refused:
            report.refusals.extend(_refusals(entity, reconciliation.rows(entity, "refusals")))
            _refuse_whole_rows(report, entity, reconciliation.rows(entity, "contradicted"))
        parent = entity.parent_of_field
        if parent is not None and report.entities[parent].refused:
            along = reconciliation.leaving.places(entity, parent)
            told = _refusals(entity, reconciliation.rows(entity, "field_refusals"))
            report.refusals.extend(refusal for refusal in told if (refusal.document, refusal.path) not in along)
        report.warnings.extend(_notices(entity, found))
        report.warnings.extend(reconciliation.leaving.notices(entity, left))
    report.warnings.extend(_missing_columns(target))
    if changes:
        report.changes = [change for row in reconciliation.planned() for change in read_changes(row[0], [row[1:]])]
    report.documents_refused += report.entities[DOCUMENT.name].refused


def refused_by_database(row: RefusedRow) -> Refusal:
    """A row that the database refuses, with its words."""
    words = printable(row.words)
    message = (
        f"the database refused the row, error {row.code}: {words}. Correct the row in the User Portal, or the rule."
    )
    return Refusal(
        row.entity.name, "refused_by_database", row.document, label(row.proposal), row.path, None, None, message
    )


def _refuse_whole_rows(report: Report, entity: Entity, rows: Iterable[tuple[Any, ...]]) -> None:
    """Says of values that were refused by themselves that their rows are: a default would contradict the document."""
    places = set(rows)
    for place, refusal in enumerate(report.refusals if places else ()):
        if refusal.entity == entity.name and (refusal.document, refusal.path) in places:
            message = refusal.message.replace(
                VALUE_REFUSED, f"{ROW_REFUSED}, since its default would say something else"
            )
            report.refusals[place] = replace(refusal, message=message)


def find_vanished(report: Report, reconciliation: Reconciliation) -> None:
    """Adds what a full export no longer has to the report."""
    report.vanished = [
        Vanished(entity.name, number, label(key) or None, label(proposal), readable_external_id(digits))
        for entity in ENTITIES
        for number, key, proposal, digits in reconciliation.vanished(entity)
    ]
    unreadable = sum(refusal.code in ("invalid_json", "invalid_document") for refusal in report.refusals)
    if report.vanished and unreadable:
        words = "invalid parts of the export: what they name may be among what is listed as vanished"
        report.warnings.append(Notice("vanished_or_invalid", words, unreadable))


_NOTICES = {
    "conflicting_copies": "{entity}: rows that several documents describe differently; the later one was used",
    "several_of_one_name": "laboratories of this export that ISPyB has several times under the same name; "
    "a person keeps the one it has, others get the one with the lowest id",
    "kept_lists": "lists of {entity} with somebody who was refused: nothing is pruned from these",
    "kept_card_name": "lab contacts were found by their person; the card keeps the name it has in ISPyB",
}


def _notices(entity: Entity, found: Found) -> Iterator[Notice]:
    for code, words in _NOTICES.items():
        for (count,) in found.get((entity.name, code), ()):
            if count:
                yield Notice(code, words.format(entity=entity.name), int(count))
    if twins := found.get((entity.name, "possible_twins"), ()):
        examples = [Example(d, label(proposal), path, f"{v} ({twin})") for d, proposal, path, v, twin in twins]
        yield Notice("possible_twin", entity.twins, len(twins), tuple(examples[:MOST_EXAMPLES]))
    for stale, owned in found.get((entity.name, "stale_links"), ()):
        if stale:
            words = (
                f"people still linked in {entity.table} but no longer in the export. "
                f"--prune owned removes the links that this tool made ({owned}), --prune all every one ({stale})"
            )
            yield Notice("stale_links", words, int(stale))


def _missing_columns(target: Target) -> Iterator[Notice]:
    """Of all entities: what an export does not name today, or what is left out, it may name tomorrow."""
    for entity in ENTITIES:
        if missing := target[entity].missing:
            words = f"{entity.table} of this ISPyB has no column {', '.join(missing)}; these fields are ignored"
            yield Notice("missing_column", words, len(missing))


def _refusals(entity: Entity, rows: Iterable[tuple[Any, ...]]) -> Iterator[Refusal]:
    for code, name, value, held, document, proposal, path in rows:
        if name == "externalId" and value is not None:
            value = str(readable_external_id(value))
        value = None if value is None else refused_value(value)
        yield Refusal(
            entity=entity.name,
            code=code,
            document=document,
            proposal=label(proposal),
            path=path,
            field=name,
            value=value,
            message=_message(code, entity, name, value, held),
        )


def _stronger(entity: Entity, key: str) -> str:
    """The keys that are tried before this one."""
    names = entity.names
    return " or ".join(names[: names.index(key)] if key in names else ()) or "another key"


def _message(code: str, entity: Entity, name: str, value: str | None, held: str | None) -> str:
    thing, things = entity.words, entity.several
    given = f"{name} {value}" if value is not None else name
    held = held or ""
    match code:
        case "ambiguous_match" if held and not held.startswith("documents"):
            return (
                f"{given} finds several rows of {entity.table}: {held}."
                f" Merge them in ISPyB, or give {_stronger(entity, name)}."
            )
        case "ambiguous_match":
            return (
                f"{given} could be any of several {things} of this export;"
                f" give {_stronger(entity, name)} wherever this {thing} appears."
            )
        case "keys_disagree":
            return (
                f"{given} belongs to {held}, which has another {_stronger(entity, name)} in ISPyB than the document."
                " Correct the key in the User Portal, or in ISPyB."
            )
        case "key_taken":
            return (
                f"{given} already belongs to {held} and stays there. If both rows are the same {thing},"
                " merge them in ISPyB; else correct the key in the User Portal."
            )
        case "duplicate_key" if held.startswith("documents"):
            where = held if "," in held else held.replace("documents", "document")
            return f"two {things} in this export have the same {given} ({where}). Correct them in the User Portal."
        case "duplicate_key":
            return (
                f"several {things} of this export are, or may be, {held} of ISPyB, and their keys"
                " contradict each other. Correct them in the User Portal."
            )
        case "belongs_elsewhere":
            return f"it is {held} in ISPyB. Move the {thing} in ISPyB, or correct its key in the User Portal."
        case "refused_by_database":
            return f"the database would refuse the new row: {held}. Send the value, or let the column have a default."
        case "no_proposer":
            return "a new proposal needs a person that was not refused. Give at least one in proposal.persons."
        case _:
            return f"not written because its {name.replace('_', ' ')} was refused (above)."
