"""Reconciles one project in this process: tells its drift, lists where it is used, settles anew what it is told to."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from doorman.events.outcomes import outcome_events
from doorman.handlers.context import ProjectContext
from doorman.handlers.project_run import ProjectRun, is_passing
from doorman.models import CloudEvent, Outcome, Share
from doorman.planning.drift import Drift, conclude_drift, find_drift
from doorman.planning.image_usage import Use, conclude_withdrawn, find_strange, find_uses, tell_uses


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """The settled shares of one project by image, own images left out, and those among them that drifted."""

    settled: Mapping[str, Share]
    drifts: tuple[Drift, ...]


async def review(context: ProjectContext) -> Review:
    """Find the drift of one project, from the lists of accepted and rejected shares.

    Raises:
        Unavailable: the cloud cannot be read now.
    """
    accepted, rejected = await asyncio.gather(context.cloud.listed("accepted"), context.cloud.listed("rejected"))
    settled = {image: share for image, share in {**accepted, **rejected}.items() if share.owner != context.project_id}
    drifts = find_drift(settled.values(), context.policy, project_id=context.project_id, now=context.clock.now())
    return Review(settled=settled, drifts=drifts)


async def reconcile(project_run: ProjectRun, *, is_enforced: bool, has_usage: bool) -> None:
    """Look at what was settled earlier, tell what today's policy would decide otherwise, and settle that anew.

    Args:
        is_enforced: settle anew what the policy accepts or rejects; what it would hold stays as it is.
        has_usage: list the servers that were booted from shares that should not be used.
    """
    context = project_run.context
    seen = await project_run.persist(lambda: review(context), is_worth_it=is_passing)
    project_run.shares = {drift.share.image_id: drift.share for drift in seen.drifts}
    outcomes = [conclude_drift(drift, cause=project_run.cause) for drift in seen.drifts]
    await _tell(project_run, outcomes)
    project_run.context = replace(context, policy=replace(context.policy, settles_anew=is_enforced))
    await project_run.take([drift.share.image_id for drift in seen.drifts if drift.wanted] if is_enforced else [])
    if has_usage:
        uses, withdrawn = await project_run.persist(lambda: review_use(context, seen), is_worth_it=is_passing)
        used = tell_uses(context.writer, uses, cause=project_run.cause, now=context.clock.now())
        await _tell(project_run, [conclude_withdrawn(image, cause=project_run.cause) for image in withdrawn], used)


async def _tell(project_run: ProjectRun, outcomes: Sequence[Outcome], others: Iterable[CloudEvent] = ()) -> None:
    context, cause = project_run.context, project_run.cause
    events = [*outcome_events(context.writer, outcomes, causes=[cause], now=context.clock.now()), *others]
    await project_run.persist(lambda: context.emit(events))


async def review_use(context: ProjectContext, seen: Review) -> tuple[Sequence[Use], Sequence[str]]:
    """Find the servers that run from shares which should not be used, and the images among those that are withdrawn.

    Raises:
        Unavailable: the cloud cannot be read now, or the right to read servers is missing.
    """
    servers, pending = await asyncio.gather(context.cloud.servers(), context.cloud.pending())
    waiting = {image: share for image, share in pending.items() if share.owner != context.project_id}
    strange = find_strange(servers, {*seen.settled, *pending})
    are_visible = await asyncio.gather(*(context.cloud.is_visible(image) for image in strange))
    withdrawn = [image for image, is_visible in zip(strange, are_visible, strict=True) if not is_visible]
    shares = {**waiting, **seen.settled}
    uses = find_uses(servers, shares, seen.drifts, withdrawn, context.policy, now=context.clock.now())
    return uses, withdrawn
