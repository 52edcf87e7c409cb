"""Everything that decides how an image ends is in this file. Pure; tells nobody.

An image meets one of four ladders, each read from the top, the first line that fits counts:

- `before_call`: what needs no members call, or may not have one;
- `after_refusal`: the cloud refused a members call for this image alone;
- `after_job`: the job that named it has ended, or is no longer waited for;
- `after_call`: it was settled without a job (plain OpenStack).

What the cloud says now decides, never what was asked or claimed: accepted and rejected are told only where the member
row or the list of that status says so. What is wanted is what today's policy decides. What drifts after its end is the
concern of `drift` and `image_usage`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from doorman.cloud.api.base import Failure, classify, classify_job
from doorman.errors import Refused
from doorman.models import (
    MAX_TRIED_VAULTS,
    MAX_TRIES,
    Action,
    Job,
    JobState,
    MemberStatus,
    Outcome,
    OutcomeType,
    Reason,
    Share,
    Status,
)
from doorman.planning.batch import RequestedImage, outcome
from doorman.policy.decision import Decision

WANTED: Mapping[Action, Status] = {"accept": "accepted", "reject": "rejected"}
"""The member status that a decision wants; a hold wants none."""

_SETTLED: Mapping[MemberStatus, OutcomeType] = {"accepted": OutcomeType.ACCEPTED, "rejected": OutcomeType.REJECTED}
_REFUSED: Mapping[Failure, tuple[OutcomeType, Reason]] = {
    Failure.NOT_USABLE: (OutcomeType.SKIPPED, Reason.NOT_USABLE),
    Failure.PERMISSION: (OutcomeType.FAILED, Reason.PERMISSION_DENIED),
    Failure.GONE: (OutcomeType.FAILED, Reason.STILL_PENDING),
    Failure.VAULT: (OutcomeType.HELD, Reason.VAULT_FAILED),
}
_STILL_PENDING = (OutcomeType.FAILED, Reason.STILL_PENDING)
_FAILED_JOB: Mapping[JobState | Failure, tuple[OutcomeType, Reason]] = {
    JobState.RUNNING: (OutcomeType.FAILED, Reason.JOB_TIMED_OUT),
    JobState.SUCCESS: _STILL_PENDING,
    JobState.UNKNOWN: _STILL_PENDING,
    JobState.FAIL: (OutcomeType.FAILED, Reason.JOB_FAILED),
    Failure.NOT_USABLE: (OutcomeType.SKIPPED, Reason.NOT_USABLE),
    Failure.VAULT: (OutcomeType.HELD, Reason.VAULT_FAILED),
}
_FINAL = frozenset({Failure.PERMISSION, Failure.BAD_REQUEST, Failure.NOT_USABLE})


@dataclass(frozen=True, slots=True)
class Again:
    """The image is notified again; `tried_vault` failed for it, else it is one try more."""

    tried_vault: str | None = None


@dataclass(frozen=True, slots=True)
class Untold:
    """Nothing may be said of the image; `why` stands in the log."""

    why: str


End = Outcome | Again | Untold


def before_call(
    requested: RequestedImage, current: Share | None, decision: Decision | None, *, project_id: str
) -> Outcome:
    """Say how an image ended that does not wait: it is ours, gone, or settled.

    Args:
        current: as the cloud shows it now; None where it knows no such share.
        decision: of today's policy; None where there is nothing to decide.
    """
    if current is None:
        return outcome(requested, None, None, OutcomeType.SKIPPED, Reason.NOT_SHARED)
    if current.owner == project_id:
        return _own_image(requested, current)
    wanted = WANTED.get(decision.action) if decision else None
    if wanted is None:
        return outcome(requested, current, decision, OutcomeType.SKIPPED, Reason.ALREADY_SETTLED)
    if wanted != current.member_status:
        return outcome(requested, current, decision, OutcomeType.SKIPPED, Reason.SETTLED_OTHERWISE)
    kind = _SETTLED[wanted] if _is_recent(requested, current) else OutcomeType.SKIPPED
    return outcome(requested, current, decision, kind, Reason.ALREADY_SETTLED)


def hold(requested: RequestedImage, share: Share, decision: Decision, vault_id: str | None) -> Outcome:
    """Say what the policy decided where nothing is written: it holds, or only watches.

    Args:
        vault_id: the vault that it would have gone to.
    """
    kind = OutcomeType.AUDITED if decision.audit else OutcomeType.HELD
    return outcome(requested, share, decision, kind, decision.reason, vault_id=vault_id)


def trials(requested: RequestedImage, share: Share, decision: Decision) -> list[Outcome]:
    """Say what rules in audit mode would have done, beside what the enforced ones do."""
    return [
        replace(
            outcome(requested, share, decision, OutcomeType.AUDITED, trial.reason),
            rule=trial.rule,
            decision=trial.action,
        )
        for trial in decision.trials
    ]


def decided(requested: RequestedImage, share: Share, decision: Decision, *, vault_id: str | None) -> Outcome:
    """Say what was decided, for the evidence that stands on record before the first call."""
    return outcome(requested, share, decision, OutcomeType.DECIDED, decision.reason, vault_id=vault_id)


def after_refusal(
    requested: RequestedImage,
    known: Share,
    current: Share | None,
    decision: Decision,
    *,
    refusal: Refused,
    project_id: str,
) -> Outcome | Again:
    """Say how an image ended for which alone the cloud refused a members call.

    Args:
        known: as it was decided. current: as it stands after the refusal; None where it is gone.
    """
    failure = classify(code=refusal.code, status=refusal.status)
    if current is None or current.member_status != known.member_status:
        return before_call(requested, current, decision, project_id=project_id)
    if failure in {Failure.PASSING, Failure.UNREACHABLE} and requested.tries < MAX_TRIES:
        return Again()
    kind, reason = _REFUSED.get(failure, (OutcomeType.FAILED, Reason.REQUEST_REFUSED))
    return outcome(requested, known, decision, kind, reason, error_code=refusal.code)


def after_call(
    requested: RequestedImage,
    current: Share | None,
    decision: Decision,
    *,
    wanted: Status,
    vault_id: str | None = None,
    project_id: str,
) -> Outcome:
    """Say how an image ended that was settled at once, from how it stands now."""
    if current is None:
        return outcome(requested, None, None, OutcomeType.SKIPPED, Reason.NOT_SHARED)
    if current.owner == project_id:
        return _own_image(requested, current)
    if current.member_status == wanted:
        return outcome(requested, current, decision, _SETTLED[wanted], decision.reason, vault_id=vault_id)
    reason = Reason.STILL_PENDING if current.member_status == "pending" else Reason.SETTLED_OTHERWISE
    return outcome(requested, current, decision, OutcomeType.FAILED, reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A job as this invocation read it, beside what its check claims; claims only shorten the way.

    Attributes:
        job: the cloud's record, with state RUNNING where it is no longer waited for.
        is_over: the job's own `begin_time` is longer ago than the deadline.
        together: images that the job names, or is said to.
        status, vault_id, tries, tried_vaults: claims of the check.
    """

    job: Job
    is_over: bool
    together: int
    status: Status
    vault_id: str | None = None
    tries: int = 1
    tried_vaults: tuple[str, ...] = ()

    @property
    def is_listed(self) -> bool:
        """Whether the job's own record ties images to it."""
        return self.job.images is not None


