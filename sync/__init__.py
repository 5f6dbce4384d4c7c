"""ispyb-sync: keeps an ISPyB database in step with a facility's User Portal.

    report = sync.plan("export.ndjson", database="mysql+pymysql://sync@host/ispyb")
    report = sync.apply(document, database=connection)
    report = sync.undo(report.run, database=connection)
    table = report.frame("person")      # and report.refusals_frame(): pandas

What stops a call is a SyncError: a UsageError, DatabaseError (Unreachable), PortalError, NoSuchProposal or LimitError.

The map of the rooms, in the order of the road; each may use those below it in the contract of `pyproject.toml`. A room
within a room stands under it:

    api               the one door: plan, apply, undo, adopt, and the SQL that a run sends
    pipeline          the whole road in one module; read this first
    read              the export -> documents as they were sent, one by one
      formats         the forms in which a User Portal may send its data, one module a form
        smis          the User Portal JSON of Java ISPyB
      turning         how a form is found, what it is given, and where the parts of its documents come from
    validate          documents as they were sent -> valid ones, and what is refused of them
    stage             valid documents -> rows that fit the live columns -> staging tables
    reconcile         staged rows -> who is who -> what differs -> ISPyB, in one transaction
      words           what is said of a refusal: what it hangs on, what contradicts what, what to do
    portal            the User Portal, asked by URL or by command: what it answers is an export
    history           what the tool did: runs, changes, undo
      questions       what people ask of it: which runs did something, what was done to one row
    verify            which documents need no look: they, and their rows in ISPyB, are as a run last took them
    show              a report for people: on a terminal, as a page, as CSV
      past            what history tells: the list of runs, one run, one row
    check             whether a run is possible; which columns nobody uses
    migrate           the migrations, run by Alembic
      ddl             what their revisions are made of: a change as SQL that looks first
    mend              SQL that a DBA reads and runs: two rows made one, a session moved
    serve             the endpoint, its page and its button: runs for whoever has a token
      routes          what can be asked of it, one module a thing
    listen            the consumer: runs for the events of a message broker
    demo              the tool at work, on a MariaDB of its own
    cli               the command line
      commands        one module a kind of command: what it takes
      work            what commands do, loaded when one runs

    statements        how the statements of sql/ are run: which, in what order, in how many round trips
    schema            what the live ISPyB is: its columns, their limits and keys
    database          the server: connections, locks, rights, retries, the tool's own schema, the SQL files
    model             what is spoken of, without a database: entities, documents, settings, errors, refusals, reports
      registry        what the registry can tell of an entity
      published       what others are given: the JSON Schema of a document, reports as pandas tables
      tables          the tables of ispyb-sync.toml: settings of one part of the tool
"""

from typing import TYPE_CHECKING, Any

from sync.model.errors import (
    DatabaseError,
    LimitError,
    NoSuchProposal,
    PortalError,
    SyncError,
    Unreachable,
    UsageError,
)

if TYPE_CHECKING:
    from sync.api import apply, plan, undo
    from sync.model.report import Report

__all__ = [
    "DatabaseError",
    "LimitError",
    "NoSuchProposal",
    "PortalError",
    "Report",
    "SyncError",
    "Unreachable",
    "UsageError",
    "apply",
    "plan",
    "undo",
]


if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """What is loaded when it is asked for: the help and the completion of the command line are quick without."""
        if name in ("apply", "plan", "undo"):
            from sync import api

            return getattr(api, name)
        if name == "Report":
            from sync.model.report import Report

            return Report
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
