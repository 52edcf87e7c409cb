"""Says what became of an image, from what was wanted and how it stands with the cloud. Pure; tells nobody."""

from collections.abc import Mapping
from dataclasses import replace

from doorman.models import Action, Outcome, OutcomeType, Reason, Share, Status
from doorman.planning.batch import RequestedImage
from doorman.policy.decision import Decision

WANTED: Mapping[Action, Status] = {"accept": "accepted", "reject": "rejected"}
"""The member status that a decision wants; a hold wants none."""

_FATE: Mapping[Status, OutcomeType] = {"accepted": OutcomeType.ACCEPTED, "rejected": OutcomeType.REJECTED}


def conclude(
    ask: RequestedImage,
    share: Share | None,
    decision: Decision | None,
    *,
    fate: OutcomeType,
    reason: Reason,
    vault_id: str | None = None,
    error_code: str | None = None,
) -> Outcome:
    """Put together the outcome of one image from what was read and decided."""
    return Outcome(
        fate=fate,
        image_id=ask.image_id,
        reason=reason,
        cause=ask.cause.id,
        name=share.name if share else None,
        owner=share.owner if share else None,
        rule=decision.rule if decision else None,
        member_status=share.member_status if share else None,
        error_code=error_code,
        vault_id=vault_id,
        decision=decision.action if decision else None,
        facts=decision.facts if decision else None,
    )


def disown(ask: RequestedImage, share: Share) -> Outcome:
    """Say of an own image that it is none of our business: there is no member row of ours."""
    return conclude(ask, replace(share, member_status=None), None, fate=OutcomeType.SKIPPED, reason=Reason.OWN_IMAGE)


def conclude_settled(ask: RequestedImage, standing: Share | None, decision: Decision | None) -> Outcome:
    """Say what became of an image that was settled, or gone, before we did anything."""
    if standing is None:
        return conclude(ask, None, None, fate=OutcomeType.SKIPPED, reason=Reason.NOT_SHARED)
    is_as_decided = decision is None or WANTED.get(decision.action) in {None, standing.member_status}
    reason = Reason.ALREADY_SETTLED if is_as_decided else Reason.SETTLED_OTHERWISE
    return conclude(ask, standing, decision, fate=OutcomeType.SKIPPED, reason=reason)


def judge(
    ask: RequestedImage,
    share: Share | None,
    decision: Decision | None,
    *,
    project_id: str,
    wanted: Status,
    otherwise: Reason,
    vault_id: str | None = None,
    error_code: str | None = None,
) -> Outcome:
    """Say what became of an image that was to be settled as `wanted`, from how it stands now.

    Args:
        share: as read back; None where the cloud knows no share any more.
        decision: of today's policy; None where the share is gone.
        otherwise: the reason to tell where it is still pending.
    """
    if share is None:
        return conclude(ask, None, None, fate=OutcomeType.SKIPPED, reason=Reason.NOT_SHARED, error_code=error_code)
    if share.owner == project_id:
        return disown(ask, share)
    if share.member_status == wanted:
        is_ours = decision is not None and WANTED.get(decision.action) == wanted
        reason = decision.reason if decision is not None and is_ours else Reason.POLICY_DIFFERS
        return conclude(ask, share, decision, fate=_FATE[wanted], reason=reason, vault_id=vault_id)
    reason = otherwise if share.member_status == "pending" else Reason.SETTLED_OTHERWISE
    return conclude(
        ask, share, decision, fate=OutcomeType.FAILED, reason=reason, vault_id=vault_id, error_code=error_code
    )


def offers(decision: Decision, vault_id: str) -> bool:
    """Say whether the policy could have chosen this vault for the share."""
    return any(entry.vault == vault_id or vault_id in entry.candidates or entry.tags for entry in decision.vaults)
