"""Who may use the endpoint: forged, foreign, expired and odd tokens, and an issuer that is not always there."""

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from fastapi import Request
from support.endpoint import SECRET, token
from support.issuer import AUDIENCE, Issuer, issuing

from sync.model.errors import UsageError
from sync.model.tables.triggers import Auth
from sync.serve import access as access_module
from sync.serve import keys
from sync.serve.access import Access, Caller, Failures, Refused, demand

PUBLIC = (
    ec.generate_private_key(ec.SECP256R1())
    .public_key()
    .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
)


@pytest.fixture(scope="module")
def _issuer() -> Iterator[Issuer]:
    with issuing() as running:
        yield running


@pytest.fixture
def issuer(_issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> Issuer:
    _issuer.answer, _issuer.status, _issuer.delay, _issuer.asked, _issuer.named = None, 200, 0, 0, None
    _issuer.rotate("first")
    monkeypatch.setattr(keys, "PAUSE_SECONDS", 0)
    monkeypatch.setattr(access_module, "MOST_FAILURES", 1000)
    return _issuer


def oidc(issuer: Issuer, **more: Any) -> Access:
    return Access(Auth(mode="oidc", issuer=issuer.url, audience=AUDIENCE, **more))


@pytest.fixture
def shared(tmp_path: Path) -> Access:
    (tmp_path / "secret").write_text(SECRET + "\n")
    return Access(Auth(mode="shared", secret_file=tmp_path / "secret"))


def request(given: str | None) -> Request:
    headers = [] if given is None else [(b"authorization", given.encode())]
    scope = {"type": "http", "method": "POST", "path": "/x", "headers": headers, "client": ("192.0.2.7", 1)}
    return Request(scope | {"state": {"request_id": "1"}})


async def asked(access: Access, given: str | None) -> Caller:
    return await access.caller(request(given))


def run(question: Coroutine[Any, Any, Caller]) -> Caller:
    return asyncio.run(question)


def refused(access: Access, given: str | None) -> Refused:
    with pytest.raises(Refused) as caught:
        run(asked(access, given))
    return caught.value


def crafted(header: dict[str, Any], claims: dict[str, Any], secret: bytes) -> str:
    """A token by hand, which libraries refuse to make."""
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (header, claims)]
    signature = hmac.new(secret, b".".join(parts), hashlib.sha256).digest()
    return b".".join([*parts, base64.urlsafe_b64encode(signature).rstrip(b"=")]).decode()


def claims(**more: Any) -> dict[str, Any]:
    return {"login": "portal", "permissions": ["uportal_sync"], "exp": time.time() + 86_400} | more


# Shared


def test_a_token_of_py_ispyb_names_its_caller(shared: Access) -> None:
    caller = run(asked(shared, f"Bearer {token('uportal_sync', 'manager')}"))
    assert (caller.actor, caller.permissions) == ("portal", {"uportal_sync", "manager"})


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (None, "No token provided."),
        ("Bearer ", "No token provided."),
        ("Basic cG9ydGFsOng=", "No token provided."),
        ("Bearer rubbish", "Invalid token"),
        (f"Bearer {token('uportal_sync', exp=int(time.time()) - 5)}", "Token expired. Please log in again"),
        (f"Bearer {token('uportal_sync', exp=None)}", "Invalid token"),
        (f"Bearer {token('uportal_sync', exp='soon')}", "Invalid token"),
        (f"Bearer {token('uportal_sync', nbf=int(time.time()) + 80_000)}", "Invalid token"),
        (f"Bearer {token('uportal_sync', iat=int(time.time()) + 80_000)}", "Invalid token"),
        (f"Bearer {token('uportal_sync', secret='x' * 40)}", "Invalid token"),
        (f"Bearer {token('uportal_sync', login=None)}", "Invalid token"),
        (f"Bearer {token('uportal_sync', login=['portal'])}", "Invalid token"),
        (f"Bearer {token('uportal_sync', aud='another service')}", "Invalid token"),
        (f"Bearer {jwt.encode(claims(), None, algorithm='none')}", "Invalid token"),
        (f"Bearer {jwt.encode(claims(), SECRET * 2, algorithm='HS512')}", "Invalid token"),
        (f"Bearer {token('uportal_sync')[:-4]}AAAA", "Invalid token"),
        (f"Bearer {token('uportal_sync').rpartition('.')[0]}.", "Invalid token"),
    ],
)
def test_a_token_that_is_not_one_is_401(shared: Access, given: str | None, words: str) -> None:
    told = refused(shared, given)
    assert (told.status, told.detail) == (401, words)
    assert told.headers == {"WWW-Authenticate": "Bearer"}


