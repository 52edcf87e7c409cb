"""What a round is about: the images that events asked for, what the cloud says of them, and how policy decides. Pure.

What is done about it is `plan`'s concern.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from doorman.events.messages import CLOCK_SKEW
from doorman.models import Cause, Notice, Share, Vault
from doorman.policy import decision as decisions
from doorman.policy.decision import Decision
from doorman.policy.policy import Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestedImage:
    """One image that events asked about; `is_young`: the cloud may not show it yet."""

    image_id: str
    cause: Cause
    tries: int = 1
    tried_vaults: tuple[str, ...] = ()
    is_young: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the cloud says of the asked images.

    Attributes:
        pending: from the pending list.
        standings: of those that it does not show; None where the cloud knows no share.
        unlisted: pending by their own row, yet in no list: nothing is known to decide them by.
        vaults: for a choice by capacity; None where none was needed.
    """

    pending: Mapping[str, Share]
    standings: Mapping[str, Share | None] = field(default_factory=dict)
    unlisted: frozenset[str] = frozenset()
    vaults: Sequence[Vault] | None = None


def merge_notices(notices: Iterable[Notice], *, now: datetime, window: float) -> dict[str, RequestedImage]:
    """Merge what notices ask, by image: the first to arrive is the cause, tries and tried vaults add up.

    Args:
        window: seconds during which a share may not be visible yet.
    """
    asks: dict[str, RequestedImage] = {}
    for notice in notices:
        is_young = notice.sent_at is not None and -CLOCK_SKEW <= now - notice.sent_at < timedelta(seconds=window)
        for image in notice.images:
            known = asks.get(image)
            asks[image] = RequestedImage(
                image_id=image,
                cause=known.cause if known else notice.cause,
                tries=max(known.tries, notice.tries) if known else notice.tries,
                tried_vaults=tuple(dict.fromkeys((known.tried_vaults if known else ()) + notice.tried_vaults)),
                is_young=is_young or (known is not None and known.is_young),
            )
    return asks


def decide(facts: Facts, policy: Policy, *, project_id: str, now: datetime) -> dict[str, Decision]:
    """Decide every share that the cloud shows, except our own images and those that are settled."""
    foreign = [share for share in facts.pending.values() if share.owner != project_id]
    decided = decisions.decide_all(foreign, policy, now=now)
    for image, share in facts.standings.items():
        if share is not None:
            decided[image] = decisions.decide(share, policy, now=now)
    return decided
