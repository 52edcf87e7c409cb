"""Reads how shares stand with the cloud now: by their own member rows, or by the lists of each status."""

import asyncio
from collections.abc import Collection, Sequence

from doorman.cloud.api.images import with_member
from doorman.cloud.project import Cloud
from doorman.models import FEW_ROWS, MAX_IMAGES, MemberRow, MemberStatus, Share, Status


async def read_current(cloud: Cloud, images: Sequence[str], *, max_rows: int = FEW_ROWS) -> dict[str, Share | None]:
    """Read how each image stands: its share with the status that the cloud tells, None where it knows no share.

    A share of which nothing can be read but its member row has no owner.

    Args:
        max_rows: up to so many are read by their own member rows.

    Raises:
        Unavailable: the cloud cannot be read now.
    """
    return await (_read_by_rows if len(images) <= max_rows else _read_by_lists)(cloud, images)


async def read_back(
    cloud: Cloud, images: Sequence[str], *, status: Status, max_rows: int = MAX_IMAGES
) -> dict[str, Share | None]:
    """Read how images stand of which most should be settled as `status`, as whole as `read_current` does.

    Args:
        max_rows: so many of those that no list shows are looked for by their own rows.

    Raises:
        Unavailable: the cloud cannot be read now.
    """
    if len(images) <= 1:
        return await read_current(cloud, images)
    found = await cloud.find(status, images)
    rest = [image for image in images if image not in found]
    current = {**found, **(await read_current(cloud, rest, max_rows=min(FEW_ROWS, max_rows)) if rest else {})}
    # Just settled, a share may have left one list and stand in no other yet: only its own row says that it is gone.
    gone = [image for image in rest if current[image] is None]
    unsure = gone if len(rest) > FEW_ROWS and len(gone) <= max_rows else []
    return {**current, **(await _read_by_rows(cloud, unsure) if unsure else {})}


async def _read_by_rows(cloud: Cloud, images: Sequence[str]) -> dict[str, Share | None]:
    rows = dict(zip(images, await asyncio.gather(*map(cloud.member, images)), strict=True))
    known = {image: row for image, row in rows.items() if row is not None}
    if not cloud.service.has_whole_images:
        shares = await asyncio.gather(*(cloud.image(image, row) for image, row in known.items()))
        return {**dict.fromkeys(images), **dict(zip(known, shares, strict=True))}
    found: dict[str, Share | None] = dict.fromkeys(images)
    for status in sorted({row.status for row in known.values()}):
        found |= await _read_listed(cloud, status, {image: row for image, row in known.items() if row.status == status})
    return found


async def _read_listed(cloud: Cloud, status: MemberStatus, rows: dict[str, MemberRow]) -> dict[str, Share]:
    """Read shares from the list of their status, which tells more than the image by itself."""
    listed = await cloud.find(status, rows)
    missing = [image for image in rows if image not in listed]
    shown = await asyncio.gather(*(cloud.image(image, rows[image]) for image in missing))
    found = {image: with_member(share, rows[image]) for image, share in listed.items()}
    return {**found, **dict(zip(missing, shown, strict=True))}


async def _read_by_lists(cloud: Cloud, images: Collection[str]) -> dict[str, Share | None]:
    current: dict[str, Share | None] = dict.fromkeys(images)
    # A share that is settled meanwhile leaves the first list for a later one: none is missed and taken for gone.
    order: tuple[MemberStatus, ...] = ("pending", "accepted", "rejected")
    for status in order:
        rest = [image for image, share in current.items() if share is None]
        if rest:
            # Where rows may not be read a walk is what the caller may cause, and nothing beside it.
            current |= await (cloud.find if len(images) > FEW_ROWS else cloud.listed)(status, rest)
    return current
