"""The repository: what lies on its top level, and that the SQL files are what their loader takes them for."""

import re
import subprocess
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from support.databases import Ispyb
from support.facts import known_columns
from support.variants import TABLES

import sync
from sync.database import sqlfiles
from sync.database.connection import connect
from sync.database.sqlfiles import SHARED, folder, for_entity, load, of_pass
from sync.database.statement import Statement
from sync.model.conditions import NO_CONDITIONS
from sync.model.entities import ENTITIES, Entity
from sync.reconcile.reconciliation import Reconciliation
from sync.schema.introspection import introspect
from sync.statements.send import Runner

BY_NAME = {entity.name: entity for entity in ENTITIES}
ROOT = Path(__file__).parent.parent
TOP = {"pyproject.toml", "README.md", "sync", "sql", "migrations", "tests", "scripts", ".ci", ".gitignore"}
FILES = sorted(path.stem for path in folder().glob("*.sql"))
PASSES = [
    *("create", "match", "settle", "compare", "prune", "apply", "history", "digest"),
    *("draw", "confirm", "unsettled", "report"),
    *("undo_create", "undo_decide", "undo_claim", "undo_apply"),
]
FINDINGS = {
    *("joined", "duplicates", "elsewhere", "same_target", "claims", "lists", "inserted", "candidates", "several"),
    *("recounted", "compared", "unsettled", "along", "spoilt", "few"),
    *("part", "given(clears)", "given(contradicts)", "given(unfit)", "any(required)", "any(live)"),
}
"""What a run finds out, and statements depend on."""
OF_FIELDS = {
    *("live", "absent", "left", "text", "number", "float", "date", "bytes"),
    *("portal", "initial", "key", "default", "required"),
}
"""What is known of a column, and lines that are repeated for columns depend on."""

OF_SHARED = {
    "this",
    "earlier",
    "within",
    "link",
    "owner",
    "reference",
    "staged",
    "given(a_key)",
    "is(externalId)",
    "unique(a_key)",
}
"""What statements depend on that are the same for several entities."""
HEADER = ["target", "stage", "after", "matches", "refuses", "never"]


def text(name: str) -> str:
    return text_of(folder() / f"{name}.sql")


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def given(keys: Iterable[str]) -> set[str]:
    """What staged rows may give and lack."""
    return {f"{word}({key})" for key in keys for word in ("given", "lacks")}


def conditions(name: str) -> set[str]:
    """The words of all conditions of a file."""
    found = [condition for mark, condition in marks(name) if mark in ("if", "for")]
    return {word.strip().removeprefix("not ") for condition in found for word in re.split(r"[,|]", condition)}


def test_the_top_level_holds_nothing_else() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git repository")
    assert {path.split("/")[0] for path in listed.stdout.rstrip("\0").split("\0")} - TOP == set()


def test_an_entity_has_one_name_everywhere() -> None:
    names = [entity.name for entity in ENTITIES]
    assert names == list(TABLES)
    assert [entity.table for entity in ENTITIES] == list(TABLES.values())
    for name in names:
        assert f"stage_{name}" in text(name)
        assert (ROOT / "tests" / "cases" / name).is_dir()
        assert text(name).startswith(f"-- {name}: ")


NAMING = {"model/documents.py", "model/people.py", "demo/sample.py", "read/formats/smis/fields.py"}
"""Modules that name an entity: those that know what a document looks like."""


def test_no_module_names_an_entity_but_the_classes_of_documents() -> None:
    """All others go by the registry: a ninth entity is none of their business. `proposal`, `person` and `session` are
    words of documents and reports too; of these, only what comes from the registry counts."""
    constants = {entity.name.upper() for entity in ENTITIES}
    words = {entity.name for entity in ENTITIES} - {"proposal", "person", "session"}
    words |= {entity.table for entity in ENTITIES} - {"Proposal", "Person"}  # which are classes, and titles of fields
    naming = set()
    for path in (ROOT / "sync").rglob("*.py"):
        code = text_of(path)
        taken = re.findall(r"^from sync\.model\.entities import (.+)$", code, flags=re.MULTILINE)
        names = {name for line in taken for name in line.split(", ")} | set(re.findall(r"\bentities\.([A-Z_]+)", code))
        if names & constants or any(f'"{word}"' in code for word in words):
            naming.add(path.relative_to(ROOT / "sync").as_posix())
    assert naming - {"model/entities.py"} == NAMING


ROOMS = sorted(path.parent for path in (ROOT / "sync").rglob("__init__.py"))
MOST_MODULES, MOST_LINES = 10, 250


