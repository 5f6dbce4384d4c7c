"""The endpoint put together: routes, what all requests go through, and the schema that `openapi.json` shows."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse, Response
from starlette.middleware.cors import CORSMiddleware

from sync.database.engine import open_engine
from sync.model.published import json_schema
from sync.model.settings import Settings
from sync.model.text import tool_version
from sync.serve.access import Access, Refused
from sync.serve.body import Gone
from sync.serve.guard import Guard
from sync.serve.routes import documents as document_routes
from sync.serve.routes import exports, history, pages, proposals
from sync.serve.state import State
from sync.serve.work import Work

BODY = "UserPortalProposalSync"


def build(settings: Settings) -> Guard:
    """The endpoint of these settings. Raises UsageError where they cannot work."""
    access = Access(settings.auth)
    engine = open_engine(settings.database_url(), kept=settings.serve.most)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        state = app.state.endpoint = State(settings, access, Work(settings, engine))
        yield
        state.work.close()

    root = settings.serve.root
    app = FastAPI(
        title="ispyb-sync",
        description="Keeps an ISPyB database in step with a facility's User Portal.",
        version=tool_version(),
        openapi_url=f"{root}/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    for routes in (document_routes, proposals, exports, history):
        app.include_router(routes.router, prefix=root)
    app.include_router(pages.router)
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(Gone, _gone)
    app.add_exception_handler(Exception, _unexpected)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    if settings.serve.origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(settings.serve.origins),
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type"],
        )
    return Guard(app, settings.serve, only_loopback=settings.auth is None)


async def _refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return JSONResponse({"detail": error.detail}, error.status, headers=error.headers)


async def _gone(_request: Request, _error: Exception) -> Response:
    """Nobody reads it; the log has the code that others give to this."""
    return Response(status_code=499)


async def _unexpected(request: Request, error: Exception) -> Response:
    words = f"unexpected {type(error).__name__}; please report it with request {request.state.request_id}"
    return JSONResponse({"detail": words}, 500)


def _openapi(app: FastAPI) -> dict[str, Any]:
    """What FastAPI knows of the routes, and the schema of a document, which the routes do not declare."""
    if app.openapi_schema is not None:
        return app.openapi_schema
    found = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    schema = json_schema.schema()
    parts = schema.pop("$defs")
    components = found.setdefault("components", {})
    place = "#/components/schemas/"
    whole = _moved({**parts, BODY: schema | {"title": BODY, "examples": [json_schema.example()]}}, place)
    components.setdefault("schemas", {}).update(whole)
    components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}
    body = {"required": True, "content": {"application/json": {"schema": {"$ref": f"{place}{BODY}"}}}}
    for path, operations in found["paths"].items():
        for operation in operations.values():
            operation["security"] = [{"token": []}]
            if path.endswith("sync_proposal"):
                operation["requestBody"] = body
    app.openapi_schema = found
    return found


def _moved(part: Any, place: str) -> Any:
    """A schema whose parts stand at another place."""
    if isinstance(part, dict):
        return {
            name: value.replace("#/$defs/", place) if name == "$ref" else _moved(value, place)
            for name, value in part.items()
        }
    return [_moved(value, place) for value in part] if isinstance(part, list) else part
