"""What a run did or would do, as data: counts, refusals, warnings, changes.

The JSON form is the public one (`Report.to_dict`). Rendering for people is in `sync.show.console`, and what the
database knows of a run comes from `sync.reconcile.findings`.
"""

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from sync.model.entities import ENTITIES, PARENT_IDS
from sync.model.published import frames
from sync.model.refusals import Cause, Notice, Refusal, masked_value, refused_value

if TYPE_CHECKING:  # it takes 0.3 s to load
    import pandas as pd

Mode = Literal["apply", "plan", "validate", "undo", "adopt"]
Status = Literal["applied", "planned", "validated", "rolled_back", "declined", "failed", "undone", "partly_undone"]

Trigger = Literal["command", "http", "broker"]

COMMITTING = "committing"
"""What a run tells when its commit begins: before that it has written nothing."""

_OF_PEOPLE = frozenset(entity.name for entity in ENTITIES if entity.of_people)


@dataclass(frozen=True)
class AskedBy:
    """What started a run, and who: the login or subject of a token, or an event. None: the database account."""

    trigger: Trigger = "command"
    actor: str | None = None


BY_COMMAND = AskedBy()


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

    def masked(self) -> "Change":
        """The same without old and new values, but for ids of rows, and without a key that names a person."""
        fields = {
            name: {when: _masked(name, value) for when, value in values.items()} for name, values in self.fields.items()
        }
        key = self.key and masked_value(self.key) if self.entity in _OF_PEOPLE else self.key
        return replace(self, key=key, fields=fields)

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
    actor     who asked for it; None where no database was asked
    database  such as: ispyb on db1:3306; None where none was asked
    """

    mode: Mode
    status: Status
    run: int | None = None
    documents_read: int = 0
    documents_verified: int = 0
    documents_refused: int = 0
    entities: dict[str, Counts] = field(default_factory=lambda: {e.name: Counts() for e in ENTITIES})
    refusals: list[Refusal] = field(default_factory=list)
    warnings: list[Notice] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    vanished: list[Vanished] | None = None
    undoes: int | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    trigger: Trigger = "command"
    actor: str | None = None
    database: str | None = None

    @property
    def values_refused(self) -> int:
        """How many values are refused by themselves; the rest of their rows is written."""
        return sum(refusal.is_of_value for refusal in self.refusals)

    @property
    def waiting(self) -> Counter[Cause]:
        """How many rows wait for each refusal that others hang on; only for those that are in the report."""
        causes = {refusal.place for refusal in self.refusals if refusal.cause is None}
        return Counter(refusal.cause for refusal in self.refusals if refusal.cause in causes and refusal.cause)

    @property
    def nothing_to_do(self) -> bool:
        """Whether ISPyB holds already what the export says."""
        return not any(c.inserted or c.updated or c.deleted for c in self.entities.values())

    @property
    def shown(self) -> object:
        """What somebody is shown who is asked before it is done."""
        return self.entities, self.refusals

    def mask(self) -> None:
        """Takes the values out of refusals, warnings and changes that are there by now."""
        self.refusals = [refusal.masked() for refusal in self.refusals]
        self.warnings = [warning.masked() for warning in self.warnings]
        self.changes = [change.masked() for change in self.changes]

    def frame(self, entity: str) -> "pd.DataFrame":
        """The changes of one entity as a pandas table: those of a plan, or of a run that history has read.

        A row is one changed column: run, entity, id, action, adopted, proposal, key, column, old, new. A link, which
        has no columns of its own, is one row. Raises UsageError where there is no such entity.
        """
        return frames.changes(self, entity)

    def refusals_frame(self) -> "pd.DataFrame":
        """The refusals as a pandas table: run, entity, code, document, proposal, path, field, value, message."""
        return frames.refusals(self)

    def to_dict(self) -> dict[str, Any]:
        """The report's public JSON form; `undoes` and `vanished` are there where they say something."""
        more: dict[str, Any] = {} if self.undoes is None else {"undoes": self.undoes}
        if self.vanished is not None:
            more["vanished"] = [thing.to_dict() for thing in self.vanished]
        return more | {
            "run": self.run,
            "mode": self.mode,
            "status": self.status,
            "trigger": self.trigger,
            "actor": self.actor,
            "database": self.database,
            "documents": {
                "read": self.documents_read,
                "verified": self.documents_verified,
                "refused": self.documents_refused,
            },
            "entities": {name: dict(counts.__dict__) for name, counts in self.entities.items()},
            "refusals": [refusal.to_dict() for refusal in self.refusals],
            "warnings": [warning.to_dict() for warning in self.warnings],
            "changes": [change.to_dict() for change in self.changes],
            "seconds": {name: round(value, 4) for name, value in self.seconds.items()},
        }


def _masked(name: str, value: Any) -> Any:
    return value if value is None or name in PARENT_IDS else masked_value(refused_value(value))


STORED_REFUSALS = 500


def storable(report: Report) -> dict[str, Any]:
    """The report as history keeps it: without changes, and of many refusals the first, as a packet has an end.

    Causes come before what waits for them.
    """
    causes_first = sorted(report.refusals, key=lambda refusal: refusal.cause is not None)
    stored = replace(report, refusals=causes_first).to_dict()
    del stored["changes"]
    for name in ("refusals", "vanished"):
        more = len(stored.get(name, ())) - STORED_REFUSALS
        if more > 0:
            stored[name] = stored[name][:STORED_REFUSALS]
            stored["warnings"].append(Notice(f"{name}_not_kept", f"{name} that history does not keep", more).to_dict())
    return stored
