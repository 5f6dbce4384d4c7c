"""The repository: what lies on its top level, and that the SQL files are what their loader takes them for."""

import ast
import re
import subprocess
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from support.databases import Ispyb
from support.facts import known_columns
from support.opened import opened
from support.variants import TABLES

import sync
from sync.database import sqlfiles
from sync.database.sqlfiles import SHARED, folder, for_entity, load, of_pass
from sync.database.statement import Statement
from sync.model.conditions import NO_CONDITIONS
from sync.model.entities import ENTITIES, Entity
from sync.reconcile.reconciliation import Reconciliation
from sync.statements.send import Runner

BY_NAME = {entity.name: entity for entity in ENTITIES}
ROOT = Path(__file__).parent.parent
TOP = {"pyproject.toml", "README.md", "sync", "sql", "migrations", "tests", "scripts", ".ci", ".gitignore"}
FILES = sorted(path.stem for path in folder().glob("*.sql"))
PASSES = [
    *("create", "match", "settle", "compare", "prune", "apply", "history", "digest"),
    *("draw", "confirm", "unsettled", "report", "check"),
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
    "paired",
    "owner",
    "reference",
    "staged",
    "given(a_key)",
    "is(externalId)",
    "unique(a_key)",
}
"""What statements depend on that are the same for several entities."""
ASKED_OF = {"history": "person", "access": "proposal"}
"""By file that is no entity's, the one whose columns its conditions name."""
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


NAMING = {
    "model/entities.py": "is the registry",
    "model/documents.py": "knows what a document looks like",
    "model/people.py": "knows what the people of a document look like",
    "read/formats/smis/fields.py": "makes documents of another form",
    "demo/sample.py": "makes documents for the demo",
    "mend/move.py": "`move session` is a command about sessions, and about the proposals that they move between",
    "history/questions/rows.py": "`history --person` finds somebody by login",
}
"""Modules that name an entity, and why. All others go by the registry: a ninth entity is none of their business."""

_WORDS = "|".join(e.name for e in ENTITIES if e.name not in ("proposal", "person", "session"))
_PLAIN = ("Proposal", "Person", "Laboratory", "Protein")
_TABLES = "|".join(e.table for e in ENTITIES)
NAMED = re.compile(
    rf"^({_WORDS}|{'|'.join(e.table for e in ENTITIES if e.table not in _PLAIN)})$"
    rf"|\b({'|'.join(e.table for e in ENTITIES if e.table not in _PLAIN)})\b|\b(FROM|JOIN|UPDATE|INTO) +({_TABLES})\b"
)
"""An entity or a table within a text of the code. `proposal`, `person` and `session` are words of documents and reports
too, and the tables called so are classes and titles of fields: these count where SQL reads or writes them."""
REGISTRY = ("BY_NAME", "tables", "entities")


def test_no_module_names_an_entity_but_those_of_a_list() -> None:
    naming = {path.relative_to(ROOT / "sync").as_posix() for path in (ROOT / "sync").rglob("*.py") if names(path)}
    assert naming == set(NAMING)


def names(path: Path) -> set[str]:
    """The entities that a module names: in texts, by the registry's constants, and as `BY_NAME["session"]`."""
    tree = ast.parse(text_of(path))
    nodes = list(ast.walk(tree))
    docstrings = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    found = {entity.name for entity in ENTITIES if entity.name.upper() in imported(nodes)}
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            found |= {node.value} if NAMED.search(node.value) else set()
        if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant) and node.slice.value in BY_NAME:
            found |= {node.slice.value} if ast.unparse(node.value).endswith(REGISTRY) else set()
    return found


def imported(nodes: list[ast.AST]) -> set[str]:
    """What is taken from the registry."""
    imports = (node for node in nodes if isinstance(node, ast.ImportFrom) and node.module == "sync.model.entities")
    attributes = (node for node in nodes if isinstance(node, ast.Attribute))
    return {alias.name for node in imports for alias in node.names} | {
        node.attr for node in attributes if ast.unparse(node.value) == "entities"
    }


DOOR = {"sync.pipeline", "sync.history.undo", "sync.history.adopt", "sync.reconcile.script"}
"""What only `sync.api` calls."""
ASKING = {"api.py", "cli/commands/exports.py", "listen/work.py", "serve/work.py"}
"""Modules that make a request: one for each way in."""


def test_there_is_one_door_and_each_way_in_makes_its_request_in_one_place() -> None:
    behind, asking = set(), set()
    for path in (ROOT / "sync").rglob("*.py"):
        name = path.relative_to(ROOT / "sync").as_posix()
        for node in ast.walk(ast.parse(text_of(path))):
            if isinstance(node, ast.ImportFrom):
                taken = {str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)}
                behind |= {name} if taken & DOOR else set()
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("Request", "api.Request"):
                asking.add(name)
    assert (behind, asking) == ({"api.py"}, ASKING)


ROOMS = sorted(path.parent for path in (ROOT / "sync").rglob("__init__.py"))
MOST_MODULES, MOST_LINES = 10, 250


MOST_LAYERS = 10
BESIDE = {"api", "pipeline"}
"""The modules that stand in no room."""


