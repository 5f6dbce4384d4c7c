"""Validates documents: what is wrong is refused, as little as possible, and the rest goes on.

Dates with an offset are converted to one timezone here. Reports unknown keys. Asks no database: lengths,
ranges and character sets are checked against the live columns later.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from sync.model.documents import Document
from sync.model.refusals import Notice, Refusal, ValidDocument, refused_value
from sync.read.closest import folded, nearest
from sync.read.parse import parse
from sync.read.reader import Item, LeftOut, RawDocument, Unreadable
from sync.validate.check import Unfit, check
from sync.validate.dates import Dates
from sync.validate.quick import Quick
from sync.validate.repair import Repair
from sync.validate.unknown_keys import Odd, Survey

NOT_FOUND = "proposal_not_found"
"""The code of the warning of a proposal that was asked for and is not there: a run that did not do what it was told."""

_MOST_NAMES = 50_000
"""Names of proposals that are kept to find the nearest among them: some 5 MB."""


class Earlier(Protocol):
    """What earlier runs took; `sync.verify.fingerprints` says what its methods do."""

    def met(self, number: int, proposal: str, fingerprint: bytes) -> None: ...
    def found_odd(self, number: int, odd: Sequence[Odd]) -> None: ...
    def odd_in(self, fingerprint: bytes) -> list[Odd]: ...
    def examine_each_time(self, number: int) -> None: ...


class Validator:
    """Validates one export.

    timezone   IANA name of the zone that dates are stored in
    refuse     takes each refusal
    fingerprints  of the documents that earlier runs took
    proposals  labels of the proposals to take, as `proposal_label` gives them; None for all
    fold       what is the same for labels that mean one proposal

    read, refused, not_selected   documents so far; those not selected are not validated
    """

    def __init__(
        self,
        *,
        timezone: str,
        refuse: Callable[[Refusal], None],
        proposals: Collection[str] | None = None,
        fingerprints: Earlier | None = None,
        fold: Callable[[str], str] = folded,
    ) -> None:
        self.read = 0
        self.refused = 0
        self.not_selected = 0
        self._zone = ZoneInfo(timezone)
        self._refuse = refuse
        self._fingerprints = fingerprints
        self._fold = fold
        self._wanted = None if proposals is None else {fold(label): label for label in sorted(proposals)}
        self._found: set[str] = set()
        self._names: dict[str, None] = {}
        self._survey = Survey()
        self._dates = Dates()
        self._quick = Quick(self._zone)

    def documents(self, items: Iterable[Item]) -> Iterator[ValidDocument]:
        """The documents that are left, with REFUSED in the place of what is not."""
        for item in items:
            self.read += 1
            if isinstance(item, LeftOut):
                self._repeat_warnings(item)
                continue
            if isinstance(item, Unreadable):
                self.refused += 1
                self._refuse(_unreadable(item))
                continue
            sent = item.fitting
            label = proposal_label(item.raw) if sent is None else _label(partial(getattr, sent.proposal))
            if self._wanted is not None and not self._is_wanted(label):
                self.not_selected += 1
                continue
            if self._fingerprints is not None and label is not None and item.fingerprint is not None:
                self._fingerprints.met(item.number, folded(label), item.fingerprint)
            document = self._document(item, label)
            if document is None:
                self.refused += 1
            else:
                proposal = _short(label)
                ends_early = self._dates.look(document, partial(getattr, item, "raw"), item.number, proposal)
                if ends_early and self._fingerprints is not None:
                    self._fingerprints.examine_each_time(item.number)
                yield ValidDocument(item.number, item.line, proposal, document)

    def notices(self) -> list[Notice]:
        """What is worth telling, once all documents are through."""
        return [*self._survey.notices(), *self._dates.notices(), *self._not_found()]

    def _is_wanted(self, label: str | None) -> bool:
        """Whether a document is of a proposal that was asked for; keeps the names of proposals, up to a number."""
        if label is None:
            return False
        if len(self._names) < _MOST_NAMES:
            self._names[refused_value(label)] = None
        name = self._fold(label)
        if self._wanted is None or name not in self._wanted:
            return False
        self._found.add(name)
        return True

    def _not_found(self) -> Iterator[Notice]:
        """One for each proposal that was asked for and that the export does not have."""
        for name, label in (self._wanted or {}).items():
            if name not in self._found:
                close = nearest(label, self._names)
                like = f" (the nearest are {', '.join(close)})" if close else ""
                words = f"no document of {refused_value(label)} in the export{like}"
                yield Notice(NOT_FOUND, words, 1)

    def _document(self, item: RawDocument, label: str | None) -> Document | None:
        """The document, less what is refused; None if nothing is left."""
        document = item.fitting
        if document is not None:
            try:
                odd = self._quick.keep(document, item.text)
            except ValueError:
                return self._as_sent(item, label)
            if odd:
                self._note_odd(item, odd)
                self._survey.count(odd)
                self._survey.exemplify(lambda: item.raw, item.number, label)
            return document
        return self._as_sent(item, label)

    def _as_sent(self, item: RawDocument, label: str | None) -> Document | None:
        """The same, without a short cut: errors name their places in the document."""
        try:
            raw = item.raw
        except ValueError as error:
            self._refuse(_unreadable(item.unreadable(error)))
            return None
        repair = Repair(raw, item.number, _short(label))
        document = self._repaired(repair)
        for refusal in repair.refusals:
            self._refuse(refusal)
        if document is not None and (odd := self._survey.look(repair.raw, item.number, label)):
            self._note_odd(item, odd)
        return document

    def _note_odd(self, item: RawDocument, odd: list[Odd]) -> None:
        if self._fingerprints is not None:
            self._fingerprints.found_odd(item.number, odd)

    def _repeat_warnings(self, item: LeftOut) -> None:
        """Counts what was odd in a document when it was last read."""
        odd = [] if self._fingerprints is None else self._fingerprints.odd_in(item.fingerprint)
        if odd:
            self._survey.count(odd)
            raw = parse(item.text) if self._survey.wants_examples else None
            if isinstance(raw, dict):
                self._survey.exemplify(lambda: raw, item.number, proposal_label(raw))

    def _repaired(self, repair: Repair) -> Document | None:
        while True:
            try:
                return check(repair.raw, self._zone)
            except Unfit as unfit:
                if not repair.take_out(unfit.errors):
                    return None


def proposal_label(raw: dict[str, Any]) -> str | None:
    """How a document's proposal is called: MX-123, or 123 without a code, or its external id."""
    proposal = raw.get("proposal")
    return _label(proposal.get) if isinstance(proposal, dict) else None


def _label(value_of: Callable[[str], Any]) -> str | None:
    number = _word(value_of("proposalNumber"))
    if number is None:
        return _word(value_of("externalId"))
    code = _word(value_of("proposalCode"))
    return number if code is None else f"{code}-{number}"


def _short(label: str | None) -> str | None:
    """A label as each refusal of its document repeats it."""
    return None if label is None else refused_value(label)


def _word(value: object) -> str | None:
    """Text, or the text of an integer."""
    if isinstance(value, int) and not isinstance(value, bool):
        return refused_value(value)
    return value if isinstance(value, str) and value and not value.isspace() else None


def _unreadable(item: Unreadable) -> Refusal:
    message = f"{item.message}. {item.hint}"
    return Refusal("proposal", item.code, item.number, None, item.path, None, None, message)
