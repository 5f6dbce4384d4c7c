"""Runs or prints the revisions that Alembic asks for; `migrations/env.py` calls nothing else.

The ISPyB schema is the default schema of the URL; the tool's schema is made if it is not there. Refuses
before the first change what would stop a later one.
"""

from collections.abc import Callable, Iterable

from alembic import context
from alembic.config import Config
from alembic.runtime.migration import MigrationContext, RevisionStep
from alembic.util import CommandError
from sqlalchemy.exc import DBAPIError

from sync.database.connection import Ispyb
from sync.database.lock import server_lock
from sync.migrate.ddl.change import COMMAND, Change, Guard, execute, failed
from sync.migrate.ddl.column import ExternalId
from sync.migrate.ddl.guards import (
    VERSION_TABLE,
    as_block,
    before_downgrade,
    before_upgrade,
    not_newer,
    refuse,
)
from sync.migrate.ddl.pending import demand_to_look, note
from sync.migrate.ddl.serve import (
    TAKEN_OVER,
    TITLE,
    guards,
    needed,
    of_others,
    serve_sql,
    server_sql,
    told,
)
from sync.migrate.ddl.session import READ_WRITE, SESSION, opened
from sync.model.errors import DatabaseError, SyncError
from sync.model.settings import load_settings
from sync.model.text import tool_version

RUN_PATIENCE = 60  # seconds to wait for a run to end

CREATE_SCHEMA = "CREATE DATABASE IF NOT EXISTS `{schema}` CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"

WITH_EXTERNAL_ID = """\
SELECT TABLE_NAME FROM information_schema.COLUMNS
WHERE TABLE_SCHEMA = DATABASE() AND COLUMN_NAME = 'externalId'"""

DONE = "SELECT 'ispyb-sync: at revision {end}{then}' AS done;"

FORGET = "DELETE FROM `{schema}`.{table}"

HEADER = """\
-- ispyb-sync {version}: migration {way}
--
-- Read it, then run it with the mariadb client, as an account that may ALTER the tables of {ispyb} and CREATE
-- in {schema}:
--
--     mariadb < migrate.sql
--
-- Each statement looks first whether it is needed, so the script may be run again at any time, also after it
-- stopped half way. Tables stay readable and writable meanwhile. A statement that finds its table busy gives
-- up after 5 seconds (error 1205): run the script again."""


def from_alembic() -> None:
    """Do what Alembic was asked for; a user of its command line sees errors in its own form."""
    try:
        _fill_in(context.config)
        if context.is_offline_mode():
            _offline(context.config)
        else:
            _online(context.config)
    except SyncError as error:
        if context.config.cmd_opts is None:
            raise
        raise CommandError(str(error)) from None


def _fill_in(config: Config) -> None:
    """Add the settings where `sync.migrate.commands` did not: on Alembic's command line they are the environment's."""
    if "tool_schema" not in config.attributes:
        settings = load_settings()
        config.attributes["tool_schema"] = settings.staging_schema
        if not context.is_offline_mode():
            config.attributes["database"] = settings.database_url()


def _online(config: Config) -> None:
    with opened(config.attributes["database"], config.attributes["tool_schema"]) as ispyb:
        try:
            with server_lock(ispyb.connection, RUN_PATIENCE):
                context.configure(connection=ispyb.connection, version_table_schema=ispyb.tool_schema)
                _run(ispyb, context.get_context())
        except DBAPIError as error:
            raise failed(error, "Alembic's own statement", config.attributes.get("command", COMMAND)) from None


def _run(ispyb: Ispyb, migration: MigrationContext) -> None:
    """Run the revisions, each committed by itself, as DDL is."""
    assert migration.config is not None
    writes = not migration.opts.get("dont_mutate")  # `alembic current` and the like only read
    up = False
    if writes:
        ispyb.connection.exec_driver_sql(server_sql())
        if not migration.config.attributes.get("serve_this") and (error := of_others(ispyb)):
            raise error
        revisions = [*context.script.walk_revisions()][::-1]
        demand_to_look(ispyb, [script.module.change for script in revisions])
        heals = bool(migration.config.attributes.get("heal"))
        heads = _known_heads(migration)
        migration.config.attributes["start"] = migration.get_current_revision()
        lost = heals and _are_lost(ispyb, heads)
        command = migration.config.attributes.get("command", COMMAND)
        refuse(ispyb, _guards(migration, () if lost else heads), command)
        note(ispyb, migration, _steps(migration, () if lost else heads))
        up = _goes_up(_steps(migration, heads))
        ispyb.connection.exec_driver_sql(CREATE_SCHEMA.format(schema=ispyb.tool_schema))
        if lost:  # start anew
            ispyb.connection.exec_driver_sql(FORGET.format(schema=ispyb.tool_schema, table=VERSION_TABLE))
        elif heals:
            _repeat_the_last(migration, heads)
    with context.begin_transaction():
        context.run_migrations()
    migration.config.attributes["end"] = migration.get_current_revision()
    if up and needed(ispyb):
        execute(migration, serve_sql(), TITLE)
        if migration.config.attributes.get("serve_this"):
            migration.config.attributes["told"] = list(told(ispyb))


