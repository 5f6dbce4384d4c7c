"""`ispyb-sync demo`: the whole way of the tool on a private MariaDB, from a legacy ISPyB to a changed export."""

from collections.abc import Iterable
from pathlib import Path
from uuid import uuid4

from rich.console import Console
from rich.text import Text
from sqlalchemy import URL, NullPool, create_engine

from sync.api import apply, plan
from sync.database import sqlfiles
from sync.demo import sample
from sync.demo.kept_folder import KeptFolder, new_folder
from sync.demo.server import server
from sync.migrate import commands as migrate
from sync.model.report import Report
from sync.show.console import render


def run(console: Console, keep: Path | None = None) -> None:
    """Runs the demo, and leaves nothing behind, or in the folder `keep` all that somebody may want to look at."""
    folder = None if keep is None else new_folder(keep)
    schema = "ispyb" if keep else f"ispyb_demo_{uuid4().hex[:8]}"
    with server(keep=str(folder) if folder else None) as admin:
        _step(console, "A private MariaDB, with a legacy ISPyB: people, laboratories and proposals typed in by hand.")
        url = legacy(admin, schema)
        tool = f"{schema}_sync"
        kept = None if folder is None else KeptFolder(folder, url, tool)
        try:
            _show(console, url, tool, kept)
        finally:
            if kept is None:
                forget(admin, schema, tool)
    if kept is None:
        _step(console, "The server is stopped and its folder removed.")
    else:
        _step(console, kept.told())


def _show(console: Console, url: str, tool: str, kept: KeptFolder | None) -> None:
    """Migrates, and applies three exports."""

    def show(name: str, report: Report) -> None:
        render(report, console)
        if kept is not None:
            kept.report(name, report)

    _step(
        console,
        "ispyb-sync migrate: externalId columns, the indexes that matching needs, beamLineSetupId may be NULL.",
    )
    console.print(Text("\n".join(migrate.upgrade(url, staging_schema=tool).lines())))
    first, changed = sample.export(), sample.changed_export()
    given = {"database": url, "staging_schema": tool}
    if kept is not None:
        kept.settings()
        kept.exports(first=first, changed=changed)
    _step(console, f"ispyb-sync apply: the first export, {len(first)} proposals. Hand-typed rows are found.")
    show("first", apply(first, **given))
    _step(console, "The same export again: nothing changes.")
    show("again", apply(first, **given))
    _step(
        console,
        "A day later, first as a plan. A person typed in by hand gains its externalId, a login changes, and a"
        " title has a letter that the column cannot store: that field is refused, all else goes on.",
    )
    show("plan", plan(changed, **given))
    _step(console, "And applied.")
    show("changed", apply(changed, **given))


def legacy(admin: URL, schema: str) -> str:
    """Makes the legacy schema with its rows; gives its URL."""
    statements = [f"CREATE DATABASE `{schema}` CHARACTER SET latin1 COLLATE latin1_swedish_ci", f"USE `{schema}`"]
    statements += [sql for statement in sqlfiles.load("legacy") if (sql := statement.render())]
    _execute(admin, statements)
    return admin.set(database=schema).render_as_string(hide_password=False)


def forget(admin: URL, *schemas: str) -> None:
    """Drops what the demo made; a server that was there before goes on."""
    _execute(admin, [f"DROP DATABASE IF EXISTS `{name}`" for name in schemas])


def _execute(admin: URL, statements: Iterable[str]) -> None:
    engine = create_engine(
        admin.update_query_dict({"charset": "utf8mb4"}),
        poolclass=NullPool,
        execution_options={"no_parameters": True},
    )
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def _step(console: Console, words: str) -> None:
    console.print()
    console.print(Text("─" * 100, style="dim"))
    console.print(Text(words, style="bold"))
    console.print()
