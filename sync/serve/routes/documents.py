"""py-ispyb's endpoint: one document, applied before it answers.

What is no document is 422 in FastAPI's form, one that is refused as a whole is 400, else 200, with the report.
"""

import io
import time
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from sync.model.errors import SyncError
from sync.model.refusals import Refusal
from sync.model.report import Report
from sync.read.buffer import MARK
from sync.read.parse import parse
from sync.read.source import ByteSource
from sync.serve.access import Refused, demand
from sync.serve.body import Body, receive, too_large
from sync.serve.state import KnownCaller, State, state_of
from sync.serve.work import refusal_of

PATHS = ("/webservices/userportalsync/sync_proposal", "/userportalsync/sync_proposal")
_FIRST = 3

router = APIRouter(tags=["userportalsync"])


async def sync_proposal(request: Request, caller: KnownCaller) -> JSONResponse:
    """Synchronizes one proposal with all that hangs on it: people, sessions, proteins, lab contacts."""
    started = time.perf_counter()
    state = state_of(request)
    demand(request, caller)
    kind = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
        raise _no_document([], f"a body of {kind[:60]!r} is no document; send application/json")
    body = await _received(request, state)
    try:
        data = await _only_document(body, state)
        document = _document(data, int(state.settings.max_document_mb * 1e6))
        file = Body(io.BytesIO(data), body.name, len(data))
        report = await state.work.run(file, caller, request.state.request_id, write=True)
    except SyncError as error:
        raise refusal_of(error) from None
    finally:
        body.close()
    told = report.to_dict()
    if report.documents_refused or report.status != "applied":
        return JSONResponse({"detail": _why(report), "report": told}, 400)
    seconds = time.perf_counter() - started
    message = f"The proposal {_name(document)} has been synchronized in {seconds:.3f}"
    return JSONResponse({"message": message, "report": told})


for path in PATHS:
    router.add_api_route(path, sync_proposal, methods=["POST"], name=path.split("/")[1])


async def _received(request: Request, state: State) -> Body:
    most = int(state.settings.serve.max_body_mb * 1e6)
    document = int(state.settings.max_document_mb * 1e6)
    return await receive(request, most=min(most, document), unpacked=document, seconds=state.settings.serve.timeout)


async def _only_document(body: Body, state: State) -> bytes:
    """The bytes of the one document that a body must be, which the database is then asked about. Raises Refused."""
    data = body.read()
    try:
        report = await state.work.validate(io.BytesIO(data))
    except SyncError as error:
        raise _no_document([], str(error).replace("the open file", "the body")) from None
    if report.documents_read != 1:
        raise _no_document([], f"{report.documents_read} documents in one body; send one, or all to exports")
    whole = [found for found in report.refusals if found.entity == "proposal" and found.code != "parent_refused"]
    if report.documents_refused:
        raise _no_document(_path(whole[0]), *(refusal.message for refusal in whole))
    return data


def _document(data: bytes, most: int) -> dict[str, Any]:
    """The document itself, by which it is named in the answer. Raises Refused."""
    plain = bytearray()
    for part in ByteSource(io.BytesIO(data)).chunks():
        plain += part
        if len(plain) > most:
            raise too_large(most)
    found = parse(bytes(plain).removeprefix(MARK).strip())
    if not isinstance(found, dict):
        raise _no_document([], "an array; send the document itself")
    return found


def _no_document(path: list[str | int], *messages: str) -> Refused:
    """422 in the form that FastAPI gives it."""
    return Refused(
        422, [{"loc": ["body", *path], "msg": message, "type": "value_error.document"} for message in messages]
    )


def _path(refusal: Refusal) -> list[str | int]:
    """Where in the document: proposal.persons[0].login as FastAPI writes it."""
    parts = refusal.path.replace("[", ".").replace("]", "").split(".") if refusal.path else []
    return [int(part) if part.isdecimal() else part for part in parts]


def _why(report: Report) -> str:
    if report.status != "applied":
        return "Nothing was written: part of the document was refused."
    causes = [refusal for refusal in report.refusals if refusal.code != "parent_refused"]
    return "; ".join(f"{refusal.path or refusal.entity}: {refusal.message}" for refusal in causes[:_FIRST])


def _name(document: dict[str, Any]) -> str:
    """What the document calls the proposal."""
    proposal = document["proposal"]
    names = [str(proposal[key]).strip() for key in ("proposalCode", "proposalNumber") if proposal.get(key)]
    return "-".join(names) or str(proposal.get("externalId"))
