"""What the database knows of a run, put into the report: counts, refusals in words, notices, changes."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from sync.history.changes import label, read_changes, readable_external_id
from sync.model.entities import DOCUMENT, ENTITIES, Entity
from sync.model.refusals import MOST_EXAMPLES, NEW_WITHOUT, VALUE_REFUSED, Example, Notice, Refusal, printable
from sync.model.report import Report, Vanished
from sync.read.turning.origin import Origins
from sync.reconcile.plan import Found, Plan
from sync.reconcile.reconciliation import Reconciliation
from sync.reconcile.words.causes import Causes, Parent
from sync.reconcile.words.contradictions import contradictions
from sync.reconcile.words.message import Refused, holder, message, read_value
from sync.schema.target import Target
from sync.stage.misfits import ROW_REFUSED
from sync.statements.by_halves import RefusedRow


def fill(report: Report, plan: Plan, reconciliation: Reconciliation, origins: Origins, *, changes: bool) -> None:
    """Adds what the database knows of the run to the report."""
    causes = Causes(report.refusals)
    for row in reconciliation.refused_rows:
        for mention in row.mentions:
            causes.keep(refused_by_database(row), mention)
    for entity in ENTITIES:
        if not reconciliation.is_staged(entity):
            continue
        counts = report.entities[entity.name] = replace(plan.counts[entity.name])
        if counts.refused:
            report.refusals.extend(_refusals(entity, plan, reconciliation, origins, causes, "refusals"))
            _refuse_whole_rows(report, entity, reconciliation.rows(plan, entity, "contradicted"))
        if counts.inserted:
            _tell_new_rows(report, entity, reconciliation.rows(plan, entity, "new_unfit"))
        parent = entity.parent_of_field
        if parent is not None and report.entities[parent].refused:
            along = reconciliation.leaving.places(entity, parent)
            told = _refusals(entity, plan, reconciliation, origins, causes, "field_refusals")
            report.refusals.extend(refusal for refusal in told if (refusal.document, refusal.path) not in along)
        report.warnings.extend(_notices(entity, plan.found))
        report.warnings.extend(reconciliation.leaving.notices(entity, plan.left[entity.name]))
    if report.documents_read:
        report.warnings.extend(_missing_columns(reconciliation.ispyb.target))
    if changes:
        report.changes = [change for row in reconciliation.changes(plan) for change in read_changes(row[0], [row[1:]])]
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


def _tell_new_rows(report: Report, entity: Entity, rows: Iterable[tuple[Any, ...]]) -> None:
    """Says of values that were refused by themselves that their rows are new."""
    rows_of = set(rows)
    for place, refusal in enumerate(report.refusals if rows_of else ()):
        path = refusal.path.rpartition(".")[0].removesuffix(".session_options")
        if refusal.entity == entity.name and (refusal.document, path) in rows_of:
            report.refusals[place] = replace(refusal, message=refusal.message.replace(VALUE_REFUSED, NEW_WITHOUT))


def find_vanished(report: Report, plan: Plan, reconciliation: Reconciliation) -> None:
    """Adds what a full export no longer has to the report."""
    report.vanished = [
        Vanished(entity.name, number, label(key) or None, label(proposal), readable_external_id(digits))
        for entity in ENTITIES
        for number, key, proposal, digits in reconciliation.vanished(plan, entity)
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
TOLD = ("stale_links", "stale_people", "possible_twins", *_NOTICES)
"""Statements of the report pass whose rows a report tells of."""


def _notices(entity: Entity, found: Found) -> Iterator[Notice]:
    for code, words in _NOTICES.items():
        if rows := found.get((entity.name, code), ()):
            places = tuple(Example(document, label(of), path, label(value)) for _, document, of, path, value in rows)
            yield Notice(code, words.format(entity=entity.name), int(rows[0][0]), places)
    if twins := found.get((entity.name, "possible_twins"), ()):
        examples = [Example(d, label(proposal), path, f"{v} ({twin})") for d, proposal, path, v, twin in twins]
        yield Notice("possible_twin", entity.twins, len(twins), tuple(examples[:MOST_EXAMPLES]))
    for stale, owned in found.get((entity.name, "stale_links"), ()):
        if stale:
            words = (
                f"people still linked in {entity.table} but no longer in the export. "
                f"--prune owned removes the links that this tool made ({owned}), --prune all every one"
            )
            people = [
                Example(d, label(of), path, label(key)) for d, of, path, key in found[entity.name, "stale_people"]
            ]
            yield Notice("stale_links", words, int(stale), tuple(people))


def _missing_columns(target: Target) -> Iterator[Notice]:
    """Of all entities: what an export does not name today, or what is left out, it may name tomorrow."""
    for entity in ENTITIES:
        if missing := target[entity].missing:
            words = f"{entity.table} of this ISPyB has no column {', '.join(missing)}; these fields are skipped"
            yield Notice("missing_column", words, len(missing))


_SHARED = ("shared_keys", "shared_earlier_keys")
"""Statements of the report pass that give the keys of rows which contradict each other; one of them runs."""


def _refusals(
    entity: Entity, plan: Plan, reconciliation: Reconciliation, origins: Origins, causes: Causes, name: str
) -> Iterator[Refusal]:
    """What a statement of the report pass refuses, in words."""
    shared = [row for statement in _SHARED for row in reconciliation.rows(plan, entity, statement)]
    told = contradictions(entity, shared)
    claims = list(reconciliation.rows(plan, entity, "holders"))
    several = Counter(row_id for row_id, *_ in claims)
    held_by = {row_id: holder(entity, *row) for row_id, *row in claims if several[row_id] == 1}
    for code, field, value, held, document, proposal, path, row_id, parent in reconciliation.rows(plan, entity, name):
        contradiction = told.get(row_id)
        value = read_value(entity, field, value)
        if code == "duplicate_key" and contradiction is not None and contradiction.key in entity.keys:
            field, value = contradiction.key, contradiction.value
        cause = None if parent is None else causes.of(Parent(*json.loads(parent)))
        names = origins.names(document, path)
        row = Refused(entity, code, field, value, held or "", names, contradiction, held_by.get(row_id), cause)
        refusal = Refusal(entity.name, code, document, label(proposal), path, field, value, message(row), cause)
        causes.keep(refusal, row_id)
        yield refusal
