"""The second function: follows a job to its end, reads back what the cloud says of each image, and tells the outcomes.

What a check claims only says where to look and when to stop; a job that takes longer is handed to a later check.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from doorman.cloud.client import counting
from doorman.cloud.member_status import read_back
from doorman.errors import Unavailable
from doorman.events.messages import CheckData
from doorman.events.outcomes import outcome_events
from doorman.events.writing import cause_of, job_check_event, read_check, share_notified_event
from doorman.handlers.bounds import Bounds
from doorman.handlers.context import ProjectContext
from doorman.handlers.projects import Projects
from doorman.models import (
    MAX_IMAGES,
    Cause,
    CloudEvent,
    Handled,
    Job,
    JobState,
    Onward,
    Outcome,
    OutcomeType,
    Share,
    Vault,
)
from doorman.planning.batch import RequestedImage
from doorman.planning.outcomes import Again, Checked, End, Untold, after_job, is_past
from doorman.planning.plan import regroup
from doorman.policy import decision as decisions
from doorman.policy.decision import Decision
from doorman.policy.vault_choice import choose
from doorman.runtime.logs import logger

FIRST_PAUSE = 0.5
"""Seconds between the first looks at a job; most take less than one."""

MAX_PAUSE = 5.0
GROWTH = 1.6

UNKNOWN_TRIES = 3
"""So often a job that the cloud does not know is asked for before its images are read back."""

MAX_WORDS = 200
"""Characters of the cloud's own explanation that are logged."""

LAG = 1.0
"""Seconds to wait, once, where a job succeeded and the lists still show an image as it was."""


async def handle_check(
    served: Projects, events: Sequence[CloudEvent], *, bounds: Bounds | None = None
) -> Sequence[Handled]:
    """Follow jobs to their end.

    Args:
        bounds: of the request, where these are not all of its checks.
    """
    checks = [read_check(event, now=served.clock.now()) for event in events]
    shared = bounds or Bounds(len(checks))
    contexts = [await served.context(check.project_id) for check in checks]

    async def follow(context: ProjectContext, check: CheckData, event: CloudEvent) -> Handled:
        with counting() as tally:
            try:
                ended = await check_job(context, check, cause=cause_of(event), bounds=shared)
            except Unavailable as error:
                return Handled(project_id=check.project_id, api_calls=tally.calls, error=error)
        counts = Counter(end.value for end in ended.values())
        return Handled(project_id=check.project_id, counts=counts, api_calls=tally.calls)

    return await asyncio.gather(*map(follow, contexts, checks, events))


async def check_job(
    context: ProjectContext, check: CheckData, *, cause: Cause, bounds: Bounds
) -> Mapping[str, OutcomeType | Onward]:
    """Follow one job and tell what became of its images.

    Args:
        bounds: those of the request that brought the check.

    Returns:
        By image: its outcome, or how it goes on.

    Raises:
        Unavailable: the cloud cannot be read now, or the sink took not everything.
    """
    job = await _wait(context, check, bounds)
    if job.state is JobState.RUNNING and not _is_late(context, check, job):
        later = check.model_copy(update={"attempt": check.attempt + 1})
        data = later.model_dump(mode="json", exclude_unset=True)  # no larger than it came
        await context.emit([job_check_event(context.writer, data, cause=cause, now=context.clock.now())])
        return dict.fromkeys(check.images, Onward.RUNNING)
    if job.state is JobState.FAIL:
        _log_failure(check, job)
    # Where the record names its images it alone ties them to the job: nothing else is even read.
    images = [image for image in check.images if job.images is None or image in job.images]
    max_rows = bounds.rows if job.images is None else MAX_IMAGES
    current = await _read_settled(context, check, job, images, max_rows=max_rows) if images else {}
    ends = await _end_all(context, check, job, current, cause)
    return await _tell(context, check, ends, cause)


async def _wait(context: ProjectContext, check: CheckData, bounds: Bounds) -> Job:
    """Look at the job with growing pauses until it ends, the budget is used up or its time is over.

    A job that stays unknown counts as ended; one that was looked at too seldom counts as running.
    """
    end = context.clock.monotonic() + context.settings.check_budget
    # A budget too small for several looks: earlier attempts count for them.
    unknown = check.attempt - 1 if context.settings.check_budget < FIRST_PAUSE * (1 + GROWTH) else 0
    pause, look = FIRST_PAUSE, bounds.watch(context, check.job_id)
    while True:
        job = await look()
        unknown = unknown + 1 if job.state is JobState.UNKNOWN else 0
        if job.state in {JobState.SUCCESS, JobState.FAIL} or unknown >= UNKNOWN_TRIES:
            return job
        left = end - context.clock.monotonic()
        if left <= 0 or _is_late(context, check, job):
            return replace(job, state=JobState.RUNNING)
        await context.clock.sleep(min(pause, left))
        pause = min(pause * GROWTH, MAX_PAUSE)


def _is_late(context: ProjectContext, check: CheckData, job: Job) -> bool:
    """Say whether the job is no longer waited for: by its own record, or since the check says so."""
    deadline = context.settings.job_deadline
    claimed = context.clock.now() - check.submitted_at >= timedelta(seconds=deadline)
    return claimed or is_past(job, now=context.clock.now(), deadline=deadline)


