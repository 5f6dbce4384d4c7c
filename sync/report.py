"""What a run did or would do, as data: counts, refusals, warnings, changes.

The JSON form is the public one (`Report.to_dict`). Rendering for people is in `sync.render`.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from heapq import nsmallest
from typing import Any, Literal
from uuid import UUID

from sync.entities import ENTITIES, PROPOSAL, SESSION, Entity
from sync.reconcile import Found, Reconciliation
from sync.refusals import Notice, Refusal, refused_value
from sync.target import Target

Mode = Literal["apply", "plan", "validate", "undo"]
Status = Literal["applied", "planned", "validated", "rolled_back", "declined", "failed", "undone", "partly_undone"]


@dataclass
class Counts:
    """How many things of one entity an export names, and what becomes of them."""

    staged: int = 0
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    refused: int = 0
    deleted: int = 0

    @property
    def actions(self) -> set[str]:
        """What is to be done at all."""
        done = {"insert": self.inserted, "update": self.updated, "delete": self.deleted}
        return {name for name, count in done.items() if count}


@dataclass(frozen=True)
class Change:
    """One row that is inserted, updated or deleted; `id` is None for a row that a plan would insert.

    adopted   an update of a row that was found by a later key and gains an earlier one that it lacked
    """

    entity: str
    id: int | None
    action: str
    key: str | None
    proposal: str | None
    fields: dict[str, dict[str, Any]]
    adopted: bool = False

    @property
    def kind(self) -> str:
        """What people are told: insert, update, adopt or delete."""
        return "adopt" if self.adopted else self.action

    def to_dict(self) -> dict[str, Any]:
        """As in the report's JSON."""
        return dict(self.__dict__)


@dataclass(frozen=True)
class Vanished:
    """A proposal or session that ISPyB knows by its externalId and a full export no longer has; it is left as it is."""

    entity: str
    id: int
    key: str | None
    proposal: str | None
    externalId: int | str

    def to_dict(self) -> dict[str, Any]:
        """As in the report's JSON."""
        return dict(self.__dict__)


@dataclass
class Report:
    """The result of a run.

    vanished  None unless the export was said to be full
    undoes    the run that this one takes back; None unless it is an undo
    """

    mode: Mode
    status: Status
    run: int | None = None
    documents_read: int = 0
    documents_refused: int = 0
    entities: dict[str, Counts] = field(default_factory=lambda: {e.name: Counts() for e in ENTITIES})
    refusals: list[Refusal] = field(default_factory=list)
    warnings: list[Notice] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    vanished: list[Vanished] | None = None
    undoes: int | None = None
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def nothing_to_do(self) -> bool:
        """Whether ISPyB holds already what the export says."""
        return not any(c.inserted or c.updated or c.deleted for c in self.entities.values())

    def mask(self) -> None:
        """Takes the values out of the refusals; call it once, when all are there."""
        self.refusals = [refusal.masked() for refusal in self.refusals]

    def to_dict(self) -> dict[str, Any]:
        """The report's public JSON form; `undoes` and `vanished` are there where they say something."""
        more: dict[str, Any] = {} if self.undoes is None else {"undoes": self.undoes}
        if self.vanished is not None:
            more["vanished"] = [thing.to_dict() for thing in self.vanished]
        return more | {
            "run": self.run,
            "mode": self.mode,
            "status": self.status,
            "documents": {"read": self.documents_read, "refused": self.documents_refused},
            "entities": {name: dict(counts.__dict__) for name, counts in self.entities.items()},
            "refusals": [refusal.to_dict() for refusal in self.refusals],
            "warnings": [warning.to_dict() for warning in self.warnings],
            "changes": [change.to_dict() for change in self.changes],
            "seconds": {name: round(value, 4) for name, value in self.seconds.items()},
        }


STORED_REFUSALS = 500


def storable(report: Report) -> dict[str, Any]:
    """The report as history keeps it: without changes, and of many refusals the first, as a packet has an end."""
    stored = report.to_dict()
    del stored["changes"]
    for name in ("refusals", "vanished"):
        more = len(stored.get(name, ())) - STORED_REFUSALS
        if more > 0:
            stored[name] = stored[name][:STORED_REFUSALS]
            stored["warnings"].append(Notice(f"{name}_not_kept", f"{name} that history does not keep", more).to_dict())
    return stored


