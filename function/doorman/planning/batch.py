"""What a batch is about: the images that events asked for, what the cloud says of them, and how policy decides. Pure.

What is done about it is `plan`'s concern, how each image ends that of `outcomes`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from doorman.events.messages import CLOCK_SKEW
from doorman.models import Cause, Notice, Outcome, OutcomeType, Reason, Share, Vault
from doorman.policy import decision as decisions
from doorman.policy.decision import Decision
from doorman.policy.policy import Policy

LOOK_BACK = timedelta(days=1)
"""What was settled longer ago is never told as done for an event, whatever time the event bears."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestedImage:
    """One image that events asked about.

    Attributes:
        since: what was settled from then on (whole seconds) was settled for the event; None: nobody can tell.
        is_young: the cloud may not show it yet.
    """

    image_id: str
    cause: Cause
    tries: int = 1
    tried_vaults: tuple[str, ...] = ()
    since: datetime | None = None
    is_young: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """What the cloud says of the requested images.

    Attributes:
        pending: shares to be decided, with all facts.
        current: of those that do not wait; None where the cloud knows no share.
        unreadable: pending by their own row, yet nothing else is known of them: nothing to decide them by.
        crowds: images of owners with more acceptable ones pending than the policy's limit.
        vaults: for a choice by capacity; None where none was needed, or it could not be read.
        vaults_error: why the vaults could not be read.
    """

    pending: Mapping[str, Share]
    current: Mapping[str, Share | None] = field(default_factory=dict)
    unreadable: frozenset[str] = frozenset()
    crowds: frozenset[str] = frozenset()
    vaults: Sequence[Vault] | None = None
    vaults_error: str | None = None

    def find(self, image_id: str) -> Share | None:
        """Give the share of one image, whether it waits or not; None where the cloud knows none."""
        return self.pending.get(image_id) or self.current.get(image_id)


def merge_notices(notices: Iterable[Notice], *, now: datetime, window: float) -> dict[str, RequestedImage]:
    """Merge what notices ask, by image: the first to arrive is the cause.

    What notices claim counts only as far as all of them claim it: the fewest tries, the vaults that all name.

    Args:
        window: seconds during which a share may not be visible yet.
    """
    requested: dict[str, RequestedImage] = {}
    earliest, visible = now - LOOK_BACK, timedelta(seconds=window)
    for notice in notices:
        sent_at, start = notice.sent_at, notice.counts_from or notice.sent_at
        since = None if start is None else max(start, earliest).replace(microsecond=0)
        is_young = sent_at is not None and -CLOCK_SKEW <= now - sent_at < visible
        for image in notice.images:
            asked = RequestedImage(
                image_id=image,
                cause=notice.cause,
                tries=notice.tries,
                tried_vaults=notice.tried_vaults,
                since=since,
                is_young=is_young,
            )
            known = requested.get(image)
            requested[image] = asked if known is None else _merge(known, asked)
    return requested


def decide(observed: Observed, policy: Policy, *, project_id: str, now: datetime) -> dict[str, Decision]:
    """Decide every share that the cloud shows, except our own images; crowds are held."""
    decided = {
        image: decisions.decide(share, policy, now=now)
        for image, share in observed.pending.items()
        if share.owner != project_id
    }
    for image, share in observed.current.items():
        if share is not None and share.owner not in {None, project_id}:
            decided[image] = decisions.decide(share, policy, now=now, at_door=False)
    crowd = {image: decided[image] for image in observed.crowds if image in decided}
    held = {image: decisions.hold_over_limit(each, policy.accepts_per_owner or 0) for image, each in crowd.items()}
    return {**decided, **held}


def find_crowds(pending: Iterable[Share], policy: Policy, *, project_id: str, now: datetime) -> frozenset[str]:
    """Find the images of which the policy would accept more of one owner at once than its limit allows.

    Args:
        pending: all pending shares of the project.
    """
    if policy.accepts_per_owner is None:
        return frozenset()
    foreign = [share for share in pending if share.owner not in {None, project_id}]
    decided = {share.image_id: decisions.decide(share, policy, now=now) for share in foreign}
    return frozenset(decisions.over_limit(decided, foreign, policy.accepts_per_owner))


def outcome(
    requested: RequestedImage,
    share: Share | None,
    decision: Decision | None,
    kind: OutcomeType,
    reason: Reason,
    *,
    vault_id: str | None = None,
    error_code: str | None = None,
) -> Outcome:
    """Put together the outcome of one image from what was read and decided."""
    return Outcome(
        type=kind,
        image_id=requested.image_id,
        reason=reason,
        cause=requested.cause.id,
        name=share.name if share else None,
        owner=share.owner if share else None,
        rule=decision.rule if decision else None,
        member_status=share.member_status if share else None,
        error_code=error_code,
        vault_id=vault_id,
        decision=decision.action if decision else None,
        facts=decision.facts if decision else None,
        settled_at=share.settled_at if share else None,
        failed_condition=decision.failed_condition if decision else None,
    )


def _merge(known: RequestedImage, asked: RequestedImage) -> RequestedImage:
    moments = [each for each in (known.since, asked.since) if each is not None]
    return replace(
        known,
        tries=min(known.tries, asked.tries),
        tried_vaults=tuple(vault for vault in known.tried_vaults if vault in asked.tried_vaults),
        since=min(moments, default=None),
        is_young=known.is_young or asked.is_young,
    )
