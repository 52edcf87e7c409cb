"""Compares shares that were settled earlier with what today's policy would do. Pure; settles and tells nothing.

The cloud does not say who settled a share, and Doorman keeps nothing. Where the policy leaves a share to a person (a
hold), it may have been a person who settled it: such drift is told with less noise, and never settled anew.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from doorman.models import Cause, Outcome, OutcomeType, Reason, Share, Status
from doorman.planning.batch import RequestedImage, outcome
from doorman.planning.outcomes import WANTED
from doorman.policy import decision as decisions
from doorman.policy.decision import Decision
from doorman.policy.policy import Policy

PERHAPS_PERSON = {"person": "possible"}
"""The fact that is told of drift which a person's own decision may explain."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """One share that stands otherwise than today's policy would have it; `share.member_status` says how."""

    share: Share
    decision: Decision

    @property
    def wanted(self) -> Status | None:
        """How the policy would have it; None where it would leave it to a person, and nothing can be enforced."""
        return WANTED.get(self.decision.action)

    @property
    def is_perhaps_wanted(self) -> bool:
        """Whether a person may have settled it as the policy asks: it was kept out, or a rule holds it for a person."""
        is_out = self.share.member_status == "rejected"
        return self.wanted is None and (is_out or self.decision.rule is not None)


def find_drift(settled: Iterable[Share], policy: Policy, *, project_id: str, now: datetime) -> tuple[Drift, ...]:
    """Find the shares that today's policy would decide otherwise, in order of their image IDs.

    Args:
        settled: accepted and rejected shares, full-ECS or not known of each.
        project_id: whose own images are left out.
        now: with its time zone.
    """
    found = []
    for share in sorted(settled, key=lambda share: share.image_id):
        if share.owner not in {None, project_id}:
            decision = decisions.decide(share, policy, now=now, at_door=False)
            if not _is_as_decided(share, decision):
                found.append(Drift(share=share, decision=decision))
    return tuple(found)


def conclude_drift(drift: Drift, *, cause: Cause) -> Outcome:
    """Put drift into the words of an outcome; its reason is why the policy would decide so today."""
    decision, more = drift.decision, PERHAPS_PERSON if drift.is_perhaps_wanted else {}
    asked = RequestedImage(image_id=drift.share.image_id, cause=cause)
    told = replace(decision, facts={**decision.facts, **more})
    return outcome(asked, drift.share, told, OutcomeType.DRIFTED, decision.reason)


def _is_as_decided(share: Share, decision: Decision) -> bool:
    # An image that was accepted into a vault stays accepted, whether the policy maps one for it today or not.
    action = "accept" if decision.reason is Reason.VAULT_MISSING else decision.action
    return WANTED.get(action) == share.member_status