def test_the_package_has_rooms_and_the_map_names_them_all() -> None:
    beside = {path.name for path in (ROOT / "sync").iterdir() if path.suffix == ".py"}
    assert beside == {"__init__.py", *(f"{name}.py" for name in BESIDE)}
    rooms = [room.relative_to(ROOT / "sync").as_posix() for room in ROOMS if room.name != "sync"]
    assert sorted(on_the_map()) == sorted([*BESIDE, *rooms])


def on_the_map() -> Iterator[str]:
    """What the map names, a room within a room with the one that it stands under."""
    above: list[str] = []
    for spaces, name in re.findall(r"^    ((?:  )*)(\w+) +\S", str(sync.__doc__).partition("The map")[2], re.MULTILINE):
        above = [*above[: len(spaces) // 2], name]
        yield "/".join(above)


def test_each_room_has_its_layer_and_there_are_few() -> None:
    (contract,) = tomllib.loads(text_of(ROOT / "pyproject.toml"))["tool"]["importlinter"]["contracts"]
    layers = contract["layers"]
    assert len(layers) <= MOST_LAYERS
    named = [name.removeprefix("sync.") for layer in layers for name in layer.split(" | ")]
    assert sorted(named) == sorted([*BESIDE, *(room.name for room in ROOMS if room.parent == ROOT / "sync")])


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
    written = re.findall(r"^-- name: (\w+)(.*)$", text(name), flags=re.MULTILINE)
    repeated = tuple(word for word, marks in written if " -- each: " in marks)
    names = [statement.name for statement in load(name)]
    assert [word for word in names if not word.startswith(repeated)] == [w for w, _ in written if w not in repeated]
    assert len(set(names)) == len(names)
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
    of_one_word = ("finds", "does", "again", "counts", "stops")
    words = {value for name in FILES for mark, value in marks(name) if mark in of_one_word}
    assert {word for word in words if f"`{word}`" not in readme} == set()


def marks(name: str) -> list[tuple[str, str]]:
    """The marks of a file: behind a line, or one word alone in a line of its own."""
    behind = re.findall(r"(?<=\S) -- (\w+): (.+?)(?= -- |$)", text(name), flags=re.MULTILINE)
    return behind + re.findall(r"^-- (\w+): (\w+)(?= -- |$)", text(name), flags=re.MULTILINE)


OF_THE_TOOL = {"history", "lease", "served"}
"""Files of the tool's own tables: they speak of no staged row."""


@pytest.mark.parametrize("name", sorted(set(FILES) - OF_THE_TOOL))
def test_an_alias_is_of_the_table_that_the_readme_says(name: str) -> None:
    listed = re.findall(r"^\| `(\w)` \| (.+) \|$", text_of(folder() / "README.md"), flags=re.MULTILINE)
    tables = {
        alias: {re.sub("<entity>", "", table) for table in re.findall(r"`([\w<>]+)`", of)} for alias, of in listed
    }
    used = re.findall(r"\bispyb_sync\.(\w+) AS (\w)\b", text(name))
    assert {(a, table) for table, a in used if not table.startswith(tuple(tables.get(a, "?")))} == set()


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


def test_what_is_drawn_in_is_asked_of_all_that_documents_of_several_proposals_name() -> None:
    assert [e for e in ENTITIES if of_pass(e.name, "draw")] == [e for e in ENTITIES if e.is_named_anywhere]


def test_what_check_asks_says_what_a_row_that_is_found_stops() -> None:
    asked = {(e.name, s.key): s.stops for e in ENTITIES for s in of_pass(e.name, "check")}
    assert set(asked.values()) == {"migrate", "mention", "nothing"}
    unique = {(e.name, "externalId") for e in ENTITIES if e.unique_id}
    assert {key for key, stops in asked.items() if stops == "migrate"} == unique


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
    assert {"target", "stage", "matches", "never"} <= set(keys)
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
    if name in (*TABLES, "access"):
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
    if name == "session":
        facts.add("unique(visit_number)")
    assert conditions(name) - facts == set()


def test_the_server_understands_each_statement(ispyb: Ispyb) -> None:
    """In each variant, with the lines that hold there."""
    with opened(ispyb) as live:
        connection, target, runner = live.connection, live.target, Runner(live)
        Reconciliation(live).create()
        own = [(statement, entity) for entity in ENTITIES for statement in of_pass(entity.name, "undo_create")]
        passes = (("fingerprint", "create"), ("fingerprint", "draw_create"), ("undo", "create"))
        made = [(statement, None) for name, pass_ in passes for statement in of_pass(name, pass_)]
        for statement, entity in [*own, *made]:
            runner.run(statement, NO_CONDITIONS if entity is None else target.conditions(entity))
        prepared = 0
        for name in (*ASKED_OF, "lease", *TABLES):
            facts = NO_CONDITIONS
            if name in TABLES:
                staged = set(BY_NAME[name].keys) - set(target.tables[name].missing)
                unique = {f"unique({column})" for column in target.tables[name].columns}
                facts = target.conditions(BY_NAME[name]).with_facts(FINDINGS | given(staged) | unique)
            elif name in ASKED_OF:
                facts = target.conditions(BY_NAME[ASKED_OF[name]])
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
