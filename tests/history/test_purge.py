"""history purge: old runs go with their values; which links the tool made is still known, by ids alone."""

import json
import random
from datetime import UTC, datetime, timedelta

import pytest
from support.databases import Ispyb
from support.small import CommandLine, Json, run
from support.terminal import AtTerminal

import sync
from sync.history import purge
from sync.history import runs as history
from sync.model.errors import UsageError
from sync.model.report import Report
from sync.model.settings import Settings

PEOPLE = 5
LINKS = ("proposal_has_person", "session_has_person")


@pytest.fixture
def ispyb(dls: Ispyb) -> Ispyb:
    return dls


@pytest.fixture
def settings(ispyb: Ispyb) -> Settings:
    return Settings(staging_schema=ispyb.staging_schema)


def team(people: int, title: str = "") -> list[Json]:
    """A proposal with a session, and so many people on both beside the proposer."""
    persons = [{"login": f"u{place}"} for place in range(people + 1)]
    proposal = {"proposalCode": "MX", "proposalNumber": "1", "title": title, "persons": persons}
    return [{"proposal": proposal, "sessions": [{"externalId": 1, "visit_number": 1, "persons": persons}]}]


def apply(ispyb: Ispyb, documents: list[Json], **settings: object) -> Report:
    return sync.apply(documents, database=ispyb.role_url, staging_schema=ispyb.staging_schema, **settings)


def deleted(report: Report) -> tuple[int, ...]:
    return tuple(report.entities[name].deleted for name in LINKS)


def age(ispyb: Ispyb, days: int = 2) -> None:
    """All runs are so many days older."""
    run(ispyb, f"UPDATE {ispyb.staging_schema}.run SET started = started - INTERVAL {days} DAY")


def forget(ispyb: Ispyb, settings: Settings, older_than: str = "1d") -> int:
    """As the sync's own account."""
    return purge.purge(ispyb.role_url, settings, purge.find_old(ispyb.role_url, settings, older_than))


def purged(ispyb: Ispyb, settings: Settings) -> None:
    age(ispyb)
    assert forget(ispyb, settings) > 0
    assert history.runs(ispyb.role_url, settings) == []
    with ispyb.engine.connect() as connection:
        assert connection.exec_driver_sql(f"SELECT COUNT(*) FROM {ispyb.staging_schema}.`change`").scalar() == 0


def test_old_runs_are_forgotten_and_no_others(ispyb: Ispyb, settings: Settings) -> None:
    apply(ispyb, team(1))
    assert forget(ispyb, settings) == 0
    age(ispyb)
    young = apply(ispyb, team(1, "New")).run
    old = purge.find_old(ispyb.role_url, settings, "1d")
    assert (old.runs, old.changes) == (1, 8)
    assert purge.purge(ispyb.role_url, settings, old) == 1
    (left,) = history.runs(ispyb.role_url, settings)
    assert left.report.run == young
    assert len(history.show(ispyb.role_url, settings, left.report.run or 0).report.changes) == 1


def test_an_age_that_is_none_is_refused(ispyb: Ispyb, settings: Settings) -> None:
    with pytest.raises(UsageError, match="'half a year' is no age"):
        purge.find_old(ispyb.role_url, settings, "half a year")


def test_links_that_purged_runs_made_are_still_the_tools(ispyb: Ispyb, settings: Settings) -> None:
    apply(ispyb, team(1))
    apply(ispyb, team(PEOPLE))
    purged(ispyb, settings)
    plan = sync.plan(team(0), database=ispyb.role_url, staging_schema=ispyb.staging_schema)
    told = [warning.message for warning in plan.warnings if warning.code == "stale_links"]
    assert len(told) == 2
    assert all(f"links that this tool made ({PEOPLE})" in message for message in told), told
    assert deleted(apply(ispyb, team(0), prune="owned")) == (PEOPLE, PEOPLE)


