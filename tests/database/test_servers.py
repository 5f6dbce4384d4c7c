"""Servers that are set up otherwise than usual: a run works there, or says why it cannot."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import make_url
from support.databases import Ispyb, create
from support.small import document, export, holds, run

import sync
from sync.check.findings import check
from sync.database import retry as patience
from sync.database.connection import connected
from sync.demo.server import server
from sync.migrate import commands as migrate
from sync.model.errors import DatabaseError
from sync.model.settings import Settings
from sync.stage import load

TEXT = [
    "tab\t",
    "line\n",
    "back\\slash",
    "\\N",
    "'",
    '"',
    "`",
    "%s",
    ":x",
    "'; DROP TABLE Person; --",
    "",
    " ",
    "after ",
    "😀",
]


@pytest.fixture(scope="module")
def odd() -> Iterator[Ispyb]:
    """py-ispyb's tables on a server of which nearly every setting is another than usual."""
    flags = [
        *("--local-infile=0", "--lower-case-table-names=1", "--max-allowed-packet=1M", "--autocommit=0"),
        *("--sql-mode=", "--innodb-strict-mode=0", "--default-time-zone=+05:30", "--innodb-rollback-on-timeout=1"),
        *("--character-set-server=latin1", "--collation-server=latin1_german1_ci", "--group-concat-max-len=4"),
        *("--transaction-isolation=SERIALIZABLE", "--explicit-defaults-for-timestamp=0"),
        *("--log-bin", "--server-id=1", "--binlog-format=MIXED", "--character-set-client-handshake=0"),
    ]
    with server(extra=flags) as url:
        yield create(url, "py")


@pytest.mark.parametrize(
    ("sql_mode", "local_infile"),
    [
        ("", 0),
        ("", 1),
        ("ANSI,NO_BACKSLASH_ESCAPES", 0),
        ("ANSI,NO_BACKSLASH_ESCAPES", 1),
        ("ORACLE,TRADITIONAL", 1),
        ("EMPTY_STRING_IS_NULL,PAD_CHAR_TO_FULL_LENGTH", 0),
    ],
)
def test_the_server_may_be_set_up_otherwise(
    odd: Ispyb, monkeypatch: pytest.MonkeyPatch, sql_mode: str, local_infile: int
) -> None:
    run(odd, f"SET GLOBAL sql_mode = '{sql_mode}'", f"SET GLOBAL local_infile = {local_infile}")
    odd.engine.dispose()
    odd.reset()
    monkeypatch.setattr(load, "FEW_ROWS", 0)
    documents = [document(number, family=text) for number, text in enumerate(TEXT)]
    report = sync.apply(documents, database=odd.role_url, staging_schema=odd.staging_schema)
    assert report.refusals == []
    assert holds(odd, len(documents))
    names = {row["login"]: row["familyName"] for row in odd.rows("Person")}
    for one in documents:
        person = one["proposal"]["persons"][0]
        assert names[person["login"]] == person["familyName"]
    for row in odd.rows("BLSession"):
        assert (str(row["startDate"]), str(row["lastUpdate"])) == ("2024-07-01 08:00:00", "2024-07-02 08:00:00")
    assert sync.apply(documents, database=odd.role_url, staging_schema=odd.staging_schema).nothing_to_do


@pytest.mark.parametrize("local_infile", [0, 1])
def test_more_than_one_packet_is_sent_in_several(
    odd: Ispyb, monkeypatch: pytest.MonkeyPatch, local_infile: int
) -> None:
    run(odd, f"SET GLOBAL local_infile = {local_infile}")
    odd.reset()
    monkeypatch.setattr(load, "FEW_ROWS", 0)
    large = document(1)
    large["proteins"] = [{"acronym": f"p{number}", "sequence": "A" * 60_000} for number in range(60)]
    report = sync.apply(large, database=odd.role_url, staging_schema=odd.staging_schema)
    assert (report.refusals, report.entities["protein"].inserted) == ([], 60)
    assert {len(str(row["sequence"])) for row in odd.rows("Protein")} == {60_000}


def test_more_refusals_than_fit_into_a_packet_do_no_harm(odd: Ispyb) -> None:
    odd.reset()
    documents = export(1000, title="x" * 300, family="y" * 300)
    report = sync.apply(documents, database=odd.role_url, staging_schema=odd.staging_schema)
    assert (report.status, len(report.refusals)) == ("applied", 1000 + 3 * 1000)
    assert report.entities["proposal"].inserted == 1000


ALL_OFF = ",".join(f"{name}=off" for name in ("derived_merge", "semijoin", "materialization", "mrr", "index_merge"))


