"""Who may do what: a token in, a caller out, or a refusal that tells nothing.

Tokens are py-ispyb's own (HS256, a shared secret) or those of an OpenID Connect issuer (`sync.serve.keys`). Algorithm,
issuer and audience are those of the settings, whatever a token says. Neither a token nor its claims reach the log.
"""

import logging
import time
from collections import OrderedDict, deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jwt
from fastapi import Request

from sync.model.errors import UsageError
from sync.model.tables.triggers import Auth, found_at
from sync.model.text import printable
from sync.serve.keys import Keys, KeysAway

log = logging.getLogger("sync.serve")

EVERYTHING, OWN = "uportal_sync", "uportal_sync_own"
LEAST_SECRET = 32
"""Bytes: as long as what HMAC-SHA256 gives."""
MOST_FAILURES, WITHIN_SECONDS, MOST_ADDRESSES = 20, 60.0, 10_000
_LONGEST_LOGIN = 255


@dataclass(frozen=True)
class Caller:
    """Whom a request comes from; `login` is what ISPyB may know them by."""

    actor: str
    login: str
    permissions: frozenset[str]


class Refused(Exception):
    """A request that is answered with this code, in FastAPI's form."""

    def __init__(self, status: int, detail: object, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status)
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})


class Access:
    """Finds the caller of a request. Raises UsageError where the settings cannot work; without them all may do all."""

    def __init__(self, auth: Auth | None) -> None:
        self._auth = auth
        self._failures = Failures()
        self._secret = _read_secret(auth) if auth is not None and auth.mode == "shared" else b""
        self.keys = Keys(auth) if auth is not None and auth.mode == "oidc" else None

    async def caller(self, request: Request) -> Caller:
        """The caller; raises Refused with 401, 429 or 503."""
        if self._auth is None:
            return Caller("nobody in particular", "", frozenset({EVERYTHING}))
        address = request.client.host if request.client else ""
        if (seconds := self._failures.wait(address)) > 0:
            raise Refused(429, "Too many failed attempts", {"Retry-After": str(int(seconds) + 1)})
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        try:
            if scheme.lower() != "bearer" or not token.strip():
                raise _unknown("No token provided.")
            return _caller(await self._claims(token.strip()), self._auth)
        except Refused as refused:
            if refused.status == 401:
                self._failures.note(address)
                log.warning(
                    "refused: 401 %s, from %s, %s %s, request %s",
                    refused.detail,
                    address,
                    request.method,
                    printable(request.url.path),
                    request.state.request_id,
                )
            raise

    async def _claims(self, token: str) -> dict[str, Any]:
        auth = self._auth
        assert auth is not None
        try:
            if self.keys is None:
                return jwt.decode(
                    token,
                    self._secret,
                    algorithms=["HS256"],
                    options={"require": ["exp"], "enforce_minimum_key_length": True},
                )
            key = await self.keys.find(jwt.get_unverified_header(token))
            return jwt.decode(
                token,
                key,
                algorithms=list(auth.algorithms),
                issuer=auth.issuer,
                audience=auth.audience,
                leeway=auth.leeway,
                options={"require": ["exp", "iss", "aud"], "enforce_minimum_key_length": True},
            )
        except jwt.ExpiredSignatureError:
            raise _unknown("Token expired. Please log in again") from None
        except KeysAway:
            raise Refused(503, "The issuer's keys cannot be had now.", {"Retry-After": "10"}) from None
        except (jwt.PyJWTError, TypeError, ValueError):
            raise _unknown("Invalid token") from None


class Failures:
    """How often an address failed of late: after so many times it waits. Of many addresses the latest are kept."""

    def __init__(self) -> None:
        self._times: OrderedDict[str, deque[float]] = OrderedDict()

    def wait(self, address: str) -> float:
        """Seconds until this address may try again; 0 for now."""
        times = self._times.get(address)
        if times is None or len(times) < MOST_FAILURES:
            return 0
        return max(0.0, times[0] + WITHIN_SECONDS - time.monotonic())

    def note(self, address: str) -> None:
        """One more failure."""
        self._times.setdefault(address, deque(maxlen=MOST_FAILURES)).append(time.monotonic())
        self._times.move_to_end(address)
        if len(self._times) > MOST_ADDRESSES:
            self._times.popitem(last=False)


def demand(request: Request, caller: Caller, *, own: bool = False) -> None:
    """Raises Refused (403) where a caller may not do it; `own` is whether it is about a proposal of theirs."""
    if EVERYTHING in caller.permissions or (own and OWN in caller.permissions):
        return
    log.warning(
        "refused: 403, actor %s, %s %s, request %s",
        caller.actor,
        request.method,
        printable(request.url.path),
        request.state.request_id,
    )
    raise Refused(403, "Not Authorized")


def _unknown(detail: str) -> Refused:
    return Refused(401, detail, {"WWW-Authenticate": "Bearer"})


def _caller(claims: dict[str, Any], auth: Auth) -> Caller:
    """Whom the claims of a genuine token name; what is no list of texts gives no permission."""
    names = ("login",) if auth.mode == "shared" else ("preferred_username", "sub")
    login = next((claims[name] for name in names if claims.get(name)), None)
    if not isinstance(login, str) or len(login) > _LONGEST_LOGIN:
        raise _unknown("Invalid token")
    given = claims.get("permissions") if auth.mode == "shared" else _at(claims, auth.permissions_claim)
    known = {p for p in given if isinstance(p, str)} if isinstance(given, list) else set()
    return Caller(printable(login), login, frozenset(known))


def _at(claims: dict[str, Any], path: str) -> object:
    """What stands at a path such as resource_access.ispyb-sync.roles, or under a name that has dots itself."""
    return claims[path] if path in claims else found_at(claims, path)


def _read_secret(auth: Auth) -> bytes:
    if auth.secret_file is None:
        raise UsageError("auth.mode is shared, and auth.secret_file is not set", hint="Name the file of the secret.")
    try:
        secret = auth.secret_file.read_bytes().rstrip(b"\r\n")
    except OSError as error:
        raise UsageError(f"auth.secret_file: {error.strerror}", hint="Make it readable for this account.") from None
    if len(secret) < LEAST_SECRET:
        raise UsageError(
            f"auth.secret_file: the secret has {len(secret)} bytes, and {LEAST_SECRET} are needed",
            hint="Make one, for py-ispyb and for this tool: openssl rand -hex 32",
        )
    try:
        jwt.encode({}, secret, algorithm="HS256")
    except jwt.InvalidKeyError as error:
        raise UsageError(f"auth.secret_file: {error}", hint="Make a secret: openssl rand -hex 32") from None
    return secret
