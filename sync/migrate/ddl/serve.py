"""`migrate` writes down which ISPyB the tool's schema serves, and refuses one that serves another.

With --serve-this it takes the schema over: what history holds of the ISPyB that was served counts for this one then.
Refuses to guess where runs of several ISPyBs share a history: there each run counts for the schema that it names.
"""

from collections.abc import Iterable, Iterator
from textwrap import indent
from typing import Any

from sync.database.connection import Ispyb
from sync.database.revision import head
from sync.database.sqlfiles import named, of_pass
from sync.database.tool_schema import OWN_SCHEMA, REMEDY, Served, complaint, look
from sync.migrate.ddl.change import Guard
from sync.migrate.ddl.guards import found_by
from sync.migrate.ddl.table import IS_THERE
from sync.model.errors import UsageError
from sync.model.text import counted

TITLE = "which ISPyB this schema serves"
TAKEN_OVER = """\
-- This takes the tool's schema over: what its history holds of the ISPyB that it served counts for this one. That is
-- right only for the same ISPyB, renamed, restored or moved. A copy beside the original needs a tool schema of its own:
-- ispyb-sync migrate --sql --staging-schema NAME"""

MEANING = (
    "That is right only for the same ISPyB, renamed, restored or moved. If it is a copy beside the original, the tool "
    f"would take ids of the one for ids of the other. {OWN_SCHEMA}"
)

_THERE = IS_THERE.format(name="served")
_RUNS_THERE = IS_THERE.format(name="run")
_REFUSAL = "the tool schema serves another ISPyB"


def server_sql() -> str:
    """Give the statement that the others rely on: it asks what the server is called."""
    return _text("see_server")


def serve_sql() -> str:
    """Give the statement that writes down which ISPyB is served. It commits: a server may begin without autocommit."""
    statements = [statement.render() for statement in of_pass("served", "serve")]
    body = "".join(f"{sql};\n" for sql in (*statements, "COMMIT") if sql)
    return f"BEGIN NOT ATOMIC\n{indent(body, '  ')}END"


def guards() -> list[Guard]:
    """List what must not be found before a script is run, unless it takes the schema over."""
    runs = _text("runs_of_others")
    return [
        Guard(_text("another_ispyb"), _REFUSAL, REMEDY, when=(_THERE,)),
        Guard(runs, _REFUSAL, REMEDY, when=(_RUNS_THERE, f"NOT {_THERE}")),
        Guard(
            runs,
            _REFUSAL,
            REMEDY,
            when=(_RUNS_THERE, _THERE, "NOT EXISTS (SELECT 1 FROM ispyb_sync.served)"),
        ),
    ]


def of_others(ispyb: Ispyb) -> UsageError | None:
    """Give the error of a tool schema of which a guard finds that it serves another ISPyB."""
    for guard in guards():
        if others := "; ".join(found_by(ispyb, guard)):
            found = Served(None, others, _this(ispyb), same=False)
            return UsageError(complaint(ispyb, found), hint=REMEDY)
    return None


def needed(ispyb: Ispyb) -> bool:
    """Tell whether it is still to be written down; that is done behind the last revision."""
    found = look(ispyb)
    return found is not None and found.revision == head() and not found.same


def told(ispyb: Ispyb) -> Iterator[str]:
    """Say what it means that the schema was taken over."""
    yield f"the tool schema {ispyb.tool_schema} serves {_this(ispyb)} from now on"
    found: Iterable[Any] = ispyb.ask(named("served", "runs_by_ispyb"))
    for elsewhere, schema, runs in found:
        name = f" of {schema}" if schema else " of a release that did not note its ISPyB"
        if elsewhere:
            yield f"{counted(runs, 'run')}{name} {_do(runs)} not count: no undo, and none of their links is the tool's"
        else:
            yield f"{counted(runs, 'run')}{name} {_do(runs)} count: undo and --prune owned rely on the ids in them"
    yield MEANING


def _do(runs: int) -> str:
    return "does" if runs == 1 else "do"


def _this(ispyb: Ispyb) -> str:
    return str(ispyb.connection.exec_driver_sql("SELECT CONCAT(DATABASE(), ' on ', @server)").scalar())


def _text(name: str) -> str:
    return named("served", name).render() or ""