def test_nothing_is_kept_but_ids(ispyb: Ispyb, settings: Settings) -> None:
    apply(ispyb, team(1))
    purged(ispyb, settings)
    links = [("proposal_has_person", row["proposalHasPersonId"], 0) for row in ispyb.rows("ProposalHasPerson")]
    links += [("session_has_person", row["sessionId"], row["personId"]) for row in ispyb.rows("Session_has_Person")]
    with ispyb.engine.connect() as connection:
        kept = connection.exec_driver_sql(f"SELECT * FROM {ispyb.staging_schema}.made_link").all()
    assert sorted(map(tuple, kept)) == sorted(links)


def test_a_link_that_was_made_anew_by_hand_after_the_purge_is_nobodys(ispyb: Ispyb, settings: Settings) -> None:
    """Pruned by a run that history holds, and by one that it has forgotten too."""
    apply(ispyb, team(1))
    (hers,) = ispyb.rows("ProposalHasPerson")[1:]
    (session,) = {row["sessionId"] for row in ispyb.rows("Session_has_Person")}
    purged(ispyb, settings)
    assert deleted(apply(ispyb, team(0), prune="owned")) == (1, 1)
    run(
        ispyb,
        f"INSERT INTO Session_has_Person (sessionId, personId) VALUES ({session}, {hers['personId']})",
        f"INSERT INTO ProposalHasPerson (proposalHasPersonId, proposalId, personId) "
        f"VALUES ({hers['proposalHasPersonId']}, {hers['proposalId']}, {hers['personId']})",
    )
    assert deleted(apply(ispyb, team(0, "New"), prune="owned")) == (0, 0)
    purged(ispyb, settings)
    assert deleted(apply(ispyb, team(0), prune="owned")) == (0, 0)
    assert deleted(apply(ispyb, team(0), prune="all")) == (1, 1)


def test_a_link_that_an_undo_brought_back_is_the_tools_as_before(ispyb: Ispyb, settings: Settings) -> None:
    apply(ispyb, team(1))
    purged(ispyb, settings)
    pruned = apply(ispyb, team(0), prune="owned").run
    assert pruned is not None
    sync.undo(pruned, database=ispyb.role_url, staging_schema=ispyb.staging_schema)
    assert deleted(apply(ispyb, team(0), prune="owned")) == (1, 1)


def test_links_of_runs_on_another_ispyb_are_not_kept(ispyb: Ispyb, settings: Settings) -> None:
    apply(ispyb, team(1))
    run(ispyb, f"UPDATE {ispyb.staging_schema}.run SET elsewhere = TRUE")
    purged(ispyb, settings)
    assert deleted(apply(ispyb, team(0), prune="owned")) == (0, 0)


@pytest.mark.parametrize("seed", range(3))
def test_a_purge_never_changes_whose_a_link_is(ispyb: Ispyb, settings: Settings, seed: int) -> None:
    """Random histories of many links, forgotten bit by bit: what the tool owns is as if nothing was forgotten."""
    chance = random.Random(seed)
    people, days = 40, 6
    apply(ispyb, team(people))
    age(ispyb, 100)
    run(ispyb, f"DELETE FROM {ispyb.staging_schema}.`change`", f"DELETE FROM {ispyb.staging_schema}.run")
    links = [(LINKS[0], row["personId"], row["proposalHasPersonId"], None) for row in ispyb.rows("ProposalHasPerson")]
    links += [
        (LINKS[1], row["personId"], row["sessionId"], row["personId"]) for row in ispyb.rows("Session_has_Person")
    ]
    words: dict[tuple[object, ...], list[tuple[str, str]]] = {link: [] for link in links}
    today = datetime.now(UTC).replace(tzinfo=None)
    for day in range(days):
        mode = chance.choice(("apply", "apply", "undo"))
        started = today - timedelta(days=days - day, hours=-1)
        changes = []
        for number, link in enumerate(links):
            action = chance.choice(("insert", "delete", "update", None, None))
            if action is not None:
                entity, _, target, second = link
                changes.append(f"({day + 1}, '{entity}', {number}, {target}, {second or 'NULL'}, '{action}')")
                words[link] += [(mode, action)] if action != "update" else []
        run(
            ispyb,
            f"INSERT INTO {ispyb.staging_schema}.run (run, mode, status, started, account, tool_version, report) "
            f"VALUES ({day + 1}, '{mode}', 'applied', '{started}', 'x', '1', '{{}}')",
            f"INSERT INTO {ispyb.staging_schema}.`change` (run, entity, number, target_id, second_id, action) "
            f"VALUES {', '.join(changes)}",
        )
    proposer = min(row["personId"] for row in ispyb.rows("Person"))
    owned = {
        (entity, person)
        for (entity, person, *_), said in words.items()
        if person != proposer and ("apply", "insert") in said and said[-1][1] == "insert"
    }
    assert 10 < len(owned) < people
    for left in sorted({0, *chance.sample(range(days), 2)}, reverse=True):
        forget(ispyb, settings, f"{left}d")
        assert doomed(ispyb) == owned, f"{left} days of history are left"


