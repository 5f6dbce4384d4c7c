"""The Python API: what an export and a database may be, and the rules of a caller's own transaction."""

import io
import json
import signal
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL, Connection, Engine, create_engine, make_url
from sqlalchemy.exc import DBAPIError
from support.databases import Ispyb
from support.small import counts, document, export, holds, trigger

import sync
from sync.model.errors import DatabaseError, UsageError


@pytest.fixture
def engine(dls: Ispyb) -> Iterator[Engine]:
    """The caller's own: one pooled connection, and no LOAD DATA LOCAL."""
    engine = create_engine(dls.role_url, pool_size=1, max_overflow=0)
    yield engine
    engine.dispose()


@pytest.fixture
def connection(engine: Engine) -> Iterator[Connection]:
    with engine.connect() as connection:
        yield connection


def apply(dls: Ispyb, documents: Any, database: Any = None, **settings: Any) -> sync.Report:
    settings.setdefault("staging_schema", dls.staging_schema)
    return sync.apply(documents, database=dls.role_url if database is None else database, **settings)


def test_every_kind_of_export_gives_the_same_report(dls: Ispyb, tmp_path: Path) -> None:
    documents = export(2)
    lines = "\n".join(map(json.dumps, documents))
    path = tmp_path / "export.ndjson"
    path.write_text(lines)
    with path.open("rb") as binary, path.open() as text:
        exports = [str(path), path, binary, text, io.BytesIO(lines.encode()), documents, (d for d in documents)]
        reports = [sync.plan(one, database=dls.role_url, staging_schema=dls.staging_schema) for one in exports]
    for report in reports:
        assert report.entities == reports[0].entities
        assert report.changes == reports[0].changes
        assert (report.documents_read, report.refusals) == (2, [])
    assert apply(dls, documents[0]).documents_read == 1
    assert holds(dls, 1)


@pytest.mark.parametrize("kind", ["text", "URL", "Engine", "Connection"])
def test_every_kind_of_database(dls: Ispyb, engine: Engine, kind: str) -> None:
    with engine.connect() as connection:
        databases: dict[str, str | URL | Engine | Connection] = {
            "text": dls.role_url,
            "URL": make_url(dls.role_url),
            "Engine": engine,
            "Connection": connection,
        }
        if kind == "Engine":
            connection.close()
        assert apply(dls, export(2), databases[kind]).run is not None
        assert apply(dls, export(2), databases[kind]).nothing_to_do
        assert holds(dls, 0 if kind == "Connection" else 2)


def test_only_the_proposals_named_and_settings_given(dls: Ispyb) -> None:
    apply(dls, export(3), proposals=["MX-2"], timezone="Europe/Paris")
    assert holds(dls, 1)
    assert {str(row["startDate"]) for row in dls.rows("BLSession")} == {"2024-07-01 10:00:00"}


@pytest.mark.parametrize("wrong", [{"timezne": "UTC"}, {"lock_timeout": "soon"}])
def test_a_wrong_setting_is_refused(dls: Ispyb, wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=next(iter(wrong))):
        apply(dls, export(1), **wrong)


@pytest.mark.parametrize("wrong", [5, None, b"{}"])
def test_what_is_no_export_is_refused(dls: Ispyb, wrong: object) -> None:
    with pytest.raises(UsageError, match=f"cannot be read from {type(wrong).__name__}"):
        apply(dls, wrong)


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"isolation_level": "AUTOCOMMIT"}, "AUTOCOMMIT"),
        ({"connect_args": {"autocommit": True}}, "AUTOCOMMIT"),
        ({"connect_args": {"charset": "latin1"}}, "charset=utf8mb4"),
        ({"connect_args": {"database": None}}, "schema"),
    ],
)
def test_a_connection_that_cannot_be_used_is_refused(dls: Ispyb, options: dict[str, Any], word: str) -> None:
    with create_engine(dls.role_url, **options).connect() as connection, pytest.raises(UsageError, match=word):
        apply(dls, export(1), connection)
    assert holds(dls, 0)


def test_an_engine_that_commits_by_itself_is_used_in_a_transaction(dls: Ispyb) -> None:
    engine = create_engine(dls.role_url, isolation_level="AUTOCOMMIT")
    with trigger(dls, "BEFORE INSERT ON LabContact", FAULT), pytest.raises(DatabaseError):
        apply(dls, export(1), engine)
    assert holds(dls, 0)