@pytest.mark.parametrize(
    "settings",
    [
        "NAMES latin1",
        "NAMES cp1251, character_set_results = latin1, collation_connection = latin1_german1_ci",
        "sql_mode = ''",
        "sql_mode = 'ANSI_QUOTES,PIPES_AS_CONCAT,IGNORE_SPACE,NO_BACKSLASH_ESCAPES,EMPTY_STRING_IS_NULL'",
        "autocommit = 0",
        "autocommit = 1",
        "SESSION TRANSACTION READ ONLY",
        "SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE",
        "SESSION TRANSACTION ISOLATION LEVEL READ UNCOMMITTED",
        "innodb_lock_wait_timeout = 1, lock_wait_timeout = 1",
        "time_zone = '-11:00'",
        "sql_select_limit = 1",
        "sql_safe_updates = 1",
        "sql_auto_is_null = 1",
        "completion_type = CHAIN",
        "max_join_size = 1",
        "max_recursive_iterations = 0",
        "group_concat_max_len = 4",
        "foreign_key_checks = 0, unique_checks = 0",
        "sql_quote_show_create = 0",
        "default_storage_engine = MEMORY, big_tables = 1",
        "tmp_memory_table_size = 1024, max_heap_table_size = 16384, join_buffer_size = 128",
        f"optimizer_switch = '{ALL_OFF}', join_cache_level = 0",
        "lc_messages = 'de_DE', lc_time_names = 'de_DE', sql_warnings = 1, sql_notes = 0",
        "old_mode = 'NO_DUP_KEY_WARNINGS_WITH_IGNORE'",
    ],
)
def test_a_session_may_begin_otherwise(odd: Ispyb, monkeypatch: pytest.MonkeyPatch, settings: str) -> None:
    monkeypatch.setattr(load, "FEW_ROWS", 0)
    run(odd, "SET GLOBAL local_infile = 1")
    odd.reset()
    documents = [document(number, family=f"Ångström Ω {number}") for number in range(1, 5)]
    with init_connect(odd, f"SET {settings}"):
        report = sync.apply(documents, database=odd.role_url, staging_schema=odd.staging_schema)
        assert (report.refusals, report.status) == ([], "applied")
        plan = sync.plan(documents, database=odd.role_url, staging_schema=odd.staging_schema)
        assert plan.nothing_to_do
        assert sync.apply(documents, database=odd.role_url, staging_schema=odd.staging_schema).nothing_to_do
    assert holds(odd, 4)
    assert {str(row["familyName"])[:10] for row in odd.rows("Person")} == {"Ångström Ω"}
    assert {str(row["startDate"]) for row in odd.rows("BLSession")} == {"2024-07-01 08:00:00"}


@contextmanager
def init_connect(odd: Ispyb, statement: str) -> Iterator[None]:
    """Settings that the sync's sessions begin with, and root's do not."""
    with odd.engine.begin() as connection:
        connection.exec_driver_sql(f'SET GLOBAL init_connect = "{statement}"')
    try:
        yield
    finally:
        run(odd, "SET GLOBAL init_connect = ''")


@contextmanager
def server_setting(odd: Ispyb, name: str, value: object) -> Iterator[None]:
    """A setting of the whole server, for as long as a test needs it."""
    with odd.engine.begin() as connection:
        before = connection.exec_driver_sql(f"SELECT @@GLOBAL.{name}").scalar_one()
        connection.exec_driver_sql(f"SET GLOBAL {name} = {value!r}")
    odd.engine.dispose()
    try:
        yield
    finally:
        run(odd, f"SET GLOBAL {name} = {before!r}")
        odd.engine.dispose()


@pytest.mark.parametrize(
    ("name", "value"),
    [("max_allowed_packet", 16_384), ("max_allowed_packet", 524_288), ("binlog_format", "STATEMENT")],
)
def test_a_setting_that_is_in_the_way_is_named(odd: Ispyb, name: str, value: object) -> None:
    odd.reset()
    with server_setting(odd, name, value), pytest.raises(DatabaseError) as caught:
        sync.apply(export(2), database=odd.role_url, staging_schema=odd.staging_schema)
    assert name in str(caught.value)
    assert f"SET GLOBAL {name} = " in str(caught.value)
    assert holds(odd, 0)


@pytest.mark.parametrize(("name", "value"), [("binlog_format", "STATEMENT"), ("read_only", 1)])
def test_check_finds_it_beforehand(odd: Ispyb, name: str, value: object) -> None:
    with server_setting(odd, name, value):
        findings = check(odd.role_url, Settings(staging_schema=odd.staging_schema))
    (error,) = [finding for finding in findings if finding.level == "error"]
    assert name in error.message
    assert error.remedy


