"""Runs every case of tests/cases on four variants, in the soak on all; each export three times: plan, apply, again.

What the case expects is compared after the first apply. Besides, and for every case: a plan writes nothing, counts what
apply then does, also where the plan leaves documents out and the apply examines all, and tells each value that changes;
the second apply changes nothing, not even a timestamp or a counter.
"""

import copy
import json
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import Connection, Engine
from support import small, soak
from support.cases import Case, Expectation, Step, load_all, on_all, on_some
from support.compare import changes, compare, insert_given, match
from support.databases import Ispyb
from support.told import untold
from support.variants import VARIANTS

import sync
from sync.model.errors import UsageError

CASES = load_all()
RUNS = on_some(CASES)
ALL_RUNS = on_all(CASES) if soak.asked() else []

OWN_TRANSACTION = 4
"""Each so many-th pair of a case and a variant."""

OF_THE_SCHEMA = "missing_column"
"""A warning that comes with the schema, not with the case."""

Report = dict[str, Any]


@pytest.mark.parametrize("name", CASES)
def test_each_case_names_what_some_variant_has(name: str) -> None:
    CASES[name].check_columns()
    assert [variant for case, variant in RUNS if case == name]


def test_the_cases_meet_all_variants_evenly() -> None:
    met = Counter(variant for _, variant in RUNS)
    assert met.keys() == set(VARIANTS)
    assert max(met.values()) < 2 * min(met.values())


@pytest.mark.parametrize(("name", "ispyb"), RUNS, indirect=["ispyb"], ids=[f"{n}-{v}" for n, v in RUNS])
def test_case(name: str, ispyb: Ispyb, engines: Callable[[str], Engine]) -> None:
    run_case(name, ispyb, engines)


@pytest.mark.soak
@pytest.mark.parametrize(("name", "ispyb"), ALL_RUNS, indirect=["ispyb"], ids=[f"{n}-{v}" for n, v in ALL_RUNS])
def test_case_everywhere(name: str, ispyb: Ispyb, engines: Callable[[str], Engine]) -> None:
    run_case(name, ispyb, engines)


def run_case(name: str, ispyb: Ispyb, engines: Callable[[str], Engine]) -> None:
    """Go through all steps of a case on an empty database."""
    case = CASES[name]
    insert_given(ispyb, case.given)
    runs: list[int] = []
    for number, step in enumerate(case.steps, start=1):
        small.run(ispyb, *step.meanwhile)
        problems = list(_Run(ispyb, engines(ispyb.role_url), case, step, runs).problems())
        if problems:
            place = f"{name} on {ispyb.variant}" + (f", export {number}" if case.then else "")
            pytest.fail("\n\n".join([f"{place}\n{case.why.strip()}", *problems]), pytrace=False)


