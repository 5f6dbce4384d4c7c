"""One proposal, pulled from the User Portal: what that would change, and doing it. And the past runs of it.

Calls at once for one proposal share one run. Whoever has `uportal_sync_own` may do it for proposals that they are on.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from fastapi.responses import JSONResponse
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from sync.database.sqlfiles import named
from sync.history import runs as history
from sync.model.entities import DOCUMENT
from sync.model.errors import NoSuchProposal, SyncError, UsageError
from sync.model.settings import LISTED_RUNS, Settings
from sync.portal.address import NAME, names_one
from sync.schema.introspection import read_tables
from sync.serve.access import EVERYTHING, OWN, Caller, Refused, demand
from sync.serve.state import KnownCaller, State, state_of
from sync.serve.work import refusal_of
from sync.validate.validator import NOT_FOUND

router = APIRouter(tags=["proposals"])

Name = Annotated[str, Path(pattern=f"^{NAME}$", examples=["MX-2112"])]


@router.get("/proposals/{proposal}/sync")
async def plan_proposal(request: Request, caller: KnownCaller, proposal: Name) -> JSONResponse:
    """Tells what a synchronization of this proposal with the User Portal would change; writes nothing."""
    return await _pull(request, caller, proposal, write=False)


@router.post("/proposals/{proposal}/sync")
async def pull_proposal(request: Request, caller: KnownCaller, proposal: Name) -> JSONResponse:
    """Pulls this proposal from the User Portal and applies it."""
    return await _pull(request, caller, proposal, write=True)


@router.get("/proposals/{proposal}/runs")
async def runs_of_proposal(request: Request, caller: KnownCaller, proposal: Name, limit: int = 10) -> JSONResponse:
    """Lists the latest runs that touched this proposal."""
    state = state_of(request)
    demand(request, caller)
    try:
        found = await state.work.ask(_runs, state, proposal, max(1, min(limit, LISTED_RUNS)))
    except (SyncError, DBAPIError) as error:
        raise refusal_of(error) from None
    return JSONResponse([run.to_dict() for run in found])


async def _pull(request: Request, caller: Caller, proposal: str, *, write: bool) -> JSONResponse:
    state = state_of(request)
    request_id = request.state.request_id
    try:
        if EVERYTHING not in caller.permissions:
            demand(request, caller, own=OWN in caller.permissions and await _is_member(state, caller, proposal))
        if not names_one(proposal):
            raise NoSuchProposal(f"portal:{proposal} is no proposal: it means everything")
        report = await state.work.shared(
            proposal,
            write,
            lambda: state.work.run(f"portal:{proposal}", caller, request_id, write=write),
        )
    except (SyncError, DBAPIError) as error:
        raise refusal_of(error) from None
    if any(warning.code == NOT_FOUND for warning in report.warnings):
        raise Refused(404, f"The User Portal sent nothing of {proposal}")
    return JSONResponse(report.to_dict())


async def _is_member(state: State, caller: Caller, proposal: str) -> bool:
    """Whether ISPyB itself has the caller's login on this proposal."""
    return await state.work.ask(is_member, state.work.engine, state.settings, caller.login, proposal)


def is_member(engine: Engine, settings: Settings, login: str, proposal: str) -> bool:
    """Whether ISPyB has this login on a proposal (CODE-NUMBER). Raises UsageError where it cannot say."""
    code, _, number = proposal.rpartition("-")
    with history.opened(engine, settings) as ispyb:
        sql = ispyb.text(named("access", "is_member"), read_tables(ispyb.connection).conditions(DOCUMENT))
        if sql is None:
            raise UsageError(
                "this ISPyB has no Person.login or no Proposal.proposalNumber: it does not say whose a proposal is",
                hint=f"Only a caller with the permission {EVERYTHING} can synchronize a proposal here.",
            )
        found: Any = ispyb.connection.exec_driver_sql(sql, {"login": login, "code": code, "number": number}).scalar()
        return bool(found)


def _runs(state: State, proposal: str, limit: int) -> list[history.Run]:
    return history.runs(state.work.engine, state.settings, limit, proposal=proposal)
