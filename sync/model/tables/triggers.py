"""The tables serve, auth and listen of the settings file: the endpoint, who may use it, the consumer."""

from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

_TABLE = ConfigDict(extra="forbid", frozen=True)
_ORIGIN = r"^https?://[A-Za-z0-9.\[\]:-]+$"


def _network(text: str) -> str:
    ip_network(text)  # raises ValueError, which pydantic tells
    return text


Network = Annotated[str, AfterValidator(_network)]
Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "ES256", "ES384"]


TABLES = ("portal", "serve", "auth", "listen")
"""Settings of how a run is started and where its export comes from, not of the run: history keeps none of them."""


def _set(default: Any, description: str) -> Any:
    return Field(default=default, description=description)


class Serve(BaseModel):
    """The endpoint, `ispyb-sync serve`."""

    model_config = _TABLE

    host: str = _set("127.0.0.1", "Address to listen on; a proxy in front of it ends TLS")
    port: Annotated[int, Field(ge=0, le=65_535)] = _set(8000, "Port to listen on; 0 takes a free one")
    root: Annotated[str, Field(pattern=r"^(/[A-Za-z0-9._~-]+)*$")] = _set(
        "/ispyb/api/v1", "What the paths of the endpoint begin with"
    )
    max_body_mb: Annotated[float, Field(gt=0, le=10_000)] = _set(
        50, "Largest body, as it is sent, in MB (10^6 bytes); one document also keeps to max_document_mb"
    )
    timeout: Annotated[float, Field(gt=0, le=3600)] = _set(
        60, "Seconds for a body to arrive, and for a request to get its turn; a run that has begun is not ended"
    )
    most: Annotated[int, Field(ge=1, le=64)] = _set(8, "Requests at work at once, and open connections to MariaDB")
    proxies: tuple[Network, ...] = _set(
        ("127.0.0.1", "::1"),
        "Addresses or networks of proxies in front, whose X-Forwarded-For names the client",
    )
    origins: tuple[Annotated[str, Field(pattern=_ORIGIN)], ...] = _set(
        (), "Origins of pages that may embed the button, such as https://synchweb.example.org"
    )


class Auth(BaseModel):
    """How the endpoint knows its callers: by py-ispyb's own tokens, or by those of an OpenID Connect issuer."""

    model_config = _TABLE

    mode: Literal["shared", "oidc"] = Field(
        description="shared: tokens of py-ispyb, HS256; oidc: tokens of an OpenID Connect issuer"
    )
    secret_file: Path | None = _set(None, "shared: file with py-ispyb's secret, at least 32 bytes")
    issuer: str | None = _set(None, "oidc: the issuer, as its tokens name it")
    audience: str | None = _set(None, "oidc: the audience that its tokens must have")
    jwks_url: str | None = _set(None, "oidc: address of its keys; else its discovery document tells")
    algorithms: tuple[Algorithm, ...] = _set(("RS256",), "oidc: how its tokens may be signed")
    leeway: Annotated[float, Field(ge=0, le=300)] = _set(30, "oidc: seconds that its clock may differ")
    permissions_claim: Annotated[str, Field(min_length=1)] = _set(
        "permissions", "oidc: claim with the list of permissions, such as resource_access.ispyb-sync.roles"
    )


class Listen(BaseModel):
    """The consumer of the User Office's events, `ispyb-sync listen`."""

    model_config = _TABLE

    url_file: Path | None = _set(None, "File with the broker's URL, amqp:// or amqps://")
    exchange: Annotated[str, Field(min_length=1, max_length=255)] = _set(
        "user_office_backend.fanout", "Exchange that the events are published to"
    )
    queue: Annotated[str, Field(pattern=r"^[A-Za-z0-9._:-]{1,200}$")] = _set(
        "ispyb_sync.proposals", "Queue of this consumer; its dead letters are in DL__QUEUE"
    )
    events: Annotated[tuple[str, ...], Field(min_length=1)] = _set(
        ("PROPOSAL_*", "VISIT_*"), "Events that count; others are acknowledged"
    )
    proposal: Annotated[str, Field(min_length=1)] = _set(
        "shortCode", "Where a body names its proposal; also looked for below proposal"
    )
    body: Literal["event", "document"] = _set(
        "event", "event: the proposal that it names is pulled; document: the body is the document itself"
    )
    quiet: Annotated[float, Field(ge=0, le=600)] = _set(
        2.0, "Seconds without an event after which those at hand are done"
    )
    most: Annotated[int, Field(ge=1, le=10_000)] = _set(100, "Events that are done at once")
    host: str = _set("127.0.0.1", "Address of its health and metrics")
    port: Annotated[int, Field(ge=0, le=65_535)] = _set(8001, "Port of its health and metrics; 0 takes a free one")


def found_at(value: object, path: str) -> object:
    """What stands in a JSON object at a path of these settings, such as resource_access.roles; None for nothing."""
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value
