"""The first part of every run: an export becomes valid documents, one by one; what was read goes into the report."""

from collections.abc import Iterator
from typing import IO, Any, Self, cast

from sync.history.fingerprints import Fingerprints
from sync.model.errors import PortalError
from sync.model.refusals import Notice, ValidDocument
from sync.model.report import Report
from sync.portal.answer import Answer
from sync.read.parse import INVALID_JSON
from sync.read.reader import Item, RawDocument, Reader, Unreadable
from sync.read.turning.form import find
from sync.read.turning.origin import Origins
from sync.read.turning.sent import Sent
from sync.read.turning.turned import Turned
from sync.reconcile.request import Request
from sync.validate.validator import Validator


class Reading:
    """Reads and validates the export of a request; refusals go into the report as they are met.

    What the User Portal is asked for is fetched as it is read; leaving the context ends that.
    """

    def __init__(self, request: Request, origins: Origins, fingerprints: Fingerprints | None, report: Report) -> None:
        settings = request.settings
        self._request = request
        self._fingerprints = fingerprints
        self._report = report
        self._answer: Answer | None = None
        if request.asked is not None:
            self._answer = Answer(request.asked, settings.portal, request.waits or _nobody_listens)
        self._sent: RawDocument | None = None
        source = request.export if self._answer is None else cast(IO[Any], self._answer)
        make_form = find(request.form)
        if make_form is None:
            limit = int(settings.max_document_mb * 1_000_000)
            self.reader = Reader(source, max_document_bytes=limit, prints=fingerprints)
        else:
            sent = Sent(source)
            form = make_form(sent, settings.portal)
            self.reader = Turned(form, sent, origins, prints=fingerprints)
        self._validator = Validator(
            timezone=settings.timezone,
            proposals=request.wanted or None,
            refuse=report.refusals.append,
            fingerprints=fingerprints,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._answer is not None:
            self._answer.close()

    def documents(self) -> Iterator[ValidDocument]:
        """What is to be staged; the export is read as this is asked for."""
        for valid in self._validator.documents(self._items()):
            if self._request.prints is not None and self._sent is not None:
                self._request.prints(self._sent.raw)
            yield valid

    def _items(self) -> Iterator[Item]:
        progress = self._request.progress
        item = None
        for item in self.reader:
            if progress is not None:
                progress(self.reader)
            self._sent = item if isinstance(item, RawDocument) else None
            yield item
        if self._answer is not None and isinstance(item, Unreadable) and item.code == INVALID_JSON:
            raise PortalError(
                f"{self._answer.name}: the answer ends in the middle of a document ({item.message})",
                hint="Nothing was written. Run again, or look at what the User Portal sends.",
            )

    def finish(self) -> None:
        """Puts into the report how much was read, and what is worth telling of it."""
        report, validator, prints = self._report, self._validator, self._fingerprints
        report.documents_read = validator.read
        report.documents_refused = validator.refused
        if isinstance(self.reader, Turned):
            report.warnings.extend(self.reader.notices())
        report.warnings.extend(validator.notices())
        if prints is not None and prints.skipped:
            if self._request.settings.skip_verified:
                code = "skipped_verified"
                words = "documents left out, as they and their rows in ISPyB are as last verified"
            else:
                code = "skipped_unchanged"
                words = (
                    "documents left out, as they are as last applied; what others changed in ISPyB since is not seen"
                )
            report.warnings.append(Notice(code, words, prints.skipped))


def _nobody_listens(words: str) -> None:
    """Where no terminal shows what is waited for."""
