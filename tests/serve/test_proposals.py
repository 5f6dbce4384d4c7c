"""One proposal, pulled from the User Portal: by a service, or by its members."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from support.databases import Ispyb
from support.endpoint import ROOT, SYNC, Endpoint, run_held, token, wait_for
from support.live_columns import altered, without
from support.small import document, holds

import sync
from sync.model.errors import UsageError
from sync.model.settings import Settings
from sync.serve.routes.proposals import is_member


def sync_of(name: str) -> str:
    return f"{ROOT}/proposals/{name}/sync"


def test_a_plan_tells_what_a_sync_then_does(endpoint: Endpoint, dls: Ispyb) -> None:
    endpoint.portal_has("MX-1", [document(1)])
    plan = endpoint.client.get(sync_of("MX-1")).json()
    assert (plan["mode"], plan["status"], plan["entities"]["person"]["inserted"]) == ("plan", "planned", 3)
    assert plan["changes"]
    assert holds(dls, 0)
    done = endpoint.client.post(sync_of("MX-1")).json()
    assert done["entities"] == plan["entities"]
    assert (done["trigger"], done["actor"]) == ("http", "portal")
    assert holds(dls, 1)


def test_calls_at_once_share_one_run(endpoint: Endpoint, dls: Ispyb) -> None:
    endpoint.portal_has("MX-1", [document(1)])
    with ThreadPoolExecutor(20) as pool:
        with run_held(dls):
            answers = [pool.submit(endpoint.client.post, sync_of("MX-1")) for _ in range(20)]
            wait_for(lambda: "at_work 1.0" in endpoint.client.get("/metrics").text)
        reports = [answer.result().json() for answer in answers]
    assert {report["status"] for report in reports} == {"applied"}
    assert len({report["run"] for report in reports}) < 20
    assert holds(dls, 1)


def test_members_may_sync_what_they_are_on(endpoint: Endpoint, dls: Ispyb) -> None:
    for number in (1, 2):
        endpoint.client.post(SYNC, json=document(number))
        endpoint.portal_has(f"MX-{number}", [document(number)])
    proposer, member = (endpoint.with_token(token("uportal_sync_own", login=login)) for login in ("u1_0", "u1_2"))
    for client in (proposer, member):
        assert client.get(sync_of("MX-1")).status_code == 200
        assert client.post(sync_of("MX-1")).json()["actor"] in ("u1_0", "u1_2")
    # A proposal of others, one that nobody has, and a number without its code look the same.
    refused = [member.post(sync_of(name)) for name in ("MX-2", "MX-77", "2")]
    assert {(answer.status_code, answer.text) for answer in refused} == {(403, '{"detail":"Not Authorized"}')}
    endpoint.portal_has("mx-1", [document(1)])  # which is MX-1, as ISPyB compares texts
    assert member.get(sync_of("mx-1")).json()["documents"]["read"] == 1
    assert member.get(sync_of("mx-2")).status_code == 403
    assert member.post(SYNC, json=document(1)).status_code == 403
    assert member.get(f"{ROOT}/proposals/MX-1/runs").status_code == 403
    assert member.post(f"{ROOT}/exports").status_code == 403


@pytest.mark.parametrize("login", ["U1_2", "u1_2 ", "ú1_2", "Ω1_2", "", "%", "u1_2' OR '1'='1"])
def test_a_login_is_taken_letter_by_letter(endpoint: Endpoint, dls: Ispyb, login: str) -> None:
    endpoint.client.post(SYNC, json=document(1))
    endpoint.portal_has("MX-1", [document(1)])
    answer = endpoint.with_token(token("uportal_sync_own", login=login)).get(sync_of("MX-1"))
    assert answer.status_code == (401 if login == "" else 403)


LOGIN = "MODIFY login VARCHAR(45) CHARACTER SET {} COLLATE {} NULL"
LIVE = {
    "latin1": LOGIN.format("latin1", "latin1_swedish_ci"),
    "another collation": LOGIN.format("utf8mb4", "utf8mb4_unicode_ci"),
    "another character set": LOGIN.format("greek", "greek_general_ci"),
    "bytes": "MODIFY login VARBINARY(45) NULL",
}


@pytest.mark.parametrize("live", [*LIVE, "no codes"])
def test_who_is_on_a_proposal_is_told_whatever_the_columns_are(dls: Ispyb, live: str) -> None:
    settings = Settings(staging_schema=dls.staging_schema)
    table = "Person" if live in LIVE else "Proposal"
    with altered(dls, table, LIVE.get(live) or without(dls, table, "proposalCode")):
        sync.apply([document(1), document(2)], database=dls.role_url, staging_schema=dls.staging_schema)
        logins = ("u1_0", "u1_2", "U1_2", "ü1_2", "Ω1_2", "u2_0")
        on = [login for login in logins if is_member(dls.engine, settings, login, "MX-1")]
        assert on == ["u1_0", "u1_2"]
        assert not is_member(dls.engine, settings, "u1_0", "MX-77")


@pytest.mark.parametrize(("table", "column"), [("Person", "login"), ("Proposal", "proposalNumber")])
def test_without_the_column_nobody_is_taken_for_a_member(dls: Ispyb, table: str, column: str) -> None:
    with (
        altered(dls, table, without(dls, table, column)),
        pytest.raises(UsageError, match=rf"no .*{table}\.{column}.*\n.* permission uportal_sync "),
    ):
        is_member(dls.engine, Settings(staging_schema=dls.staging_schema), "u1_0", "MX-1")


ODD = ["all", "..%2F..", "%2e%2e", "MX-1;%20rm%20-rf", "MX-1%00", "MX-1%0A", "-1", "a" * 100, "MX-1|x"]


@pytest.mark.parametrize("name", ODD)
def test_what_is_no_name_of_a_proposal_goes_no_further(endpoint: Endpoint, dls: Ispyb, name: str) -> None:
    answer = endpoint.client.post(sync_of(name))
    assert answer.status_code in (404, 422)
    assert endpoint.client.get(f"{ROOT}/runs").json() == []


def test_faults_of_the_portal_are_the_portals(endpoint: Endpoint, dls: Ispyb) -> None:
    answer = endpoint.client.post(sync_of("MX-404"))
    assert answer.status_code == 502
    assert "cat failed" in answer.json()["detail"]
    endpoint.portal_has("MX-5", [document(1)])
    assert endpoint.client.post(sync_of("MX-5")).status_code == 404
