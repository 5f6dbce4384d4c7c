"""The documents of an export that are, byte by byte, as a run last took them without a refusal.

A fingerprint is of a document's bytes, of the settings that decide what becomes of it, and of the live columns. It
tells nothing of ISPyB: a document is left out only where a digest of its rows (`sync.verify.digests`) is as it was
too. A proposal that several documents of one export name is never left out, since only together do they say who is on
it.

A short export, or what is taken of a longer one, is looked up once it is read, by the names of its proposals. Of a long
one that is taken whole, the fingerprints of all documents are fetched, and what is known is not even parsed.
"""

import hashlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson

from sync.database.sqlfiles import named
from sync.model.settings import Settings
from sync.model.text import tool_version
from sync.schema.target import Target
from sync.statements.live_ispyb import LiveIspyb
from sync.statements.send import batches, send_many

SIZE = 16
NOTHING = bytes(SIZE)
"""In the place of a fingerprint: this document has to be examined again."""
FEW, FEW_BYTES = 64, 2_000_000
"""An export of no more documents and bytes is short."""
Odd = Sequence[tuple[str, str, object]]
"""What is odd in a document and yet taken, as `sync.validate.unknown_keys` counts it."""


class Repeated(Exception):
    """A proposal of which one document was left out is named by another one; `labels` has the proposal's."""

    def __init__(self, label: bytes) -> None:
        super().__init__()
        self.labels = {label}


@dataclass(frozen=True)
class Remembered:
    """What is known of the document of one proposal.

    proposal_id  the proposal's row in ISPyB
    verified     the digest of its rows as the document says them; None: not known
    warnings     JSON of what was odd in it; None: nothing
    """

    fingerprint: bytes
    proposal_id: int | None = None
    verified: int | None = None
    warnings: str | None = None


_UNKNOWN = Remembered(NOTHING)


