"""ispyb-sync: keeps an ISPyB database in step with a facility's User Portal.

    report = sync.plan("export.ndjson", database="mysql+pymysql://sync@host/ispyb")
    report = sync.apply(document, database=connection)
    report = sync.undo(report.run, database=connection)

The map of the package, in the order of the road:

    pipeline     the whole road; read this first
    read         export -> documents, streaming
    documents    the document schema, one class per entity; validate checks against it, mentions knows people again
    stage, load  documents -> rows that fit the live columns (fitting, fields) -> staging tables
    fingerprints     documents that were applied before, to be left out; digests, whether their rows are as they were
    reconcile    runs the passes of sql/*.sql: match, settle, compare, prune, apply
    writing      the write phase: one transaction, the run's lock, its row in history
    report       what a run did; outcome and changes fill it, render prints it in its order, page shows it in a
                 browser, sheets writes it as CSV
    undo         takes a run back; live, what only the live schema tells
    entities     the registry; target, what the live database is; sqlfiles, how its SQL is found
    database, settings, errors, refusals     what all of them stand on
    served       which ISPyB a tool schema serves: each command asks before it goes by what is in there
    history, purge, migrate, check, columns, server, demo         the other commands
    cli          the command line; commands, one module a kind; options, their flags; output, terminal, files, where
                 what they say goes
"""

from sync.api import apply, plan, undo
from sync.report import Report

__all__ = ["Report", "apply", "plan", "undo"]