_PARENT_IDS = frozenset({"laboratoryId", "personId", "proposalId"})


def fill(report: Report, reconciliation: Reconciliation, target: Target, *, changes: bool) -> None:
    """Adds what the database knows of the run to the report."""
    found = reconciliation.read(("counts", "deleted", "stale_links", *_NOTICES))
    for entity in ENTITIES:
        if entity.name not in reconciliation.staged:
            continue
        ((staged, inserted, updated, refused),) = found[entity.name, "counts"]
        counts = Counts(int(staged), int(inserted), int(updated), refused=int(refused))  # type: ignore[call-overload]
        counts.unchanged = counts.staged - counts.inserted - counts.updated - counts.refused
        counts.deleted = sum(int(deleted) for (deleted,) in found.get((entity.name, "deleted"), ()))  # type: ignore[call-overload]
        report.entities[entity.name] = counts
        reconciliation.actions[entity.name] = counts.actions
        reconciliation.doomed[entity.name] = counts.deleted
        if counts.refused:
            report.refusals.extend(_refusals(entity, reconciliation.rows(entity, "refusals")))
        parent = entity.parent_of_field
        if parent is not None and report.entities[parent].refused:
            report.refusals.extend(_refusals(entity, reconciliation.rows(entity, "field_refusals")))
        report.warnings.extend(_notices(entity, found, target))
    if changes:
        report.changes = [change for row in reconciliation.planned() for change in read_changes(row[0], [row[1:]])]
    refused_proposals = report.entities["proposal"].refused
    report.documents_refused += refused_proposals


def find_vanished(report: Report, reconciliation: Reconciliation) -> None:
    """Adds what a full export no longer has to the report."""
    report.vanished = [
        Vanished(entity.name, number, label(key) or None, label(proposal), readable_external_id(digits))
        for entity in (PROPOSAL, SESSION)
        for number, key, proposal, digits in reconciliation.vanished(entity)
    ]
    unreadable = sum(refusal.code in ("invalid_json", "invalid_document") for refusal in report.refusals)
    if report.vanished and unreadable:
        words = "invalid parts of the export: what they name may be among what is listed as vanished"
        report.warnings.append(Notice("vanished_or_invalid", words, unreadable))


_NOTICES = {
    "conflicting_copies": "copies of one {entity} differ; the last in file order was taken",
    "several_of_one_name": "laboratories of this export have several rows of the same name in ISPyB; "
    "a person keeps the one it has, others get the lowest id",
    "kept_lists": "lists of {entity} with somebody who was refused: nothing is pruned from these",
    "kept_card_name": "lab contacts were found by their person; the card keeps the name it has in ISPyB",
}


def _notices(entity: Entity, found: Found, target: Target) -> Iterator[Notice]:
    for code, words in _NOTICES.items():
        for (count,) in found.get((entity.name, code), ()):
            if count:
                yield Notice(code, words.format(entity=entity.name), int(count))  # type: ignore[call-overload]
    for stale, owned in found.get((entity.name, "stale_links"), ()):
        if stale:
            words = (
                f"links in {entity.table} that the export no longer names were left; "
                f"{owned} of them were made by this tool: --prune owned takes those away, --prune all all of them"
            )
            yield Notice("stale_links", words, int(stale))  # type: ignore[call-overload]
    if missing := target[entity].missing:
        words = f"{entity.table} has no column {', '.join(missing)}: left out"
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


def _message(code: str, entity: Entity, name: str, value: str | None, held: str | None) -> str:
    thing = entity.name.replace("_", " ")
    given = f"{name} {value}" if value is not None else name
    held = held or ""
    match code:
        case "ambiguous_match" if held and not held.startswith("documents"):
            return f"{given} finds several rows of {entity.table}: {held}. Merge them in ISPyB, or give an earlier key."
        case "ambiguous_match":
            return f"several things of this export share {given}. Give an earlier key in every mention."
        case "keys_disagree":
            return (
                f"{given} belongs to {held}, whose other key is not the one given here."
                " Correct the key in the User Portal, or in ISPyB."
            )
        case "key_taken":
            return (
                f"{given} is held by {held}, which does not give it up in this run. If both rows are one {thing}"
                " typed in twice, merge them in ISPyB; else correct the key in the User Portal."
            )
        case "duplicate_key" if held.startswith("documents"):
            where = held if "," in held else held.replace("documents", "document")
            return f"different things of this export claim one key ({given}; {where}). Correct them in the User Portal."
        case "duplicate_key":
            return (
                f"several things of this export are {held} of ISPyB, and their keys contradict each other."
                " Correct them in the User Portal."
            )
        case "belongs_elsewhere":
            return f"it is {held} in ISPyB. Move the session there, or correct its key in the User Portal."
        case "no_proposer":
            return "a new proposal needs a person that was not refused. Give at least one in proposal.persons."
        case _:
            return f"its {name} was refused; see there."


