"""The third function: lists every pending share, notifies those that the policy would settle, and tells the rest.

It works when no cloud ever sent an event: events are hints, the pending list is the truth. It also looks at what was
settled earlier, and tells what today's policy would settle otherwise.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from doorman.errors import Unavailable
from doorman.events.outcomes import outcome_events, pending_report
from doorman.events.writing import share_notified_event
from doorman.handlers.context import ProjectContext
from doorman.handlers.review import review_drift
from doorman.models import Cause, Share
from doorman.planning.batch import Observed, decide, find_crowds
from doorman.planning.drift import Drift, conclude_drift
from doorman.planning.sweep import SweepPlan, hold_without_vault, plan_sweep
from doorman.policy import decision as decisions
from doorman.policy.decision import Decision
from doorman.policy.policy import expired
from doorman.runtime.logs import logger


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """What one tick found in one project; `error` where it could not be read."""

    pending: int = 0
    notified: int = 0
    drifted: int = 0
    error: str | None = None


async def sweep(
    context: ProjectContext, *, cause: Cause, scope: str = "", marks: Mapping[str, str] | None = None
) -> Swept:
    """Look at all shares of one project: gather, plan, emit.

    Args:
        scope: `pending` or `settled`: only what is so; empty: both.
        marks: extensions that the tick's own events pass on, such as `daily`.

    Raises:
        Unavailable: the sink took not everything; the same tick may be run again.
    """
    drifts = () if scope == "pending" else await _find_drift(context)
    plan = SweepPlan()
    try:
        if scope != "settled":
            shares, decided = await look(context, cause=cause)
            plan = plan_sweep(shares, decided, drifts if context.policy.settles_anew else ())
    except Unavailable as error:
        await _report(context, plan, cause=cause, marks=marks, error=str(error))
        return Swept(error=str(error))
    now = context.clock.now()
    await context.emit([share_notified_event(context.writer, part, cause=cause, now=now) for part in plan.notices])
    if scope != "settled":
        await _report(context, plan, cause=cause, marks=marks)
    outcomes = [conclude_drift(drift, cause=cause.id) for drift in drifts if context.policy.tells_drift]
    await context.emit(outcome_events(context.writer, outcomes, causes=[cause], now=now, marks=marks))
    return Swept(pending=plan.count, notified=plan.notified, drifted=len(drifts))


async def look(context: ProjectContext, *, cause: Cause) -> tuple[Mapping[str, Share], Mapping[str, Decision]]:
    """Read the pending shares of others' images, and decide each; an accept that finds no vault is held.

    Raises:
        Unavailable: the cloud cannot be read now.
    """
    listed = await context.cloud.pending()
    now, project_id = context.clock.now(), context.project_id
    shares = {image: share for image, share in listed.items() if share.owner != project_id}
    crowds = find_crowds(shares.values(), context.policy, project_id=project_id, now=now)
    observed = Observed(pending=shares, crowds=crowds)
    decided = decide(observed, context.policy, project_id=project_id, now=now)
    needs = any(decisions.needs_vaults(decision) for decision in decided.values())
    try:
        vaults = await context.cloud.vaults() if needs else None
    except Unavailable as error:
        # Who needs none goes on; the others are notified, and wait there until the vaults can be read.
        logger().warning("vaults.unread", project_id=project_id, error=str(error))
        return shares, decided
    return shares, hold_without_vault(shares, decided, vaults, cause=cause)


async def _report(
    context: ProjectContext,
    plan: SweepPlan,
    *,
    cause: Cause,
    marks: Mapping[str, str] | None,
    error: str | None = None,
) -> None:
    now = context.clock.now()
    await context.emit(
        pending_report(
            context.writer,
            plan.entries,
            count=plan.count,
            oldest=plan.oldest,
            error=error,
            cause=cause,
            now=now,
            consumer=marks,
            expired=[rule.name for rule in expired(context.policy, now.date())],
        )
    )


async def _find_drift(context: ProjectContext) -> Sequence[Drift]:
    """Find what is told on every tick: drift that no decision of a person explains; none where it cannot be read."""
    if not (context.policy.tells_drift or context.policy.settles_anew):
        return ()
    try:
        return await review_drift(context)
    except Unavailable as error:
        # What waits matters more; the next tick looks again.
        logger().warning("drift.unread", project_id=context.project_id, error=str(error))
        return ()
