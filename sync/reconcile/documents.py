"""The first part of every run: an export becomes valid documents, one by one; what was read goes into the report."""

import os
from collections.abc import Iterator

from sync.history.fingerprints import Fingerprints
from sync.model.refusals import Notice, ValidDocument
from sync.model.report import Report
from sync.read.reader import Export, Item, Reader
from sync.reconcile.request import Request
from sync.validate.validator import Validator


class Reading:
    """Reads and validates the export of a request; refusals go into the report as they are met."""

    def __init__(self, request: Request, prints: Fingerprints | None, report: Report) -> None:
        settings = request.settings
        self._request = request
        self._prints = prints
        self._report = report
        self.reader = Reader(
            request.export, max_document_bytes=int(settings.max_document_mb * 1_000_000), prints=prints
        )
        self._validator = Validator(
            timezone=settings.timezone,
            proposals=request.proposals or None,
            refuse=report.refusals.append,
            fingerprints=prints,
        )

    def documents(self) -> Iterator[ValidDocument]:
        """What is to be staged; the export is read as this is asked for."""
        return self._validator.documents(self._items())

    def _items(self) -> Iterator[Item]:
        progress = self._request.progress
        for item in self.reader:
            if progress is not None:
                progress(self.reader)
            yield item

    def finish(self) -> None:
        """Puts into the report how much was read, and what is worth telling of it."""
        report, validator, prints = self._report, self._validator, self._prints
        report.documents_read = validator.read
        report.documents_refused = validator.refused
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


def can_be_read_again(export: Export) -> bool:
    """Whether a second reading gives the same: a file or a dict, not a stream or a pipe."""
    return isinstance(export, dict) or (isinstance(export, str | os.PathLike) and os.path.isfile(export))
