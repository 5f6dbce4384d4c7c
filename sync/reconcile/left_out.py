"""Documents that a run leaves out: which it must look at after all, and which a later run need not look at.

A document was left out as it was when its rows were last verified (`sync.verify`). What an examined one changes, claims
or contradicts may be what such a document speaks of too: that one is drawn in.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace

from sync.database.sqlfiles import named, of_pass
from sync.model.conditions import NO_CONDITIONS
from sync.model.entities import DOCUMENT, ENTITIES, Entity
from sync.model.refusals import Refusal
from sync.reconcile.plan import Plan
from sync.statements.live_ispyb import LiveIspyb
from sync.statements.play import Player
from sync.statements.send import Runner
from sync.statements.temporary_tables import TOUCHED, Tables
from sync.verify.digests import Digests
from sync.verify.fingerprints import Fingerprints


class Drawn(Exception):
    """Documents that were left out are to be examined after all; `labels` are those of their proposals."""

    def __init__(self, labels: Collection[bytes]) -> None:
        super().__init__()
        self.labels = labels


def draw(ispyb: LiveIspyb, plan: Plan, fingerprints: Fingerprints | None) -> None:
    """Raises Drawn where documents that were left out speak of what is changed, claimed or contradicted here."""
    if fingerprints is None or not fingerprints.left_out or not plan.counts:
        return
    runner, tables = Runner(ispyb), Tables(ispyb, TOUCHED)
    if not tables.take():
        runner.run_all(of_pass("fingerprint", "draw_create"), NO_CONDITIONS)
    Player(runner, plan.conditions).play_passes((entity, "draw") for entity in ENTITIES)
    drawn = {label for (label,) in runner.run(named("fingerprint", "drawn")) or ()}
    tables.keep()
    if found := drawn & fingerprints.left_out.keys():
        raise Drawn(found)


def links_left_out(runner: Runner, fingerprints: Fingerprints | None) -> int:
    """How many links the proposals of documents have that were left out."""
    if fingerprints is None or not fingerprints.left_out:
        return 0
    found = runner.run(named("fingerprint", "left_out_links"))
    return 0 if found is None else int(found.scalar_one())


def remember(
    runner: Runner, plan: Plan, fingerprints: Fingerprints, digests: Digests, refusals: Iterable[Refusal]
) -> None:
    """Which documents a later run need not examine: what they say is there, and depends on no other document.

    The digests are taken first, and then all is compared once more: what another writer has changed meanwhile
    either is not in the digest, or is found.
    """
    refusals = list(refusals)
    doubtful = {refusal.document for refusal in refusals if refusal.document is not None}
    numbers = fingerprints.candidates(doubtful | _joined_documents(runner, plan))
    taken: dict[int, tuple[int, int]] = {}
    if new := fingerprints.without_digest(numbers):
        taken = digests.of_documents(new)
        plan = _compared_again(runner, plan)
    settled = numbers.keys() - _unsettled_documents(runner, plan, refusals)
    fingerprints.remember(settled, taken)


def _joined_documents(runner: Runner, plan: Plan) -> set[int]:
    """Numbers of the documents that share their proposal with another one."""
    if "joined" not in plan.conditions[DOCUMENT.name].facts:
        return set()
    return {number for (number,) in runner.run(named("fingerprint", "joined_documents")) or ()}


def _compared_again(runner: Runner, plan: Plan) -> Plan:
    """Finds what differs although it was written; gives the plan with what is known then."""
    player = Player(runner, plan.conditions)
    for entity in _staged(plan):
        player.find(entity, "compared")
    player.play_passes((entity, "compare") for entity in _staged(plan))
    return replace(plan, conditions=player.known)


def _unsettled_documents(runner: Runner, plan: Plan, refusals: Iterable[Refusal]) -> set[int]:
    """Numbers of the documents of which something must be examined each time, with these refusals of the run."""
    player = Player(runner, plan.conditions)
    shared = [entity for entity in _staged(plan) if entity.is_shared]
    names = {entity.name for entity in shared}
    spoilt = {refusal.document for refusal in refusals if refusal.field is not None and refusal.entity in names}
    for entity in shared if spoilt else ():
        player.find(entity, "spoilt")
    values = {"documents": ",".join(map(str, spoilt))}
    player.play_passes(((entity, "confirm") for entity in _staged(plan)), values)
    if any("unsettled" in player.conditions(entity).facts for entity in _staged(plan)):
        for entity in _staged(plan):
            player.find(entity, "along")
    outcomes = player.play([move for entity in _staged(plan) for move in player.moves(entity, "unsettled")])
    return {int(str(number)) for outcome in outcomes.values() for (number,) in outcome.selected}


def _staged(plan: Plan) -> Iterator[Entity]:
    return (entity for entity in ENTITIES if entity.name in plan.counts)