def doomed(ispyb: Ispyb) -> set[tuple[str, object]]:
    """The links that --prune owned would delete: entity and person."""
    ids = {str(row["login"]): row["personId"] for row in ispyb.rows("Person")}
    url, schema = ispyb.role_url, ispyb.staging_schema
    plan = sync.plan(team(0), database=url, staging_schema=schema, prune="owned", prune_limit="100%")
    return {
        (change.entity, ids[str(change.key).split(" on ")[0]]) for change in plan.changes if change.action == "delete"
    }


# The command


def test_the_plan_of_a_purge_says_what_would_go_and_forgets_nothing(
    ispyb: Ispyb, settings: Settings, command: CommandLine
) -> None:
    apply(ispyb, team(1))
    age(ispyb)
    done = command("history", "purge", "--older-than", "1d", "--plan")
    assert done.code == 0
    assert done.out.startswith("1 run from before ")
    assert done.out.endswith(" UTC, 8 changes: would be forgotten\n")
    done = command("history", "purge", "--older-than", "1d", "--plan", "--json")
    assert json.loads(done.out) == {"status": "planned", "runs": 1, "changes": 8, "forgotten": 0}
    assert len(history.runs(ispyb.role_url, settings)) == 1


def test_at_no_terminal_nobody_is_asked(ispyb: Ispyb, settings: Settings, command: CommandLine) -> None:
    apply(ispyb, team(1))
    age(ispyb)
    done = command("history", "purge", "--older-than", "1d")
    assert (done.code, done.out, done.err) == (0, "1 run forgotten\n", "")
    done = command("history", "purge", "--older-than", "1d", "--json")
    assert json.loads(done.out) == {"status": "forgotten", "runs": 0, "changes": 0, "forgotten": 0}
    assert history.runs(ispyb.role_url, settings) == []


QUESTION = "Forget them? [y/n] (n): "


def test_at_a_terminal_it_says_what_goes_and_asks(
    ispyb: Ispyb, settings: Settings, command: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "dumb")
    apply(ispyb, team(1))
    age(ispyb)
    arguments = ("history", "purge", "--older-than", "1d")
    with AtTerminal(*arguments) as terminal:
        seen = terminal.asked(QUESTION)
        assert "1 run from before " in seen
        assert "8 changes: no undo takes them back then." in seen
        terminal.answer("n\n")
        code, out = terminal.ended()
    assert (code, out.endswith("8 changes: nothing is forgotten\n")) == (4, True)
    assert len(history.runs(ispyb.role_url, settings)) == 1
    with AtTerminal(*arguments) as terminal:
        terminal.asked(QUESTION)
        terminal.answer("y\n")
        assert terminal.ended() == (0, "1 run forgotten\n")
    assert history.runs(ispyb.role_url, settings) == []
    apply(ispyb, team(1, "New"))
    age(ispyb)
    with AtTerminal(*arguments, "--yes") as terminal:
        assert terminal.ended() == (0, "1 run forgotten\n")
        assert QUESTION not in terminal.seen


@pytest.mark.parametrize("flag", ["--plan", "--yes"])
def test_its_flags_go_with_nothing_else(command: CommandLine, flag: str) -> None:
    done = command("history", flag)
    assert (done.code, done.out) == (2, "")
    assert "go with purge" in done.err
