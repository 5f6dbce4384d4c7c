"""merge and move print SQL and change nothing; what they print is run here, as a DBA does with the mariadb client."""

from typing import Any

import pymysql
import pytest
from sqlalchemy import make_url
from support.databases import Ispyb
from support.facts import meets
from support.live_columns import altered, without
from support.small import CommandLine, document, run, write

import sync


@pytest.fixture
def dba(command: CommandLine, ispyb: Ispyb, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """The command line with an account that sees every table."""
    monkeypatch.setenv("ISPYB_SYNC_DATABASE", ispyb.url)
    return command


def play(ispyb: Ispyb, script: str) -> None:
    """Runs a script whole, each statement in turn until the first that fails; then what is open is lost."""
    url = make_url(ispyb.url)
    connection = pymysql.connect(
        host=url.host,
        port=url.port or 3306,
        user=url.username,
        password=str(url.password or ""),
        database=url.database,
        client_flag=pymysql.constants.CLIENT.MULTI_STATEMENTS,
        autocommit=True,
    )
    try:
        with connection.cursor() as cursor:
            cursor.execute(script)
            while cursor.nextset():
                pass
    finally:
        connection.close()


def apply(ispyb: Ispyb, *documents: Any) -> list[Any]:
    report = sync.apply(list(documents), database=ispyb.role_url, staging_schema=ispyb.staging_schema)
    return report.refusals


def people(number: int, *persons: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"proposal": {"proposalCode": "MX", "proposalNumber": str(number), "persons": list(persons), **more}}


def twice(ispyb: Ispyb) -> tuple[int, int]:
    """Somebody typed in twice, with a link, a session and a card of one proposal under both; their ids."""
    one, other = {"externalId": 5, "familyName": "Weaver"}, {"login": "weaver", "familyName": "Weawer"}
    cards = [{"cardName": "one", "person": one}, {"cardName": "other", "person": other}]
    first = people(1, one, other, labcontacts=cards)
    first["sessions"] = [{"externalId": 7, "visit_number": 1, "persons": [one, other]}]
    first["proteins"] = [{"acronym": "lyso", "externalId": 3, "person": other}]
    assert apply(ispyb, first, people(2, other)) == []
    ids = {row["login"]: row["personId"] for row in ispyb.rows("Person")}
    return int(str(ids[None])), int(str(ids["weaver"]))


def test_two_rows_become_one_with_all_that_refers_to_them(ispyb: Ispyb, dba: CommandLine) -> None:
    stays, goes = twice(ispyb)
    cards = {row["cardName"]: row["labContactId"] for row in ispyb.rows("LabContact")}
    has_shipping = meets(ispyb.variant, "Shipping.sendingLabContactId")
    if has_shipping:
        columns = "proposalId, sendingLabContactId"
        run(ispyb, f"INSERT INTO Shipping ({columns}) SELECT proposalId, {cards['other']} FROM LabContact LIMIT 1")
    before = ispyb.snapshot()
    done = dba("merge", "person", str(stays), str(goes))
    assert (done.code, done.err) == (0, "")
    assert ispyb.snapshot() == before
    assert done.out.startswith(f"-- {ispyb.called}: personId {goes} is the same person as personId {stays}.")
    assert '--   familyName: "Weaver" stays, "Weawer" is lost' in done.out
    assert '--   login: "weaver" is taken over' in done.out
    assert f"-- 1 row would collide: {stays} has the same sessionId already." in done.out
    assert f"-- LabContact labContactId {cards['other']} becomes {cards['one']}, which stays as it is." in done.out
    play(ispyb, done.out)
    (person,) = ispyb.rows("Person")
    assert (person["personId"], person["login"], person["familyName"]) == (stays, "weaver", "Weaver")
    for table, rows in {"ProposalHasPerson": 2, "Session_has_Person": 1, "LabContact": 1, "Proposal": 2}.items():
        assert [row["personId"] for row in ispyb.rows(table)] == [stays] * rows, table
    if has_shipping:
        assert [row["sendingLabContactId"] for row in ispyb.rows("Shipping")] == [cards["one"]]
        run(ispyb, "DELETE FROM Shipping")


def test_what_was_refused_goes_on_once_the_rows_are_merged(ispyb: Ispyb, dba: CommandLine) -> None:
    stays, goes = twice(ispyb)
    both = people(1, {"externalId": 5, "login": "weaver"})
    (refused,) = (r for r in apply(ispyb, both) if r.code == "key_taken")
    assert f"`ispyb-sync merge person {stays} {goes}` prints the SQL" in refused.message
    play(ispyb, dba("merge", "person", str(stays), str(goes)).out)
    assert apply(ispyb, both) == []


def test_laboratories_become_one(ispyb: Ispyb, dba: CommandLine) -> None:
    labs = [{"name": name, "city": "Lund", "laboratoryExtPk": number} for number, name in ((1, "MAX"), (2, "MAX IV"))]
    apply(ispyb, people(1, *({"login": lab["name"], "laboratory": lab} for lab in labs)))
    stays, goes = sorted(int(str(row["laboratoryId"])) for row in ispyb.rows("Laboratory"))
    play(ispyb, dba("merge", "laboratory", str(stays), str(goes)).out)
    assert [row["laboratoryId"] for row in ispyb.rows("Laboratory")] == [stays]
    assert [row["laboratoryId"] for row in ispyb.rows("Person")] == [stays] * 2


def test_what_came_in_between_stops_the_script_and_nothing_is_written(dls: Ispyb, command: CommandLine) -> None:
    apply(dls, document(1))
    command.monkeypatch.setenv("ISPYB_SYNC_DATABASE", dls.url)
    stays, goes = sorted(int(str(row["personId"])) for row in dls.rows("Person"))[:2]
    script = command("merge", "person", str(stays), str(goes)).out
    session = dls.rows("BLSession")[0]["sessionId"]
    run(dls, f"INSERT INTO Session_has_Person (sessionId, personId) VALUES ({session}, {goes})")
    before = dls.snapshot()
    with pytest.raises(pymysql.IntegrityError):
        play(dls, script)
    assert dls.snapshot() == before


def test_a_session_moves_and_gets_a_free_visit_number_where_its_own_is_taken(ispyb: Ispyb, dba: CommandLine) -> None:
    apply(ispyb, document(1), document(2))
    before = ispyb.snapshot()
    session = min(int(str(row["sessionId"])) for row in ispyb.rows("BLSession"))
    done = dba("move", "session", str(session), "MX-2")
    assert (done.code, done.err, ispyb.snapshot()) == (0, "", before)
    assert f'-- {ispyb.called}: moves sessionId {session} from "MX-1"' in done.out
    assert "--   Session_has_Person.sessionId: 1 row" in done.out
    play(ispyb, done.out)
    proposal = {row["proposalNumber"]: row["proposalId"] for row in ispyb.rows("Proposal")}["2"]
    (moved,) = (row for row in ispyb.rows("BLSession") if row["sessionId"] == session)
    assert moved["proposalId"] == proposal
    if meets(ispyb.variant, "BLSession.visit_number unique"):
        assert moved["visit_number"] == 3
        assert '-- visit_number 1 would collide: a session of "MX-2" has it already.' in done.out
    assert len([row for row in ispyb.rows("Session_has_Person") if row["sessionId"] == session]) == 1


def test_a_proposal_is_named_by_what_the_table_has(dls: Ispyb, command: CommandLine) -> None:
    command.monkeypatch.setenv("ISPYB_SYNC_DATABASE", dls.url)
    with altered(dls, "Proposal", without(dls, "Proposal", "proposalCode")):
        apply(dls, document(1), document(2))
        session = str(min(int(str(row["sessionId"])) for row in dls.rows("BLSession")))
        done = command("move", "session", session, "2")
        assert (done.code, done.err) == (0, "")
        assert f'moves sessionId {session} from "1"' in done.out
    with altered(dls, "Proposal", without(dls, "Proposal", "proposalNumber")):
        done = command("move", "session", session, "MX-2")
        assert (done.code, done.out) == (2, "")
        assert "Proposal of this ISPyB has no column proposalNumber" in done.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["merge", "person", "1", "99999"], "Person of this ISPyB has no personId 99999"),
        (["merge", "person", "1", "1"], "1 twice"),
        (["merge", "proposal", "1", "2"], "proposal cannot be merged"),
        (["move", "session", "99999", "MX-1"], "BLSession of this ISPyB has no sessionId 99999"),
        (["move", "session", "1", "MX-77"], "MX-77 is no proposal of this ISPyB"),
        (["move", "person", "1", "MX-1"], "person cannot be moved"),
    ],
)
def test_what_is_not_there_is_told(dls: Ispyb, command: CommandLine, arguments: list[str], words: str) -> None:
    with dls.engine.begin() as connection:
        dls.insert(connection, "Person", {"personId": 1, "login": "a"})
        dls.insert(connection, "BLSession", {"sessionId": 1, "proposalId": 1})
    command.monkeypatch.setenv("ISPYB_SYNC_DATABASE", dls.url)
    done = command(*arguments)
    assert (done.code, done.out) == (2, "")
    assert words in done.err


def test_an_account_that_does_not_see_every_table_prints_nothing(dls: Ispyb, command: CommandLine) -> None:
    write("one.json", [document(1)])
    assert command("apply", "one.json").code == 0
    first, second = (str(row["personId"]) for row in dls.rows("Person")[:2])
    done = command("merge", "person", first, second)
    assert (done.code, done.out) == (3, "")
    assert "may not see every table of ISPyB" in done.err
