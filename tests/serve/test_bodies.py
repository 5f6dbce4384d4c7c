"""py-ispyb's endpoint: its client works unchanged, and gets the report beside its message."""

import gzip
import json
import re
from typing import Any

import httpx
import pytest
from support.databases import Ispyb
from support.endpoint import ROOT, SYNC, Endpoint
from support.small import CommandLine, document, holds

import sync
from sync.model.published.json_schema import schema


def post(endpoint: Endpoint, body: Any, path: str = SYNC, **more: Any) -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return endpoint.client.post(path, content=content, headers={"Content-Type": "application/json"} | more)


@pytest.mark.parametrize("path", [SYNC, f"{ROOT}/userportalsync/sync_proposal"])
def test_a_document_is_applied_before_it_is_answered(endpoint: Endpoint, dls: Ispyb, path: str) -> None:
    answer = post(endpoint, document(1), path)
    assert answer.status_code == 200
    told = answer.json()
    assert re.fullmatch(r"The proposal MX-1 has been synchronized in \d+\.\d{3}", told["message"])
    assert holds(dls, 1)
    assert (told["report"]["trigger"], told["report"]["actor"]) == ("http", "portal")
    assert told["report"]["entities"]["person"]["inserted"] == 3
    again = post(endpoint, document(1), path).json()["report"]
    assert again["entities"]["person"]["inserted"] == 0


def test_the_refusals_are_those_of_a_file(endpoint: Endpoint, dls: Ispyb, tmp_path: Any) -> None:
    sent = document(1)
    sent["proposal"]["persons"].append({"familyName": "nobody names this one"})
    sent["proposal"]["title"] = "Ω"
    sent["proposal"]["titel"] = "misspelt"
    (tmp_path / "file.json").write_text(json.dumps(sent))
    of_file = sync.plan(tmp_path / "file.json", database=dls.role_url, staging_schema=dls.staging_schema).to_dict()
    answer = post(endpoint, sent)
    assert answer.status_code == 200
    told = answer.json()["report"]
    assert told["refusals"] == of_file["refusals"] != []
    assert told["warnings"] == of_file["warnings"] != []


@pytest.mark.parametrize(
    ("body", "path", "words"),
    [
        (b"", [], "is empty"),
        (b"<html>", [], "there is no document in it"),
        (b'{"proposal":', [], "not JSON"),
        (b"{}", [], "there is no document in it"),
        (b'{"sessions": []}', ["proposal"], 'not a document: it needs {"proposal": {…}, "sessions": […]}'),
        (b'{"proposal": 5}', ["proposal"], "an object is expected"),
        (b'{"proposal": {"proposalNumber": {}}}', ["proposal", "proposalNumber"], "expected"),
        (b'[{"proposal": {"proposalNumber": "1"}}]', [], "an array"),
        (json.dumps(document(1)).encode() * 2, [], "2 documents in one body"),
    ],
)
def test_what_is_no_document_is_told_in_fastapis_form(
    endpoint: Endpoint, dls: Ispyb, body: bytes, path: list[str], words: str
) -> None:
    answer = post(endpoint, body)
    assert answer.status_code == 422
    (told,) = answer.json()["detail"]
    assert told["loc"] == ["body", *path]
    assert words in told["msg"]
    assert set(told) == {"loc", "msg", "type"}
    assert holds(dls, 0)


def test_another_content_type_is_no_document(endpoint: Endpoint, dls: Ispyb) -> None:
    answer = endpoint.client.post(SYNC, content=json.dumps(document(1)), headers={"Content-Type": "text/plain"})
    assert answer.status_code == 422
    assert "text/plain" in answer.json()["detail"][0]["msg"]
    assert holds(dls, 0)


def test_a_document_that_is_refused_as_a_whole_is_400(endpoint: Endpoint, dls: Ispyb) -> None:
    sent = document(1, persons=[])
    answer = post(endpoint, {"proposal": sent["proposal"] | {"labcontacts": []}})
    assert answer.status_code == 400
    told = answer.json()
    assert isinstance(told["detail"], str)
    assert "proposal" in told["detail"]
    assert [refusal["code"] for refusal in told["report"]["refusals"]] == ["no_proposer"]


