"""What all commands belong to, the exit code of a report, and what Ctrl-C says."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sync.cli.group import Group
from sync.cli.unexpected import Guard
from sync.model.errors import UsageError
from sync.model.text import tool_version

if TYPE_CHECKING:  # it is needed behind a run only, and takes long to load
    from sync.model.report import Report

EXIT_CODES = (
    "Exit codes: 0 done; 1 done, but part of the export was refused, a --proposal is not in it, part of an undo was "
    "left, or the report could not be written; check: a run is not possible; 2 wrong usage or settings, or an "
    "unreadable export; 3 database or User Portal unreachable, locked or failing, or a fault of the tool, which says "
    "what was written by then; 4 stopped by a safety limit or by your answer; 130 Ctrl-C, nothing written, unless the "
    "commit had begun. With 2, 3 and 4 nothing was written, but for a fault of the tool."
)


app = typer.Typer(
    cls=Group,
    epilog=EXIT_CODES,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


COMMITTING = "nothing was written, unless the commit had begun; `ispyb-sync history` lists the run then"
AFTERWARDS = "what the command did stays done; `ispyb-sync history` lists it"


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"ispyb-sync {tool_version()}")
        raise typer.Exit


@app.callback()
def main_options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
    verbose: Annotated[
        int,
        typer.Option("--verbose", "-v", count=True, show_default=False, help="Show the whole of an unexpected error."),
    ] = 0,
) -> None:
    """Keeps an ISPyB database in step with a facility's User Portal."""


@contextmanager
def interruptible(state: str | Callable[[], str]) -> Iterator[None]:
    """Ends with 130 at Ctrl-C, with 3 at what nobody expected, and says in which state that leaves things."""
    try:
        with Guard(state):
            yield
    except KeyboardInterrupt:
        print(f"interrupted: {state if isinstance(state, str) else state()}", file=sys.stderr)
        raise typer.Exit(130) from None


def exit_code(report: "Report") -> int:
    """0 done, 1 done in part or not what was asked for, 4 stopped before anything was written."""
    from sync.validate.validator import NOT_FOUND

    if report.status in ("rolled_back", "declined"):
        return 4
    return 1 if report.refusals or any(warning.code == NOT_FOUND for warning in report.warnings) else 0


@contextmanager
def needs(extra: str) -> Iterator[None]:
    """Says what to install where the packages of an extra are missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "sync":
            raise
        raise UsageError(
            f"{extra} needs {error.name}, which is not installed", hint=f"pip install 'ispyb-sync[{extra}]'"
        ) from None


def refuse_misplaced(arguments: list[str]) -> None:
    """Raises UsageError where a flag of commands stands in front of the command. It does not repeat the value."""
    if not arguments or not arguments[0].startswith("--"):
        return
    flag = arguments[0].partition("=")[0]
    group: Any = typer.main.get_command(app)
    if any(flag in parameter.opts for parameter in group.params):
        return
    taking = [name for name, command in group.commands.items() if any(flag in p.opts for p in command.params)]
    if not taking:
        return
    named = next((word for word in arguments if word in taking), taking[0])
    raise UsageError(f"{flag} stands in front of the command", hint=f"Write it behind: ispyb-sync {named} {flag} …")