@dataclass(frozen=True)
class _Run:
    """One step of a case on one database, by its login; `runs` are those of the steps before, and of this one."""

    ispyb: Ispyb
    engine: Engine
    case: Case
    step: Step
    runs: list[int]

    def problems(self) -> Iterator[str]:
        """Go through plan, apply and apply; say everything that is not as it should be."""
        if self.step.undo is not None:
            yield from self._problems_of_undo(self.runs[self.step.undo - 1])
            return
        before = self.ispyb.snapshot()
        planned = self._call(sync.plan)
        plan = _as_sent(planned)
        for change in changes(before, self.ispyb.snapshot()):
            yield f"the plan wrote to ISPyB: {change}"
        report = _as_sent(self._call(sync.apply, recheck=True))
        self.runs.append(report["run"])
        yield from _differing_counts(plan, report)
        yield from self._unmet(self.step.expect, report)
        self.ispyb.age_timestamps()
        old, before = before, self.ispyb.snapshot()
        if report["status"] == "applied":
            yield from untold(planned.changes, old, before)
        again = _as_sent(self._call(sync.apply))
        for change in changes(before, self.ispyb.snapshot()):
            yield f"the second run changed ISPyB: {change}"
        if report["status"] == "applied":
            yield from _touched(again)
        self.ispyb.age_timestamps(days=-1)

    def _problems_of_undo(self, run: int) -> Iterator[str]:
        """Plan, undo and undo again; as an account that sees every table."""
        before = self.ispyb.snapshot()
        plan = self._undo(run, plan=True)
        for change in changes(before, self.ispyb.snapshot()):
            yield f"the plan wrote to ISPyB: {change}"
        report = self._undo(run)
        self.runs.append(report["run"])
        yield from _differing_counts(plan, report)
        yield from self._unmet(self.step.expect, report)
        before = self.ispyb.snapshot()
        try:
            self._undo(run)
        except UsageError as error:
            if report["refusals"]:
                yield f"what was left may be tried again, but: {error}"
        else:
            if not report["refusals"]:
                yield "a run was undone twice"
        for change in changes(before, self.ispyb.snapshot()):
            yield f"the second undo changed ISPyB: {change}"

    def _undo(self, run: int, *, plan: bool = False) -> Report:
        return _as_sent(sync.undo(run, database=self.ispyb.url, staging_schema=self.ispyb.staging_schema, plan=plan))

    def _call(self, verb: Callable[..., sync.Report], **more: Any) -> sync.Report:
        documents = copy.deepcopy(self.step.export)
        with self._database() as database:
            report = verb(
                documents,
                database=database,
                staging_schema=self.ispyb.staging_schema,
                **self.case.settings,
                **more,
            )
        assert documents == self.step.export, "the caller's documents were changed"
        return report

    @contextmanager
    def _database(self) -> Iterator[Engine | Connection]:
        """A run makes its own transactions on an engine; most take part in the caller's, on a connection that stays."""
        if not zlib.crc32(f"{self.case.why} {self.ispyb.variant}".encode()) % OWN_TRANSACTION:
            yield self.engine
            return
        with self.engine.begin() as connection:
            yield connection

    def _unmet(self, expect: Expectation, report: Report) -> Iterator[str]:
        """Compare tables and report with what the case expects."""
        unequal = [compare(self.ispyb, table, rows) for table, rows in expect.tables.items()]
        yield from filter(None, unequal)
        if expect.status not in (None, report["status"]):
            yield f"status: expected {expect.status}, is {report['status']}"
        for entity, counts in expect.report.items():
            actual = {count: report["entities"][entity][count] for count in counts}
            if actual != counts:
                yield f"report of {entity}: expected {counts}, is {actual}"
        partners = match(expect.refusals, report["refusals"], _says)
        if not len(partners) == len(expect.refusals) == len(report["refusals"]):
            yield _listing("refusals", expect.refusals, report["refusals"], partners)
        partners = match(expect.warnings, report["warnings"], _says)
        told = set(partners.values())
        unexpected = [w for j, w in enumerate(report["warnings"]) if j not in told and w["code"] != OF_THE_SCHEMA]
        if len(partners) != len(expect.warnings) or unexpected:
            yield _listing("warnings", expect.warnings, report["warnings"], partners)


def _as_sent(report: sync.Report) -> Report:
    """A report as `--json` prints it."""
    return json.loads(json.dumps(report.to_dict()))  # type: ignore[no-any-return]


def _says(wanted: Report, entry: Report) -> bool:
    """Tell whether an entry of the report says what is expected; of its message, a part is enough."""
    return all(
        value in entry[key] if key == "message" else key in entry and entry[key] == value
        for key, value in wanted.items()
    )


def _listing(what: str, expected: list[Report], actual: list[Report], partners: dict[int, int]) -> str:
    kept = set(partners.values())
    missing = [("-", entry) for i, entry in enumerate(expected) if i not in partners]
    surplus = [("+", entry) for j, entry in enumerate(actual) if j not in kept]
    lines = [f"  {mark} {json.dumps(entry, ensure_ascii=False)}" for mark, entry in missing + surplus]
    return "\n".join([f"{what}: expected {len(expected)}, found {len(actual)}", *lines])


def _differing_counts(plan: Report, report: Report) -> Iterator[str]:
    """Compare what a plan counts with what the apply did."""
    for entity, counts in report["entities"].items():
        planned = plan["entities"][entity]
        for count in (count for count in counts if planned[count] != counts[count]):
            yield f"plan and apply differ: {entity} {count} {planned[count]} and {counts[count]}"
    codes = [Counter((r["entity"], r["code"]) for r in one["refusals"]) for one in (plan, report)]
    if codes[0] != codes[1]:
        yield f"plan and apply differ: refusals {dict(codes[0])} and {dict(codes[1])}"


def _touched(again: Report) -> Iterator[str]:
    """Say what a second run counts as written."""
    for entity, counts in again["entities"].items():
        written = {count: counts[count] for count in ("inserted", "updated", "deleted") if counts[count]}
        if written:
            yield f"the second run counts for {entity}: {written}"