@pytest.mark.parametrize("wrong", [create_engine("sqlite://"), 5, b"mysql://"])
def test_what_is_no_mariadb_is_refused(dls: Ispyb, wrong: Any) -> None:
    with pytest.raises(UsageError, match="mysql\\+pymysql"):
        apply(dls, export(1), wrong)


@pytest.mark.parametrize("end", ["commit", "rollback"])
def test_the_caller_ends_its_transaction(dls: Ispyb, connection: Connection, end: str) -> None:
    connection.exec_driver_sql("INSERT INTO Laboratory (name) VALUES ('of the caller')")
    report = apply(dls, export(1), connection)
    assert (report.status, holds(dls, 0)) == ("applied", True)
    getattr(connection, end)()
    if end == "commit":
        assert counts(dls) == counts(dls) | {"Laboratory": 2, "Person": 3, "LabContact": 1}
    else:
        assert holds(dls, 0)
    with dls.engine.connect() as other:
        runs = other.exec_driver_sql(f"SELECT COUNT(*) FROM `{dls.staging_schema}`.run").scalar()
    assert runs == (1 if end == "commit" else 0)


FAULT = "SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = 1030, MESSAGE_TEXT = 'Got error from storage engine'"
"""What is not the fault of a row, which would be refused alone."""


def fails(documents: list[Any]) -> Iterator[Any]:
    yield from documents
    raise ZeroDivisionError


HOW = {
    "plan": lambda documents, **where: sync.plan(documents, **where),
    "apply": lambda documents, **where: sync.apply(documents, **where),
    "strict": lambda documents, **where: sync.apply(documents, strict=True, **where),
    "failing SQL": lambda documents, **where: sync.apply(documents, **where),
    "failing export": lambda documents, **where: sync.apply(fails(documents), **where),
}


@pytest.mark.parametrize("how", HOW)
def test_a_callers_connection_is_given_back_as_it_was(dls: Ispyb, connection: Connection, how: str) -> None:
    refuse = FAULT if how == "failing SQL" else "SIGNAL SQLSTATE '01000' SET MESSAGE_TEXT = 'not today'"
    with trigger(dls, "BEFORE INSERT ON LabContact", refuse):
        connection.exec_driver_sql("SET SESSION sql_mode = 'ANSI_QUOTES', group_concat_max_len = 77")
        connection.exec_driver_sql("INSERT INTO Laboratory (name) VALUES ('of the caller')")
        before = session(connection)
        with pytest.raises((DatabaseError, ZeroDivisionError)) if "failing" in how else nullcontext():
            documents = [*export(2), {"proposal": {}}]
            HOW[how](documents, database=connection, staging_schema=dls.staging_schema)
        assert session(connection) == before
        for table in ("stage_person", "map_person", "claim_session", "candidate_laboratory"):
            select = f"SELECT * FROM `{dls.staging_schema}`.{table}"
            if "failing" not in how:
                assert connection.exec_driver_sql(select).all() == []  # kept for the next run
            else:
                with pytest.raises(DBAPIError, match="doesn't exist"):
                    connection.exec_driver_sql(select)
        connection.commit()
    assert counts(dls)["Laboratory"] == (3 if how == "apply" else 1)
    assert counts(dls)["Person"] == (6 if how == "apply" else 0)
    assert apply(dls, export(2), connection).status == "applied"


def session(connection: Connection) -> dict[str, str]:
    """The settings of a connection, and whether it is in a transaction."""
    rows = connection.exec_driver_sql("SHOW SESSION VARIABLES").all()
    passing = {"timestamp", "last_insert_id", "identity", "warning_count", "error_count", "rand_seed1", "rand_seed2"}
    return {str(name): str(value) for name, value in rows if name not in passing}


def test_an_engines_connection_goes_back_to_its_pool_clean(dls: Ispyb, engine: Engine) -> None:
    with engine.connect() as connection:
        before = session(connection)
    apply(dls, export(2), engine)
    apply(dls, [*export(1), *export(2, title="New")[1:]], engine)
    with engine.connect() as connection:
        assert session(connection) == before
        for table in ("stage_person", "digest_person", "touched_person"):
            with pytest.raises(DBAPIError, match="doesn't exist"):
                connection.exec_driver_sql(f"SELECT * FROM `{dls.staging_schema}`.{table}")


