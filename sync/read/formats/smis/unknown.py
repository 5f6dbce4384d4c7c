"""Keys that Java ISPyB's portals do not send: each is counted, and told once, with the first places of it."""

from collections.abc import Iterator

from sync.model.refusals import Example, Met, Notice, refused_value, told
from sync.read.closest import did_you_mean
from sync.read.formats.smis import fields
from sync.read.formats.smis.arrays import NAMES


class UnknownKeys:
    """Looks at objects one by one; `notices` tells what was found."""

    def __init__(self) -> None:
        self._met: dict[tuple[str, str, frozenset[str]], Met] = {}

    def look_beside(self, beside: fields.Json) -> None:
        """Counts what stands in one object beside the four arrays."""
        self._count("", beside, frozenset(NAMES), "", None)

    def look(self, array: str, thing: fields.Json, place: str, proposal: str) -> None:
        """Counts the unknown keys of an object of an array, and of the objects in it that something becomes of."""
        self._count(f"{array}[].", thing, fields.KNOWN[array], f"{place}.", proposal)
        for name, known in fields.INSIDE.items() if array == "sessions" else ():
            inner = thing.get(name)
            if isinstance(inner, dict):
                self._count(f"{array}[].{name}.", inner, known, f"{place}.{name}.", proposal)

    def notices(self) -> Iterator[Notice]:
        """One for each key."""
        for (kind, key, known), met in self._met.items():
            words = f"unknown key `{kind}{refused_value(key)}`{did_you_mean(key, known)}"
            yield Notice("unknown_key", words, met.count, tuple(met.examples))

    def _count(self, kind: str, thing: fields.Json, known: frozenset[str], place: str, proposal: str | None) -> None:
        for key in thing.keys() - known:
            met = self._met.setdefault((kind, str(key), known), Met())
            met.count += 1
            if met.wants_examples:
                name = refused_value(key)
                label = proposal and refused_value(proposal)
                met.examples.append(Example(None, label, f"{place}{name}", told(thing[key])))
