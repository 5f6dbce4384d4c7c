"""Migrations: what stops them before anything is touched, and what they never take away."""

import secrets

import pytest
from sqlalchemy import URL, create_engine
from sqlalchemy.pool import NullPool
from support.migrating import DUPLICATES, NO_ZERO_DATE, Fresh, beam_line_setup, down, is_current, legacy, py, up, whole
from support.small import CommandLine

from sync.database.lock import server_lock
from sync.migrate import commands as migrate
from sync.migrate.ddl import change, run, session
from sync.model.errors import DatabaseError, LimitError, UsageError

__all__ = ["legacy", "py"]  # fixtures


def insert_session(database: Fresh, setup: str) -> None:
    database.run(
        "SET foreign_key_checks = 0",
        f"INSERT INTO BLSession (sessionId, proposalId, beamLineSetupId) VALUES (1, 1, {setup})",
    )


def test_not_null_comes_back_only_where_no_null_is_stored(legacy: Fresh) -> None:
    up(legacy)
    insert_session(legacy, "NULL")
    migrated = whole(legacy)
    with pytest.raises(LimitError, match="beamLineSetupId is NULL in 1 rows"):
        down(legacy)
    assert whole(legacy) == migrated
    down(legacy, force=True)
    assert beam_line_setup(legacy)[1] == "YES"


def test_a_column_of_ours_that_holds_data_is_dropped_only_by_force(legacy: Fresh) -> None:
    original = legacy.tables()
    up(legacy)
    legacy.run("INSERT INTO Person (personId, externalId) VALUES (1, UNHEX('9D')), (2, UNHEX('9E')), (3, NULL)")
    migrated = whole(legacy)
    with pytest.raises(LimitError, match=r"Person\.externalId holds 2 values"):
        down(legacy)
    assert whole(legacy) == migrated
    down(legacy, force=True)
    assert legacy.tables() == original
    assert legacy.ask("SELECT COUNT(*) FROM Person") == [(3,)]


def test_an_external_id_stored_by_others_survives_up_and_down(py: Fresh) -> None:
    py.run("INSERT INTO Person (personId, externalId) VALUES (1, UNHEX('0000000000000000000000000000009D'))")
    rows = py.ask("SELECT personId, externalId FROM Person")
    up(py)
    down(py, force=True)
    assert py.ask("SELECT personId, externalId FROM Person") == rows


def test_the_history_of_runs_is_dropped_only_by_force(legacy: Fresh) -> None:
    up(legacy)
    run_table = f"`{legacy.staging_schema}`.run"
    legacy.run(
        f"INSERT INTO {run_table} (mode, status, started, account, tool_version) "
        "VALUES ('apply', 'applied', NOW(), 'someone', '1')"
    )
    with pytest.raises(LimitError, match="table run holds 1 rows"):
        down(legacy)
    assert is_current(legacy)
    down(legacy, "0003")  # keeps it
    assert legacy.ask(f"SELECT COUNT(*) FROM {run_table}") == [(1,)]
    down(legacy, force=True)
    assert "run" not in legacy.tables(legacy.staging_schema)


def test_each_item_that_force_would_lose_has_its_remedy_under_it(legacy: Fresh, command: CommandLine) -> None:
    up(legacy)
    insert_session(legacy, "NULL")
    legacy.run(
        "INSERT INTO Person (personId, externalId) VALUES (1, UNHEX('9D'))",
        f"INSERT INTO `{legacy.staging_schema}`.run (mode, status, started, account, tool_version) "
        "VALUES ('apply', 'applied', NOW(), 'someone', '1')",
    )
    arguments = ("--database", legacy.url, "--staging-schema", legacy.staging_schema)
    done = command("migrate", "--down", "base", *arguments)
    at = f"{legacy.schema} on {legacy.admin.host}:{legacy.admin.port}"
    assert (done.code, done.out) == (4, "")
    assert done.err.splitlines() == [
        f"error: migration: nothing was changed in {at}",
        "  a column that was NOT NULL holds NULL:",
        "    BLSession.beamLineSetupId is NULL in 1 rows",
        "    Fill it, or give --force to leave it as it is.",
        "  columns to be dropped hold data:",
        "    Person.externalId holds 1 values",
        "    Keep them, or give --force to lose what they hold.",
        "  tables to be dropped hold rows:",
        "    table run holds 1 rows",
        "    Keep them, or give --force to lose the history of all runs.",
        "  Then run ispyb-sync migrate --down base again.",
    ]


