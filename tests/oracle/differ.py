"""Where the oracle and a run of the tool differ, as sentences."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from oracle.facts import ANY
from oracle.kinds import Kind
from oracle.mentions import Json
from oracle.run import Outcome, Tables

_REFERS = {
    "laboratoryId": "Laboratory",
    "personId": "Person",
    "proposalId": "Proposal",
    "sessionId": "BLSession",
}


def differences(outcome: Outcome, before: Tables, after: Tables, report: Json, kinds: dict[str, Kind]) -> Iterator[str]:
    """Compares rows, refusals and counts; ids of new rows count only as references."""
    ours, theirs = Signatures(outcome.tables, before, kinds), Signatures(after, before, kinds)
    for kind in kinds.values():
        if kind.name in outcome.things:
            yield from _rows(kind, ours, theirs)
            yield from _counts(kind, outcome, report)
    yield from _refusals(outcome, report)


class Signatures:
    """Rows as tuples without the ids of new rows: a reference to a new row is that row's own content."""

    def __init__(self, tables: Tables, before: Tables, kinds: dict[str, Kind]) -> None:
        self._kinds = {kind.table: kind for kind in kinds.values()}
        self._known = {kind.table: {row[kind.primary_key] for row in before[kind.table]} for kind in kinds.values()}
        self._by_id = {
            kind.table: {row[kind.primary_key]: row for row in tables[kind.table]} for kind in kinds.values()
        }
        self.tables = tables

    def of(self, table: str, row: Json) -> tuple[Any, ...]:
        kind = self._kinds[table]
        names = [name for name in (kind.primary_key, *_REFERS, *kind.fields) if name in row]
        return tuple((name, self._value(table, name, row[name])) for name in dict.fromkeys(names))

    def _value(self, table: str, name: str, value: Any) -> Any:
        own = name == self._kinds[table].primary_key and table != "Session_has_Person"
        parent = table if own else _REFERS.get(name)
        if parent is None or value is None:
            return str(value) if value is not None and not isinstance(value, bytes) else value
        if value in self._known[parent]:
            return value
        return "new" if own else self.of(parent, self._by_id[parent][value])


def _rows(kind: Kind, ours: Signatures, theirs: Signatures) -> Iterator[str]:
    expected = [ours.of(kind.table, row) for row in ours.tables[kind.table]]
    found = [theirs.of(kind.table, row) for row in theirs.tables[kind.table]]
    for row in found.copy():
        partner = next((other for other in expected if _alike(other, row)), None)
        if partner is not None:
            expected.remove(partner)
            found.remove(row)
    if expected or found:
        lines = [f"  oracle {_short(row)}" for row in expected] + [f"  sql    {_short(row)}" for row in found]
        yield "\n".join([f"{kind.table}:", *lines])


def _alike(expected: tuple[Any, ...], found: tuple[Any, ...]) -> bool:
    if len(expected) != len(found):
        return False
    for (name, a), (other, b) in zip(expected, found, strict=True):
        if name != other:
            return False
        if isinstance(a, tuple) and isinstance(b, tuple):
            if not _alike(a, b):
                return False
        elif a != b and a != str(ANY):
            return False
    return True


def _short(row: tuple[Any, ...]) -> str:
    parts = []
    for name, value in row:
        if isinstance(value, tuple):
            value = "{" + _short(value) + "}"
        elif isinstance(value, bytes):
            value = int.from_bytes(value, "big")
        if value is not None:
            parts.append(f"{name}={value}")
    return " ".join(parts)


def _counts(kind: Kind, outcome: Outcome, report: Json) -> Iterator[str]:
    """Compares the counts. Of refused mentions it is not said how many are one thing, only that there is one."""
    found = report["entities"][kind.name]
    written = {name: outcome.counts[kind.name][name] for name in ("inserted", "updated", "unchanged")}
    if written != {name: found[name] for name in written}:
        yield f"counts of {kind.name}:\n  oracle {written}\n  sql    {found}"
    refused = [thing for thing in outcome.things[kind.name] if thing.refused]
    mentions = sum(len(thing.mentions) for thing in refused)
    least = len({thing.mentions[0].refused or thing for thing in refused} - {"invalid_document"})
    if not least <= found["refused"] <= mentions:
        yield f"refused of {kind.name}: oracle {least} to {mentions}, sql {found['refused']}"
    if found["staged"] != sum(found[name] for name in (*written, "refused")):
        yield f"counts of {kind.name} do not add up: {found}"


def _refusals(outcome: Outcome, report: Json) -> Iterator[str]:
    found = [r for r in report["refusals"] if r["entity"] in outcome.things]
    used: set[int] = set()
    for refusal in outcome.refusals:
        partners = [
            number
            for number, other in enumerate(found)
            if other["entity"] == refusal.entity
            and other["code"] in refusal.codes
            and (other["document"], other["path"]) in refusal.places
            and refusal.field in (None, other["field"])
        ]
        if not partners:
            yield f"only the oracle refuses {refusal.entity} {sorted(refusal.codes)} at {sorted(refusal.places)}"
        used.update(partners)
    for number, other in enumerate(found):
        if number not in used and not _is_inside(other, outcome):
            said = {name: other[name] for name in ("entity", "code", "document", "path", "field", "value")}
            yield f"only the sql refuses {said}"


def _is_inside(refusal: Json, outcome: Outcome) -> bool:
    """Whether it is one more complaint about what is refused already as a whole, for the document itself."""
    if refusal["document"] in outcome.refused_documents and refusal["entity"] != "proposal":
        return True
    if refusal["code"] not in ("invalid_document", "parent_refused"):
        return False
    whole = [place for r in outcome.refusals if r.codes == {"invalid_document"} for place in r.places]
    around = [path.removesuffix(".cardName") for document, path in whole if document == refusal["document"]]
    return any(refusal["path"].startswith(path) for path in around)


def codes_reached(outcome: Outcome) -> Counter[tuple[str, str]]:
    """How often each entity was refused with a code, inserted, updated and unchanged, how often a key given up told
    which row is meant, and how often a rare rule held.
    """
    reached = Counter((name, code) for name, things in outcome.things.items() for t in things for code in t.codes)
    reached.update(
        (name, "told") for name, things in outcome.things.items() for t in things if t.left and not t.refused
    )
    reached.update((name, rule) for name, things in outcome.things.items() for t in things for rule in t.rules)
    for name, counts in outcome.counts.items():
        reached.update({(name, action): number for action, number in counts.items() if action != "staged"})
    return reached