async def _read_settled(
    context: ProjectContext, check: CheckData, job: Job, images: Sequence[str], *, max_rows: int
) -> dict[str, Share | None]:
    current = await read_back(context.cloud, images, status=check.status, max_rows=max_rows)
    lagging = [
        image
        for image, share in current.items()
        if share and (share.member_status != check.status or _is_unlisted(context, share)) and image not in job.failed
    ]
    if lagging and job.state is JobState.SUCCESS:
        await context.clock.sleep(LAG)
        current |= await read_back(context.cloud, lagging, status=check.status, max_rows=max_rows)
    if _is_fresh(context, check) and any(share and _is_unlisted(context, share) for share in current.values()):
        raise Unavailable("no list shows yet what the job settled", retry_after=LAG)
    return current


def _is_fresh(context: ProjectContext, check: CheckData) -> bool:
    """Say whether the lists may still lag behind the job."""
    return context.clock.now() - check.submitted_at < timedelta(seconds=context.settings.visibility_window)


def _is_unlisted(context: ProjectContext, share: Share) -> bool:
    """Say whether no list showed a share that stands as it should: only lists tell whether it is full-ECS."""
    is_settled = share.member_status in {"accepted", "rejected"}
    return is_settled and share.full_ecs is None and share.owner not in {None, context.project_id}


async def _end_all(
    context: ProjectContext, check: CheckData, job: Job, current: Mapping[str, Share | None], cause: Cause
) -> dict[str, End]:
    """Ask the ladder how each image ended."""
    decided = {
        image: decisions.decide(share, context.policy, now=context.clock.now(), at_door=False)
        for image, share in current.items()
        if share is not None and share.owner not in {None, context.project_id}
    }
    vaults = await _read_vaults(context, job, decided)
    checked = Checked(
        job=job,
        is_over=is_past(job, now=context.clock.now(), deadline=context.settings.job_deadline),
        together=len(check.images if job.images is None else job.images),
        status=check.status,
        vault_id=check.vault_id,
        tries=check.tries,
        tried_vaults=check.tried_vaults,
    )
    return {
        image: after_job(
            _request(check, image, cause),
            share,
            decided.get(image),
            checked=checked,
            vaults_left=_has_vaults_left(check, share, decided.get(image), vaults),
            project_id=context.project_id,
        )
        for image, share in current.items()
    }


async def _read_vaults(context: ProjectContext, job: Job, decided: Mapping[str, Decision]) -> Sequence[Vault] | None:
    """Read the vaults where a failed job may go on with another one; without them the mapping's own order serves."""
    if job.state is not JobState.FAIL or not any(map(decisions.needs_vaults, decided.values())):
        return None
    try:
        return await context.cloud.vaults()
    except Unavailable:
        return None


def _has_vaults_left(
    check: CheckData, share: Share | None, decision: Decision | None, vaults: Sequence[Vault] | None
) -> bool:
    if share is None or decision is None or check.vault_id is None:
        return False
    tried = (*check.tried_vaults, check.vault_id)
    return choose(decision.vaults, share, tried=tried, vaults=vaults) is not None


def _request(check: CheckData, image: str, cause: Cause) -> RequestedImage:
    claim = check.shares.get(image)
    return RequestedImage(image_id=image, cause=replace(cause, id=(claim and claim.cause) or cause.id))


async def _tell(
    context: ProjectContext, check: CheckData, ends: Mapping[str, End], cause: Cause
) -> dict[str, OutcomeType | Onward]:
    outcomes = [end for end in ends.values() if isinstance(end, Outcome)]
    again = {image: end for image, end in ends.items() if isinstance(end, Again)}
    events = outcome_events(context.writer, outcomes, causes=[cause], now=context.clock.now(), job_id=check.job_id)
    await context.emit([*events, *_repeat(context, check, again, cause)])
    untold = {image: Untold("the job does not name it") for image in check.images if image not in ends}
    _log_untold(check, {**untold, **{image: end for image, end in ends.items() if isinstance(end, Untold)}})
    return {
        image: end.type if isinstance(end, Outcome) else Onward.REPEATED if isinstance(end, Again) else Onward.UNTOLD
        for image, end in {**untold, **ends}.items()
    }


def _repeat(context: ProjectContext, check: CheckData, again: Mapping[str, Again], cause: Cause) -> list[CloudEvent]:
    """Notify again: with the failed vault among the tried ones, or in smaller groups with one try more."""
    now, tries = context.clock.now(), check.tries + 1
    next_vault = tuple(image for image, end in again.items() if end.tried_vault)
    suspects = [image for image, end in again.items() if not end.tried_vault]
    groups = [(next_vault, check.tries, (*check.tried_vaults, check.vault_id or ""))] if next_vault else []
    groups += [(group, tries, check.tried_vaults) for group in regroup(suspects, tries=tries)]
    return [
        share_notified_event(context.writer, group, cause=cause, now=now, tries=tries, tried_vaults=tried)
        for group, tries, tried in groups
    ]


def _log_failure(check: CheckData, job: Job) -> None:
    """Keep the cloud's own words: events carry only its code."""
    logger().warning(
        "job.failed",
        project_id=check.project_id,
        job_id=check.job_id,
        error_code=job.error_code,
        fail_reason=(job.fail_reason or "")[:MAX_WORDS],
    )


def _log_untold(check: CheckData, untold: Mapping[str, Untold]) -> None:
    """Say why nothing is told of these images; a check could name any."""
    reasons: dict[str, list[str]] = {}
    for image, end in untold.items():
        reasons.setdefault(end.why, []).append(image)
    for why, images in reasons.items():
        logger().warning(
            "check.untold",
            project_id=check.project_id,
            job_id=check.job_id,
            why=why,
            count=len(images),
            image_ids=images[:10],
        )
