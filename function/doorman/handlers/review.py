"""Reads what was settled earlier and what is used, for `drift` and `image_usage` to compare with today's policy."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import get_args

from doorman.handlers.context import ProjectContext
from doorman.models import Share, Status
from doorman.planning.drift import Drift, find_drift
from doorman.planning.image_usage import Use, find_strange, find_uses
from doorman.runtime.logs import logger

MAX_DRIFTS = 5000
"""Shares of one project that one sweep tells of; the next one tells of others where these are settled anew."""


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


async def review_drift(context: ProjectContext, *, most: int = MAX_DRIFTS) -> Sequence[Drift]:
    """Find the drift of one project that no decision of a person explains, and keep nothing else of what is settled.

    Raises:
        Unavailable: the cloud cannot be read now.
    """
    look = partial(find_drift, policy=context.policy, project_id=context.project_id, now=context.clock.now())

    def has_drifted(share: Share) -> bool:
        return any(not drift.is_perhaps_wanted for drift in look([share]))

    statuses: Sequence[Status] = get_args(Status)
    lists = await asyncio.gather(*(context.cloud.settled_if(each, has_drifted, most=most) for each in statuses))
    if any(len(shares) == most for shares in lists):
        logger().warning("drift.cut", project_id=context.project_id, told=most)
    return look([share for shares in lists for share in shares.values()])


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
