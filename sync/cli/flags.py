"""Flags that are settings: made from `sync.model.settings`, where each is declared once, with its help."""

import functools
import inspect
from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, Any, Literal, get_args, get_origin

import typer
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from sync.cli.readable import warn_of_readable_password
from sync.model.settings import Settings, load_settings

_DATABASE = ("database", "staging_schema")
OF_VALIDATE = ("format", "timezone", "mask")
OF_PLAN = (
    *_DATABASE,
    *("format", "leave", "strict", "recheck", "nulls", "timezone"),
    *("prune", "prune_limit", "full", "mask"),
)
OF_APPLY = (*OF_PLAN, "lock_timeout")
OF_CHECK = (*_DATABASE, "leave")
OF_HISTORY = (*_DATABASE, "mask")
OF_UNDO = (*_DATABASE, "leave", "mask", "lock_timeout")
OF_MIGRATE = _DATABASE
OF_MEND = ("database",)
OF_ADOPT = (*_DATABASE, "mask", "lock_timeout")


def takes(*names: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Gives a command a flag for each of these settings; the command gets them all as `settings`.

    A flag that is not given leaves the setting to the environment and the file.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def call(**arguments: Any) -> None:
            given = {name: arguments.pop(name) for name in names}
            settings = load_settings(**{name: _given(value) for name, value in given.items()})
            warn_of_readable_password()
            command(settings=settings, **arguments)

        flags = [_flag(name, Settings.model_fields[name]) for name in names]
        parameters = []
        for parameter in inspect.signature(command, eval_str=True).parameters.values():
            parameters += flags if parameter.name == "settings" else [parameter]
        # Typer asks for one or the other.
        call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        call.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return call

    return decorate


def _given(value: Any) -> Any:
    """None for a flag that was not given: a switch is False then, and one that may be repeated is empty."""
    return None if value is False or value == [] else value


def _flag(name: str, setting: FieldInfo) -> inspect.Parameter:
    kind = _kind(name, setting)
    extra = setting.json_schema_extra
    metavar = extra["metavar"] if isinstance(extra, dict) and isinstance(extra["metavar"], str) else None
    has_default = kind is not bool and setting.default not in (None, [])
    option = typer.Option(
        "--" + name.replace("_", "-"),
        metavar=metavar,
        help=f"{setting.description} Default: {setting.default}." if has_default else setting.description,
        show_default=False,
    )
    annotation = Annotated[kind if kind is bool else kind | None, option]  # type: ignore[valid-type]
    default = False if kind is bool else None
    return inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=default, annotation=annotation)


def _kind(name: str, setting: FieldInfo) -> Any:
    """The type of the flag's value."""
    kind: Any = setting.annotation
    if get_origin(kind) is Literal:
        return StrEnum(name, {choice: choice for choice in get_args(kind)})
    if kind == SecretStr | None:
        return str
    return kind
