"""Commands about exports: validate, plan, apply.

What they do is in `sync.cli.work.exports`, which is loaded when one of them runs.
"""

from typing import Annotated

import typer

from sync.cli.flags import OF_APPLY, OF_PLAN, OF_VALIDATE, takes
from sync.cli.group import commands
from sync.cli.options import (
    CsvOption,
    ExportArgument,
    HtmlOption,
    JsonOption,
    ListOption,
    MetricsOption,
    ProfileOption,
    ProposalOption,
    QuietOption,
    StrictOption,
    VerboseOption,
    YesOption,
)
from sync.model.errors import UsageError
from sync.model.settings import Settings

app = commands()


@app.command()
@takes(*OF_VALIDATE)
def validate(
    export: ExportArgument,
    settings: Settings,
    proposal: ProposalOption = None,
    print_documents: Annotated[
        bool,
        typer.Option(
            "--print",
            help="Print the valid documents on standard output, one a line, as ispyb; the report on standard error.",
        ),
    ] = False,
    strict: StrictOption = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: ListOption = 0,
) -> None:
    """Reads and validates an export; asks no database.

    So lengths and character sets are not checked.

    Examples: ispyb-sync validate export.ndjson.gz

    ispyb-sync validate portal:all --strict

    ispyb-sync validate smis/ --format smis --print > documents.ndjson
    """
    if print_documents and as_json:
        raise UsageError("--print with --json", hint="Standard output is for the documents, or for the report.")
    from sync.api import Request
    from sync.cli.work.exports import print_document, reconcile

    receives = print_document if print_documents else None
    request = Request("validate", export, settings, proposals=frozenset(proposal or ()), receives=receives)
    reconcile(request, as_json, verbose, quiet=quiet, strict=strict)


@app.command()
@takes(*OF_PLAN)
def plan(
    export: ExportArgument,
    settings: Settings,
    proposal: ProposalOption = None,
    csv: CsvOption = None,
    html: HtmlOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = 0,
    profile: ProfileOption = False,
) -> None:
    """Shows what apply would do; writes nothing to ISPyB.

    Examples: ispyb-sync plan export.ndjson --proposal MX-2112

    ispyb-sync plan export.ndjson --html plan.html

    ispyb-sync plan portal:MX-2112

    ispyb-sync plan MX-415.zip --format smis
    """
    from sync.api import Request
    from sync.cli.work.exports import reconcile
    from sync.show.files import Files

    request = Request("plan", export, settings, proposals=frozenset(proposal or ()))
    reconcile(request, as_json, verbose, quiet=quiet, files=Files(csv, html), profile=profile)


@app.command()
@takes(*OF_APPLY)
def apply(
    export: ExportArgument,
    settings: Settings,
    proposal: ProposalOption = None,
    yes: YesOption = False,
    csv: CsvOption = None,
    html: HtmlOption = None,
    metrics: MetricsOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = 0,
    profile: ProfileOption = False,
) -> None:
    """Brings ISPyB in step with an export, in one transaction.

    Examples: ispyb-sync apply export.ndjson.gz

    ispyb-sync apply export.ndjson.gz --prune owned --prune-limit 2%

    ispyb-sync apply portal:all --leave laboratory --leave lab_contact --json

    ispyb-sync apply portal:all --yes --quiet

    curl -s https://portal.example.org/export | ispyb-sync apply - --json
    """
    from sync.api import Request
    from sync.cli.work.exports import reconcile
    from sync.show.files import Files

    request = Request("apply", export, settings, proposals=frozenset(proposal or ()))
    files = Files(csv, html)
    reconcile(request, as_json, verbose, quiet=quiet, files=files, metrics=metrics, ask=not yes, profile=profile)
