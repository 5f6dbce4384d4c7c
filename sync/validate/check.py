"""Looks at a document as it was sent, field by field, and tells all that does not fit.

The thorough way, for documents that msgspec did not take and for those that come from Python. What fits, and what is
made of it, is the same: both ask the kinds of `sync.model.values`.
"""

from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from sync.model.documents import REFUSED, Document
from sync.model.entities import BY_NAME
from sync.model.people import Participant, Person, SessionPerson
from sync.model.values import Wrong
from sync.read.levels import ROOT, Level, Part

Place = tuple[int | str, ...]
"""Where something is in a document, as keys and list positions; empty for the document itself."""


@dataclass(frozen=True, slots=True)
class Error:
    """One thing that does not fit.

    what    its name, such as int_type; one of those that `sync.validate.wording` knows
    value   what was sent there; of something that is missing, the object that lacks it
    words   what is wrong, where the name does not say it
    names   keys of which one is needed
    """

    what: str
    place: Place
    value: Any
    words: str = ""
    names: tuple[str, ...] = ()


class Unfit(Exception):
    """A document of which something does not fit; all that was found."""

    def __init__(self, errors: list[Error]) -> None:
        super().__init__(errors)
        self.errors = errors


def check(sent: dict[str, Any], zone: ZoneInfo) -> Document:
    """The document that was sent, with REFUSED where it has that; dates are converted to the zone. Raises Unfit."""
    checking = _Checking(zone)
    document = checking.thing(ROOT, sent, ())
    if checking.errors:
        raise Unfit(checking.errors)
    assert isinstance(document, Document)
    return document


class _Checking:
    def __init__(self, zone: ZoneInfo) -> None:
        self.errors: list[Error] = []
        self._zone = zone

    def thing(self, kind: Level, sent: Any, place: Place) -> Any:
        """An object of this kind; of no use where errors were found."""
        if not isinstance(sent, dict):
            self.errors.append(Error("model_type", place, sent))
            return None
        before = len(self.errors)
        values = {}
        for part in kind.parts:
            if part.name not in sent:
                if part.required:
                    self.errors.append(Error("missing", (*place, part.name), sent))
                continue
            value = sent[part.name]
            at = (*place, part.name)
            values[part.name] = None if value is None and not part.required else self._part(part, value, at)
        if len(self.errors) > before:
            return None
        names = kind.model.named_by
        if names and all(values.get(name) is None for name in names):
            self.errors.append(Error("no_key", place, sent, _how_to_name(kind), names))
            return None
        return _made(kind, values)

    def _part(self, part: Part, value: Any, place: Place) -> Any:
        if part.kind is not None:
            try:
                return part.kind.read(value, self._zone)
            except Wrong as wrong:
                self.errors.append(Error(wrong.what, place, value, wrong.words))
                return None
        assert part.child is not None
        if not part.many:
            return self.thing(part.child, value, place)
        if not isinstance(value, list):
            self.errors.append(Error("list_type", place, value))
            return None
        return [
            REFUSED if one is REFUSED else self.thing(part.child, one, (*place, number))
            for number, one in enumerate(value)
        ]


def _how_to_name(kind: Level) -> str:
    """What to give a thing that gives no key: the first one, or another one that is not about to go."""
    first, *others = (name for name in kind.model.named_by if name not in BY_NAME[kind.entity].deprecated)
    more = f" (preferred) or {' or '.join(others)}" if others else ""
    return f"it has no identifier; give {first}{more}"


def _made(kind: Level, values: dict[str, Any]) -> Any:
    if kind.model is not SessionPerson:
        return kind.model(**values)
    options = values.pop("session_options", None)
    return Participant(Person(**values), options)
