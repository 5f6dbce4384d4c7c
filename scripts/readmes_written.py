"""Writes what the README files tell of commands, settings and fields from the code that knows it, and what they show.

A block stands between `<!-- begin: NAME -->` and `<!-- end -->`; NAME is a key of BLOCKS, or of TRANSCRIPTS: what the
tool prints, on a private MariaDB with the samples of the demo.
"""

import re
import sys
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path
from typing import Any
from uuid import uuid4

import typer.main
from sqlalchemy import URL

import sync
from sync.cli.main import app
from sync.demo import demonstration, sample
from sync.demo.server import server as private_server
from sync.migrate import commands as migrate
from sync.model.published.json_schema import schema
from sync.model.settings import Portal, Settings
from sync.model.tables.triggers import Auth, Listen, Serve
from sync.show.console import render
from sync.show.terminal import WordsConsole

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


def plan(server: URL) -> Iterator[str]:
    """A plan of the second day of the demo, as a terminal of 120 columns shows it."""
    schema = f"readme_{uuid4().hex[:8]}"
    url, tool = demonstration.legacy(server, schema), f"{schema}_sync"
    try:
        migrate.upgrade(url, staging_schema=tool)
        sync.apply(sample.export(), database=url, staging_schema=tool)
        report = sync.plan(sample.changed_export(), database=url, staging_schema=tool)
    finally:
        demonstration.forget(server, schema, tool)
    report.database = DATABASE
    drawn = StringIO()
    console = WordsConsole(file=drawn, width=120, force_terminal=True, color_system=None, highlight=False, markup=False)
    render(report, console)
    yield from ("```console", "$ ispyb-sync plan tuesday.ndjson")
    text = drawn.getvalue().replace(schema, "ispyb")
    yield from re.sub(r"\d+\.\d\d s$", SECONDS, text, flags=re.MULTILINE).rstrip("\n").splitlines()
    yield "```"


DATABASE = "ispyb on db1:3306"
"""What stands for the private server."""
SECONDS = "0.37 s"
"""How long it took once: each time it is another figure."""

TRANSCRIPTS: dict[str, Callable[[URL], Iterator[str]]] = {"plan": plan}
BLOCKS: dict[str, Callable[[], Iterator[str]]] = {"commands": commands, "settings": settings, "fields": fields}


def written(text: str, server: URL | None = None) -> str:
    """The text of a README with its blocks as they should be; without a server, transcripts stay as they are."""

    def put(block: re.Match[str]) -> str:
        if block[2] in BLOCKS:
            lines = BLOCKS[block[2]]()
        elif server is not None:
            lines = TRANSCRIPTS[block[2]](server)
        else:
            return block[0]
        return block[1] + "\n".join(line.rstrip() for line in lines).rstrip("\n") + "\n" + block[3]

    return _BLOCK.sub(put, text)


def main() -> None:
    """Writes the files, or with --check ends with 1 if one is to be written."""
    wrong = []
    with private_server() as server:
        for name in FILES:
            path = ROOT / name
            text = path.read_text(encoding="utf-8")
            if (new := written(text, server)) != text:
                wrong.append(name)
                if "--check" not in sys.argv:
                    path.write_text(new, encoding="utf-8")
    if wrong:
        print("not as the code has it:" if "--check" in sys.argv else "written:", ", ".join(wrong))
    if wrong and "--check" in sys.argv:
        sys.exit(1)


if __name__ == "__main__":
    main()
