"""check: every finding that a user can meet, with its remedy, and nothing written."""

import io
import re

import pytest
from rich.console import Console
from sqlalchemy import URL
from support.logins import Login, legacy, login
from support.migrating import Fresh, any_variant, fresh

from sync.check.findings import Finding, _version, check, show
from sync.database.rights import Grant, Rights, _like
from sync.database.sqlfiles import of_pass
from sync.migrate import commands as migrate
from sync.model.entities import ENTITIES
from sync.model.errors import DatabaseError
from sync.model.settings import Settings
from sync.show.terminal import WordsConsole

__all__ = ["any_variant", "legacy", "login"]  # fixtures


def findings(database: Fresh, url: str | None = None) -> list[Finding]:
    return check(url or database.url, Settings(staging_schema=database.staging_schema))


def bad(database: Fresh, url: str | None = None) -> list[Finding]:
    return [finding for finding in findings(database, url) if finding.level != "ok"]


def test_a_migrated_database_without_duplicates_has_nothing_to_remedy(any_variant: Fresh) -> None:
    before = findings(any_variant)
    (error,) = [finding for finding in before if finding.level == "error"]
    assert (error.subject, error.message) == ("migrations", f"at revision none, and {migrate.head()} is needed")
    assert "ispyb-sync migrate" in error.remedy
    migrate.upgrade(any_variant.url, staging_schema=any_variant.staging_schema)
    assert bad(any_variant) == []


def test_it_names_the_variant_and_the_columns_that_it_lacks(server_url: URL) -> None:
    guesses = {}
    for variant in ("py", "dls", "legacy"):
        with fresh(server_url, variant) as database:
            found = findings(database)
        (guesses[variant],) = [f.message.split("looks like ")[1] for f in found if f.subject == "variant"]
        columns = [finding.message for finding in found if finding.subject == "columns"]
        assert any("BLSession has no expSessionPk" in text for text in columns) == (variant == "dls")
        (charsets,) = [finding.message for finding in found if finding.subject == "charset"]
        assert ("utf8mb4 in Laboratory, Person" in charsets) == (variant == "py")
    assert guesses["py"].startswith("py-ispyb;")
    assert guesses["dls"].startswith("DLS;")
    assert guesses["legacy"].startswith("a legacy ISPyB (no externalId);")


def test_the_role_of_the_grants_is_enough(legacy: Fresh, login: Login) -> None:
    found = findings(legacy, login.url)
    assert [finding for finding in found if finding.level != "ok"] == []
    (privileges,) = [finding for finding in found if finding.subject == "privileges"]
    assert f"with role {login.role}" in privileges.message


def test_a_missing_right_is_named_with_its_table(legacy: Fresh, login: Login) -> None:
    legacy.run(
        f"REVOKE UPDATE ON Person FROM `{login.role}`",
        f"GRANT UPDATE (familyName) ON Person TO `{login.role}`",
        f"REVOKE CREATE TEMPORARY TABLES ON `{legacy.staging_schema}`.* FROM `{login.role}`",
        f"REVOKE DELETE ON Protein FROM `{login.role}`",
    )
    errors = [finding for finding in bad(legacy, login.url) if finding.level == "error"]
    assert [error.message.split(" has no ")[1] for error in errors] == [
        f"UPDATE on {legacy.schema}.Person",
        f"CREATE TEMPORARY TABLES on {legacy.staging_schema}.*",
    ]
    assert all(error.remedy.startswith("Grant the role that `ispyb-sync grants` prints (GRANT ") for error in errors)
    assert [error.remedy.partition("Or ")[2] for error in errors] == [
        "leave to ISPyB what it keeps by itself: --leave person.",
        "",
    ]


def test_no_right_to_delete_is_only_a_warning(legacy: Fresh, login: Login) -> None:
    legacy.run(f"REVOKE DELETE ON Protein FROM `{login.role}`")
    (warning,) = bad(legacy, login.url)
    assert warning.level == "warning"
    assert "has no DELETE on Protein" in warning.message