def _goes_up(steps: list[RevisionStep]) -> bool:
    return all(step.is_upgrade for step in steps)


def _are_lost(ispyb: Ispyb, heads: tuple[str, ...]) -> bool:
    """Whether tables were restored from a dump that is older than the record of the migrations."""
    changes = [script.module.change for script in context.script.iterate_revisions(heads, "base")]
    wanted = {change.table for change in changes if isinstance(change, ExternalId)}
    return not wanted <= set(ispyb.connection.exec_driver_sql(WITH_EXTERNAL_ID).scalars())


def _repeat_the_last(migration: MigrationContext, heads: tuple[str, ...]) -> None:
    """Make the change of the recorded revision again: a downgrade that was killed took it back and did not say so."""
    for revision in heads:
        script = context.script.get_revision(revision)
        assert script is not None
        change: Change = script.module.change
        execute(migration, change.up_sql(), change.title)


def _guards(migration: MigrationContext, heads: tuple[str, ...]) -> list[Guard]:
    """List the guards of all revisions that are about to run on a database at these."""
    assert migration.config is not None
    force = bool(migration.config.attributes.get("force"))
    steps = _steps(migration, heads)
    guards = [not_newer(str(context.script.get_current_head()))]
    guards += before_upgrade() if _goes_up(steps) else before_downgrade()
    for step in steps:
        change: Change = step.revision.module.change
        guards += change.up_guards() if step.is_upgrade else change.down_guards(force=force)
    return guards


def _steps(migration: MigrationContext, heads: tuple[str, ...]) -> list[RevisionStep]:
    """List the revisions that are about to run."""
    plan: Callable[..., Iterable[object]] = migration.opts["fn"]
    return [step for step in plan(heads, migration) if isinstance(step, RevisionStep)]


def _known_heads(migration: MigrationContext) -> tuple[str, ...]:
    """Give the revision of the database; refuse one that this release does not know."""
    heads = migration.get_current_heads()
    unknown = set(heads) - {script.revision for script in context.script.walk_revisions()}
    if unknown:
        raise DatabaseError(
            f"migration: the database is at revision {', '.join(unknown)}, which this release does not know",
            hint="Use the release of ispyb-sync that migrated it, or a later one.",
        )
    return heads


def _offline(config: Config) -> None:
    """Print the script, in the statements that `_run` runs."""
    schema = config.attributes["tool_schema"]
    ispyb = config.attributes.get("database_name", "ispyb")
    context.configure(dialect_name="mysql", literal_binds=True, version_table_schema=schema)
    migration = context.get_context()
    out = migration.impl.static_output
    start, heads = migration.get_current_revision(), _known_heads(migration)
    steps = _steps(migration, heads)
    end = ", ".join(steps[-1].to_revisions) if steps else start
    way = config.attributes.get("way") or f"from revision {start or 'base'} to {end or 'base'}"
    out(HEADER.format(version=tool_version(), way=way, ispyb=ispyb, schema=schema))
    out(config.attributes.get("here", ""))
    out(f"USE `{ispyb}`;")
    out(f"{SESSION};")
    out(f"{READ_WRITE};")
    out("-- What must not be found. If something is, the script shows it and stops, with nothing changed.")
    out(f"{server_sql()};")
    serve_this = bool(config.attributes.get("serve_this"))
    for guard in [*(() if serve_this else guards()), *_guards(migration, heads)]:
        out(as_block(guard, schema))
    out("-- The tool's own schema, and where it keeps the revision that was reached.")
    out(f"{CREATE_SCHEMA.format(schema=schema)};")
    table = f"`{schema}`.{VERSION_TABLE}"
    if start is None:  # Alembic goes on with CREATE TABLE: each step runs again, and finds its work done
        out(f"DROP TABLE IF EXISTS {table};")
    else:
        out(f"CREATE TABLE IF NOT EXISTS {table} (version_num VARCHAR(32) NOT NULL PRIMARY KEY);")
    with context.begin_transaction():
        context.run_migrations()
    if _goes_up(steps):
        if serve_this:
            out(TAKEN_OVER)
        execute(migration, serve_sql(), TITLE)
    out(DONE.format(end=end or "base", then="; now run ispyb-sync check" if _goes_up(steps) else ""))
