"""Says in words why a row is refused: what the document gives, what ISPyB holds, and what to do."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sync.history.changes import readable_external_id
from sync.model.entities import Entity
from sync.model.refusals import Cause, in_words, told
from sync.reconcile.words.contradictions import Contradiction, called, gives


@dataclass(frozen=True)
class Holder:
    """The row of ISPyB that has a key which a refused row claims.

    target_id   the refused row's own row of ISPyB; None where it is new
    gives_up    whether this run was to take the key from the holder, and could not
    differing   earlier keys in which the two differ: what the holder has, what the document gives
    """

    target_id: int | None
    holder_id: int
    gives_up: bool
    differing: dict[str, tuple[Any, Any]]


@dataclass(frozen=True)
class Refused:
    """A row that the database's statements refuse.

    held   what they say of what is there already
    names  the portal's names of its fields, where they are not those of documents
    """

    entity: Entity
    code: str
    field: str
    value: Any
    held: str
    names: Mapping[str, str]
    contradiction: Contradiction | None = None
    holder: Holder | None = None
    cause: Cause | None = None

    @property
    def given(self) -> str:
        """The field at fault and its value."""
        return called(self.field, self.names) if self.value is None else gives(self.field, self.value, self.names)


def read_value(entity: Entity, field: str, value: Any) -> Any:
    """A value as the statements give it, as text, the way a document has it."""
    if value is None:
        return None
    if field == "externalId":
        return readable_external_id(value)
    return int(value) if entity.kind(field) == "number" else told(value)


def holder(entity: Entity, target_id: int | None, holder_id: int, gives_up: int, stored: str) -> Holder:
    """A row of the statement `holders`."""
    pairs = {name: pair for name, pair in json.loads(stored).items() if pair is not None}
    differing = {
        name: (read_value(entity, name, has), read_value(entity, name, gives)) for name, (has, gives) in pairs.items()
    }
    return Holder(target_id, holder_id, bool(gives_up), differing)


def message(row: Refused) -> str:
    """Why a row is refused, and what to do."""
    entity, given = row.entity, row.given
    match row.code:
        case "ambiguous_match" if row.held:
            merge = f"Merge them in ISPyB{_by_command(entity.merge_command(row.held))}"
            return f"{given} finds several rows of {entity.table}: {row.held}. {merge}{_or_give(row)}."
        case "ambiguous_match":
            which = "" if row.contradiction is None else f" ({row.contradiction.sides(row.names)})"
            return (
                f"{given} could be any of several {entity.several} of this export{which};"
                f" give {_stronger(row) or 'another key'} wherever this {entity.words} appears."
            )
        case "keys_disagree":
            return _keys_disagree(row, given)
        case "key_taken":
            return _key_taken(row, given)
        case "duplicate_key":
            return _duplicate_key(row, given)
        case "belongs_elsewhere":
            return (
                f"it is {row.held} in ISPyB. Move the {entity.words} in ISPyB (`ispyb-sync move` prints the SQL), or"
                " correct its key in the User Portal."
            )
        case "refused_by_database":
            return (
                f"the database would refuse the new row: {row.held}. Send the value, or let the column have a default."
            )
        case "no_proposer":
            return "a new proposal needs a person that was not refused. Give at least one in proposal.persons."
        case _:
            return f"not written because its {row.field.replace('_', ' ')} was refused{_named(row.cause)}."


def _stronger(row: Refused) -> str:
    """The keys that are tried before the one at fault; of a portal of its own form, those that this has."""
    keys = row.entity.names
    before = keys[: keys.index(row.field)] if row.field in keys else ()
    return " or ".join(called(key, row.names) for key in before if not row.names or key in row.names)


def _or_give(row: Refused) -> str:
    """The other way out, if the portal has one."""
    stronger = _stronger(row) or ("" if row.names else "another key")
    return stronger and f", or give {stronger}"


def _named(cause: Cause | None) -> str:
    if cause is None:
        return " (above)"
    place = f", at {cause.path}" if cause.path else ""
    return f": {cause.entity.replace('_', ' ')} {cause.code} in document {cause.document}{place}"


def _keys_disagree(row: Refused, given: str) -> str:
    entity, holder = row.entity, row.holder
    if holder is None or not holder.differing:
        return (
            f"{given} belongs to {row.held}, which has another {_stronger(row) or 'key'} in ISPyB than the"
            " document. Correct the key in the User Portal, or in ISPyB."
        )
    named = f"{entity.primary_key} {holder.holder_id}"
    key, (has, given_key) = next(iter(holder.differing.items()))
    return (
        f"{given} belongs to {named}, which has {key} {in_words(has)} in ISPyB; the document gives"
        f" {gives(key, given_key, row.names)}. Correct the key in the User Portal, or in ISPyB. If it is the same"
        f" {entity.words} and was made anew in the User Portal, empty {entity.table}.{key} of {named}: this run then"
        " fills it."
    )


def _key_taken(row: Refused, given: str) -> str:
    entity, holder = row.entity, row.holder
    goes = ""
    if holder is not None and holder.target_id is not None:
        goes = f" is to go to {entity.primary_key} {holder.target_id}, but"
    if holder is not None and holder.gives_up:
        return (
            f"{given}{goes} belongs to {row.held} and stays there, as the change of that row is refused too."
            " Correct that one first."
        )
    rows = "" if holder is None or holder.target_id is None else f"{holder.target_id} {holder.holder_id}"
    return (
        f"{given}{goes} already belongs to {row.held} and stays there. If both rows are the same {entity.words},"
        f" merge them in ISPyB{_by_command(entity.merge_command(rows))}; else correct the key in the User Portal."
    )


def _by_command(command: str) -> str:
    return command and f" (`{command}` prints the SQL)"


def _duplicate_key(row: Refused, given: str) -> str:
    things, found = row.entity.several, row.contradiction
    correct = "Correct them in the User Portal."
    if row.held.startswith("documents"):
        if found is not None:
            return f"{found.words(row.names)}. {correct}"
        where = row.held if "," in row.held else row.held.replace("documents", "document")
        return f"two {things} in this export have the same {given} ({where}). {correct}"
    if found is not None:
        return f"several {things} of this export are {row.held} of ISPyB: {found.sides(row.names)}. {correct}"
    return (
        f"several {things} of this export are, or may be, {row.held} of ISPyB, and their keys"
        f" contradict each other. {correct}"
    )