def after_job(
    requested: RequestedImage,
    current: Share | None,
    decision: Decision | None,
    *,
    checked: Checked,
    vaults_left: bool,
    project_id: str,
) -> End:
    """Say how an image ended that a job names.

    Args:
        current: as read back; None where the cloud knows no share any more.
        decision: of today's policy; None where there is nothing to decide.
        vaults_left: whether the policy names a vault that was not tried.
    """
    if checked.job.images is not None and requested.image_id not in checked.job.images:
        return Untold("the job does not name it")
    if current is None or decision is None:
        return _after_job_gone(requested, current, checked, project_id)
    wanted = WANTED.get(decision.action)
    if wanted is not None and current.member_status == wanted:
        vault_id = checked.vault_id if _offers(decision, checked.vault_id) else None
        return outcome(requested, current, decision, _SETTLED[wanted], decision.reason, vault_id=vault_id)
    if current.member_status == "pending":
        return _after_job_pending(requested, current, decision, checked=checked, vaults_left=vaults_left)
    return _after_job_otherwise(requested, current, decision, checked)


def _own_image(requested: RequestedImage, share: Share) -> Outcome:
    """Say of an image of our own that there is no member row of ours."""
    return outcome(requested, replace(share, member_status=None), None, OutcomeType.SKIPPED, Reason.OWN_IMAGE)


