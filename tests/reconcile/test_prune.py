"""Pruning: the limit that stops a run before it writes, and which links count as the tool's own."""

import json

import pytest
from support.databases import Ispyb
from support.small import CommandLine, Json, role, run, write

import sync
from sync.history import runs as history
from sync.model.errors import DatabaseError, LimitError, UsageError
from sync.model.report import Report
from sync.model.settings import load_settings

pytestmark = pytest.mark.parametrize("ispyb", ["dls"], indirect=True)


def export(proposals: int, people: int) -> list[Json]:
    """Proposals of one proposer and some people, who are also on the one session of each."""
    return [
        {
            "proposal": {"proposalCode": "MX", "proposalNumber": str(number), "persons": team},
            "sessions": [{"externalId": number, "visit_number": 1, "persons": team}],
        }
        for number in range(1, proposals + 1)
        for team in [[{"login": f"u{number}_{place}"} for place in range(people + 1)]]
    ]


def apply(ispyb: Ispyb, documents: list[Json], **settings: object) -> Report:
    return sync.apply(documents, database=ispyb.role_url, staging_schema=ispyb.staging_schema, **settings)


def plan(ispyb: Ispyb, documents: list[Json], **settings: object) -> Report:
    return sync.plan(documents, database=ispyb.role_url, staging_schema=ispyb.staging_schema, **settings)


def deleted(report: Report) -> int:
    return sum(counts.deleted for counts in report.entities.values())


def test_a_run_that_would_delete_more_than_the_limit_stops_before_it_writes(ispyb: Ispyb) -> None:
    apply(ispyb, export(3, 7))
    before = ispyb.snapshot()
    fewer = [*export(1, 0), *export(3, 7)[1:2], *export(3, 0)[2:]]
    fewer[0]["proposal"]["title"] = "is not written either"
    with pytest.raises(LimitError) as stopped:
        apply(ispyb, fewer, prune="owned")
    assert "28 links" in stopped.value.message
    assert "proposal_has_person 14, session_has_person 14" in stopped.value.message
    assert "48 links of the export's proposals" in stopped.value.message
    assert "MX-1 14, MX-3 14" in stopped.value.message
    assert ispyb.snapshot() == before


def test_at_least_twenty_links_may_go(ispyb: Ispyb) -> None:
    apply(ispyb, export(1, 10))
    assert deleted(apply(ispyb, export(1, 0), prune="owned")) == 20
    apply(ispyb, export(1, 11))
    with pytest.raises(LimitError, match="22 links"):
        apply(ispyb, export(1, 0), prune="owned")


@pytest.mark.parametrize(
    ("limit", "passes"), [("43%", True), ("42%", False), ("100%", True), ("24", True), (23, False), (0, False)]
)
def test_the_limit_is_a_share_or_a_number(ispyb: Ispyb, limit: object, passes: bool) -> None:
    """24 of 56 links would go."""
    apply(ispyb, export(4, 6))
    fewer = [*export(4, 6)[:2], *export(4, 0)[2:]]
    if passes:
        assert deleted(apply(ispyb, fewer, prune="all", prune_limit=limit)) == 24
    else:
        with pytest.raises(LimitError, match="24 links"):
            apply(ispyb, fewer, prune="all", prune_limit=limit)


@pytest.mark.parametrize("limit", ["five", "-1", "101%", "5 %", ""])
def test_a_limit_that_is_none_is_refused(ispyb: Ispyb, limit: str) -> None:
    with pytest.raises(UsageError, match="prune_limit"):
        load_settings(prune_limit=limit)


def test_a_plan_goes_past_the_limit_and_says_so(ispyb: Ispyb) -> None:
    apply(ispyb, export(1, 12))
    report = plan(ispyb, export(1, 0), prune="owned")
    (warning,) = [w for w in report.warnings if w.code == "prune_limit"]
    assert "apply would stop: 24 links" in warning.message
    assert [c.action for c in report.changes] == ["delete"] * 24


def test_the_command_exits_4(ispyb: Ispyb, command: CommandLine) -> None:
    write("many.ndjson", export(1, 12))
    write("few.ndjson", export(1, 0))
    assert command("apply", "many.ndjson").code == 0
    done = command("apply", "few.ndjson", "--prune", "owned", "--json")
    assert (done.code, json.loads(done.out)["status"]) == (4, "failed")
    assert "raise --prune-limit" in done.err
    done = command("apply", "few.ndjson", "--prune", "owned", "--prune-limit", "100%")
    assert done.code == 0
    assert ispyb.rows("Session_has_Person")[1:] == []


def test_history_keeps_the_whole_link(ispyb: Ispyb) -> None:
    apply(ispyb, export(1, 1))
    (link,) = ispyb.rows("ProposalHasPerson")[1:]
    report = apply(ispyb, export(1, 0), prune="owned")
    settings = load_settings(staging_schema=ispyb.staging_schema)
    changes = history.show(ispyb.role_url, settings, report.run or 0).report.changes
    assert [(c.entity, c.action) for c in changes] == [
        ("proposal_has_person", "delete"),
        ("session_has_person", "delete"),
    ]
    kept = {name: value["old"] for name, value in changes[0].fields.items()}
    assert kept | {"proposalHasPersonId": changes[0].id} == {name: value for name, value in link.items() if value}
    assert changes[0].key == "u1_1"


def test_a_link_that_others_made_anew_is_not_the_tools(ispyb: Ispyb) -> None:
    """As far as history can tell: the id of a proposal's link, or a deletion that it knows of."""
    apply(ispyb, export(1, 1))
    (person,) = [row["personId"] for row in ispyb.rows("ProposalHasPerson")[1:]]
    (session,) = {row["sessionId"] for row in ispyb.rows("Session_has_Person")}
    run(
        ispyb,
        f"DELETE FROM ProposalHasPerson WHERE personId = {person}",
        f"INSERT INTO ProposalHasPerson (proposalId, personId) SELECT proposalId, {person} FROM Proposal",
    )
    report = apply(ispyb, export(1, 0), prune="owned")
    assert report.entities["proposal_has_person"].deleted == 0
    assert report.entities["session_has_person"].deleted == 1
    run(ispyb, f"INSERT INTO Session_has_Person (sessionId, personId) VALUES ({session}, {person})")
    assert deleted(apply(ispyb, export(1, 0), prune="owned")) == 0
    assert deleted(apply(ispyb, export(1, 0), prune="all")) == 2


def test_without_history_nothing_is_the_tools(ispyb: Ispyb) -> None:
    apply(ispyb, export(1, 1))
    run(ispyb, f"DELETE FROM {ispyb.staging_schema}.`change`", f"DELETE FROM {ispyb.staging_schema}.run")
    report = apply(ispyb, export(1, 0), prune="owned")
    assert deleted(report) == 0
    assert [w.count for w in report.warnings if w.code == "stale_links"] == [1, 1]


def test_an_account_without_the_right_to_delete_does_all_but_prune(ispyb: Ispyb) -> None:
    apply(ispyb, export(1, 1))
    schema = ispyb.engine.url.database
    for table in ("ProposalHasPerson", "Session_has_Person"):
        run(ispyb, f"REVOKE DELETE ON `{schema}`.{table} FROM `{role(ispyb)}`")
    try:
        assert deleted(apply(ispyb, export(1, 0))) == 0
        with pytest.raises(DatabaseError, match="DELETE on"):
            apply(ispyb, export(1, 0), prune="owned")
    finally:
        for table in ("ProposalHasPerson", "Session_has_Person"):
            run(ispyb, f"GRANT DELETE ON `{schema}`.{table} TO `{role(ispyb)}`")
