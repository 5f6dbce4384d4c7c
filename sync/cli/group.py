"""The commands by name. A module of commands is loaded when one of them is asked for, so that a run starts sooner."""

from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

MODULES = {
    "adopt": ["adopt"],
    "database": ["demo", "check", "migrate", "grants"],
    "exports": ["validate", "plan", "apply"],
    "mend": ["merge", "move"],
    "past": ["history", "undo"],
    "schema": ["schema"],
    "sql": ["sql"],
    "triggers": ["serve", "listen"],
}
"""The modules of `sync.cli.commands`, and the commands that each has, in the order of the help."""

_MODULE_OF = {command: module for module, commands in MODULES.items() for command in commands}


def commands() -> typer.Typer:
    """What the commands of a module belong to; it calls it `app`."""
    return typer.Typer(rich_markup_mode=None)


class Group(TyperGroup):
    """All commands."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given | {"commands": _Commands()})


class _Commands(Mapping[str, Any]):
    """The commands as Typer makes them."""

    def __getitem__(self, name: str) -> Any:
        return _of_module(_MODULE_OF[name])[name]

    def __iter__(self) -> Iterator[str]:
        return iter(_MODULE_OF)

    def __len__(self) -> int:
        return len(_MODULE_OF)


@cache
def _of_module(name: str) -> Mapping[str, Any]:
    return typer.main.get_group(import_module(f"sync.cli.commands.{name}").app).commands
