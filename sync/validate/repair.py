"""Takes out of a document what is wrong with it: the smallest thing around each error.

A thing in a list leaves REFUSED in its place. A person goes on without a laboratory that is wrong, a protein
without its person; a lab contact falls with its person. An error outside all of these, or in the proposal's
own fields, refuses the document. The document that was given is never changed.
"""

from dataclasses import dataclass, replace
from typing import Any

from sync.model.documents import REFUSED
from sync.model.entities import BY_NAME, DOCUMENT
from sync.model.refusals import Cause, Refusal, refused_value, told
from sync.read.closest import closest_key
from sync.read.levels import KEYS, ROOT
from sync.read.parse import INVALID_DOCUMENT
from sync.validate.check import Error, Place
from sync.validate.wording import complaint, remedy

MOST_ERRORS = 10_000
"""A document with more errors is refused as a whole, without a list of them."""

_CODES = {"null_word": "value_not_allowed"}
"""Of errors in a value that is of the right kind."""


@dataclass(frozen=True)
class _Around:
    """The smallest thing around an error.

    entity   what the error is about
    goes     the thing that has to go
    place    where that is; of the document itself, ()
    holder   the thing that it is in, and its place, where it stands there alone and not in a list
    name     under which name
    needed   whether the holder cannot be without it
    """

    entity: str
    goes: str
    place: Place
    holder: tuple[str, Place] | None = None
    name: str = ""
    needed: bool = False


class Repair:
    """One document on its way to being valid. `raw` is what is left of it, `refusals` what was taken out."""

    def __init__(self, raw: dict[str, Any], number: int, proposal: str | None) -> None:
        self.raw = raw
        self.refusals: list[Refusal] = []
        self._number = number
        self._proposal = proposal
        self._own: dict[int, object] = {}

    def take_out(self, errors: list[Error]) -> bool:
        """Takes out all that these errors are about; False if that is the document."""
        if len(errors) > MOST_ERRORS:
            message = f"the document has {len(errors):,} errors; the document is refused. {remedy(None)}"
            self._refuse(DOCUMENT.name, (), INVALID_DOCUMENT, None, message)
            return False
        places = {self._refuse_error(error) for error in errors}
        if () in places:
            return False
        for place in sorted(places, key=len):
            if not any(place[:length] in places for length in range(1, len(place))):
                self._remove(place)
        return True

    def _refuse_error(self, error: Error) -> Place:
        """Reports one error; returns the place of what has to go."""
        around = _thing_around(error)
        place = around.place
        misspelt = _misspelt(error)
        what_to_do = "Correct the key." if misspelt else remedy(error)
        self._refuse(
            around.entity,
            error.place,
            _CODES.get(error.what, INVALID_DOCUMENT),
            None if error.what in ("missing", "no_key") else told(error.value),
            f"{complaint(error)}{misspelt}; {_consequence(around)}. {what_to_do}",
            field=str(error.place[-1]) if len(error.place) > len(place) else None,
        )
        if around.holder is not None and around.needed:
            holder, place = around.holder
            message = f"its {around.name} is refused; the {_words(holder)} is refused. Correct the {around.name}."
            self._refuse(holder, place, "parent_refused", None, message, cause=self.refusals[-1].place)
        return place

    def _refuse(
        self,
        entity: str,
        path: Place,
        code: str,
        value: Any,
        message: str,
        field: str | None = None,
        cause: Cause | None = None,
    ) -> None:
        at = _path(path)
        self.refusals.append(Refusal(entity, code, self._number, self._proposal, at, field, value, message, cause))

    def _remove(self, place: Place) -> None:
        """Takes a thing out of this document's own copy."""
        inner = self.raw = self._copy(self.raw)
        for part in place[:-1]:
            inner[part] = self._copy(inner[part])
            inner = inner[part]
        last = place[-1]
        if isinstance(last, int):
            inner[last] = REFUSED
        else:
            del inner[last]

    def _copy(self, container: Any) -> Any:
        """The container, copied unless it is a copy already."""
        if id(container) not in self._own:
            container = container.copy()
            self._own[id(container)] = container
        return container


def _thing_around(error: Error) -> _Around:
    location = error.place
    around = _Around(DOCUMENT.name, DOCUMENT.name, ())
    level = ROOT
    for index, name in enumerate(location):
        part = next((part for part in level.parts if part.name == name and part.child is not None), None)
        if part is None or part.child is None:
            if isinstance(name, int):
                continue
            break
        level, ends = part.child, index + 1 == len(location)
        if part.many:
            if ends:
                break  # the list itself
            around = _Around(level.entity, level.entity, location[: index + 2])
        elif ends and (error.value is None or error.what == "missing"):
            break  # what has no person is at fault, not the person
        elif not level.model.named_by:
            around = replace(around, entity=level.entity)  # it has no row of its own, and falls with what it is in
        elif level.entity != DOCUMENT.name:
            holder = around.goes, around.place
            around = _Around(level.entity, level.entity, location[: index + 1], holder, part.name, part.required)
    return around


def _consequence(around: _Around) -> str:
    if around.holder is not None and not around.needed:
        return f"the {_words(around.holder[0])} goes on without a {around.name}"
    if not around.place:
        return "the document is refused"
    if BY_NAME[around.goes].is_shared:
        return f"the {around.goes} is skipped here"
    return f"the {_words(around.goes)} is refused"


def _words(entity: str) -> str:
    return entity.replace("_", " ")


def _misspelt(error: Error) -> str:
    """The key that was probably meant to be the one that is missing, if there is such a key."""
    if error.what == "missing":
        missing, place = {str(error.place[-1])}, error.place[:-1]
    elif error.what == "no_key":
        missing, place = set(error.names), error.place
    else:
        return ""
    known = _known_keys(place)
    for key in error.value:
        if key not in known and isinstance(key, str) and (meant := closest_key(key, known)) in missing:
            return f"; the key `{refused_value(key)}` is not known (did you mean {meant}?)"
    return ""


def _known_keys(place: Place) -> frozenset[str]:
    path = "".join("[]" if isinstance(part, int) else f".{part}" for part in place)
    return KEYS[path.removeprefix(".")]


def _path(place: Place) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)
    return text.removeprefix(".")
