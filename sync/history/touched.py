"""Which proposals a run touched: those of which it changed or refused something, and each one of a run of few.

Written in the run's own transaction; `history --proposal` reads it.
"""

from collections.abc import Collection, Iterable

from sync.database.sqlfiles import named
from sync.model.refusals import Refusal
from sync.statements.send import Runner, send_many

FEW = 1000
"""Up to so many proposals, a run touches each that it looks at; every run of a whole facility would touch all."""
LONGEST = 120
"""Characters of a proposal's name that are kept."""


def touch(
    runner: Runner, run: int, refusals: Iterable[Refusal], *, staged: int | None, verified: Collection[str] = ()
) -> None:
    """Notes the proposals that a run touched.

    staged    how many it looked at, None where it staged none
    verified  of a short export, those that were as the last run left them
    """
    few = staged is not None and staged + len(verified) <= FEW
    if staged != 0:
        runner.run(named("history", "touch_staged" if few else "touch_changed"), values={"run": run})
    if touched := sorted({refusal.proposal for refusal in refusals if refusal.proposal}.union(verified if few else ())):
        rows = [{"run": run, "proposal": proposal[:LONGEST]} for proposal in touched]
        send_many(runner.ispyb, named("history", "touch_refused"), rows)
