"""Past runs: as JSON, and one of them also as the HTML report."""

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response
from sqlalchemy.exc import DBAPIError

from sync.history import runs as history
from sync.model.errors import SyncError, UsageError
from sync.model.settings import LISTED_RUNS
from sync.serve.access import Refused, demand
from sync.serve.state import KnownCaller, State, state_of
from sync.serve.work import refusal_of
from sync.show.page import MOST_ROWS, page

router = APIRouter(tags=["runs"])


@router.get("/runs")
async def list_runs(request: Request, caller: KnownCaller, limit: int = LISTED_RUNS) -> JSONResponse:
    """Lists the latest runs, newest first, without their changes."""
    state = state_of(request)
    demand(request, caller)
    try:
        found = await state.work.ask(history.runs, state.work.engine, state.settings, max(1, min(limit, LISTED_RUNS)))
    except (SyncError, DBAPIError) as error:
        raise refusal_of(error) from None
    return JSONResponse([run.to_dict() for run in found])


@router.get("/runs/{run}")
async def show_run(request: Request, caller: KnownCaller, run: int) -> Response:
    """Shows one run with its changes; as a page where the client accepts HTML before JSON."""
    state = state_of(request)
    demand(request, caller)
    as_page = _wants_page(request.headers.get("accept", ""))
    try:
        return await state.work.ask(_shown, state, run, as_page)
    except UsageError as error:
        raise Refused(404, error.message) from None
    except (SyncError, DBAPIError) as error:
        raise refusal_of(error) from None


def _wants_page(accept: str) -> bool:
    kinds = [kind.partition(";")[0].strip() for kind in accept.split(",")]
    wanted = [kind for kind in kinds if kind in ("text/html", "application/json")]
    return bool(wanted) and wanted[0] == "text/html"


def _shown(state: State, number: int, as_page: bool) -> Response:
    engine, settings = state.work.engine, state.settings
    run = history.show(engine, settings, number, limit=MOST_ROWS)
    if settings.mask:
        run.report.mask()
    if not as_page:
        return JSONResponse(run.to_dict())
    # The page brings a policy of its own, which allows its style and its script by their hashes.
    headers = {"Content-Security-Policy": "frame-ancestors 'none'"}
    html = page(run, history.runs(engine, settings)).encode("utf-8", "backslashreplace")
    return HTMLResponse(html, headers=headers)
