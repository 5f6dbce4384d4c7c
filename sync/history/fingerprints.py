"""Fingerprints of documents that were applied, so that a run may leave out those that are as they were.

A fingerprint is of a document's bytes, of the settings that decide what becomes of it, and of the live columns. Of
each proposal the last one applied without a refusal counts. By itself it tells nothing of ISPyB: what others changed
there since is seen only where a digest of the rows (`sync.history.digests`) stands beside it. A proposal that several
documents of one export name is never left out, since only together do they say who is on it.
"""

import hashlib
from collections.abc import Collection, Iterator, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection

from sync.database.release import tool_version
from sync.database.sqlfiles import named
from sync.database.statement import origin_and_text
from sync.history.digests import Digests
from sync.model.settings import Settings
from sync.schema.target import Target

SIZE = 16
_NOTHING = bytes(SIZE)
"""In the place of a fingerprint: this document has to be applied again."""

_AT_ONCE = 1000

_Remembered = tuple[bytes, int | None, int | None]
"""A fingerprint, the id of the proposal, and the digest of its rows."""
_NOWHERE = (None, None)


class Repeated(Exception):
    """A proposal of which one document was left out is named by another one."""


class Fingerprints:
    """The fingerprints of one export. `skipped` is how many documents were left out.

    digests   taken already, where only documents may be left out whose rows are as they were verified
    """

    def __init__(self, connection: Connection, settings: Settings, target: Target, digests: Digests | None) -> None:
        self.skipped = 0
        self._connection = connection
        self._digests = digests
        self._schema = settings.staging_schema
        self._start = hashlib.sha256(_circumstances(settings, target).encode())
        self._met: dict[bytes, bytes] = {}
        self._left_out: set[bytes] = set()
        self._several: set[bytes] = set()
        self._applied: dict[bytes, bytes] = {}
        if digests is not None:
            self._applied = {fingerprint: label for label, fingerprint in digests.verified()}
        elif settings.skip_unchanged:
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

    def remember(self, refused: Collection[int | None], joined: Collection[int]) -> None:
        """Writes down what is applied now, where that differs.

        refused   numbers of documents of which something was refused
        joined    numbers of documents that share their proposal with another one
        """
        places = {} if self._digests is None else self._digests.after()
        wanted: dict[bytes, _Remembered] = {}
        for label, met in self._met.items():
            number = int.from_bytes(met[SIZE:])
            counts = label not in self._several and number not in refused and number not in joined
            wanted[label] = (met[:SIZE], *places.get(number, _NOWHERE)) if counts else (_NOTHING, *_NOWHERE)
        held: dict[bytes, _Remembered] = {}
        for labels in _batches(list(wanted)):
            rows = self._connection.exec_driver_sql(_sql("fingerprints", self._schema), {"labels": tuple(labels)})
            held.update((label, tuple(remembered)) for label, *remembered in rows)
        changed = [
            {"label": label, "fingerprint": new[0], "proposal_id": new[1], "verified": new[2]}
            for label, new in wanted.items()
            if self._differs(held.get(label, (_NOTHING, *_NOWHERE)), new)
        ]
        # The driver sends many rows as one only where the statement itself comes first.
        _, remember = origin_and_text(_sql("remember", self._schema))
        for rows_of in _batches(changed):
            self._connection.exec_driver_sql(remember, rows_of)

    def _differs(self, held: _Remembered, new: _Remembered) -> bool:
        """Whether to write: without digests a run knows only that the document is the same, and leaves the rest."""
        return held != new if self._digests is not None else held[0] != new[0]


def forget(connection: Connection, staging_schema: str) -> None:
    """Forgets all documents: after an undo none is as it was applied."""
    connection.exec_driver_sql(_sql("forget_all", staging_schema))


def _circumstances(settings: Settings, target: Target) -> str:
    """What, besides the document, decides what becomes of it."""
    given = {"nulls": settings.nulls, "timezone": settings.timezone, "prune": settings.prune, "leave": settings.leave}
    return repr((tool_version(), given)) + _columns(target)


@lru_cache(maxsize=8)
def _columns(target: Target) -> str:
    columns = {name: sorted(table.columns.values(), key=lambda c: c.name) for name, table in target.tables.items()}
    return repr(columns)


def _sql(name: str, staging_schema: str) -> str:
    return named("fingerprint", name).render(staging_schema=staging_schema) or ""


def _hash(proposal: str) -> bytes:
    return hashlib.sha256(proposal.encode("utf-8", "surrogatepass")).digest()[:SIZE]


def _batches(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(items), _AT_ONCE):
        yield items[start : start + _AT_ONCE]
