"""Reconciles one project in this process: tells its drift, lists where it is used, settles anew what it is told to."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from doorman.events.outcomes import outcome_events
from doorman.handlers.project_run import ProjectRun, is_passing
from doorman.handlers.review import review, review_use
from doorman.models import CloudEvent, Outcome
from doorman.planning.drift import conclude_drift
from doorman.planning.image_usage import conclude_withdrawn, tell_uses


async def reconcile(project_run: ProjectRun, *, is_enforced: bool, has_usage: bool) -> None:
    """Look at what was settled earlier, tell what today's policy would decide otherwise, and settle that anew.

    Args:
        is_enforced: settle anew what the policy accepts or rejects; what it would hold stays as it is.
        has_usage: list the servers that were booted from shares that should not be used.
    """
    context = project_run.context
    seen = await project_run.persist(lambda: review(context), is_worth_it=is_passing)
    project_run.shares = {drift.share.image_id: drift.share for drift in seen.drifts}
    outcomes = [conclude_drift(drift, cause=project_run.cause.id) for drift in seen.drifts]
    await _tell(project_run, outcomes)
    project_run.context = replace(context, policy=replace(context.policy, settles_anew=is_enforced))
    await project_run.take([drift.share.image_id for drift in seen.drifts if drift.wanted] if is_enforced else [])
    if has_usage:
        uses, withdrawn = await project_run.persist(lambda: review_use(context, seen), is_worth_it=is_passing)
        used = tell_uses(context.writer, uses, cause=project_run.cause, now=context.clock.now())
        await _tell(project_run, [conclude_withdrawn(image, cause=project_run.cause.id) for image in withdrawn], used)


async def _tell(project_run: ProjectRun, outcomes: Sequence[Outcome], others: Iterable[CloudEvent] = ()) -> None:
    context, cause = project_run.context, project_run.cause
    events = [*outcome_events(context.writer, outcomes, causes=[cause], now=context.clock.now()), *others]
    await project_run.persist(lambda: context.emit(events))
