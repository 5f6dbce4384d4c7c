"""Writes what the README files tell of commands, settings and fields from the code that knows it.

A block stands between `<!-- begin: NAME -->` and `<!-- end -->`; NAME is a key of BLOCKS.
"""

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import typer.main

from sync.cli.main import app
from sync.model.published.json_schema import schema
from sync.model.settings import Portal, Settings
from sync.model.tables.triggers import Auth, Listen, Serve

ROOT = Path(__file__).parents[1]
FILES = ("README.md", "sync/read/formats/README.md", "scripts/deploy/README.md")
_BLOCK = re.compile(r"(<!-- begin: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
_OF_A_DOCUMENT = {
    "Proposal": "proposal",
    "Person": "person, wherever one stands",
    "Laboratory": "laboratory of a person",
    "Session": "sessions[]",
    "SessionOptions": "session_options of a person of a session",
    "Protein": "proteins[]",
    "LabContact": "proposal.labcontacts[]",
}


def commands() -> Iterator[str]:
    """The commands with the first line of their help."""
    yield from ("| command | |", "| --- | --- |")
    for name, command in sorted(typer.main.get_command(app).commands.items()):  # type: ignore[attr-defined]
        yield f"| `{name}` | {(command.help or '').strip().splitlines()[0]} |"


def settings() -> Iterator[str]:
    """All settings, those of a table under its name."""
    yield from ("| setting | default | means |", "| --- | --- | --- |")
    tables = {"portal": Portal, "serve": Serve, "auth": Auth, "listen": Listen}
    for name, field in Settings.model_fields.items():
        if name not in tables:
            yield _setting(name, field.default, field.description)
    for table, model in tables.items():
        for name, field in model.model_fields.items():
            default = None if field.is_required() else field.default
            yield _setting(
                f"{table}.{name}", list(default) if isinstance(default, tuple) else default, field.description
            )


def _setting(name: str, default: Any, description: str | None) -> str:
    shown = "" if default in (None, (), []) else f"`{str(default).lower() if default in (True, False) else default}`"
    return f"| `{name}` | {shown} | {_cell(description or '')} |"


def fields() -> Iterator[str]:
    """The fields of a document by the thing that they belong to."""
    found = schema()
    for name, place in _OF_A_DOCUMENT.items():
        definition = found["$defs"][name]
        yield from (f"**{place}**", "", "| field | |", "| --- | --- |")
        for field, what in definition["properties"].items():
            needed = " Required." if field in definition.get("required", ()) else ""
            words = _cell(what.get("description", what.get("title", "")))
            yield f"| `{field}` | {words}{needed} |"
        yield ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


BLOCKS: dict[str, Callable[[], Iterator[str]]] = {"commands": commands, "settings": settings, "fields": fields}


def written(text: str) -> str:
    """The text of a README with its blocks as they should be."""
    return _BLOCK.sub(lambda block: block[1] + "\n".join(BLOCKS[block[2]]()).rstrip("\n") + "\n" + block[3], text)


def main() -> None:
    """Writes the files, or with --check ends with 1 if one is to be written."""
    wrong = []
    for name in FILES:
        path = ROOT / name
        text = path.read_text(encoding="utf-8")
        if (new := written(text)) != text:
            wrong.append(name)
            if "--check" not in sys.argv:
                path.write_text(new, encoding="utf-8")
    if wrong:
        print("not as the code has it:" if "--check" in sys.argv else "written:", ", ".join(wrong))
    if wrong and "--check" in sys.argv:
        sys.exit(1)


if __name__ == "__main__":
    main()
