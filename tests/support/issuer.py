"""An OpenID Connect issuer of the tests: its discovery document, its keys, and tokens signed by them."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

AUDIENCE = "ispyb-sync"


@dataclass
class Issuer:
    """`answer` is given for the keys instead of them, `delay` seconds late; `asked` counts how often.

    named  whose discovery document it gives; None: its own
    """

    url: str = ""
    answer: bytes | None = None
    status: int = 200
    delay: float = 0
    asked: int = 0
    named: str | None = None
    keys: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.rotate("first")

    def rotate(self, *names: str) -> None:
        """From now on the issuer has keys of these names and no others."""
        self.keys = {
            name: self.keys.get(name) or rsa.generate_private_key(public_exponent=65537, key_size=2048)
            for name in names
        }

    def token(self, *permissions: str, kid: str | None = "first", key: Any = None, **claims: Any) -> str:
        """A token as the issuer gives it; a claim that is None is left out."""
        now = int(time.time())
        given = {
            "iss": self.url,
            "aud": AUDIENCE,
            "sub": "1234",
            "preferred_username": "alice",
            "iat": now,
            "exp": now + 86_400,
            "permissions": list(permissions),
        } | claims
        algorithm = "ES256" if isinstance(key or self.keys.get(str(kid)), ec.EllipticCurvePrivateKey) else "RS256"
        headers = {"kid": kid} if kid is not None else None
        payload = {name: value for name, value in given.items() if value is not None}
        return jwt.encode(payload, key or self.keys[str(kid)], algorithm=algorithm, headers=headers)

    @property
    def jwks(self) -> dict[str, Any]:
        return {"keys": [_jwk(key) | {"kid": name, "use": "sig"} for name, key in self.keys.items()]}


def _jwk(key: Any) -> dict[str, Any]:
    algorithm = RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else ECAlgorithm
    return dict(algorithm.to_jwk(key.public_key(), as_dict=True))


@contextmanager
def issuing() -> Iterator[Issuer]:
    """An issuer that answers on a free port of this machine."""
    issuer = Issuer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body: Any = {"issuer": issuer.named or issuer.url, "jwks_uri": f"{issuer.url}/keys"}
            status = 200
            if self.path == "/keys":
                issuer.asked += 1
                time.sleep(issuer.delay)
                body, status = issuer.jwks, issuer.status
            sent = issuer.answer if issuer.answer is not None and self.path == "/keys" else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(sent)))
            self.end_headers()
            with suppress(OSError):  # who asked may not have waited
                self.wfile.write(sent)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    issuer.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield issuer
    finally:
        server.shutdown()
        server.server_close()
