"""How the server reads ISPyB's tables: no statement of sql/*.sql looks through a whole table for each staged row, and
none is read in a way that is known to lose rows.

Each statement is explained right before it runs, on a database of 300 proposals, in runs of the whole export and of a
single proposal, and in an undo. Those whose condition does not hold in these runs are explained as if it did.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest
from generate_export import Facility
from sqlalchemy import Connection
from support.databases import Ispyb
from support.facts import known_columns
from support.variants import TABLES, USUAL

import sync
from sync.database.sqlfiles import folder, for_entity, load
from sync.database.statement import Statement
from sync.history.undo import undo
from sync.model.conditions import NO_CONDITIONS, Conditions
from sync.model.entities import ENTITIES
from sync.model.settings import Settings
from sync.statements.block import Step
from sync.statements.play import Move, Player
from sync.statements.send import NO_VALUES, Runner, Values
from sync.verify.digests import Digests

PROPOSALS = 300
CHANGED = 30
EXPLAINED = ("legacy", "dls")
"""In the suite: the one with the fewest keys of its own, and one where a visit number is unique; in the soak all."""
READ_ONCE = {
    "digest_rows": "hashes people and laboratories in one pass, where most of them are on what is left out",
    "choose_free_person": "looks for free people among the thousand newest, where cards swap theirs",
    "choose_free_holder": "the same in an undo",
    "possible_twins": "compares bare numbers, which no index has: one pass, where the export has a new proposal",
    "vanished": "--full asks which rows of the whole table the export no longer names: one pass, when asked for",
}
"""Statements that read a target table from one end to the other, once, and why."""

NOT_RUN_PER_EXPORT = {
    "every_entity": "is run as the entities take it",
    "access": "asks whether one caller is on one proposal",
    "legacy": "makes the old ISPyB of the demo",
    "grants": "grants rights",
}

Line = Mapping[str, Any]
"""Of EXPLAIN: one table that a statement reads."""

_OF_ROWS = re.compile(r"\s*(?:/\*.*?\*/\s*)?(?:SELECT|INSERT|REPLACE|UPDATE|DELETE|WITH)\b")
_READS = re.compile(rf"(?:\bFROM|JOIN|\bUPDATE)\s+\(?\s*({'|'.join(TABLES.values())})\b(?:\s+AS\s+(\w+))?")


@dataclass(frozen=True)
class Scan:
    """A target table that is read from one end to the other, and whether that happens for each row before it."""

    statement: str
    table: str
    per_row: bool


class Plans:
    """Explains each statement right before it runs; blocks are cut to one statement each."""

    def __init__(self) -> None:
        self._run = Runner.run
        self._block = Player._block
        self.met: set[tuple[str, int]] = set()
        self.scans: set[Scan] = set()
        self.splits: set[str] = set()

    def run(
        self, runner: Runner, statement: Statement, given: Conditions = NO_CONDITIONS, values: Values = NO_VALUES
    ) -> Any:
        """Stands in for Runner.run."""
        self._explain(runner, statement, given, values)
        return self._run(runner, statement, given, values)

    def run_all(
        self, runner: Runner, statements: Iterable[Statement], given: Conditions, values: Values = NO_VALUES
    ) -> None:
        """Stands in for Runner.run_all."""
        for statement in statements:
            self.run(runner, statement, given, values)

    def block(self, player: Player, waiting: Iterable[Move], values: Values) -> dict[Move, Step]:
        """Stands in for Player._block."""
        for move in waiting:
            self._explain(player._runner, move.statement, player.conditions(move.entity), values)
            if block := self._block(player, [move], values):
                return block
        return {}

    def _explain(self, runner: Runner, statement: Statement, given: Conditions, values: Values) -> None:
        self.met.add((statement.file, statement.line))
        sql = runner.text(statement, given.with_facts(findings()), {**values, "first_row": 1, "last_row": 1})
        if sql is None or not _OF_ROWS.match(sql):
            return
        plan = explained(runner.ispyb.connection, sql)
        self.scans.update(scans(statement.name, plan, aliases_of_targets(sql)))
        self.splits.update(statement.name for line in plan if "LATERAL" in line["select_type"])


def aliases_of_targets(sql: str) -> dict[str, str]:
    """The names under which a statement reads target tables; one that makes a table reads no row."""
    return {} if "CREATE TEMPORARY TABLE" in sql else {alias or table: table for table, alias in _READS.findall(sql)}


def explained(connection: Connection, sql: str) -> Sequence[Line]:
    """What EXPLAIN says of a statement."""
    return connection.exec_driver_sql(f"EXPLAIN {sql}", execution_options={"no_parameters": True}).mappings().all()


def scans(name: str, plan: Iterable[Line], aliases: dict[str, str]) -> Iterator[Scan]:
    """The full scans of a plan: within one SELECT, the first table drives and the others are looked up."""
    seen: set[object] = set()
    for line in plan:
        inner = line["id"] in seen or "DEPENDENT" in line["select_type"]
        seen.add(line["id"])
        if line["table"] in aliases and line["type"] in ("ALL", "index", "hash_ALL", "hash_index"):
            yield Scan(name, aliases[line["table"]], inner)


def statements() -> list[Statement]:
    """All that an export or an undo may send."""
    names = {path.stem for path in folder().glob("*.sql")} - NOT_RUN_PER_EXPORT.keys()
    undo = [for_entity(statement, entity) for statement in load("undo") for entity in ENTITIES]
    sent = [*undo, *(statement for name in sorted(names - {"undo"}) for statement in load(name))]
    return [statement for statement in sent if statement.pass_ != "check"]  # asks of whole tables, for `check`


@cache
def conditions() -> frozenset[str]:
    """The words of all their conditions."""
    found = [s.condition for s in statements()]
    found += [line.condition for s in statements() for line in s.lines if not line.each]
    return frozenset(word for condition in found for word in re.findall(r"[\w().]+", condition or ""))


@cache
def findings() -> frozenset[str]:
    """What conditions ask for that is no fact about the table or its staged rows, but found by an earlier statement."""
    columns = {column for table in TABLES.values() for column in known_columns(table)}
    facts = ("unique(", "given(", "lacks(", "nullable(", "default(", "any(")
    of_statements = {"within", "link", "paired"}
    words = conditions() - columns - of_statements
    return frozenset(word for word in words if not word.startswith(facts) and "." not in word)


def without_the_last_person(document: dict[str, Any]) -> None:
    """Takes one off each list, for pruning."""
    for holder in (document["proposal"], *document["sessions"]):
        gone = holder["persons"][-1]["login"]
        holder["persons"] = [person for person in holder["persons"] if person["login"] != gone]


def with_other_people(document: dict[str, Any], person: dict[str, Any]) -> None:
    """Changes what hangs on people: somebody new, a laboratory, a card, a role."""
    proposal = document["proposal"]
    proposal["persons"].append({"login": f"new{proposal['proposalNumber']}", "familyName": "New"})
    proposal["persons"][0]["laboratory"]["address"] = "moved"
    proposal["persons"][0]["phoneNumber"] = "changed"
    for contact in proposal["labcontacts"]:
        contact["person"] = person
    for session in document["sessions"]:
        session["persons"][0]["session_options"] = {"role": "Team Leader", "remote": 1}


def contradicting(number: int) -> dict[str, Any]:
    """One of two documents of which all is refused: what is said of a refusal is read as well."""
    laboratory = {"name": "R", "externalId": 999_001, "laboratoryExtPk": 999_000 + number}
    persons = [{"login": f"refused{number}", "externalId": 999_001, "laboratory": laboratory}]
    proposal = {"proposalCode": "MX", "proposalNumber": f"999{number}", "externalId": 999_001, "persons": persons}
    return {"proposal": proposal, "sessions": [{"externalId": 999_000 + number}]}


def one_by_one(digests: Digests, statements: Iterable[tuple[Statement, Conditions]], values: Values = NO_VALUES) -> Any:
    """Stands in for Digests._play: its statements are explained too."""
    for statement, given in statements:
        result = digests._runner.run(statement, given, values)
    return [tuple(row) for row in result] if result is not None and result.returns_rows else []


@pytest.fixture
def plans(monkeypatch: pytest.MonkeyPatch) -> Plans:
    plans = Plans()
    monkeypatch.setattr(Runner, "run", lambda *arguments, **options: plans.run(*arguments, **options))
    monkeypatch.setattr(Runner, "run_all", lambda *arguments: plans.run_all(*arguments))
    monkeypatch.setattr(Digests, "_play", one_by_one)
    monkeypatch.setattr(Player, "_block", lambda *arguments, **options: plans.block(*arguments, **options))
    return plans


@pytest.mark.parametrize(
    "variant", [name if name in EXPLAINED else pytest.param(name, marks=pytest.mark.soak) for name in USUAL]
)
def test_no_statement_scans_a_target_table_for_each_staged_row_or_splits_a_derived_one(
    databases: Callable[[str], Ispyb], plans: Plans, variant: str
) -> None:
    ispyb = databases(variant)
    ispyb.reset()
    facility = Facility(PROPOSALS)
    first = [facility.document(number) for number in range(PROPOSALS)]
    run = {"database": ispyb.role_url, "staging_schema": ispyb.staging_schema}
    sync.apply(first, **run)
    with ispyb.engine.connect() as connection:
        connection.exec_driver_sql(f"ANALYZE TABLE {', '.join(TABLES.values())}")
    plans.met.clear()
    plans.scans.clear()

    sync.plan(first, **run)
    second = [facility.document(number, changed=number < CHANGED) for number in range(PROPOSALS + CHANGED)]
    for document in second[CHANGED : 2 * CHANGED]:
        without_the_last_person(document)
        with_other_people(document, facility.person(5))
    sync.plan(second, **run)  # what is left out is drawn in
    done = sync.apply(second, prune="all", prune_limit="50%", full=True, **run)
    assert all(done.entities[entity].deleted > 20 for entity in ("proposal_has_person", "session_has_person"))
    sync.plan(first[7], prune="all", prune_limit="50%", full=True, **run)
    sync.plan(list(map(contradicting, (1, 2))), **run)
    assert done.run is not None
    undo(done.run, ispyb.role_url, Settings(**run))
    assert {scan for scan in plans.scans if scan.per_row} == set()
    assert plans.splits == set(), "MariaDB loses rows where it splits a derived table (MDEV-37057)"
    assert {scan.statement for scan in plans.scans} == READ_ONCE.keys()
    reading = {(s.file, s.line) for s in statements() if aliases_of_targets(s.render(Conditions(conditions())) or "")}
    # By a question to history; by the limit of pruning, where it is reached and documents were left out.
    asked = {(s.file, s.line) for s in statements() if s.name in ("find_people", "left_out_links")}
    assert reading - asked - plans.met == set()