ODD_FOR_ALL = {
    "sql_safe_updates": 1,
    "sql_select_limit": 1,
    "sql_auto_is_null": 1,
    "completion_type": "CHAIN",
    "tx_read_only": 1,
    "innodb_lock_wait_timeout": 1,
    "binlog_format": "STATEMENT",
    "sql_mode": "NO_ZERO_DATE,NO_ZERO_IN_DATE,TRADITIONAL",
}


@pytest.mark.parametrize("name", ODD_FOR_ALL)
def test_migrations_do_not_mind_either(odd: Ispyb, name: str) -> None:
    with server_setting(odd, name, ODD_FOR_ALL[name]):
        migrate.downgrade(odd.url, "0021", staging_schema=odd.staging_schema)
        migrate.upgrade(odd.url, staging_schema=odd.staging_schema)
    with connected(odd.engine, Settings(staging_schema=odd.staging_schema)) as ispyb:
        assert migrate.is_current(ispyb)


def test_a_limit_on_the_time_of_statements_is_named(odd: Ispyb) -> None:
    odd.reset()
    with init_connect(odd, "SET max_statement_time = 0.0002"), pytest.raises(DatabaseError, match="max_statement_time"):
        sync.apply(export(100), database=odd.role_url, staging_schema=odd.staging_schema)
    assert holds(odd, 0)


def test_rows_that_others_hold_too_long_are_waited_for_in_vain(odd: Ispyb, monkeypatch: pytest.MonkeyPatch) -> None:
    odd.reset()
    monkeypatch.setattr(patience, "ATTEMPTS", 2)
    monkeypatch.setattr(patience, "PAUSE_SECONDS", 0.01)
    sync.apply(export(1), database=odd.role_url, staging_schema=odd.staging_schema)
    with odd.engine.connect() as other:
        other.exec_driver_sql("START TRANSACTION")
        other.exec_driver_sql("UPDATE Person SET faxNumber = '1'")
        with init_connect(odd, "SET innodb_lock_wait_timeout = 1"), pytest.raises(DatabaseError) as caught:
            sync.apply(export(1, family="Other"), database=odd.role_url, staging_schema=odd.staging_schema)
        assert "innodb_lock_wait_timeout" in str(caught.value)
        other.rollback()
    assert {str(row["familyName"])[:4] for row in odd.rows("Person")} == {"Name"}


def test_names_of_schemas_may_be_written_large(odd: Ispyb) -> None:
    odd.reset()
    url = make_url(odd.role_url)
    large = url.set(database=str(url.database).upper()).render_as_string(hide_password=False)
    run(odd, f"UPDATE {odd.staging_schema}.served SET schema_name = UPPER(schema_name)")
    report = sync.apply(export(2), database=large, staging_schema=odd.staging_schema.upper())
    assert report.status == "applied"
    assert holds(odd, 2)
    migrate.upgrade(odd.url, staging_schema=odd.staging_schema)


def test_a_chain_of_claims_may_be_longer_than_the_servers_recursion(odd: Ispyb) -> None:
    odd.reset()
    length = 1100  # MariaDB stops at 1000 unless told otherwise
    with odd.engine.begin() as connection:
        rows = [
            f"({n + 1}, 'u{n}', {'NULL' if n == length else f'UNHEX(LPAD(HEX({n + 1}), 32, 0))'})"
            for n in range(length + 1)
        ]
        connection.exec_driver_sql(f"INSERT INTO Person (personId, login, externalId) VALUES {', '.join(rows)}")
    people = [{"login": "boss"}, *({"externalId": n + 1, "login": f"u{n + 1}"} for n in range(length))]
    claims = {"proposal": {"proposalNumber": "1", "persons": people}}
    report = sync.apply(claims, database=odd.role_url, staging_schema=odd.staging_schema)
    assert (report.entities["person"].refused, report.entities["person"].inserted) == (length, 1)


def test_a_server_that_is_read_only_can_be_planned_on_but_not_applied_to(odd: Ispyb) -> None:
    odd.reset()
    run(odd, "SET GLOBAL read_only = 1")
    try:
        plan = sync.plan(export(2), database=odd.role_url, staging_schema=odd.staging_schema)
        assert plan.entities["person"].inserted == 6
        with pytest.raises(DatabaseError, match="read-only"):
            sync.apply(export(2), database=odd.role_url, staging_schema=odd.staging_schema)
    finally:
        run(odd, "SET GLOBAL read_only = 0")
    assert holds(odd, 0)