@pytest.mark.parametrize("given", ["uportal_sync", {"uportal_sync": True}, None, 1, [["uportal_sync"]], [None]])
def test_permissions_are_a_list_of_texts_or_none(shared: Access, given: object) -> None:
    made = token(permissions=given)
    caller = run(asked(shared, f"Bearer {made}"))
    with pytest.raises(Refused) as caught:
        demand(request(None), caller)
    assert (caught.value.status, caught.value.detail) == (403, "Not Authorized")


@pytest.mark.parametrize(
    ("secret", "words"),
    [(b"12345678", "8 bytes, and 32"), (PUBLIC, "asymmetric key"), (None, "No such")],
)
def test_a_secret_that_protects_nothing_is_refused_at_start(tmp_path: Path, secret: bytes | None, words: str) -> None:
    if secret is not None:
        (tmp_path / "secret").write_bytes(secret)
    with pytest.raises(UsageError, match=words):
        Access(Auth(mode="shared", secret_file=tmp_path / "secret"))
    with pytest.raises(UsageError, match="secret_file is not set"):
        Access(Auth(mode="shared"))


def test_an_address_that_fails_often_waits(shared: Access) -> None:
    good = f"Bearer {token('uportal_sync')}"
    for _ in range(access_module.MOST_FAILURES):
        assert run(asked(shared, good))
        assert refused(shared, "Bearer forged").status == 401
    told = refused(shared, good)
    assert told.status == 429
    assert 0 < int(told.headers["Retry-After"]) <= 61


def test_of_many_addresses_the_latest_failures_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access_module, "MOST_ADDRESSES", 2)
    monkeypatch.setattr(access_module, "MOST_FAILURES", 1)
    failures = Failures()
    for address in ("a", "b", "c"):
        failures.note(address)
    assert failures.wait("a") == 0
    assert failures.wait("b") > 0
    assert failures.wait("c") > 0


# An issuer


def test_a_token_of_the_issuer_names_its_caller(issuer: Issuer) -> None:
    access = oidc(issuer, permissions_claim="resource_access.ispyb-sync.roles")
    roles = {"ispyb-sync": {"roles": ["uportal_sync_own"]}}
    caller = run(asked(access, f"Bearer {issuer.token('uportal_sync', resource_access=roles)}"))
    assert caller == Caller("alice", "alice", frozenset({"uportal_sync_own"}))
    by_subject = run(asked(access, f"Bearer {issuer.token(preferred_username=None)}"))
    assert (by_subject.actor, by_subject.permissions) == ("1234", frozenset())


def test_the_discovery_document_of_another_issuer_tells_no_keys(issuer: Issuer) -> None:
    issuer.named = "https://another.example.org"
    assert refused(oidc(issuer), f"Bearer {issuer.token('uportal_sync')}").status == 503
    assert issuer.asked == 0


def test_the_address_of_the_keys_can_be_set(issuer: Issuer) -> None:
    issuer.named = "https://another.example.org"  # which nobody asks then
    access = oidc(issuer, jwks_url=f"{issuer.url}/keys")
    assert run(asked(access, f"Bearer {issuer.token('uportal_sync')}")).actor == "alice"
    assert issuer.asked == 1


def test_a_claim_whose_name_has_dots_is_found(issuer: Issuer) -> None:
    access = oidc(issuer, permissions_claim="https://example.org/roles")
    made = issuer.token(**{"https://example.org/roles": ["uportal_sync"]})
    assert run(asked(access, f"Bearer {made}")).permissions == {"uportal_sync"}


def test_a_token_may_be_some_seconds_late(issuer: Issuer) -> None:
    access, now = oidc(issuer), int(time.time())
    assert run(asked(access, f"Bearer {issuer.token(exp=now - 10)}"))
    assert refused(access, f"Bearer {issuer.token(exp=now - 40)}").detail == "Token expired. Please log in again"
    for early in ("nbf", "iat"):
        assert run(asked(access, f"Bearer {issuer.token(**{early: now + 10})}"))
        assert refused(access, f"Bearer {issuer.token(**{early: now + 60})}").status == 401


@pytest.mark.parametrize(
    "changed",
    [
        {"iss": "https://another.example.org"},
        {"iss": None},
        {"aud": "account"},
        {"aud": None},
        {"aud": None, "azp": AUDIENCE},
        {"exp": None},
        {"kid": "unknown"},
        {"sub": 1234, "preferred_username": None},
    ],
    ids=str,
)
def test_a_foreign_token_is_401(issuer: Issuer, changed: dict[str, Any]) -> None:
    made = issuer.token("uportal_sync", **{"key": issuer.keys["first"]} | changed)
    assert refused(oidc(issuer), f"Bearer {made}").status == 401


