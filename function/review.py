"""Reads what was settled earlier, for `drift` to compare with today's policy."""

import asyncio

from .desk import Desk
from .drift import Drift, find_drift


async def review(desk: Desk) -> tuple[Drift, ...]:
    """Find the drift of one project, from the lists of accepted and rejected shares.

    Raises:
        Unavailable: the cloud cannot be read now.
    """
    lists = await asyncio.gather(desk.cloud.settled("accepted"), desk.cloud.settled("rejected"))
    shares = [share for listed in lists for share in listed.values()]
    return find_drift(shares, desk.policy, project_id=desk.project_id, now=desk.clock.now())
