"""The arguments and flags that several commands share, with their help."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Nulls(StrEnum):
    """What a null in a document means."""

    keep = "keep"
    clear = "clear"


class Prune(StrEnum):
    """Which links go that an export no longer names."""

    none = "none"
    owned = "owned"
    all = "all"


ExportArgument = Annotated[
    str,
    typer.Argument(
        metavar="EXPORT",
        help="A file, - for standard input, or the User Portal: portal:CODE-NUMBER, portal:all. Plain or gzip; a JSON "
        "array, or documents one a line or one behind the other.",
    ),
]
FormatOption = Annotated[
    str | None,
    typer.Option(
        "--format",
        metavar="FORM",
        help="Form of the export: ispyb (documents), smis (the User Portal JSON of Java ISPyB: a folder, a zip, or one "
        "object), or one of a package of yours. Default: ispyb; for the User Portal the setting portal.format.",
    ),
]
DatabaseOption = Annotated[
    str | None,
    typer.Option(
        "--database",
        metavar="URL",
        help="SQLAlchemy URL of the ISPyB schema; better given as ISPYB_SYNC_DATABASE, which no process list shows.",
    ),
]
SchemaOption = Annotated[
    str | None, typer.Option("--staging-schema", metavar="NAME", help="The tool's own schema. Default: ispyb_sync.")
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
StrictOption = Annotated[bool, typer.Option("--strict", help="Roll back if anything was refused.")]
SkipOption = Annotated[
    bool,
    typer.Option(
        "--skip-unchanged",
        help="Leave out documents that are as they were when they were last applied. Quick, for every five minutes; "
        "what others changed in ISPyB meanwhile is not seen, and a run without it mends that.",
    ),
]
VerifiedOption = Annotated[
    bool,
    typer.Option(
        "--skip-verified",
        help="The same, but only those whose rows in ISPyB are as they were when a run last found nothing to change "
        "in them: what others changed meanwhile is seen. The third run is quick.",
    ),
]
NullsOption = Annotated[
    Nulls | None, typer.Option("--nulls", help="A null in a document keeps the column, or clears it. Default: keep.")
]
TimezoneOption = Annotated[
    str | None, typer.Option("--timezone", metavar="IANA", help="Zone of dates that carry an offset. Default: UTC.")
]
PruneOption = Annotated[
    Prune | None,
    typer.Option(
        "--prune",
        help="Delete links to people whom a list of the export no longer names: those that this tool made, as its "
        "history says, or all. A list that is absent, null, or has somebody refused deletes nothing; nor is the "
        "proposer ever deleted. Default: none.",
    ),
]
PruneLimitOption = Annotated[
    str | None,
    typer.Option(
        "--prune-limit",
        metavar="LIMIT",
        help="Stop (exit 4) rather than delete more links: a share of the links of the export's proposals, but never "
        "less than 20, or a number. Default: 5%.",
    ),
]
FullOption = Annotated[
    bool,
    typer.Option(
        "--full",
        help="The export is the whole facility: list the proposals and sessions that ISPyB knows by an externalId and "
        "the export no longer has. They are left as they are.",
    ),
]
MaskOption = Annotated[
    bool,
    typer.Option(
        "--mask",
        help="Tell only the length of values and of people's names, in reports and their files: they may be personal. "
        "History keeps no refused value then, but old and new ones, which undo needs.",
    ),
]
CsvOption = Annotated[
    Path | None, typer.Option("--csv", metavar="DIR", help="Also write one CSV file per entity into this folder.")
]
HtmlOption = Annotated[
    Path | None, typer.Option("--html", metavar="FILE", help="Also write the report as one HTML file.")
]
YesOption = Annotated[
    bool,
    typer.Option("--yes", "-y", help="Do not ask. On a terminal, apply shows a summary and asks before it writes."),
]
LockTimeoutOption = Annotated[
    int | None, typer.Option("--lock-timeout", metavar="SECONDS", help="How long to wait for another run. Default: 60.")
]
