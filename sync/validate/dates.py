"""Looks for sessions that end before they start; they are taken as they are, and told."""

from collections.abc import Iterator
from datetime import datetime

from sync.model.documents import REFUSED, Document
from sync.model.refusals import MOST_EXAMPLES, Example, Notice


class Dates:
    """The sessions of one export; `notices` tells what was found."""

    def __init__(self) -> None:
        self._count = 0
        self._examples: list[Example] = []

    def look(self, document: Document, number: int, proposal: str | None) -> bool:
        """Counts the sessions of a valid document whose endDate is before their startDate; tells whether it has any."""
        before = self._count
        for place, session in enumerate(document.sessions or ()):
            if session is REFUSED:
                continue
            start, end = session.startDate, session.endDate
            if isinstance(start, datetime) and isinstance(end, datetime) and end < start:
                self._count += 1
                if len(self._examples) < MOST_EXAMPLES:
                    value = f"{end.isoformat()} (startDate {start.isoformat()})"
                    self._examples.append(Example(number, proposal, f"sessions[{place}].endDate", value))
        return self._count > before

    def notices(self) -> Iterator[Notice]:
        """One, where there are such sessions."""
        if self._count:
            words = "sessions whose endDate is before their startDate are written as they are; correct the dates"
            yield Notice("end_before_start", words, self._count, tuple(self._examples))