def _is_recent(requested: RequestedImage, current: Share) -> bool:
    """Say whether a share was settled since the event; lists do not tell when, so they speak for the event."""
    if requested.since is None:
        return False
    return current.settled_at is None or current.settled_at.replace(microsecond=0) >= requested.since


def _after_job_gone(requested: RequestedImage, current: Share | None, checked: Checked, project_id: str) -> End:
    if not checked.is_listed:
        return Untold("no share of it is to be seen, and the job names no images")
    if current is not None and current.owner == project_id:
        return _own_image(requested, current)
    if current is not None:
        return Untold("nothing is known of it but its status")
    return outcome(requested, None, None, OutcomeType.SKIPPED, Reason.NOT_SHARED, error_code=checked.job.error_code)


def _after_job_otherwise(requested: RequestedImage, current: Share, decision: Decision, checked: Checked) -> End:
    """Say how an image ended that is settled, and not as today's policy would have it."""
    if not checked.is_listed:
        return Untold("the job names no images, and the policy would not have it so")
    if decision.action != "hold" and checked.status != current.member_status:
        return outcome(requested, current, decision, OutcomeType.FAILED, Reason.SETTLED_OTHERWISE)
    # Settled by this job, while the policy that sent it has changed since.
    return outcome(requested, current, decision, _SETTLED[current.member_status or "accepted"], Reason.POLICY_DIFFERS)


def _after_job_pending(
    requested: RequestedImage, current: Share, decision: Decision, *, checked: Checked, vaults_left: bool
) -> End:
    job = checked.job
    if decision.action == "hold":
        return hold(requested, current, decision, None) if checked.is_listed else Untold("the policy holds it")
    if job.state is JobState.RUNNING and not checked.is_over:
        return Untold("the job is still running, and does not tell since when")
    if job.state is JobState.FAIL and (again := _try_again(decision, checked, vaults_left=vaults_left)):
        return again
    kind, reason = _FAILED_JOB[_why(job, decision)] if checked.is_listed else _STILL_PENDING
    return outcome(requested, current, decision, kind, reason, error_code=job.error_code)


def _try_again(decision: Decision, checked: Checked, *, vaults_left: bool) -> Again | None:
    """Say whether what a failed job left pending may be settled by another one: no chain of events is endless."""
    failure = classify_job(checked.job.error_code)
    if failure is Failure.VAULT and _offers(decision, checked.vault_id):
        is_worth = vaults_left and len(checked.tried_vaults) < MAX_TRIED_VAULTS
        return Again(tried_vault=checked.vault_id) if is_worth else None
    # One that failed beside others is only a suspect: it is tried alone next.
    return Again() if checked.together > 1 or (failure not in _FINAL and checked.tries < MAX_TRIES) else None


def _why(job: Job, decision: Decision) -> JobState | Failure:
    """Name what a job left pending: its state, or the failure that has an outcome of its own."""
    failure = classify_job(job.error_code)
    has_own = failure is Failure.NOT_USABLE or (failure is Failure.VAULT and bool(decision.vaults))
    return failure if job.state is JobState.FAIL and has_own else job.state


def _offers(decision: Decision, vault_id: str | None) -> bool:
    """Say whether the policy could have chosen this vault for the share."""
    return vault_id is not None and any(
        entry.vault == vault_id or vault_id in entry.candidates or entry.tags for entry in decision.vaults
    )


def is_past(job: Job, *, now: datetime, deadline: float) -> bool:
    """Say whether a job began longer ago than `deadline` seconds, by its own record."""
    return job.begin_time is not None and now - job.begin_time >= timedelta(seconds=deadline)
