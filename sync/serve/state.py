"""What all requests share: the settings, who may ask, what is at work."""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request

from sync.history.runs import opened
from sync.model.settings import Settings
from sync.serve.access import Access, Caller
from sync.serve.work import Work


@dataclass
class State:
    """One endpoint. `exporting` is whether a facility-wide export is at work."""

    settings: Settings
    access: Access
    work: Work
    exporting: bool = False


async def _caller(request: Request) -> Caller:
    return await state_of(request).access.caller(request)


KnownCaller = Annotated[Caller, Depends(_caller)]
"""Comes before anything else is looked at: who has no token learns nothing of paths either."""


def look(state: State) -> None:
    """Whether the database answers and is migrated; raises SyncError, DBAPIError."""
    with opened(state.work.engine, state.settings):
        pass


def state_of(request: Request) -> State:
    """The state of the endpoint that a request came to."""
    found: Any = request.app.state.endpoint
    assert isinstance(found, State)
    return found