def test_a_role_that_is_not_active_is_said_to_be_so(legacy: Fresh, login: Login) -> None:
    legacy.run(
        f"GRANT SELECT ON `{legacy.schema}`.* TO `{login.name}`@`%`",
        f"SET DEFAULT ROLE NONE FOR `{login.name}`@`%`",
    )
    errors = [finding for finding in bad(legacy, login.url) if finding.subject == "privileges"]
    assert errors
    assert {error.remedy for error in errors} == {
        f"Activate a role it has: SET DEFAULT ROLE {login.role} FOR the account."
    }


def test_a_schema_without_the_tables_is_an_error(legacy: Fresh) -> None:
    legacy.run("SET foreign_key_checks = 0", "DROP TABLE Session_has_Person")
    error = next(finding for finding in bad(legacy) if finding.subject == "tables")
    assert error.level == "error"
    assert "Session_has_Person" in error.message
    assert error.remedy


def test_of_a_schema_without_any_of_the_tables_nothing_else_is_said(legacy: Fresh) -> None:
    (found,) = check(legacy.admin.set(database="mysql").render_as_string(hide_password=False), Settings())
    assert (found.level, found.subject) == ("error", "tables")
    assert "mysql has none of ISPyB's tables" in found.message


def test_a_dump_restored_over_migrated_tables_is_noticed(legacy: Fresh) -> None:
    legacy.run("ALTER TABLE Person DROP INDEX ispyb_sync_externalId", "ALTER TABLE Person DROP COLUMN externalId")
    (error,) = bad(legacy)
    assert "Person lost externalId" in error.message
    assert "Run ispyb-sync migrate" in error.remedy


SAME = {  # query of an entity's SQL file: the table, and two rows that it reports, of three
    "duplicate_person_external_id": ("Person", "personId, externalId", "UNHEX('9D')", "UNHEX('9E')"),
    "duplicate_proposal_external_id": ("Proposal", "proposalId, externalId", "UNHEX('9D')", "NULL"),
    "duplicate_session_external_id": ("BLSession", "sessionId, externalId", "UNHEX('9D')", "NULL"),
    "duplicate_laboratory_external_id": ("Laboratory", "laboratoryId, externalId", "UNHEX('9D')", "NULL"),
    "duplicate_laboratory_ext_pk": ("Laboratory", "laboratoryId, laboratoryExtPk", "7", "8"),
    "duplicate_laboratory_pk": ("Laboratory", "laboratoryId, laboratoryPk", "7", "8"),
    "duplicate_laboratory_name": ("Laboratory", "laboratoryId, name", "'Lab'", "NULL"),
    "duplicate_person_login": ("Person", "personId, login", "'Smith'", "NULL"),
    "duplicate_person_site_id": ("Person", "personId, siteId", "7", "NULL"),
    "duplicate_proposal_number": ("Proposal", "proposalId, proposalNumber", "'1'", "'2'"),
    "duplicate_session_exp_session_pk": ("BLSession", "sessionId, expSessionPk", "7", "NULL"),
    "duplicate_protein_external_id": ("Protein", "proteinId, externalId", "UNHEX('9D')", "NULL"),
    "duplicate_protein_acronym": ("Protein", "proteinId, acronym", "'lyz'", "'ins'"),
}


def test_every_query_is_tested() -> None:
    asked = {(e.name, s.name.removeprefix("duplicate_")) for e in ENTITIES for s in of_pass(e.name, "check")}
    assert set(SAME) == {f"duplicate_{entity}_{key}" for entity, key in asked}