def test_a_plan_writes_to_no_table_of_either_schema(dls: Ispyb) -> None:
    apply(dls, export(2))
    before = everything(dls)
    report = sync.plan(export(3, title="New"), database=dls.role_url, staging_schema=dls.staging_schema)
    assert (report.status, report.run, report.entities["proposal"].updated) == ("planned", None, 2)
    assert len([change for change in report.changes if change.entity == "person"]) == 3
    assert everything(dls) == before


def everything(dls: Ispyb) -> list[tuple[Any, ...]]:
    """Checksum and next AUTO_INCREMENT value of every table."""
    with dls.engine.connect() as connection:
        names = connection.exec_driver_sql(
            "SELECT TABLE_SCHEMA, TABLE_NAME, AUTO_INCREMENT FROM information_schema.TABLES "
            f"WHERE TABLE_SCHEMA IN (DATABASE(), '{dls.staging_schema}') AND TABLE_TYPE = 'BASE TABLE' ORDER BY 1, 2"
        ).all()
        sums = connection.exec_driver_sql("CHECKSUM TABLE " + ", ".join(f"`{s}`.`{t}`" for s, t, _ in names)).all()
    return [(*name, *checksum) for name, checksum in zip(names, sums, strict=True)]


@pytest.fixture
def patience() -> Iterator[None]:
    """Ends a test that would never end."""

    def give_up(*_: object) -> None:
        pytest.fail("not within 20 s")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(20)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.usefixtures("patience")
def test_rows_found_but_not_changed_are_counted_by_an_engine_and_do_no_harm(dls: Ispyb, engine: Engine) -> None:
    doubled = document(1)
    doubled["proposal"]["persons"].append({"login": "u1_0"})
    doubled["sessions"][0]["persons"].append({"login": "u1_0"})
    assert apply(dls, doubled, engine).entities["session_has_person"].inserted == 2
    assert holds(dls, 1)


# For programs


def test_errors_speak_of_arguments_and_are_of_one_kind(dls: Ispyb, monkeypatch: pytest.MonkeyPatch) -> None:
    def told(**arguments: Any) -> str:
        with pytest.raises(sync.SyncError) as raised:
            apply(dls, export(1), **arguments)
        assert "--" not in str(raised.value)
        assert raised.value.args == (raised.value.message,)
        return str(raised.value)

    assert "database is not a SQLAlchemy URL" in told(database="nothing")
    assert "full with proposals" in told(full=True, proposals=["MX-1"])
    assert "Correct the argument" in told(timezone="Mars/Olympus")
    assert "leave=[" not in told(staging_schema="nosuch")
    monkeypatch.delenv("ISPYB_SYNC_DATABASE", raising=False)
    with pytest.raises(sync.UsageError, match="Give database=URL, or set ISPYB_SYNC_DATABASE"):
        sync.plan(export(1))
    with pytest.raises(sync.UsageError, match="no run 99"):
        sync.undo(99, database=dls.role_url, staging_schema=dls.staging_schema)
    with pytest.raises(sync.DatabaseError, match="ispyb-sync migrate --sql"):  # a command keeps its flags
        apply(dls, export(1), staging_schema="nosuch", database=dls.url)


def test_a_report_gives_pandas_tables(dls: Ispyb) -> None:
    twice = [document(1), document(2) | {"proposal": document(2)["proposal"] | {"title": "α"}}]
    plan = sync.plan(twice, database=dls.role_url, staging_schema=dls.staging_schema)
    people = plan.frame("person")
    assert list(people["key"].unique()) == [change.key for change in plan.changes if change.entity == "person"]
    assert set(people[people["column"] == "login"]["new"]) == {f"u{n}_{place}" for n in (1, 2) for place in range(3)}
    (refused,) = plan.refusals_frame().to_dict("records")
    assert (refused["code"], refused["document"], refused["field"]) == ("value_not_encodable", 2, "title")
    assert len(sync.Report("plan", "planned").frame("protein")) == 0
    with pytest.raises(sync.UsageError, match="'people' is no entity"):
        plan.frame("people")


def test_types_are_told_to_others() -> None:
    assert (Path(sync.__file__).parent / "py.typed").is_file()
