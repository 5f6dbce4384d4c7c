"""The first part of every run: an export becomes valid documents, one by one; what was read goes into the report."""

from collections.abc import Callable, Iterator
from typing import IO, Any, Self, cast

from sync.model.errors import NotWhole, PortalError
from sync.model.refusals import ValidDocument
from sync.model.report import Report
from sync.portal.answer import Answer
from sync.read.closest import folded
from sync.read.copied import Copied
from sync.read.parse import INVALID_JSON
from sync.read.reader import Item, RawDocument, Reader, Unreadable
from sync.read.turning.form import find
from sync.read.turning.form_reader import Turned
from sync.read.turning.origin import Origins
from sync.read.turning.sent import Sent
from sync.reconcile.request import Request
from sync.validate.validator import Validator
from sync.verify.fingerprints import Fingerprints


class Reading:
    """Reads and validates the export of a request; refusals go into the report as they are met.

    What the User Portal is asked for is fetched as it is read; leaving the context ends that.

    copied   copies what cannot be read again, where that may be needed
    fold     what is the same for names of one proposal

    origins  where the parts of the documents come from
    """

    def __init__(
        self,
        request: Request,
        report: Report,
        fingerprints: Fingerprints | None = None,
        copied: Copied | None = None,
        fold: Callable[[str], str] = folded,
    ) -> None:
        settings = request.settings
        self.origins = Origins()
        self._request = request
        self._fingerprints = fingerprints
        self._report = report
        self._answer: Answer | None = None
        self._sent: RawDocument | None = None
        source = request.export
        if request.asked is not None and not (copied is not None and copied.has_copy):
            self._answer = Answer(request.asked, settings.portal, request.waits or _nobody_listens)
            source = cast(IO[Any], self._answer)
        if copied is not None:
            source = copied.open(source)
        make_form = find(request.form)
        if make_form is None:
            limit = int(settings.max_document_mb * 1_000_000)
            self.reader = Reader(source, max_document_bytes=limit, prints=fingerprints, checksum=request.write)
        else:
            sent = Sent(source)
            form = make_form(sent, settings.portal)
            self.reader = Turned(form, sent, self.origins, prints=fingerprints)
        self._validator = Validator(
            timezone=settings.timezone,
            proposals=request.wanted or None,
            refuse=report.refusals.append,
            fingerprints=fingerprints,
            fold=fold,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._answer is not None:
            self._answer.close()

    def documents(self) -> Iterator[ValidDocument]:
        """What is to be staged; the export is read as this is asked for.

        As long as an export may be a short one its documents wait: they are looked up together.
        """
        waiting: list[ValidDocument] = []
        prints = self._fingerprints
        for valid in self._validator.documents(self._items()):
            if self._request.receives is not None and self._sent is not None:
                self._request.receives(self._sent)
            if prints is not None and prints.is_short:
                waiting.append(valid)
                continue
            if waiting:
                yield from self._to_examine(waiting)
                waiting.clear()
            yield valid
        yield from self._to_examine(waiting)

    def _to_examine(self, waiting: list[ValidDocument]) -> list[ValidDocument]:
        """Those that waited, less what need not be examined."""
        if self._fingerprints is None or not waiting:
            return waiting
        left_out = self._fingerprints.leave_out_met()
        self._fingerprints.names |= {valid.proposal for valid in waiting if valid.number in left_out and valid.proposal}
        return [valid for valid in waiting if valid.number not in left_out]

    def _items(self) -> Iterator[Item]:
        """Raises PortalError where an answer of the User Portal is not whole; what a form turned was whole."""
        progress = self._request.progress
        item = None
        try:
            for item in self.reader:
                if progress is not None:
                    progress(self.reader)
                self._sent = item if isinstance(item, RawDocument) else None
                yield item
        except NotWhole as error:
            if self._answer is None:
                raise
            raise PortalError(error.message, hint=_NOT_WHOLE) from None
        if self._answer is None or isinstance(self.reader, Turned):
            return
        if isinstance(item, Unreadable) and item.code == INVALID_JSON:
            words = f"{self._answer.name}: the answer ends in the middle of a document ({item.message})"
            raise PortalError(words, hint=_NOT_WHOLE)

    def finish(self) -> None:
        """Puts into the report how much was read, and what is worth telling of it."""
        report, validator = self._report, self._validator
        report.documents_read = validator.read
        report.documents_refused = validator.refused
        if isinstance(self.reader, Turned):
            report.warnings.extend(self.reader.notices())
        report.warnings.extend(validator.notices())
        report.documents_verified = 0 if self._fingerprints is None else len(self._fingerprints.left_out)


_NOT_WHOLE = "Nothing was written. Run again, or look at what the User Portal sends."


def _nobody_listens(words: str) -> None:
    """Where no terminal shows what is waited for."""
