"""Looks for sessions that end before they start; they are taken as they are, and told."""

from collections.abc import Callable, Iterator
from typing import Any

from sync.model.documents import REFUSED, Document
from sync.model.refusals import Example, Met, Notice, told


class Dates:
    """The sessions of one export; `notices` tells what was found."""

    def __init__(self) -> None:
        self._met = Met()

    def look(self, document: Document, sent: Callable[[], Any], number: int, proposal: str | None) -> bool:
        """Counts the sessions of a valid document whose endDate is before their startDate; tells whether it has any.

        sent   gives the document as the export has it: an example shows its own text, so that it can be found there
        """
        before = self._met.count
        for place, session in enumerate(document.sessions or ()):
            if session is REFUSED:
                continue
            start, end = session.startDate, session.endDate
            if start and end and end < start:
                self._met.count += 1
                if self._met.wants_examples:
                    written = sent()["sessions"][place]
                    value = f"{told(written['endDate'])} (startDate {told(written['startDate'])})"
                    self._met.examples.append(Example(number, proposal, f"sessions[{place}].endDate", value))
        return self._met.count > before

    def notices(self) -> Iterator[Notice]:
        """One, where there are such sessions."""
        if self._met.count:
            words = "sessions whose endDate is before their startDate are written as they are; correct the dates"
            yield Notice("end_before_start", words, self._met.count, tuple(self._met.examples))
