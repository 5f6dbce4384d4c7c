"""What all commands belong to, and the exit code of a report."""

import typer

from sync.report import Report

EXIT_CODES = (
    "Exit codes: 0 done; 1 done, but part of the export was refused; 2 wrong usage, settings or an unreadable "
    "export; 3 database unreachable, locked or failing; 4 a safety limit, or a no, stopped the run. "
    "With 2, 3 and 4 nothing was written."
)

app = typer.Typer(
    help="Keeps an ISPyB database in step with a facility's User Portal.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def exit_code(report: Report) -> int:
    """0 done, 1 done in part, 4 stopped before anything was written."""
    if report.status in ("rolled_back", "declined"):
        return 4
    return 1 if report.refusals else 0