def test_an_index_that_a_foreign_key_has_come_to_need_stops_the_downgrade(legacy: Fresh) -> None:
    up(legacy)
    legacy.run("ALTER TABLE ProposalHasPerson DROP INDEX fk_ProposalHasPerson_Proposal")
    migrated = whole(legacy)
    with pytest.raises(DatabaseError, match="fk_ProposalHasPerson_Proposal has no index but ispyb_sync_"):
        down(legacy, force=True)
    assert whole(legacy) == migrated


def test_duplicates_are_listed_with_their_ids_before_anything_is_touched(py: Fresh) -> None:
    py.run(*DUPLICATES)
    original = py.tables()
    with pytest.raises(DatabaseError) as caught:
        up(py)
    text = str(caught.value)
    assert "Person.externalId 9D000000000000000000000000000000 is in 2 rows, ids 3, 7" in text
    assert "BLSession.externalId 01000000000000000000000000000000 is in 2 rows, ids 4, 5" in text
    assert "9E" not in text
    assert "Empty or correct it" in text
    assert caught.value.exit_code == 3
    assert py.tables() == original
    assert py.ask(f"SHOW DATABASES LIKE '{py.staging_schema}'") == []


def test_an_external_id_of_another_type_stops_the_upgrade(legacy: Fresh) -> None:
    legacy.run("ALTER TABLE Proposal ADD COLUMN externalId VARCHAR(36) NULL")
    with pytest.raises(DatabaseError, match=r"Proposal\.externalId is varchar\(36\), not binary\(16\)"):
        up(legacy)
    assert legacy.ask(f"SHOW DATABASES LIKE '{legacy.staging_schema}'") == []


def test_a_missing_right_is_named_before_the_first_change(legacy: Fresh) -> None:
    name = f"reader_{secrets.token_hex(4)}"
    legacy.run(
        f"CREATE USER `{name}`@`%` IDENTIFIED BY 'only'",
        f"GRANT SELECT ON `{legacy.schema}`.* TO `{name}`@`%`",
        f"GRANT ALTER ON `{legacy.schema}`.Person TO `{name}`@`%`",
    )
    url = legacy.admin.set(database=legacy.schema, username=name, password="only")
    try:
        with pytest.raises(DatabaseError) as raised:
            migrate.upgrade(url.render_as_string(hide_password=False), staging_schema=legacy.staging_schema)
        assert f"{name}@% has no SELECT, CREATE on {legacy.staging_schema}.*; ALTER on" in raised.value.message
        assert f"ALTER on {legacy.schema}.BLSession" in raised.value.message
        assert f"ALTER on {legacy.schema}.Person" not in raised.value.message
        assert f"GRANT ALTER ON {legacy.schema}.BLSession TO the account" in str(raised.value.hint)
    finally:
        legacy.run(f"DROP USER `{name}`@`%`")


def test_a_schema_that_is_no_ispyb_is_refused(legacy: Fresh) -> None:
    legacy.run("SET foreign_key_checks = 0", "DROP TABLE LabContact", "DROP TABLE Session_has_Person")
    with pytest.raises(DatabaseError) as caught:
        up(legacy)
    assert "LabContact: no such table" in str(caught.value)
    assert "Session_has_Person: no such table" in str(caught.value)


def test_the_wrong_schema_leaves_the_record_of_the_right_one(legacy: Fresh) -> None:
    up(legacy)
    legacy.run(f"CREATE DATABASE `{legacy.schema}_wrong`")
    try:
        wrong = legacy.admin.set(database=f"{legacy.schema}_wrong").render_as_string(hide_password=False)
        with pytest.raises(UsageError, match=f"serves {legacy.schema} on .*, and this is {legacy.schema}_wrong on"):
            migrate.upgrade(wrong, staging_schema=legacy.staging_schema)
        with pytest.raises(DatabaseError, match="nothing was changed"):
            migrate.upgrade(wrong, staging_schema=legacy.staging_schema, serve_this=True)
    finally:
        legacy.run(f"DROP DATABASE `{legacy.schema}_wrong`")
    assert is_current(legacy)


