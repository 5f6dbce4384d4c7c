"""The public keys of an OpenID Connect issuer: fetched, kept, and fetched anew when a token names one not known.

Keys that were had before are used while the issuer is slow or away. A token never says where its key is: `kid` only
picks among those of the issuer's own address, and only keys for signatures by RSA or elliptic curves count.
"""

import asyncio
import logging
import time
from typing import Any
from urllib.parse import urlsplit

import httpx
import jwt
import orjson

from sync.model.errors import UsageError
from sync.model.tables.triggers import Auth

log = logging.getLogger("sync.serve")

FRESH_SECONDS, STALE_SECONDS = 600.0, 86_400.0
"""After the first, keys are fetched anew; after the second, they are no longer used where that fails."""
PAUSE_SECONDS = 5.0
"""Between two attempts, whatever tokens name."""
PATIENCE_SECONDS = 5.0
MOST_BYTES = 1_000_000
_KINDS = {"RS": "RSA", "PS": "RSA", "ES": "EC"}
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


class KeysAway(Exception):
    """The issuer does not answer as it should, and no keys of before are left."""


class Keys:
    """The keys of one issuer."""

    def __init__(self, auth: Auth) -> None:
        missing = [name for name in ("issuer", "audience") if not getattr(auth, name)]
        if missing:
            raise UsageError(
                f"auth.mode is oidc, and auth.{missing[0]} is not set", hint="Ask whoever runs the login service."
            )
        for name in ("issuer", "jwks_url"):
            if (url := getattr(auth, name)) is not None and not _is_safe(url):
                raise UsageError(f"auth.{name} is no https address", hint="Keys must not come by an open road.")
        self._issuer = str(auth.issuer)
        self._url = auth.jwks_url
        self._algorithms = auth.algorithms
        self._keys: list[jwt.PyJWK] = []
        self._had = self._tried = -STALE_SECONDS
        self._fetching = asyncio.Lock()

    async def find(self, header: dict[str, Any]) -> jwt.PyJWK:
        """The key that a token's header names. Raises KeysAway, or InvalidKeyError where the issuer has none such."""
        kid, algorithm = header.get("kid"), header.get("alg")
        if algorithm not in self._algorithms:
            raise jwt.InvalidAlgorithmError("not an algorithm of the settings")
        found = self._pick(kid, algorithm)
        now = time.monotonic()
        if found is None or (now - self._had > FRESH_SECONDS and not self._fetching.locked()):
            await self._refresh()
            found = self._pick(kid, algorithm)
        if found is None and not self._usable:
            raise KeysAway
        if found is None:
            raise jwt.InvalidKeyError("no such key")
        return found

    async def ready(self) -> bool:
        """Whether there are keys, or some can be had."""
        if not self._usable:
            await self._refresh()
        return self._usable

    @property
    def _usable(self) -> bool:
        return bool(self._keys) and time.monotonic() - self._had < STALE_SECONDS

    def _pick(self, kid: object, algorithm: str) -> jwt.PyJWK | None:
        """The key of this name; without a name the only one that there is for the algorithm."""
        if not self._usable:
            return None
        fitting = [key for key in self._keys if key.key_type == _KINDS[algorithm[:2]]]
        named = [key for key in fitting if key.key_id == kid] if kid is not None else fitting
        return named[0] if len(named) == 1 else None

    async def _refresh(self) -> None:
        """Fetches the keys, once for all who wait, and not again at once; what goes wrong leaves those of before."""
        async with self._fetching:
            if time.monotonic() - self._tried < PAUSE_SECONDS:
                return
            try:
                async with asyncio.timeout(PATIENCE_SECONDS), httpx.AsyncClient(timeout=PATIENCE_SECONDS) as client:
                    keys = _usable_keys(await _fetch(client, self._url or await self._discovered(client)))
            except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, ValueError) as error:
                log.warning("the issuer's keys cannot be had: %s", type(error).__name__)
            else:
                self._keys, self._had = keys, time.monotonic()
            self._tried = time.monotonic()

    async def _discovered(self, client: httpx.AsyncClient) -> str:
        """The address of the keys, as the issuer's discovery document has it."""
        found = await _fetch(client, self._issuer.rstrip("/") + "/.well-known/openid-configuration")
        url = found.get("jwks_uri")
        if found.get("issuer") != self._issuer or not isinstance(url, str) or not _is_safe(url):
            raise ValueError("the discovery document is another issuer's, or names no https address")
        return url


async def _fetch(client: httpx.AsyncClient, url: str) -> dict[str, Any]:
    """A JSON object. Raises httpx.HTTPError, ValueError."""
    body = bytearray()
    async with client.stream("GET", url) as response:
        if response.status_code != 200:
            raise ValueError("no 200")
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > MOST_BYTES:
                raise ValueError("too long")
    value = orjson.loads(body)
    if not isinstance(value, dict):
        raise ValueError("no object")
    return value


def _usable_keys(found: dict[str, Any]) -> list[jwt.PyJWK]:
    """Those that sign, of a kind that is known. Raises ValueError where there is none."""
    usable = []
    listed = found.get("keys")
    for raw in listed if isinstance(listed, list) else ():
        if isinstance(raw, dict) and raw.get("kty") in _KINDS.values() and raw.get("use", "sig") == "sig":
            try:
                usable.append(jwt.PyJWK(raw))
            except (jwt.PyJWTError, TypeError, ValueError):
                log.warning("a key of the issuer cannot be read")
    if not usable:
        raise ValueError("no key")
    return usable


def _is_safe(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)
