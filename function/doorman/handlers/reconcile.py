"""Reconciles one project in this process: tells its drift, lists where it is used, settles anew what it is told to."""

from dataclasses import replace

from doorman.errors import Unavailable
from doorman.events.outcomes import tell
from doorman.handlers.context import Desk
from doorman.handlers.project_run import Errands, is_passing
from doorman.handlers.review import Review, review, review_use
from doorman.planning.drift import conclude_drift
from doorman.planning.image_usage import conclude_withdrawn, tell_uses


async def reconcile(errands: Errands, *, is_enforced: bool, has_usage: bool) -> None:
    """Look at what was settled earlier, tell what today's policy would decide otherwise, and settle that anew.

    Args:
        is_enforced: settle anew what the policy accepts or rejects; what it would hold stays as it is.
        has_usage: list the servers that were booted from shares that should not be used.
    """
    desk = errands.desk
    try:
        seen = await errands.persist(lambda: review(desk), is_worth_it=is_passing)
        outcomes = [conclude_drift(drift, cause=errands.cause.id) for drift in seen.drifts]
        events = tell(desk.teller, outcomes, causes=[errands.cause], now=desk.clock.now())
        await errands.persist(lambda: desk.emit(events))
    except Unavailable as error:
        errands.give_up(error)
        return
    if has_usage:
        await _tell_use(errands, seen)
    await errands.take([drift.share.image_id for drift in seen.drifts if drift.wanted] if is_enforced else [])


def settle_anew(desk: Desk) -> Desk:
    """Let this desk settle what was settled otherwise."""
    return replace(desk, policy=replace(desk.policy, settles_anew=True))


async def _tell_use(errands: Errands, seen: Review) -> None:
    desk, cause = errands.desk, errands.cause
    try:
        uses, withdrawn = await errands.persist(lambda: review_use(desk, seen), is_worth_it=is_passing)
        now = desk.clock.now()
        outcomes = [conclude_withdrawn(image, cause=cause.id) for image in withdrawn]
        events = [
            *tell(desk.teller, outcomes, causes=[cause], now=now),
            *tell_uses(desk.teller, uses, cause=cause, now=now),
        ]
        await errands.persist(lambda: desk.emit(events))
    except Unavailable as error:
        errands.give_up(error)
