"""The guard on pruning: a run that would delete more links than the limit stops before it writes.

Counts what the SQL of the two link tables doomed (pass `prune`); deletes nothing itself.
"""

from collections import Counter
from collections.abc import Callable

from sync.history.changes import label
from sync.model.entities import LINKS
from sync.reconcile.plan import Plan
from sync.reconcile.reconciliation import Reconciliation

FEWEST = 20
"""So many links may always go where the limit is a share: in a small export, one person is a large one."""

LOSERS = 5

HINT = (
    "Nothing was written. `ispyb-sync plan` with the same flags lists each link; if the export is right, raise "
    "--prune-limit, as a share (20%) or a number of links (500)."
)


def excess(plan: Plan, reconciliation: Reconciliation, limit: str, left_out: Callable[[], int]) -> str | None:
    """Why this run may not delete what it would, with the largest losers; None where it may.

    limit     a number of links, or a share of all links of the export's proposals such as 5%, and at least FEWEST
    left_out  tells how many links the proposals have whose documents were left out: these count too
    """
    doomed = {e.name: plan.counts[e.name].deleted if e.name in plan.counts else 0 for e in LINKS}
    total = sum(doomed.values())
    if total <= (FEWEST if limit.endswith("%") else int(limit)):
        return None
    words = f"{total:,} links would be deleted (" + ", ".join(f"{name} {n:,}" for name, n in doomed.items()) + ")"
    if limit.endswith("%"):
        links = sum(_number(count) for entity in LINKS for (count,) in reconciliation.rows(plan, entity, "all_links"))
        links += left_out()
        allowed = max(FEWEST, int(links * float(limit[:-1]) / 100))
        if total <= allowed:
            return None
        limit = f"{allowed:,}: {limit} of the {links:,} links of the export's proposals, and at least {FEWEST}"
    return f"{words}, and the limit is {limit}. {_losers(plan, reconciliation)}"


def _losers(plan: Plan, reconciliation: Reconciliation) -> str:
    lost: Counter[str | None] = Counter()
    for entity in LINKS:
        for proposal, links in reconciliation.rows(plan, entity, "losers"):
            lost[label(None if proposal is None else str(proposal))] += _number(links)
    return "Most lose: " + ", ".join(f"{proposal} {links:,}" for proposal, links in lost.most_common(LOSERS))


def _number(value: object) -> int:
    return int(value)  # type: ignore[call-overload, no-any-return]