def test_it_works_under_a_session_that_forbids_zero_dates(legacy: Fresh) -> None:
    assert "0000-00-00" in legacy.tables()["BLSession"]
    original = legacy.tables()
    command = {"init_command": f"SET sql_mode='{NO_ZERO_DATE}'"}
    strict = legacy.admin.set(database=legacy.schema).update_query_dict(command)
    text = strict.render_as_string(hide_password=False)
    with create_engine(text, poolclass=NullPool).connect() as connection:
        assert "NO_ZERO_DATE" in str(connection.exec_driver_sql("SELECT @@sql_mode").scalar())
    migrate.upgrade(text, staging_schema=legacy.staging_schema)
    assert is_current(legacy)
    migrate.downgrade(text, "base", staging_schema=legacy.staging_schema)
    assert legacy.tables() == original


def test_a_busy_table_is_left_to_others_and_tried_again(legacy: Fresh, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(change, "ATTEMPTS", 2)
    monkeypatch.setattr(change, "PAUSE", 0)
    monkeypatch.setattr(session, "SESSION", session.SESSION.replace("lock_wait_timeout = 5", "lock_wait_timeout = 1"))
    with legacy.engine.connect().execution_options(isolation_level="READ COMMITTED") as other:
        other.exec_driver_sql("SELECT * FROM Person LIMIT 1")
        with pytest.raises(DatabaseError, match=r"column Person.externalId: .*\(1205\)") as caught:
            up(legacy)
        assert "long transaction" in str(caught.value)
        other.rollback()
    up(legacy)
    assert is_current(legacy)


def test_two_upgrades_at_once_wait_for_each_other(legacy: Fresh, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "RUN_PATIENCE", 0)

    with legacy.engine.connect() as other, server_lock(other, 0), pytest.raises(DatabaseError, match="lock"):
        up(legacy)
    up(legacy)


def test_what_a_killed_downgrade_took_back_without_saying_so_comes_back(legacy: Fresh) -> None:
    up(legacy)
    migrated = whole(legacy)
    (head,) = legacy.ask(f"SELECT version_num FROM `{legacy.staging_schema}`.alembic_version")
    assert head == ("0036",)  # else drop here what the last revision makes
    legacy.run(f"ALTER TABLE `{legacy.staging_schema}`.fingerprint DROP COLUMN warnings")
    up(legacy)
    assert whole(legacy) == migrated
    down(legacy, "0020")
    (index,) = [name for name in legacy.indexes("ProposalHasPerson") if name.startswith("ispyb_sync")]
    legacy.run(f"ALTER TABLE ProposalHasPerson DROP INDEX {index}")
    up(legacy)
    assert whole(legacy) == migrated


def test_an_unknown_revision_is_wrong_usage(legacy: Fresh) -> None:
    up(legacy)
    with pytest.raises(UsageError, match="7777"):
        down(legacy, "7777")
    with pytest.raises(UsageError, match="schema name"):
        migrate.script("x`; DROP DATABASE ispyb")


def test_a_password_never_shows(legacy: Fresh) -> None:
    secret = "hunter2hunter2"
    closed = f"mysql+pymysql://nobody:{secret}@127.0.0.1:1/ispyb"
    wrong = legacy.admin.set(database=legacy.schema, password=secret, username="nobody")
    nonsense = f"mysql+pymysql//nobody:{secret}@host"
    for url in (closed, wrong.render_as_string(hide_password=False), nonsense):
        with pytest.raises((DatabaseError, UsageError)) as caught:
            migrate.upgrade(url, staging_schema=legacy.staging_schema)
        assert secret not in str(caught.value)


def test_a_url_without_a_schema_is_wrong_usage(server_url: URL) -> None:
    with pytest.raises(UsageError, match="names no schema"):
        migrate.upgrade(server_url.render_as_string(hide_password=False))