def test_a_public_key_is_no_secret(issuer: Issuer) -> None:
    public = issuer.keys["first"].public_key()
    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    given = claims(iss=issuer.url, aud=AUDIENCE, sub="1")
    for header in ({"alg": "HS256", "kid": "first"}, {"alg": "none", "kid": "first"}, {"kid": "first"}):
        assert refused(oidc(issuer), f"Bearer {crafted(header, given, pem)}").status == 401


def test_a_token_cannot_say_where_its_key_is(issuer: Issuer) -> None:
    own = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    given = claims(iss=issuer.url, aud=AUDIENCE, sub="1")
    jwk = jwt.algorithms.RSAAlgorithm.to_jwk(own.public_key(), as_dict=True)
    for header in (
        {"kid": f"{issuer.url}/mine"},
        {"kid": "../../dev/null"},
        {"kid": "first"},
        {"jku": f"{issuer.url}/mine", "kid": "mine"},
        {"jwk": jwk, "kid": "mine"},
        {"x5u": f"{issuer.url}/mine"},
    ):
        made = jwt.encode(given, own, algorithm="RS256", headers=header)
        assert refused(oidc(issuer), f"Bearer {made}").status == 401


def test_the_settings_fix_the_algorithm(issuer: Issuer) -> None:
    curve = ec.generate_private_key(ec.SECP256R1())
    issuer.keys["curve"] = curve
    made = issuer.token("uportal_sync", kid="curve")
    assert refused(oidc(issuer), f"Bearer {made}").status == 401
    assert run(asked(oidc(issuer, algorithms=("ES256",)), f"Bearer {made}"))
    assert refused(oidc(issuer, algorithms=("ES256",)), f"Bearer {issuer.token()}").status == 401


def test_new_keys_are_fetched_when_a_token_names_one(issuer: Issuer) -> None:
    access = oidc(issuer)

    async def story() -> None:
        await asked(access, f"Bearer {issuer.token()}")
        await asked(access, f"Bearer {issuer.token()}")
        assert issuer.asked == 1
        old = issuer.token()
        issuer.rotate("second")
        await asked(access, f"Bearer {issuer.token(kid='second')}")
        assert issuer.asked == 2
        with pytest.raises(Refused):
            await asked(access, f"Bearer {old}")

    asyncio.run(story())


def test_names_that_nobody_knows_do_not_make_us_ask_each_time(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "PAUSE_SECONDS", 60)
    access = oidc(issuer)
    for number in range(5):
        made = issuer.token(kid=f"k{number}", key=issuer.keys["first"])
        assert refused(access, f"Bearer {made}").status == 401
    assert issuer.asked == 1


@pytest.mark.parametrize(
    "answer",
    [
        b"rubbish",
        b"[]",
        b"{}",
        b'{"keys": 5}',
        b'{"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "first"}]}',
        b"9" * 2_000_000,
    ],
)
def test_an_issuer_that_answers_rubbish_is_away(issuer: Issuer, answer: bytes) -> None:
    issuer.answer = answer
    told = refused(oidc(issuer), f"Bearer {issuer.token()}")
    assert told.status == 503
    assert "Retry-After" in told.headers


def test_keys_of_before_are_used_while_the_issuer_is_away(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    access = oidc(issuer)
    monkeypatch.setattr(keys, "FRESH_SECONDS", 0)

    async def story() -> None:
        await asked(access, f"Bearer {issuer.token()}")
        issuer.status = 500
        assert await asked(access, f"Bearer {issuer.token()}")
        monkeypatch.setattr(keys, "STALE_SECONDS", 0)
        with pytest.raises(Refused) as caught:
            await asked(access, f"Bearer {issuer.token()}")
        assert caught.value.status == 503

    asyncio.run(story())


def test_a_slow_issuer_is_not_waited_for_without_end(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "PATIENCE_SECONDS", 0.2)
    issuer.delay = 1.5
    started = time.monotonic()
    assert refused(oidc(issuer), f"Bearer {issuer.token()}").status == 503
    assert time.monotonic() - started < 1


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"audience": None}, "audience is not set"),
        ({"issuer": None}, "issuer is not set"),
        ({"issuer": "http://login.example.org"}, "issuer is no https"),
        ({"jwks_url": "http://login.example.org/keys"}, "jwks_url is no https"),
        ({"jwks_url": "file:///etc/passwd"}, "jwks_url is no https"),
    ],
)
def test_settings_that_cannot_work_are_told_at_start(changed: dict[str, Any], words: str) -> None:
    given = {"issuer": "https://login.example.org", "audience": AUDIENCE} | changed
    with pytest.raises(UsageError, match=words):
        Access(Auth(mode="oidc", **given))
