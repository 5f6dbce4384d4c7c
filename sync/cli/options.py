"""The arguments and flags that several commands share and that are no settings; those are made by `sync.cli.flags`."""

from pathlib import Path
from typing import Annotated

import typer

ExportArgument = Annotated[
    str,
    typer.Argument(
        metavar="EXPORT",
        help="A file, - for standard input, or the User Portal: portal:CODE-NUMBER, portal:all. Plain or gzip; a JSON "
        "array, or documents one a line or one behind the other.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else on standard output.")]
VerboseOption = Annotated[
    int,
    typer.Option(
        "--verbose", "-v", count=True, show_default=False, help="List all; twice: each SQL statement with its time."
    ),
]
ListOption = Annotated[
    int, typer.Option("--verbose", "-v", count=True, show_default=False, help="List all, where ten are listed.")
]
QuietOption = Annotated[
    bool,
    typer.Option(
        "--quiet",
        "-q",
        help="Print nothing where the exit code is 0, so that cron sends no mail; else the report, as without it.",
    ),
]
ProfileOption = Annotated[
    bool,
    typer.Option(
        "--profile",
        help="Log each SQL statement on standard error: origin, rows, milliseconds; at the end the ten slowest.",
    ),
]
ProposalOption = Annotated[
    list[str] | None,
    typer.Option("--proposal", metavar="CODE-NUMBER", help="Only this proposal's documents; repeatable."),
]
# Of validate alone, and no setting: the setting strict says when a run is rolled back, and a file has it for runs.
StrictOption = Annotated[bool, typer.Option("--strict", help="Exit with 1 for unknown keys too.")]
CsvOption = Annotated[
    Path | None, typer.Option("--csv", metavar="DIR", help="Also write one CSV file per entity into this folder.")
]
HtmlOption = Annotated[
    Path | None, typer.Option("--html", metavar="FILE", help="Also write the report as one HTML file.")
]
MetricsOption = Annotated[
    Path | None,
    typer.Option(
        "--metrics",
        metavar="FILE",
        help="Also count the run in a Prometheus text file, for a node exporter; it is replaced whole or not at all.",
    ),
]
YesOption = Annotated[
    bool,
    typer.Option("--yes", "-y", help="Do not ask. On a terminal it shows a summary, and asks before it writes."),
]
