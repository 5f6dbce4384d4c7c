"""A tool schema serves one ISPyB, which `migrate` writes down: ids of another one mean nothing there."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import URL, event
from support.databases import Ispyb
from support.migrating import Fresh, down, fresh, script, up
from support.small import CommandLine, export, holds

import sync
from sync.check.findings import Finding, check
from sync.history import runs as history
from sync.history.adopt import adopt
from sync.history.purge import find_old
from sync.history.questions import rows
from sync.migrate import commands as migrate
from sync.model.errors import UsageError
from sync.model.settings import Settings


@pytest.fixture
def first(server_url: URL) -> Iterator[Fresh]:
    """An ISPyB with its tool schema."""
    with fresh(server_url, "py") as database:
        up(database)
        yield database


@pytest.fixture
def second(server_url: URL, first: Fresh) -> Iterator[Fresh]:
    """A second one on the same server, whose DBA forgot to give it a tool schema of its own."""
    with fresh(server_url, "py") as database:
        yield Fresh(database.admin, database.schema, first.staging_schema)


def apply(database: Fresh, documents: Any, **settings: Any) -> sync.Report:
    return sync.apply(documents, database=database.url, staging_schema=database.staging_schema, **settings)


def undo(database: Fresh, run: int) -> sync.Report:
    return sync.undo(run, database=database.url, staging_schema=database.staging_schema)


def settings(database: Fresh) -> Settings:
    return Settings(staging_schema=database.staging_schema)


def server(database: Fresh) -> str:
    ((name,),) = database.ask("SELECT CONCAT(@@hostname, ':', @@port)")
    return str(name)


def served(database: Fresh) -> list[tuple[object, ...]]:
    return database.ask(f"SELECT schema_name, server FROM `{database.staging_schema}`.served")


def as_before_it_was_written_down(database: Fresh) -> None:
    """As an older release leaves the tool schema: only its runs say whom it serves."""
    down(database, "0029", force=True)  # what later revisions wrote down goes with them


def fewer_people() -> list[dict[str, Any]]:
    """The proposer alone, and nobody on the sessions: two links less of each kind."""
    (document,) = export(1)
    document["proposal"]["persons"] = document["proposal"]["persons"][:1]
    for session in document["sessions"]:
        session["persons"] = []
    return [document]


def deleted(report: sync.Report) -> tuple[int, int]:
    return report.entities["proposal_has_person"].deleted, report.entities["session_has_person"].deleted


CALLS: dict[str, Callable[[str, Settings], object]] = {
    "migrate": lambda url, s: migrate.upgrade(url, staging_schema=s.staging_schema),
    "migrate --down": lambda url, s: migrate.downgrade(url, "base", staging_schema=s.staging_schema, force=True),
    "plan": lambda url, s: sync.plan(export(2), database=url, staging_schema=s.staging_schema),
    "apply": lambda url, s: sync.apply(export(2), database=url, staging_schema=s.staging_schema),
    "adopt": lambda url, s: adopt("person", "siteId", url, s),
    "undo": lambda url, s: sync.undo(1, database=url, staging_schema=s.staging_schema),
    "undo --plan": lambda url, s: sync.undo(1, database=url, staging_schema=s.staging_schema, plan=True),
    "history": history.runs,
    "history RUN": lambda url, s: history.show(url, s, 1),
    "history --row": lambda url, s: rows.row(url, s, "person:1"),
    "history purge": lambda url, s: find_old(url, s, "0d"),
}


def test_each_command_that_meets_another_ispyb_refuses(first: Fresh, second: Fresh) -> None:
    assert apply(first, export(1)).run == 1
    before = first.ask("SELECT * FROM Person"), second.tables(), first.tables(first.staging_schema)
    for name, call in CALLS.items():
        with pytest.raises(UsageError) as caught:
            call(second.url, settings(second))
        assert str(caught.value).startswith(
            f"the tool schema {first.staging_schema} serves {first.schema} on {server(first)}, "
            f"and this is {second.schema} on {server(first)}\n"
        ), name
        flag = "staging_schema=NAME" if name in ("plan", "apply", "undo", "undo --plan") else "--staging-schema NAME"
        for setting in (flag, "ISPYB_SYNC_STAGING_SCHEMA", "staging_schema in", "migrate --serve-this"):
            assert setting in str(caught.value), name
        assert caught.value.exit_code == 2
    assert (first.ask("SELECT * FROM Person"), second.tables(), first.tables(first.staging_schema)) == before
    assert served(first) == [(first.schema, server(first))]


def test_check_tells_it_as_an_error(first: Fresh, second: Fresh) -> None:
    def found(database: Fresh) -> list[Finding]:
        return [finding for finding in check(database.url, settings(database)) if finding.subject == "tool schema"]

    assert found(first) == []
    second.run("ALTER TABLE Laboratory DROP COLUMN IF EXISTS externalId")
    finding, *others = check(second.url, settings(second))
    assert (finding.level, finding.subject) == ("error", "tool schema")
    assert "migrations" not in [other.subject for other in others]
    assert f"serves {first.schema} on" in finding.message
    assert "--staging-schema" in finding.remedy
    first.run(f"DELETE FROM `{first.staging_schema}`.served")
    (finding,) = found(first)
    assert (finding.level, finding.message) == (
        "error",
        f"{first.staging_schema} does not say which ISPyB it serves",
    )


def test_a_copy_with_a_tool_schema_of_its_own_goes_its_own_way(first: Fresh, server_url: URL) -> None:
    apply(first, export(1))
    with fresh(server_url, "py") as copy:
        up(copy)
        assert apply(copy, export(1)).run == 1
    assert apply(first, export(1)).nothing_to_do


def test_a_run_asks_in_the_question_for_the_revision(py: Ispyb) -> None:
    """No round trip more: one proposal takes 40 ms."""
    asked: list[str] = []
    with py.engine.connect() as connection:
        event.listen(connection, "before_cursor_execute", lambda *arguments: asked.append(arguments[2]))
        sync.plan(export(1), database=connection, staging_schema=py.staging_schema)
    assert len([sql for sql in asked if "alembic_version" in sql]) == 1
    assert len([sql for sql in asked if ".served" in sql]) == 1


def test_runs_of_older_releases_say_whom_they_served(first: Fresh, second: Fresh) -> None:
    apply(first, export(1))
    as_before_it_was_written_down(first)
    with pytest.raises(UsageError, match=f"serves {first.schema}, in 1 runs of history, and this is {second.schema} "):
        up(second)
    assert "served" not in first.tables(first.staging_schema)
    up(first)
    assert served(first) == [(first.schema, server(first))]


def test_a_run_that_does_not_say_its_schema_is_of_the_one_that_is_served(first: Fresh) -> None:
    run = apply(first, export(1)).run
    as_before_it_was_written_down(first)
    first.run(f"UPDATE `{first.staging_schema}`.run SET settings = JSON_REMOVE(settings, '$.schema')")
    up(first)
    assert run is not None
    assert undo(first, run).refusals == []
    assert first.ask("SELECT COUNT(*) FROM Person") == [(0,)]


def test_the_same_ispyb_under_a_new_name_goes_on_with_its_history(first: Fresh, second: Fresh) -> None:
    """The rows are restored under another name: their ids are the same."""
    ours = apply(first, export(1)).run
    apply(first, export(1))
    rename(first, second)
    told = migrate.upgrade(second.url, staging_schema=second.staging_schema, serve_this=True).told
    assert told[0] == f"the tool schema {second.staging_schema} serves {second.schema} on {server(second)} from now on"
    assert told[1] == f"2 runs of {first.schema} do count: undo and --prune owned rely on the ids in them"
    assert "only for the same ISPyB, renamed, restored or moved" in told[2]
    assert "--staging-schema" in told[2]
    pruned = apply(second, fewer_people(), prune="owned")
    assert deleted(pruned) == (2, 2)
    for run in (pruned.run, ours):
        assert run is not None
        assert undo(second, run).refusals == []
    assert second.ask("SELECT COUNT(*) FROM Person") == [(0,)]
    with pytest.raises(UsageError, match=f"serves {second.schema} on"):
        apply(first, export(1))


def test_documents_are_not_left_out_that_were_applied_to_another_one(first: Fresh, second: Fresh) -> None:
    """The one that was served may still be there, as after a restore beside it: its runs count all the same."""
    apply(first, export(1))
    told = migrate.upgrade(second.url, staging_schema=second.staging_schema, serve_this=True).told
    assert told[1] == f"1 run of {first.schema} does count: undo and --prune owned rely on the ids in them"
    report = apply(second, export(1))
    assert report.entities["proposal"].inserted == 1


def test_schemas_whose_names_differ_in_case_are_two_where_the_server_says_so(first: Fresh) -> None:
    """Where it says otherwise: `test_servers.py`."""
    first.run(f"UPDATE `{first.staging_schema}`.served SET schema_name = UPPER(schema_name)")
    with pytest.raises(UsageError, match=f"serves {first.schema.upper()} on .*, and this is {first.schema} on"):
        apply(first, export(1))


def test_a_server_that_moved_is_another_one(first: Fresh) -> None:
    apply(first, export(1))
    first.run(f"UPDATE `{first.staging_schema}`.served SET server = 'old.example.org:3306'")
    with pytest.raises(UsageError, match=rf"serves {first.schema} on old\.example\.org:3306, and this is"):
        apply(first, export(1))
    told = migrate.upgrade(first.url, staging_schema=first.staging_schema, serve_this=True).told
    assert told[1] == f"1 run of {first.schema} does count: undo and --prune owned rely on the ids in them"
    assert served(first) == [(first.schema, server(first))]
    assert deleted(apply(first, fewer_people(), prune="owned")) == (2, 2)


def test_serve_this_says_nothing_where_it_served_this_already(first: Fresh) -> None:
    (since,) = first.ask(f"SELECT since FROM `{first.staging_schema}`.served")
    assert migrate.upgrade(first.url, staging_schema=first.staging_schema, serve_this=True).told == []
    assert first.ask(f"SELECT since FROM `{first.staging_schema}`.served") == [since]


@pytest.fixture
def shared(first: Fresh, second: Fresh) -> tuple[int, int]:
    """Both used one tool schema with an older release: a run of each, which gave the same ids to other people."""
    here = apply(first, export(1)).run
    migrate.upgrade(second.url, staging_schema=second.staging_schema, serve_this=True)
    first.run(f"UPDATE `{first.staging_schema}`.run SET elsewhere = FALSE")
    there = apply(second, export(1, family="Other")).run
    as_before_it_was_written_down(second)
    assert here is not None
    assert there is not None
    return here, there


def test_runs_of_two_that_shared_it_count_for_the_schema_that_they_name(
    first: Fresh, second: Fresh, shared: tuple[int, int]
) -> None:
    here, there = shared
    for database in (first, second):
        with pytest.raises(UsageError, match="1 runs of history"):
            up(database)
    told = migrate.upgrade(first.url, staging_schema=first.staging_schema, serve_this=True).told
    assert told[1:3] == [
        f"1 run of {first.schema} does count: undo and --prune owned rely on the ids in them",
        f"1 run of {second.schema} does not count: no undo, and none of their links is the tool's",
    ]
    assert {done[0] for done in rows.row(first.url, settings(first), "person:1")} == {here}
    runs = {run.report.run: run for run in history.runs(first.url, settings(first))}
    assert (runs[here].elsewhere, runs[there].elsewhere) == (False, True)
    assert runs[there].settings["schema"] == second.schema
    with pytest.raises(UsageError, match=f"run {there} was on {second.schema}, and this is {first.schema}"):
        undo(first, there)
    assert undo(first, here).refusals == []


def test_links_made_in_another_one_are_not_the_tools_here(first: Fresh, second: Fresh, shared: tuple[int, int]) -> None:
    """The links have the ids of those that a run made in the other ISPyB."""
    here, _ = shared
    migrate.upgrade(first.url, staging_schema=first.staging_schema, serve_this=True)
    first.run(f"DELETE FROM `{first.staging_schema}`.`change` WHERE run = {here}")
    report = apply(first, fewer_people(), prune="owned")
    assert deleted(report) == (0, 0)
    assert [w.count for w in report.warnings if w.code == "stale_links"] == [2, 2]


def test_who_was_taken_over_by_mistake_gets_back_no_run_of_the_other(first: Fresh, second: Fresh) -> None:
    """Both are there: the runs that the second one made meanwhile are its own."""
    here = apply(first, export(1)).run
    migrate.upgrade(second.url, staging_schema=second.staging_schema, serve_this=True)
    there = apply(second, export(1, title="New")).run
    migrate.upgrade(first.url, staging_schema=first.staging_schema, serve_this=True)
    runs = {run.report.run: run.elsewhere for run in history.runs(first.url, settings(first))}
    assert runs == {here: False, there: True}


def test_a_name_that_comes_back_keeps_all_runs(first: Fresh, second: Fresh) -> None:
    """Renamed, and renamed back: the other name is gone then."""
    here = apply(first, export(1)).run
    rename(first, second)
    migrate.upgrade(second.url, staging_schema=second.staging_schema, serve_this=True)
    meanwhile = apply(second, export(1, title="New")).run
    rename(second, first)
    migrate.upgrade(first.url, staging_schema=first.staging_schema, serve_this=True)
    runs = {run.report.run: run.elsewhere for run in history.runs(first.url, settings(first))}
    assert runs == {here: False, meanwhile: False}
    assert meanwhile is not None
    assert undo(first, meanwhile).refusals == []


def test_the_script_for_a_dba_writes_it_down_and_refuses_too(first: Fresh, second: Fresh) -> None:
    as_before_it_was_written_down(first)
    assert first.pipe(script(first)).stderr == ""
    assert served(first) == [(first.schema, server(first))]
    assert apply(first, export(1)).status == "applied"
    refused = second.pipe(script(second))
    assert refused.returncode != 0
    assert f"{first.schema} on {server(first)}" in refused.stdout
    assert "migrate --serve-this" in refused.stderr
    assert served(first) == [(first.schema, server(first))]
    taking = script(second, serve_this=True)
    assert "only for the same ISPyB, renamed, restored or moved" in " ".join(taking.replace("\n-- ", " ").split())
    assert second.pipe(taking).stderr == ""
    assert served(first) == [(second.schema, server(first))]
    assert second.pipe(script(second)).stderr == ""


def test_the_script_refuses_by_the_runs_of_an_older_release(first: Fresh, second: Fresh) -> None:
    apply(first, export(1))
    as_before_it_was_written_down(first)
    refused = second.pipe(script(second))
    assert refused.returncode != 0
    assert f"{first.schema}, in 1 runs of history" in refused.stdout
    assert "served" not in first.tables(first.staging_schema)


def test_the_command_line(py: Ispyb, server_url: URL, command: CommandLine) -> None:
    with fresh(server_url, "py") as other:
        refused = command("migrate", "--database", other.url)
        assert (refused.code, refused.out) == (2, "")
        assert "--staging-schema" in refused.err
        for flags in (("--sql",), ("--sql", "--down", "base")):
            assert command("migrate", *flags, "--database", other.url) == refused
        assert command("migrate", "--sql", "--serve-this", "--database", other.url).code == 0
        assert command("migrate", "--down", "base", "--serve-this").code == 2
        own = command("migrate", "--database", other.url, "--staging-schema", other.staging_schema)
        assert (own.code, own.out.splitlines()[0].startswith("migrate: "), own.out.splitlines()[1]) == (
            0,
            True,
            f"migrated from base to {migrate.head()}; made:",
        )
        again = command("migrate", "--database", other.url, "--staging-schema", other.staging_schema)
        assert again.out.splitlines()[1:] == [f"nothing to do: the database is at revision {migrate.head()} already"]
        other.run(f"UPDATE `{other.staging_schema}`.served SET schema_name = 'renamed'")
        arguments = ("--database", other.url, "--staging-schema", other.staging_schema)
        assert command("plan", "good.ndjson", *arguments).code == 2
        taken = command("migrate", "--serve-this", *arguments)
        assert taken.code == 0
        assert f"serves {other.schema} on" in taken.out
        assert command("plan", "good.ndjson", *arguments).code == 0


def test_history_marks_runs_of_others(
    first: Fresh, second: Fresh, shared: tuple[int, int], py: Ispyb, command: CommandLine
) -> None:
    _, there = shared
    migrate.upgrade(first.url, staging_schema=first.staging_schema, serve_this=True)
    arguments = ("--database", first.url, "--staging-schema", first.staging_schema)
    listed = command("history", *arguments).out
    assert f"elsewhere: on {second.schema}" in listed
    assert f"on {second.schema}: its ids mean nothing here" in command("history", str(there), *arguments).out
    assert json.loads(command("history", str(there), "--json", *arguments).out)["elsewhere"] is True
    assert command("undo", str(there), *arguments).code == 2
    assert holds(py, 0)


def rename(old: Fresh, new: Fresh) -> None:
    """Moves the tables, as one who renames a schema has to; those that are there already go."""
    new.run("SET foreign_key_checks = 0", *(f"DROP TABLE `{name}`" for name in new.tables()))
    for name in old.tables():
        old.run(f"RENAME TABLE `{name}` TO `{new.schema}`.`{name}`")