def test_the_package_has_rooms_and_the_map_names_them() -> None:
    beside = {path.name for path in (ROOT / "sync").iterdir() if path.suffix == ".py"}
    assert beside == {"__init__.py", "api.py", "pipeline.py"}
    for room in (path for path in ROOMS if path.parent == ROOT / "sync"):
        assert re.search(rf"^    {room.name} +\S", str(sync.__doc__), flags=re.MULTILINE), room.name


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.name)
def test_a_room_is_small(room: Path) -> None:
    modules = [path for path in room.glob("*.py") if not path.name.startswith("__")]
    assert len(modules) <= MOST_MODULES
    assert [path.name for path in modules if len(path.read_text("utf-8").splitlines()) > MOST_LINES] == []


def test_tests_stand_in_the_rooms_of_what_they_test() -> None:
    rooms = {room.name for room in ROOMS if room.parent == ROOT / "sync"}
    folders = {path.parent.name for path in (ROOT / "tests").glob("*/test_*.py")}
    assert folders - rooms == {"scripts"}
    assert rooms - folders == {"model"}


@pytest.mark.parametrize("name", FILES)
def test_each_statement_has_a_name_of_its_own(name: str) -> None:
    written = re.findall(r"^-- name: (\w+)", text(name), flags=re.MULTILINE)
    assert [statement.name for statement in load(name)] == written
    assert len(set(written)) == len(written)
    loose = [line for line in _outside_statements(name) if line.strip() and not line.startswith("--")]
    assert loose == []


def _outside_statements(name: str) -> list[str]:
    """The lines that belong to no statement."""
    outside, inside = [], False
    for line in text(name).splitlines():
        inside = inside or line.startswith("-- name: ")
        if not inside:
            outside.append(line)
        if re.search(r";( *-- if: .+)?$", line) and not line.startswith("--"):
            inside = False
    return outside


def test_the_readme_lists_every_mark_and_the_files_have_no_other() -> None:
    """As `-- name: join_login -- if: several -- finds: joined`; an entity's header has keys without a colon."""
    readme = text_of(folder() / "README.md")
    listed = set(re.findall(r"^\| `-- (\w+): ", readme, flags=re.MULTILINE))
    used = {mark for name in FILES for mark, _ in marks(name)}
    assert used == listed
    words = {value for name in FILES for mark, value in marks(name) if mark in ("finds", "does", "again", "counts")}
    assert {word for word in words if f"`{word}`" not in readme} == set()


def marks(name: str) -> list[tuple[str, str]]:
    """The marks of a file: behind a line, or one word alone in a line of its own."""
    behind = re.findall(r"(?<=\S) -- (\w+): (.+?)(?= -- |$)", text(name), flags=re.MULTILINE)
    return behind + re.findall(r"^-- (\w+): (\w+)(?= -- |$)", text(name), flags=re.MULTILINE)


@pytest.mark.parametrize("name", sorted(set(FILES) - {"legacy"}))
def test_a_line_of_sql_is_no_longer_than_one_of_python(name: str) -> None:
    assert [line for line in text(name).splitlines() if len(line) > 120] == []


def test_the_files_of_the_entities_are_short() -> None:
    """3,600 lines together at the most: what is the same for several is not written again."""
    assert sum(len(text(name).splitlines()) for name in TABLES) <= 3_600


def test_what_is_the_same_for_several_entities_is_taken_by_several() -> None:
    taken = Counter(s.text_from for entity in ENTITIES for s in load(entity.name))
    assert [s.name for s in load(SHARED) if taken[s.origin] < 2] == []
    stand_ins = set(re.findall(r"\b(?:stage_|map_|claim_|list_|stale_)?(an?_\w+)", text(SHARED)))
    readme = text_of(folder() / "README.md")
    assert {word for word in stand_ins if f"`{word}`" not in readme} == set()


def test_no_statement_of_an_entity_is_another_ones_again() -> None:
    """What is the same after the names are changed stands in every_entity.sql."""
    met = Counter(
        tuple(re.sub(rf"{entity.name}|{entity.table}|{entity.primary_key}", "it", str(line)) for line in s.lines)
        for entity in ENTITIES
        for s in load(entity.name)
        if s.text_from is None and len(s.lines) > 4
    )
    assert [lines for lines, times in met.items() if times > 1] == []


@pytest.mark.parametrize("shared", ["join_keys(login)", "join_key(login", "join_key(name)"])
def test_a_statement_that_every_entity_file_lacks_cannot_be_taken(shared: str) -> None:
    with pytest.raises(ValueError, match=r"person\.sql:2 join_login: .* every_entity\.sql"):
        list(sqlfiles._parse("person.sql", f"\n-- name: join_login -- as: {shared}\n"))


