"""What one served project asks of its cloud, in the product's own nouns: shares, member rows, settling, jobs, vaults.

This is the one door through which shares come in: each is complete, with all facts that the cloud tells anywhere.
`api` knows the APIs, `listing` walks, `client` sends. Decides nothing.
"""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from doorman.cloud.api import glance, ims
from doorman.cloud.api.base import ImageService, read_member
from doorman.cloud.api.images import ImageRow
from doorman.cloud.client import ApiClient
from doorman.cloud.listing import Listing, read
from doorman.errors import Denied
from doorman.models import Job, JobState, MemberRow, MemberStatus, Share, Status, Vault
from doorman.runtime.logs import logger

if TYPE_CHECKING:
    from doorman.cloud.api.nova import Server

FEW = 3
"""Up to so many images are looked for one by one, more of them by walking the list."""


@dataclass(slots=True, kw_only=True, eq=False)
class Cloud:
    """One served project's view of its cloud.

    Raises, in every method:
        Unavailable: not now, or our login or reading rights are refused.
        Refused: the cloud says no to a write, with its code.
    """

    project_id: str
    client: ApiClient
    service: ImageService

    async def pending(self, images: Collection[str] | None = None) -> dict[str, Share]:
        """List what waits for a decision; our own images are among it.

        Args:
            images: only these, as far as they are listed.
        """
        return await self.listed("pending", images)

    async def settled_if(self, status: Status, keep: Callable[[Share], bool], *, most: int) -> dict[str, Share]:
        """List what is settled so and is to be kept; of a list of any length nothing else is remembered but some IDs.

        Args:
            keep: asked of each share; where only another list says whether it is of a whole server, both ways.
            most: shares to keep, at most.
        """
        found: dict[str, Share] = {}
        doubtful: set[str] = set()
        is_unsaid = False

        def take(share: Share) -> None:
            if keep(share) and (len(found) < most or share.image_id in found):
                found[share.image_id] = share

        def see(row: ImageRow) -> None:
            nonlocal is_unsaid
            plain = row.complete(full_ecs=False)
            if row.tells_full_ecs or not self.service.has_whole_images:
                take(plain)
                return
            is_unsaid |= row.owner != self.project_id
            if keep(row.complete(full_ecs=True)):
                take(plain)
            elif keep(plain):
                doubtful.add(plain.image_id)

        def see_whole(row: ImageRow) -> None:
            share = row.complete(full_ecs=True)
            doubtful.discard(share.image_id)
            take(share)

        await self._listing.walk(status, visit=see)
        if is_unsaid:
            await self._listing.walk(status, whole=True, visit=see_whole)
        if left := frozenset(sorted(doubtful)[:most]):
            await self._listing.walk(status, wanted=left, visit=lambda row: take(row.complete(full_ecs=False)))
        return found

    async def listed(self, status: MemberStatus, images: Collection[str] | None = None) -> dict[str, Share]:
        """Read those of the images that stand in the list of this status, in one walk; None: all."""
        wanted = None if images is None else frozenset(images)
        only = next(iter(wanted)) if wanted is not None and len(wanted) == 1 else None
        rows = await self._listing.walk(status, image_id=only, wanted=wanted)
        return await self._complete(rows, status, only=only)

    async def find(self, status: MemberStatus, images: Collection[str]) -> dict[str, Share]:
        """Read those of the images that stand in the list of this status."""
        if len(images) > FEW:
            return await self.listed(status, images)
        found: dict[str, Share] = {}
        for image_id in images:
            found |= await self.listed(status, [image_id])
        return found

    async def member(self, image_id: str) -> MemberRow | None:
        """Read our own member row of an image; None where the cloud knows no such share."""
        return await read(self.client, glance.show_member(image_id, project_id=self.project_id), read_member)

    async def image(self, image_id: str, member: MemberRow | None = None) -> Share:
        """Read one image by itself, where no list shows it; what the cloud does not tell stays unknown."""
        reader = partial(glance.read_image, image_id=image_id, project_id=self.project_id)
        try:
            row = await self.client.send(glance.show_image(image_id), reader)
        except Denied:
            # An application credential whose access rules do not name this call: the others go on.
            fix = "let the access rules name GET /v2/images/{image_id}"
            logger().warning("image.denied", project_id=self.project_id, image_id=image_id, fix=fix)
            row = None
        row = row or ImageRow(
            Share(image_id=image_id, project_id=self.project_id, full_ecs=False), tells_full_ecs=False
        )
        return row.complete(None if self.service.has_whole_images else False, member)

    async def is_visible(self, image_id: str) -> bool:
        """Say whether we can see an image at all: shared with us, our own or public."""
        return await read(self.client, glance.show_image(image_id), glance.read_visible)

    async def settle(
        self, images: Sequence[str], *, status: Status, vault_id: str | None = None, until: float = math.inf
    ) -> str:
        """Settle these images, once; gives the ID of the job that does so, empty where there are no jobs.

        Args:
            until: by the monotonic clock, when the call must have begun; else it is not made (`Late`).
        """
        request = self.service.settle(images, project_id=self.project_id, status=status, vault_id=vault_id)
        return await self.client.write(request, self.service.read_settled, until=until)

    async def job(self, job_id: str) -> Job:
        """Read a job: at the classic endpoint, and at the newer one where that does not know it."""
        job = Job(state=JobState.UNKNOWN)
        for request in ims.show_job(job_id, project_id=self.project_id):
            job = await read(self.client, request, ims.read_job)
            if job.state is not JobState.UNKNOWN:
                break
        return job

    async def vaults(self) -> tuple[Vault, ...]:
        """List the vaults that can take server backups."""
        from doorman.cloud.api import cbr  # noqa: PLC0415 - only a choice among vaults needs it

        found: dict[str, Vault] = {}
        offset = 0
        while True:
            request = cbr.list_vaults(project_id=self.project_id, offset=offset)
            vaults, rows = await read(self.client, request, cbr.read_vaults)
            fresh = {vault.vault_id: vault for vault in vaults if vault.vault_id not in found}
            found |= fresh
            offset += rows
            if rows < cbr.PAGE or not fresh:
                return tuple(found.values())

    async def servers(self) -> tuple["Server", ...]:
        """List the servers that were booted from images."""
        from doorman.cloud.api import nova  # noqa: PLC0415 - only `reconcile` asks for servers

        found: dict[str, Server] = {}
        markers: set[str | None] = {None}
        request = nova.list_servers()
        while True:
            servers, last = await read(self.client, request, nova.read_servers)
            found |= {server.server_id: server for server in servers}
            if last in markers:
                return tuple(found.values())
            markers.add(last)
            request = nova.list_servers(marker=last)

    @property
    def _listing(self) -> Listing:
        return Listing(project_id=self.project_id, client=self.client, service=self.service)

    async def _complete(
        self, rows: Mapping[str, ImageRow], status: MemberStatus, *, only: str | None
    ) -> dict[str, Share]:
        """Make shares of rows: where one does not tell whether it is of a whole server, a list of those says so."""
        unsaid = frozenset(
            image_id for image_id, row in rows.items() if not row.tells_full_ecs and row.owner != self.project_id
        )
        whole: Mapping[str, ImageRow] = {}
        if unsaid and self.service.has_whole_images:
            whole = await self._listing.walk(status, image_id=only, whole=True, wanted=unsaid)
        return {image_id: row.complete(image_id in whole) for image_id, row in rows.items()}
