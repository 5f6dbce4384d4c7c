"""Where the parts of a turned document come from: refusals and examples name the portal's place, not ours."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from sync.model.refusals import NO_COLUMN, Example, Notice, Refusal
from sync.model.report import Report

_LAST_PART = re.compile(r"(?:^|\.)[^.]*$")


@dataclass(frozen=True, slots=True)
class Origin:
    """The place of a thing in what the portal sent, such as sessions.json[3].

    fields    the portal's names of our fields
    messages  what to say of our fields instead of what is said of documents; under "" of the thing itself
    refusals  the same of the thing by the code of its refusal, of those that the database finds
    """

    path: str
    fields: Mapping[str, str] = field(default_factory=dict)
    messages: Mapping[str, str] = field(default_factory=dict)
    refusals: Mapping[str, str] = field(default_factory=dict)


class Origins:
    """The origins of all documents of an export, by their number."""

    def __init__(self) -> None:
        self._of: dict[int, Mapping[str, Origin]] = {}

    def keep(self, number: int, origins: Mapping[str, Origin]) -> None:
        """Takes those of one document."""
        if origins:
            self._of[number] = origins

    def names(self, document: int, path: str) -> Mapping[str, str]:
        """The portal's names of the fields of a thing; none where the export is in our own words."""
        found = self._find(document, path)
        return {} if found is None else found[0].fields

    def rename(self, report: Report) -> None:
        """Gives refusals and examples of warnings their places in what the portal sent. Once for each report."""
        if self._of:
            report.refusals = [self._refusal(refusal) for refusal in report.refusals]
            report.warnings = [self._notice(notice) for notice in report.warnings]

    def _refusal(self, refusal: Refusal) -> Refusal:
        if (cause := refusal.cause) is not None and (found := self._find(cause.document, cause.path)) is not None:
            place = _place(*found)
            message = refusal.message
            if message.endswith(f", at {cause.path}."):
                message = f"{message.removesuffix(f'{cause.path}.')}{place}."
            refusal = replace(refusal, cause=replace(cause, path=place), message=message)
        found = self._find(refusal.document, refusal.path)
        if found is None:
            return refusal
        origin, rest = found
        name = refusal.field and origin.fields.get(refusal.field, refusal.field)
        message = refusal.message
        if refusal.code == "invalid_document" and NO_COLUMN not in message:
            message = origin.messages.get(rest, message)
        elif not rest:
            message = origin.refusals.get(refusal.code, message)
        if refusal.field and message.startswith(f"{refusal.field} "):
            message = f"{name}{message.removeprefix(refusal.field)}"
        return replace(refusal, path=_place(origin, rest), field=name, message=message)

    def _notice(self, notice: Notice) -> Notice:
        return replace(notice, examples=tuple(map(self._example, notice.examples)))

    def _example(self, example: Example) -> Example:
        found = self._find(example.document, example.path)
        return example if found is None else replace(example, path=_place(*found))

    def _find(self, document: int | None, path: str) -> tuple[Origin, str] | None:
        """The origin of the smallest thing around a path, and what of the path is left."""
        origins = self._of.get(document) if document is not None else None
        thing = path
        while origins is not None:
            if thing in origins:
                return origins[thing], path.removeprefix(thing).removeprefix(".")
            if not thing:
                return None
            thing = _LAST_PART.sub("", thing)
        return None


def _place(origin: Origin, rest: str) -> str:
    return f"{origin.path}.{origin.fields.get(rest, rest)}" if rest else origin.path