def test_a_mark_that_is_none_is_an_error_that_names_its_place() -> None:
    with pytest.raises(ValueError, match=r"person\.sql:1: found: not a mark of statements"):
        list(sqlfiles._parse("person.sql", "-- name: join_login -- found: joined\nSELECT 1;\n"))


@pytest.mark.parametrize("entity", ENTITIES, ids=lambda entity: entity.name)
def test_the_header_and_the_passes_are_in_order(entity: Entity) -> None:
    head = text(entity.name).split("\n\n", 1)[0]
    keys = re.findall(r"^-- (\w+)  +\S", head, flags=re.MULTILINE)
    assert keys == [key for key in HEADER if key in keys]
    assert {"target", "stage", "never"} <= set(keys)
    passes = list(dict.fromkeys(statement.pass_ for statement in load(entity.name)))
    assert passes == [pass_ for pass_ in PASSES if pass_ in passes]
    assert {"create", "match", "apply", "report"} <= set(passes)


@pytest.mark.parametrize("name", FILES)
def test_each_condition_names_something_real(name: str) -> None:
    tables = [TABLES[name]] if name in TABLES else TABLES.values()
    facts = {column for table in tables for column in known_columns(table)}
    facts |= {f"is({column})" for column in facts} | {
        f"{word}({column})" for column in facts for word in ("nullable", "default")
    }
    if name in TABLES:
        facts |= FINDINGS | given(BY_NAME[name].keys) | OF_FIELDS
        facts |= {f"{entity}.{column}" for entity, table in TABLES.items() for column in known_columns(table)}
    if name in TABLES:
        facts |= {f"unique({key})" for key in ("login", "proposalNumber", "personId")}
    if name == "fingerprint":
        facts |= FINDINGS
    if name == "undo":
        facts |= OF_FIELDS | OF_SHARED | {"paired", "any(live)", "unique(externalId)"}
    if name == "leave":
        facts |= OF_FIELDS | {"link", "paired"}
    if name == SHARED:
        facts = FINDINGS | OF_FIELDS | OF_SHARED
    if name == "fingerprint":
        facts.add("few")
    if name in ("session", "check"):
        facts.add("unique(visit_number)")
    assert conditions(name) - facts == set()


def test_the_server_understands_each_statement(ispyb: Ispyb) -> None:
    """In each variant, with the lines that hold there."""
    with connect(ispyb.role_url) as connection:
        target = introspect(connection)
        runner = Runner(connection, ispyb.staging_schema)
        Reconciliation(runner, target).create()
        own = [(statement, entity) for entity in ENTITIES for statement in of_pass(entity.name, "undo_create")]
        passes = (("fingerprint", "create"), ("fingerprint", "draw_create"), ("undo", "create"))
        made = [(statement, None) for name, pass_ in passes for statement in of_pass(name, pass_)]
        for statement, entity in [*own, *made]:
            runner.run(statement, NO_CONDITIONS if entity is None else target.conditions(entity))
        prepared = 0
        for name in ("history", "lease", *TABLES):
            facts = NO_CONDITIONS
            if name in TABLES:
                staged = set(BY_NAME[name].keys) - set(target.tables[name].missing)
                unique = {f"unique({column})" for column in target.tables[name].columns}
                facts = target.conditions(BY_NAME[name]).with_facts(FINDINGS | given(staged) | unique)
            for statement in load(name):
                sql = statement.render(facts, ispyb.staging_schema)
                if sql is not None and "CREATE TEMPORARY" not in sql:
                    _prepare(connection, statement, _with_places(sql))
                    prepared += 1
        for entity in ENTITIES:
            for statement in load("undo"):
                facts = target.conditions(entity)
                if "externalId" in target[entity].columns:
                    facts = facts.with_facts({"unique(externalId)"})
                sql = for_entity(statement, entity).render(facts, ispyb.staging_schema)
                if sql is not None and statement.pass_ not in ("create", "report"):
                    _prepare(connection, statement, _with_places(sql))
                    prepared += 1
        assert prepared > 150


def _with_places(sql: str) -> str:
    """With a place where a run gives a value, or several."""
    return re.sub(r"%\(\w+\)s", "?", re.sub(r"IN %\(\w+\)s", "IN (?)", sql))


def _prepare(connection: Connection, statement: Statement, sql: str) -> None:
    try:
        connection.exec_driver_sql("PREPARE statement FROM %s", (sql,))
        connection.exec_driver_sql("DEALLOCATE PREPARE statement")
    except DBAPIError as error:
        pytest.fail(f"{statement.origin}: {error.orig}", pytrace=False)