@pytest.mark.parametrize("name", SAME)
def test_rows_that_one_key_names_together_are_shown_with_their_ids(legacy: Fresh, name: str) -> None:
    table, columns, same, other = SAME[name]
    if name == "duplicate_laboratory_pk":
        legacy.run("ALTER TABLE Laboratory CHANGE laboratoryExtPk laboratoryPk INT(10) UNSIGNED NULL")
    if "ispyb_sync_externalId" in legacy.indexes(table):
        legacy.run(f"ALTER TABLE {table} DROP INDEX ispyb_sync_externalId")
    with legacy.engine.connect() as connection:
        connection.exec_driver_sql("SET SESSION sql_mode = '', foreign_key_checks = 0")
        rows = ", ".join(f"({number}, {value})" for number, value in enumerate([same, other, same], start=4))
        connection.exec_driver_sql(f"INSERT INTO {table} ({columns}) VALUES {rows}")
    (finding,) = bad(legacy)
    assert finding.message.startswith("1 value in 2 rows: ")
    assert f"{columns.split(',')[0]} 4, 6" in finding.message
    unique = table in ("Person", "Proposal", "BLSession") and "externalId" in columns
    assert finding.level == ("error" if unique else "warning")
    assert finding.subject == name.replace("external_id", "externalId").replace("_", " ")
    assert "Merge these rows" in finding.remedy
    merged = f"`ispyb-sync merge {table.lower()} 4 6` prints the SQL for the first two."
    assert finding.remedy.endswith(merged) == (table in ("Person", "Laboratory"))


def test_keys_compare_as_the_columns_do(legacy: Fresh) -> None:
    legacy.run("INSERT INTO Person (personId, login) VALUES (1, 'Smith'), (2, 'smith '), (3, 'smythe')")
    (finding,) = bad(legacy)
    assert "personId 1, 2" in finding.message


def test_of_many_only_a_few_are_shown(legacy: Fresh) -> None:
    values = ", ".join(f"('u{number % 30}')" for number in range(900))
    legacy.run(f"INSERT INTO Person (login) VALUES {values}")
    (finding,) = bad(legacy)
    assert finding.message.startswith("30 values in 900 rows: u0 (personId 1, 31, 61,")
    assert finding.message.count("personId") == 3
    assert finding.message.endswith(", …")


def test_it_writes_nothing(legacy: Fresh) -> None:
    before = legacy.tables(), legacy.tables(legacy.staging_schema)
    findings(legacy)
    assert (legacy.tables(), legacy.tables(legacy.staging_schema)) == before


def test_no_connection_is_a_database_error_without_the_password() -> None:
    with pytest.raises(DatabaseError) as caught:
        check("mysql+pymysql://nobody:hunter2@127.0.0.1:1/ispyb", Settings())
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("version", "level"),
    [
        ("10.11.6-MariaDB-log", "ok"),
        ("11.4.2-MariaDB-ubu2404", "ok"),
        ("10.5.9-MariaDB", "warning"),
        ("10.2.44-MariaDB", "error"),
        ("8.0.36", "error"),
    ],
)
def test_the_server_must_be_a_mariadb_new_enough(version: str, level: str) -> None:
    finding = _version(version)
    assert finding.level == level
    assert bool(finding.remedy) == (level != "ok")


def test_wildcards_of_grants_are_understood() -> None:
    assert _like(r"ispyb\_sync", "ispyb_sync")
    assert not _like(r"ispyb\_sync", "ispybXsync")
    assert _like("ispyb_sync", "ispybXsync")
    assert _like("isp%", "ispyb")
    assert not _like("ispyb.", "ispybx")
    everything = Rights((Grant(frozenset({"ALL PRIVILEGES"}), None, None),), ())
    assert everything.lacking(["SELECT"], "any", "Person") == []


@pytest.mark.parametrize("width", [60, 80])
def test_a_mode_of_the_server_is_not_broken_over_two_lines(legacy: Fresh, width: int) -> None:
    ((modes,),) = legacy.ask("SELECT @@GLOBAL.sql_mode")
    text = io.StringIO()
    console = WordsConsole(file=text, width=width, force_terminal=True, color_system=None, highlight=False)
    show([finding for finding in findings(legacy) if finding.subject == "sql_mode"], console)
    assert set(str(modes).split(",")) <= set(re.findall(r"\w+", text.getvalue()))


def test_findings_are_printed_with_their_remedies() -> None:
    text = io.StringIO()
    show([Finding("error", "server", "[old]", "Renew it.")], Console(file=text, width=40))
    assert text.getvalue() == "error   server: [old]\n        Renew it.\n"
    assert Finding("ok", "a", "b").to_dict() == {"level": "ok", "subject": "a", "message": "b", "remedy": ""}
