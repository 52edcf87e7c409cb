"""The second function: follows a job to its end, reads back what the cloud says of each image, and tells the outcomes.

What the job promises decides nothing but whether to try again; a job that takes longer is handed to a later check.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from doorman.cloud.api.base import Failure, classify_job
from doorman.cloud.member_status import read_back
from doorman.events.messages import CheckData
from doorman.events.outcomes import tell
from doorman.events.writing import follow, notify
from doorman.handlers.context import ProjectContext
from doorman.handlers.results import REPEATED
from doorman.models import (
    MAX_TRIED_VAULTS,
    MAX_TRIES,
    Cause,
    CloudEvent,
    Job,
    JobState,
    Outcome,
    OutcomeType,
    Reason,
    Share,
)
from doorman.planning.batch import RequestedImage
from doorman.planning.outcomes import conclude, judge, offers
from doorman.policy import decision as decisions
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

_FINAL = frozenset({Failure.PERMISSION, Failure.BAD_REQUEST, Failure.NOT_USABLE})
_OTHERWISE = {JobState.FAIL: Reason.JOB_FAILED, JobState.RUNNING: Reason.JOB_TIMED_OUT}


async def check_job(context: ProjectContext, check: CheckData, *, cause: Cause) -> Mapping[str, str]:
    """Follow one job and tell what became of its images.

    Returns:
        By image: its fate, or how it goes on.

    Raises:
        Unavailable: the cloud cannot be read now, or the sink took not everything.
    """
    job = await _wait(context, check)
    is_late = context.clock.now() - check.submitted_at >= timedelta(seconds=context.settings.job_deadline)
    if job.state is JobState.RUNNING and not is_late:
        later = check.model_copy(update={"attempt": check.attempt + 1})
        await context.emit([follow(context.writer, later, cause=cause, now=context.clock.now())])
        return dict.fromkeys(check.images, "running")
    standings = await _read_settled(context, check, job)
    return await _conclude(context, check, job, standings, cause)


async def _wait(context: ProjectContext, check: CheckData) -> Job:
    """Look at the job with growing pauses until it ends, the budget is used up or its time is over.

    A job that stays unknown counts as ended; one that is unknown for want of looks counts as running.
    """
    end = context.clock.monotonic() + context.settings.check_budget
    deadline = check.submitted_at + timedelta(seconds=context.settings.job_deadline)
    # A budget too small for several looks: earlier attempts count for them.
    pause, unknown = FIRST_PAUSE, check.attempt - 1 if context.settings.check_budget < FIRST_PAUSE * (1 + GROWTH) else 0
    while True:
        job = await context.cloud.job(check.job_id)
        unknown = unknown + 1 if job.state is JobState.UNKNOWN else 0
        if job.state in {JobState.SUCCESS, JobState.FAIL} or unknown >= UNKNOWN_TRIES:
            return job
        left = end - context.clock.monotonic()
        if left <= 0 or context.clock.now() >= deadline:
            return replace(job, state=JobState.RUNNING)
        await context.clock.sleep(min(pause, left))
        pause = min(pause * GROWTH, MAX_PAUSE)


async def _read_settled(context: ProjectContext, check: CheckData, job: Job) -> dict[str, Share | None]:
    standings = await read_back(context.cloud, check.images, status=check.status)
    lagging = [
        image
        for image, share in standings.items()
        if share and _is_behind(context, check, share) and image not in job.failed
    ]
    if lagging and job.state is JobState.SUCCESS:
        await context.clock.sleep(LAG)
        standings |= await read_back(context.cloud, lagging, status=check.status)
    return standings


def _is_behind(context: ProjectContext, check: CheckData, share: Share) -> bool:
    """Say whether no list shows the share yet as the job left it; only lists tell whether it is full-ECS."""
    return share.member_status != check.status or (share.full_ecs is None and share.owner != context.project_id)


async def _conclude(
    context: ProjectContext, check: CheckData, job: Job, standings: Mapping[str, Share | None], cause: Cause
) -> Mapping[str, str]:
    failure = classify_job(job.error_code)
    if job.state is JobState.FAIL:
        _log_failure(check, job)
    pending = [image for image, share in standings.items() if share and share.member_status == "pending"]
    again = pending if job.state is JobState.FAIL and _is_worth_again(check, failure) else []
    outcomes = [
        _judge(context, check, job, failure, image=image, share=share, cause=cause)
        for image, share in standings.items()
        if image not in again
    ]
    events = list(tell(context.writer, outcomes, causes=[cause], now=context.clock.now(), job_id=check.job_id))
    if again:
        events.append(_repeat(context, check, failure, images=again, cause=cause))
    await context.emit(events)
    return {outcome.image_id: outcome.fate.value for outcome in outcomes} | dict.fromkeys(again, REPEATED)


def _log_failure(check: CheckData, job: Job) -> None:
    """Keep the cloud's own words: events carry only its code."""
    logger().warning(
        "job.failed",
        project_id=check.project_id,
        job_id=check.job_id,
        error_code=job.error_code,
        fail_reason=(job.fail_reason or "")[:MAX_WORDS],
    )


def _is_worth_again(check: CheckData, failure: Failure) -> bool:
    """Say whether what a failed job left pending may be settled by another one: no chain of events is endless."""
    if failure is Failure.VAULT:
        return check.vault_id is not None and len(check.tried_vaults) < MAX_TRIED_VAULTS
    return failure not in _FINAL and check.tries < MAX_TRIES


def _repeat(
    context: ProjectContext, check: CheckData, failure: Failure, *, images: Sequence[str], cause: Cause
) -> CloudEvent:
    """Notify again: with the failed vault among the tried ones, or with one try more."""
    is_vault = failure is Failure.VAULT and check.vault_id is not None
    return notify(
        context.writer,
        images,
        cause=cause,
        now=context.clock.now(),
        tries=check.tries + (not is_vault),
        tried_vaults=(*check.tried_vaults, check.vault_id or "") if is_vault else check.tried_vaults,
    )


def _judge(
    context: ProjectContext,
    check: CheckData,
    job: Job,
    failure: Failure,
    *,
    image: str,
    share: Share | None,
    cause: Cause,
) -> Outcome:
    claim = check.shares.get(image)
    ask = RequestedImage(image_id=image, cause=replace(cause, id=(claim and claim.cause) or cause.id))
    decided = decisions.decide(share, context.policy, now=context.clock.now()) if share else None
    is_offered = decided is not None and check.vault_id is not None and offers(decided, check.vault_id)
    if job.state is JobState.FAIL and share and share.member_status == "pending":
        if failure is Failure.VAULT:
            return conclude(
                ask, share, decided, fate=OutcomeType.HELD, reason=Reason.VAULT_FAILED, error_code=job.error_code
            )
        if failure is Failure.NOT_USABLE:
            return conclude(
                ask, share, decided, fate=OutcomeType.SKIPPED, reason=Reason.NOT_USABLE, error_code=job.error_code
            )
    return judge(
        ask,
        share,
        decided,
        project_id=context.project_id,
        wanted=check.status,
        otherwise=_OTHERWISE.get(job.state, Reason.STILL_PENDING),
        # The vault is the check's claim: it is told only where the policy could have chosen it.
        vault_id=check.vault_id if is_offered else None,
        error_code=job.error_code,
    )
