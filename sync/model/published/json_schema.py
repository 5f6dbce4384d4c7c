"""The JSON Schema of a document: kinds, usual lengths, choices, what names a thing, and an example of each field.

Lengths and choices are those that ISPyB's tables usually have; the live table decides.
"""

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from sync.model.documents import Document
from sync.model.people import Laboratory, Person, SessionOptions, SessionPerson, Thing

_LENGTH = re.compile(r"\((\d+) (?:characters|bytes)\)")


def schema() -> dict[str, Any]:
    """The JSON Schema of a document."""
    models = (Document, Laboratory, Person, SessionOptions, SessionPerson)
    _, definitions = msgspec.json.schema_components(models, ref_template="#/$defs/{name}")
    named_by = {thing.__name__: thing.named_by for thing in _things(Thing) if thing.named_by}
    for name, definition in definitions.items():
        del definition["additionalProperties"]  # which are taken, and told
        if not definition["required"]:
            del definition["required"]
        for described in definition["properties"].values():
            if length := _LENGTH.search(described["description"]):
                described["maxLength"] = int(length[1])
        if name in named_by:
            _tell_names(definition, named_by[name])
    document: dict[str, Any] = definitions.pop("Document")
    return document | {"$defs": definitions}


def _things(kind: type[Thing]) -> Iterator[type[Thing]]:
    """The classes of a document's things."""
    for thing in kind.__subclasses__():
        yield thing
        yield from _things(thing)


def _tell_names(definition: dict[str, Any], names: tuple[str, ...]) -> None:
    """That it must give one of its names, which the next run finds it by."""
    definition["description"] += f" Named by {' or '.join(names)}, the first that it gives."
    if len(names) > 1:
        definition["anyOf"] = [{"required": [name]} for name in names]


def example() -> dict[str, Any]:
    """A whole document, made of the examples of the fields: one of each thing, without the deprecated keys."""
    found = schema()
    whole: dict[str, Any] = _example(found, found["$defs"])
    return whole


def _example(part: dict[str, Any], definitions: dict[str, Any]) -> Any:
    if "$ref" in part:
        return _example(definitions[part["$ref"].rpartition("/")[2]], definitions)
    if "properties" in part:
        return {
            name: _example(field, definitions)
            for name, field in part["properties"].items()
            if "deprecated" not in field
        }
    if "examples" in part:
        return part["examples"][0]
    if part.get("type") == "array":
        return [_example(part["items"], definitions)]
    return _example(part["anyOf"][0], definitions)
