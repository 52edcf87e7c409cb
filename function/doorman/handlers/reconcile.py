"""Reconciles one project in this process: tells its drift, lists where it is used, settles anew what it is told to."""

from dataclasses import replace

from doorman.errors import Unavailable
from doorman.events.outcomes import outcome_events
from doorman.handlers.context import ProjectContext
from doorman.handlers.project_run import ProjectRun, is_passing
from doorman.handlers.review import Review, review, review_use
from doorman.planning.drift import conclude_drift
from doorman.planning.image_usage import conclude_withdrawn, tell_uses


async def reconcile(project_run: ProjectRun, *, is_enforced: bool, has_usage: bool) -> None:
    """Look at what was settled earlier, tell what today's policy would decide otherwise, and settle that anew.

    Args:
        is_enforced: settle anew what the policy accepts or rejects; what it would hold stays as it is.
        has_usage: list the servers that were booted from shares that should not be used.
    """
    context = project_run.context
    try:
        seen = await project_run.persist(lambda: review(context), is_worth_it=is_passing)
        project_run.shares = {drift.share.image_id: drift.share for drift in seen.drifts}
        outcomes = [conclude_drift(drift, cause=project_run.cause.id) for drift in seen.drifts]
        events = outcome_events(context.writer, outcomes, causes=[project_run.cause], now=context.clock.now())
        await project_run.persist(lambda: context.emit(events))
    except Unavailable as error:
        project_run.give_up(error)
        return
    if has_usage:
        await _tell_use(project_run, seen)
    await project_run.take([drift.share.image_id for drift in seen.drifts if drift.wanted] if is_enforced else [])


def settle_anew(context: ProjectContext) -> ProjectContext:
    """Let the project settle what was settled otherwise."""
    return replace(context, policy=replace(context.policy, settles_anew=True))


async def _tell_use(project_run: ProjectRun, seen: Review) -> None:
    context, cause = project_run.context, project_run.cause
    try:
        uses, withdrawn = await project_run.persist(lambda: review_use(context, seen), is_worth_it=is_passing)
        now = context.clock.now()
        outcomes = [conclude_withdrawn(image, cause=cause.id) for image in withdrawn]
        events = [
            *outcome_events(context.writer, outcomes, causes=[cause], now=now),
            *tell_uses(context.writer, uses, cause=cause, now=now),
        ]
        await project_run.persist(lambda: context.emit(events))
    except Unavailable as error:
        project_run.give_up(error)
