"""Fingerprints of documents that were applied, so that a run may leave out those that are as they were.

A fingerprint is of a document's bytes, of the settings that decide what becomes of it, and of the live columns. Of
each proposal the last one applied without a refusal counts. It tells nothing of ISPyB: what others changed there
since is not seen. A proposal that several documents of one export name is never left out, since only together do
they say who is on it.
"""

import hashlib
from collections.abc import Collection, Iterator, Sequence
from importlib.metadata import version
from typing import Any

from sqlalchemy import Connection

from sync.settings import Settings
from sync.sqlfiles import load
from sync.target import Target

SIZE = 16
_NOTHING = bytes(SIZE)
"""In the place of a fingerprint: this document has to be applied again."""

_AT_ONCE = 1000


class Repeated(Exception):
    """A proposal of which one document was left out is named by another one."""


class Fingerprints:
    """The fingerprints of one export. `skipped` is how many documents were left out."""

    def __init__(self, connection: Connection, settings: Settings, target: Target) -> None:
        self.skipped = 0
        self._connection = connection
        self._schema = settings.staging_schema
        self._start = hashlib.sha256(_circumstances(settings, target).encode())
        self._met: dict[bytes, bytes] = {}
        self._left_out: set[bytes] = set()
        self._several: set[bytes] = set()
        self._applied: dict[bytes, bytes] = {}
        if settings.skip_unchanged:
            rows = connection.exec_driver_sql(_sql("all_fingerprints", self._schema))
            self._applied = {fingerprint: label for label, fingerprint in rows if fingerprint != _NOTHING}

    def __call__(self, text: bytes) -> tuple[bytes, bool]:
        """The fingerprint of a document, and whether the document is left out."""
        digest = self._start.copy()
        digest.update(text)
        fingerprint = digest.digest()[:SIZE]
        label = self._applied.get(fingerprint)
        if label is None or label in self._met:
            return fingerprint, False
        self._left_out.add(label)
        self.skipped += 1
        return fingerprint, True

    def knows(self, proposal: str) -> bool:
        """Whether a document of this proposal was left out."""
        return _hash(proposal) in self._left_out

    def met(self, number: int, proposal: str, fingerprint: bytes) -> None:
        """Notes a document that is not left out. Raises Repeated."""
        label = _hash(proposal)
        if label in self._left_out:
            raise Repeated
        if label in self._met:
            self._several.add(label)
        self._met[label] = fingerprint + number.to_bytes(8)  # in one: there is one for each document

    def remember(self, refused: Collection[int | None]) -> None:
        """Writes down what is applied now, where that differs; `refused` are numbers of documents."""
        wanted = {
            label: _NOTHING if label in self._several or int.from_bytes(met[SIZE:]) in refused else met[:SIZE]
            for label, met in self._met.items()
        }
        held: dict[bytes, bytes] = {}
        for labels in _batches(list(wanted)):
            rows = self._connection.exec_driver_sql(_sql("fingerprints", self._schema), {"labels": tuple(labels)})
            held.update((label, fingerprint) for label, fingerprint in rows)
        changed = [pair for pair in wanted.items() if held.get(pair[0], _NOTHING) != pair[1]]
        for pairs in _batches(changed):
            rows_of = [{"label": label, "fingerprint": fingerprint} for label, fingerprint in pairs]
            self._connection.exec_driver_sql(_sql("remember", self._schema), rows_of)


def forget(connection: Connection, staging_schema: str) -> None:
    """Forgets all documents: after an undo none is as it was applied."""
    connection.exec_driver_sql(_sql("forget_all", staging_schema))


def _circumstances(settings: Settings, target: Target) -> str:
    """What, besides the document, decides what becomes of it."""
    given = settings.model_dump(include={"nulls", "timezone", "prune"}, mode="json")
    columns = {name: sorted(table.columns.values(), key=lambda c: c.name) for name, table in target.tables.items()}
    return repr((version("ispyb-sync"), given, columns))


def _sql(name: str, staging_schema: str) -> str:
    (statement,) = [s for s in load("fingerprint") if s.name == name]
    return statement.render((), staging_schema) or ""


def _hash(proposal: str) -> bytes:
    return hashlib.sha256(proposal.encode("utf-8", "surrogatepass")).digest()[:SIZE]


def _batches(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(items), _AT_ONCE):
        yield items[start : start + _AT_ONCE]
