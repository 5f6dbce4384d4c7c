"""What is open to all, and holds no personal data: the page, the button, health, metrics."""

from functools import cache
from importlib.resources import files

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from sqlalchemy.exc import DBAPIError

from sync.model.errors import SyncError
from sync.serve.access import Refused
from sync.serve.state import look, state_of
from sync.show.metrics import METRICS

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_KINDS = {"html": "text/html", "css": "text/css", "js": "text/javascript"}

router = APIRouter(include_in_schema=False)


@router.get("/")
async def page(request: Request) -> Response:
    return _file(request, "page.html", {"Content-Security-Policy": PAGE_POLICY})


@router.get("/page.css")
async def style(request: Request) -> Response:
    return _file(request, "page.css")


@router.get("/page.js")
async def script(request: Request) -> Response:
    return _file(request, "page.js")


@router.get("/button.js")
async def button(request: Request) -> Response:
    """The button for pages of other origins, which load it as a script."""
    return _file(request, "button.js", {"Cross-Origin-Resource-Policy": "cross-origin"})


@router.get("/healthz")
async def healthy() -> JSONResponse:
    return JSONResponse({"status": "ok"})


@router.get("/readyz")
async def ready(request: Request) -> JSONResponse:
    """Whether a run could go now: the database answers and is migrated, and callers can be known."""
    state = state_of(request)
    keys = state.access.keys
    if keys is not None and not await keys.ready():
        return JSONResponse({"status": "the issuer's keys cannot be had"}, 503)
    try:
        await state.work.ask(look, state)
    except (SyncError, DBAPIError, Refused):
        return JSONResponse({"status": "the database cannot be used"}, 503)
    return JSONResponse({"status": "ready"})


@router.get("/metrics")
async def metrics() -> Response:
    return Response(generate_latest(METRICS.registry), media_type=CONTENT_TYPE_LATEST)


def _file(request: Request, name: str, headers: dict[str, str] | None = None) -> Response:
    root = state_of(request).settings.serve.root
    text = _text(name).replace("{{root}}", root)
    return Response(text, media_type=_KINDS[name.rpartition(".")[2]], headers=headers)


@cache
def _text(name: str) -> str:
    return (files("sync.serve") / "static" / name).read_text("utf-8")