def read_changes(entity: str, rows: Iterable[tuple[Any, ...]]) -> Iterator[Change]:
    """Changes from rows of id, action, matched_by, key, proposal, fields; the id of a planned insert is None.

    `fields` is a JSON object: of an update {column: [old, new]}, of an insert {column: new}, of a delete
    {column: old}. The id of a parent that a plan would insert is "new".
    """
    for target_id, action, matched_by, key, proposal, stored in rows:
        fields = {}
        for name, value in json.loads(stored or "{}").items():
            old, new = value if action == "update" else (None, value) if action == "insert" else (value, None)
            if old != new:
                fields[name] = {"old": _readable(name, old), "new": _readable(name, new)}
        key = None if key is None else label(str(key))
        adopted = action == "update" and _gains_earlier_key(_KEYS[entity], matched_by, fields)
        yield Change(entity, target_id, action, key, label(proposal), fields, adopted)


_KEYS = {entity.name: entity.keys for entity in ENTITIES}


def _gains_earlier_key(keys: tuple[str, ...], matched_by: str | None, fields: dict[str, dict[str, Any]]) -> bool:
    """Whether a row receives a key that comes before the one that found it; a person of a card comes after all."""
    if matched_by is None:
        return False
    earlier = keys[: keys.index(matched_by)] if matched_by in keys else keys
    return any(name in fields and fields[name]["old"] is None for name in earlier)


_PLACES = {entity.name: place for place, entity in enumerate(ENTITIES)}


def in_order(changes: Iterable[Change], most: int | None = None) -> list[Change]:
    """Changes as people read them, or the first of them: by entity, by proposal, what is new last."""

    def order(change: Change) -> tuple[Any, ...]:
        return _PLACES[change.entity], natural(change.proposal), change.id is None, change.id or 0

    return sorted(changes, key=order) if most is None else nsmallest(most, changes, key=order)


def refusals_in_order(refusals: Iterable[Refusal]) -> list[Refusal]:
    """Refusals as people read them: by entity, by proposal, by document."""
    return sorted(
        refusals,
        key=lambda r: (_PLACES.get(r.entity, -1), natural(r.proposal), r.document or 0, natural(r.path)),
    )


def vanished_in_order(vanished: Iterable[Vanished]) -> list[Vanished]:
    """What vanished as people read it: by entity, by proposal."""
    return sorted(vanished, key=lambda v: (_PLACES[v.entity], natural(v.proposal), v.id))


_DIGITS = re.compile(r"(\d+)")


@lru_cache(maxsize=100_000)
def natural(label: str | None) -> tuple[object, ...]:
    """A sort key by which MX-9 comes before MX-10, and what has no label first."""
    parts = _DIGITS.split(label or "")  # text and digits in turn
    return tuple(_number(part) if place % 2 else part for place, part in enumerate(parts))


def _number(digits: str) -> tuple[int, str]:
    """Compares as the number does, however many digits there are."""
    digits = digits.lstrip("0")
    return len(digits), digits


def _readable(name: str, value: Any) -> Any:
    """A stored value as people know it: an externalId as an integer or a UUID, the id of a parent as a number."""
    if value is None:
        return None
    if name == "externalId":
        return readable_external_id(value)
    return int(value) if name in _PARENT_IDS and value != "new" else value


def label(text: str | None) -> str | None:
    """A proposal's or row's name; one that is an externalId in hexadecimal is made readable."""
    if text is not None and len(text) == 32 and all(c in "0123456789ABCDEF" for c in text):
        return str(readable_external_id(text))
    return text


def readable_external_id(digits: str) -> int | str:
    """An externalId from its 32 hexadecimal digits: a small one is an integer, any other a UUID."""
    number = int(digits, 16)
    return number if number < 2**64 else str(UUID(int=number))
