"""Reads back how shares stand with the cloud now, and says what that makes of what was wanted."""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import replace

from doorman.cloud.project import Cloud
from doorman.models import MemberStatus, Share, Status

FEW_ROWS = 20
"""Up to so many images are read by their own member rows, more of them by lists."""


async def read_current(cloud: Cloud, images: Sequence[str]) -> dict[str, Share | None]:
    """Read how each image stands: its share with the status that the cloud tells, None where it knows no share.

    Whether a share is full-ECS is known, or no list shows it: what is decided of it rests on whole facts.

    Raises:
        Unavailable: the cloud cannot be read now.
    """
    return await (_read_by_rows if len(images) <= FEW_ROWS else _read_by_lists)(cloud, images)


async def read_back(cloud: Cloud, images: Sequence[str], *, status: Status) -> dict[str, Share | None]:
    """Read how images stand of which most should be settled as `status`, as whole as `read_standings` does.

    Raises:
        Unavailable: the cloud cannot be read now.
    """
    found = await cloud.find(status, images)
    rest = [image for image in images if image not in found]
    standings = {**found, **(await read_current(cloud, rest) if rest else {})}
    # Just settled, a share may have left one list and stand in no other yet: only its own row says that it is gone.
    gone = [image for image in rest if standings[image] is None]
    return standings if len(rest) <= FEW_ROWS else {**standings, **(await _read_by_rows(cloud, gone))}


async def _read_by_rows(cloud: Cloud, images: Sequence[str]) -> dict[str, Share | None]:
    statuses = await asyncio.gather(*(cloud.member_status(image) for image in images))
    standings: dict[str, Share | None] = dict.fromkeys(images)
    for status in sorted({status for status in statuses if status is not None}):
        wanted = [image for image, has in zip(images, statuses, strict=True) if has == status]
        found = await cloud.find(status, wanted)
        # The row is the truth of the status, also where a list lags behind it.
        missing = [image for image in wanted if image not in found]
        shown = dict(zip(missing, await asyncio.gather(*map(cloud.image, missing)), strict=True))
        standings |= {image: replace(share, member_status=status) for image, share in {**found, **shown}.items()}
    return standings


async def _read_by_lists(cloud: Cloud, images: Collection[str]) -> dict[str, Share | None]:
    standings: dict[str, Share | None] = dict.fromkeys(images)
    # A share that is settled meanwhile leaves the first list for a later one: none is missed and taken for gone.
    order: tuple[MemberStatus, ...] = ("pending", "accepted", "rejected")
    for status in order:
        rest = [image for image, share in standings.items() if share is None]
        if rest:
            standings |= await cloud.find(status, rest)
    return standings