class Fingerprints:
    """The fingerprints of one export.

    chosen      whether only documents of some proposals are taken

    left_out    what is left out of this reading, by label
    names       of a short export, the proposals of what is left out
    """

    def __init__(self, ispyb: LiveIspyb, settings: Settings, *, chosen: bool) -> None:
        self.left_out: dict[bytes, Remembered] = {}
        self.names: set[str] = set()
        self._ispyb = ispyb
        self._start = hashlib.sha256(_circumstances(settings, ispyb.target).encode())
        self._chosen = chosen
        self._leaves_out = settings.leaves_out
        self._examined: set[bytes] = set()
        self._known: dict[bytes, tuple[bytes, Remembered]] | None = None if settings.leaves_out else {}
        self.begin()

    def begin(self) -> None:
        """Begins a reading of the export."""
        self.left_out.clear()
        self.names.clear()
        self._met: dict[bytes, tuple[bytes, int]] = {}
        self._several: set[bytes] = set()
        self._odd: dict[int, str] = {}
        self._each_time: set[int] = set()
        self._count = self._bytes = 0

    def examine(self, labels: Iterable[bytes]) -> None:
        """From the next reading on, leaves out none of these."""
        self._examined.update(labels)

    def __call__(self, text: bytes) -> tuple[bytes, bool]:
        """The fingerprint of a document, and whether the document is left out unparsed."""
        digest = self._start.copy()
        digest.update(text)
        fingerprint = digest.digest()[:SIZE]
        self._count += 1
        self._bytes += len(text)
        if self._chosen:
            return fingerprint, False  # its name says whether it is taken
        if self._known is None:
            if self.is_short:
                return fingerprint, False
            self._known = self._all()
        label, remembered = self._known.get(fingerprint, (NOTHING, _UNKNOWN))
        if label == NOTHING or label in self._met or label in self._examined:
            return fingerprint, False
        if label in self.left_out:
            raise Repeated(label)
        self.left_out[label] = remembered
        return fingerprint, True

    @property
    def is_short(self) -> bool:
        """Whether so far few documents are taken."""
        return self._chosen or (self._count <= FEW and self._bytes <= FEW_BYTES)

    def odd_in(self, fingerprint: bytes) -> list[tuple[str, str, object]]:
        """What was odd in a document that is left out unparsed."""
        _, remembered = (self._known or {}).get(fingerprint, (NOTHING, _UNKNOWN))
        return [] if remembered.warnings is None else [tuple(odd) for odd in orjson.loads(remembered.warnings)]

    def met(self, number: int, proposal: str, fingerprint: bytes) -> None:
        """Notes a document that was parsed. Raises Repeated."""
        label = _hash(proposal)
        if label in self.left_out:
            raise Repeated(label)
        if label in self._met:
            self._several.add(label)
        self._met[label] = fingerprint, number

    def found_odd(self, number: int, odd: Odd) -> None:
        """Notes what is odd in a document."""
        try:
            self._odd[number] = orjson.dumps(sorted(odd, key=repr)).decode()
        except TypeError:  # a key of a dict that is no text
            self.examine_each_time(number)

    def examine_each_time(self, number: int) -> None:
        """Remembers nothing of a document: it has a warning that can only be found in it."""
        self._each_time.add(number)

    def leave_out_met(self) -> set[int]:
        """The numbers of the documents so far that are as they were: these are left out after all."""
        if self._known is None:
            held = self._held(list(self._met))
            verified = {label: known for label, known in held.items() if known.verified is not None}
            self._known = {known.fingerprint: (label, known) for label, known in verified.items()}
        numbers = set()
        for label, (fingerprint, number) in self._met.items():
            same, remembered = self._known.get(fingerprint, (NOTHING, _UNKNOWN))
            if same == label and label not in self._several and label not in self._examined:
                self.left_out[label] = remembered
                numbers.add(number)
        for label in self.left_out:
            self._met.pop(label, None)
        return numbers

    def candidates(self, doubtful: Collection[int]) -> dict[int, bytes]:
        """By number, the labels of the documents that a run may remember: by themselves they say what is so."""
        return {
            number: label
            for label, (_, number) in self._met.items()
            if label not in self._several and number not in doubtful and number not in self._each_time
        }

    def without_digest(self, numbers: dict[int, bytes]) -> set[int]:
        """The numbers of those documents whose digest is not known, or is not that of their rows as they are now.

        Where everything is examined, most rows are as they were.
        """
        if self._leaves_out:
            return set(numbers)
        held = self._held(list(numbers.values()))
        return {
            number
            for number, label in numbers.items()
            if (known := held.get(label, _UNKNOWN)).verified is None or known.fingerprint != self._met[label][0]
        }

    def remember(self, numbers: Collection[int], digests: dict[int, tuple[int, int]]) -> None:
        """Writes down the documents of these numbers, and that all others which were met must be examined again.

        digests  by number, the id of the proposal and the digest of its rows; of others what is remembered stays
        """
        for some in batches(list(self._met.items())):
            held = self._held([label for label, _ in some])
            changed = []
            for label, (fingerprint, number) in some:
                before = held.get(label, _UNKNOWN)
                if number not in numbers:
                    new = _UNKNOWN
                elif number in digests:
                    new = Remembered(fingerprint, *digests[number], self._odd.get(number))
                else:
                    new = before
                if new != before:
                    changed.append({"label": label} | vars(new))
            send_many(self._ispyb, named("fingerprint", "remember"), changed)

    def _all(self) -> dict[bytes, tuple[bytes, Remembered]]:
        """Of all documents, by their fingerprints, the label and what is known."""
        same: dict[str, str] = {}  # what is odd is odd in many
        rows: Iterable[Any] = self._ispyb.ask(named("fingerprint", "all_verified"))
        return {
            fingerprint: (label, Remembered(fingerprint, place, digest, odd and same.setdefault(odd, odd)))
            for label, fingerprint, place, digest, odd in rows
        }

    def _held(self, labels: Sequence[bytes]) -> dict[bytes, Remembered]:
        found: dict[bytes, Remembered] = {}
        for some in batches(labels):
            rows: Iterable[Any] = self._ispyb.ask(named("fingerprint", "fingerprints"), labels=tuple(some))
            found.update((label, Remembered(*remembered)) for label, *remembered in rows)
        return found


def _circumstances(settings: Settings, target: Target) -> str:
    """What, besides the document, decides what becomes of it."""
    given = {"nulls": settings.nulls, "timezone": settings.timezone, "prune": settings.prune}
    return repr((tool_version(), given)) + _columns(target)


@lru_cache(maxsize=8)
def _columns(target: Target) -> str:
    columns = {name: sorted(table.columns.values(), key=lambda c: c.name) for name, table in target.tables.items()}
    return repr(columns)


def _hash(proposal: str) -> bytes:
    return hashlib.sha256(proposal.encode("utf-8", "surrogatepass")).digest()[:SIZE]
