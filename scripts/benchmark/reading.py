"""Reading and validating alone, beside a parser that validates nothing; and where each document has unknown keys."""

import time
from collections.abc import Iterator
from pathlib import Path

import orjson
from support.databases import Ispyb

from benchmark import command
from benchmark.figures import Figure, middle

_OPENS = b'{"proposal":{'
_UNKNOWN = b'{"portalVersion":"7.1","proposal":{"portalState":"in review",'


def figures(ispyb: Ispyb, export: Path, rounds: int) -> Iterator[Figure]:
    """`validate` of an export and of the same with two unknown keys in each document, each right after the parser."""
    with_unknown = _with_unknown_keys(export)
    parsed, plain, unknown = [], [], []
    for _ in range(rounds):
        parsed.append(_parse(export))
        plain.append(command.validate(ispyb, export))
        unknown.append(command.validate(ispyb, with_unknown))
    ratio, more = middle(plain, parsed), middle(unknown, plain)
    what = "reading and validating alone"
    yield Figure("validate", what, "s", plain, None, ratio, "orjson parsing it", "<= 2 x the parser", ratio <= 2)
    what = "the same, two unknown keys in each document"
    yield Figure("unknown", what, "s", unknown, None, more, "without them", "<= 1.5 x without", more <= 1.5)


def _parse(export: Path) -> float:
    start = time.perf_counter()
    with export.open("rb") as file:
        for line in file:
            orjson.loads(line)
    return time.perf_counter() - start


def _with_unknown_keys(export: Path) -> Path:
    path = export.with_stem(f"{export.stem}-unknown")
    if not path.exists():
        part = path.with_suffix(".part")
        with export.open("rb") as source, part.open("wb") as target:
            for line in source:
                if not line.startswith(_OPENS):
                    raise RuntimeError(f"a document that opens otherwise: {line[:40]!r}")
                target.write(_UNKNOWN + line.removeprefix(_OPENS))
        part.rename(path)
    return path