def test_a_document_whose_keys_disagree_is_400(endpoint: Endpoint, dls: Ispyb) -> None:
    for number in (1, 2):
        assert post(endpoint, document(number)).status_code == 200
    answer = post(endpoint, document(1, externalId=7))
    assert answer.status_code == 400
    found = {(refusal["entity"], refusal["code"]) for refusal in answer.json()["report"]["refusals"]}
    assert ("proposal", "keys_disagree") in found
    assert holds(dls, 2)


def test_a_body_in_chunks_is_taken(endpoint: Endpoint, dls: Ispyb) -> None:
    whole = json.dumps(document(1)).encode()
    chunks = (whole[at : at + 100] for at in range(0, len(whole), 100))
    answer = endpoint.client.post(SYNC, content=chunks, headers={"Content-Type": "application/json"})
    assert answer.request.headers["Transfer-Encoding"] == "chunked"
    assert answer.status_code == 200
    assert holds(dls, 1)


def test_gzip_is_taken_and_a_bomb_is_not(endpoint: Endpoint, dls: Ispyb) -> None:
    packed = gzip.compress(json.dumps(document(1)).encode())
    assert post(endpoint, packed, **{"Content-Encoding": "gzip"}).status_code == 200
    assert post(endpoint, packed).status_code == 200
    title = gzip.compress(b'{"proposal": {"title": "' + b"a" * 50_000_000 + b'"}}')
    blanks = gzip.compress(b" " * 60_000_000)
    for bomb in (title, packed + blanks, packed + b"\0" * 600 + blanks, packed + b"\0" * 600_000 + blanks):
        assert len(bomb) < 1_000_000
        assert post(endpoint, bomb).status_code == 413
    assert post(endpoint, packed + b"\0" * 600).status_code == 200
    assert post(endpoint, b"x", **{"Content-Encoding": "br"}).status_code == 415


def test_the_schema_is_that_of_a_document(endpoint: Endpoint) -> None:
    told = httpx.get(f"{endpoint.url}{ROOT}/openapi.json").json()
    for path in (SYNC, f"{ROOT}/userportalsync/sync_proposal"):
        content = told["paths"][path]["post"]["requestBody"]["content"]["application/json"]
        assert content["schema"] == {"$ref": "#/components/schemas/UserPortalProposalSync"}
    schemas = told["components"]["schemas"]
    assert schemas["Person"]["properties"] == _moved(schema()["$defs"]["Person"]["properties"])


def test_the_example_of_the_schema_is_whole_and_can_be_sent(
    endpoint: Endpoint, dls: Ispyb, command: CommandLine
) -> None:
    told = httpx.get(f"{endpoint.url}{ROOT}/openapi.json").json()
    (example,) = told["components"]["schemas"]["UserPortalProposalSync"]["examples"]
    assert example == json.loads(command("schema", "--example").out)
    told = post(endpoint, example).json()["report"]
    assert (told["documents"]["refused"], told["refusals"]) == (0, [])
    assert all(counts["inserted"] for counts in told["entities"].values())


def _moved(part: Any) -> Any:
    return json.loads(json.dumps(part).replace("#/$defs/", "#/components/schemas/"))


def test_neither_a_body_nor_a_token_is_in_the_log(endpoint: Endpoint, dls: Ispyb) -> None:
    sent = document(1, title="a title that is nobody's business")
    answer = post(endpoint, sent)
    assert answer.status_code == 200, answer.text
    post(endpoint, b'{"proposal": {"title": "nobody\'s business')
    endpoint.client.post(f"{SYNC}?token=secret-in-a-query", content=b"x")
    for secret in ("nobody's business", "eyJ", "secret-in-a-query", "u1_0"):
        assert secret not in endpoint.log
    assert re.search(r"run \d+: apply, applied, actor portal, request [0-9a-f]{32}", endpoint.log)
