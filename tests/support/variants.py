"""The nine ISPyB schemas the tests run on.

`py`, `esrf` and `dls` take their columns from the SQLAlchemy metadata of two PyPI packages (nobody here wrote
them), mended where that metadata loses what a real database has: unsigned ids, character sets. `legacy` is
`sql/legacy.sql` without its rows. The others are `schemas/*.sql`: schemas that facilities published, column by
column. Only the eight tables of the sync are built, what they refer to, and, of the first four, what refers to
them; there are no views.
"""

import warnings
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Column, MetaData, NullPool, String, Table, create_engine
from sqlalchemy.dialects import mysql
from sqlalchemy.schema import CreateIndex, CreateTable

from sync.database import sqlfiles

TABLES = {
    "laboratory": "Laboratory",
    "person": "Person",
    "proposal": "Proposal",
    "proposal_has_person": "ProposalHasPerson",
    "session": "BLSession",
    "session_has_person": "Session_has_Person",
    "protein": "Protein",
    "lab_contact": "LabContact",
}
PUBLISHED = ("official_2024", "diamond_2026", "diamond_2017", "esrf_2025", "esrf_2017")
VARIANTS = ("py", "esrf", "dls", "legacy", *PUBLISHED)
USUAL = ("py", "dls", "legacy", "official_2024")
"""Those of tests that take long, or that ask little of the schema."""

_METADATA = {"py": "ispyb.models", "esrf": "ispyb.models", "dls": "ispyb.sqlalchemy"}
_LATIN1 = ("latin1", "latin1_swedish_ci")
_UTF8MB4 = ("utf8mb4", "utf8mb4_general_ci")
_UTF8MB4_TABLES = {"py": {"Person", "Laboratory", "Protein"}, "esrf": set[str](), "dls": set[str]()}


def build(server: URL, variant: str, schema: str) -> URL:
    """Create `schema` with the empty tables of a variant and return its URL; a schema of that name goes."""
    url = server.set(database=schema)
    engine = create_engine(server, poolclass=NullPool, execution_options={"no_parameters": True})
    with engine.connect() as connection:
        run = connection.exec_driver_sql
        run(f"DROP DATABASE IF EXISTS `{schema}`")
        run(f"CREATE DATABASE `{schema}` CHARACTER SET latin1 COLLATE latin1_swedish_ci")
        run(f"USE `{schema}`")
        run("SET SESSION sql_mode = '', foreign_key_checks = 0")  # zero dates; children before parents
        for statement in create_statements(variant):
            run(statement)
    return url


@cache
def create_statements(variant: str) -> tuple[str, ...]:
    """Give the CREATE statements of a variant."""
    if variant == "legacy":
        rendered = (s.render() for s in sqlfiles.load("legacy") if s.name.startswith("create_"))
        return tuple(sql for sql in rendered if sql)
    if variant in PUBLISHED:
        text = (Path(__file__).parents[1] / "schemas" / f"{variant}.sql").read_text(encoding="utf-8")
        return tuple(sql.strip() for sql in text.partition("\n\n")[2].split(";\n") if sql.strip())
    dialect = mysql.dialect()
    statements = []
    for table in _tables(variant):
        statements.append(str(CreateTable(table).compile(dialect=dialect)))
        if table.name in TABLES.values():
            indexes = sorted(table.indexes, key=lambda index: str(index.name))
            statements += [str(CreateIndex(index).compile(dialect=dialect)) for index in indexes]
    return tuple(statement.replace("%%", "%") for statement in statements)  # as sent without parameters


def _metadata(variant: str) -> MetaData:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # both packages use what SQLAlchemy will drop
        metadata = import_module(_METADATA[variant]).Base.metadata
    assert isinstance(metadata, MetaData)
    return metadata


def _tables(variant: str) -> list[Table]:
    """Copy a variant's tables from its package and mend them."""
    source = _metadata(variant)
    names = _relatives(source)
    copies = MetaData()
    tables: list[Table] = [source.tables[name].to_metadata(copies) for name in sorted(names)]
    for table in tables:
        for constraint in list(table.foreign_key_constraints):
            if constraint.elements[0].target_fullname.split(".")[0] not in names:
                table.constraints.remove(constraint)
        charset, collation = _UTF8MB4 if table.name in _UTF8MB4_TABLES[variant] else _LATIN1
        table.kwargs.update(mysql_engine="InnoDB", mysql_default_charset=charset, mysql_collate=collation)
        for column in table.columns:
            _unsign(column)
    if variant == "esrf":
        _mend_esrf(copies.tables)
    return tables


def _relatives(source: MetaData) -> set[str]:
    """Name the eight tables, all that they refer to, and the tables one step below them."""
    eight = set(TABLES.values())
    names, todo = set(eight), list(eight)
    while todo:
        above = {key.column.table.name for key in source.tables[todo.pop()].foreign_keys} - names
        names |= above
        todo += above
    return names | {
        table.name
        for table in source.tables.values()
        if any(key.column.table.name in eight for key in table.foreign_keys)
    }


def _unsign(column: Column[Any]) -> None:
    """Give back UNSIGNED: to every id, and where the display width tells (10 and 3 are unsigned widths)."""
    kind = column.type
    if isinstance(kind, mysql.INTEGER):
        if column.primary_key or column.foreign_keys or kind.display_width == 10:
            column.type = mysql.INTEGER(display_width=kind.display_width, unsigned=True)
    elif isinstance(kind, mysql.TINYINT) and kind.display_width == 3:
        column.type = mysql.TINYINT(display_width=3, unsigned=True)


def _mend_esrf(tables: Mapping[str, Table]) -> None:
    """Make of PY's tables what some ESRF-like sites have: shorter names, columns with their own charset."""
    for name in ("familyName", "givenName", "emailAddress"):
        tables["Person"].columns[name].type = String(45)
    charset, collation = _UTF8MB4
    tables["Proposal"].columns["title"].type = mysql.VARCHAR(200, charset=charset, collation=collation)
    card = tables["LabContact"].columns["cardName"]
    card.type = mysql.VARCHAR(45, charset=charset, collation="utf8mb4_unicode_ci")
    card.nullable = True
