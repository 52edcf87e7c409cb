"""What one project asks of its cloud, in the product's own nouns: lists, member rows, settling, jobs, vaults.

`ims`, `glance` and `cbr` know the APIs, `lists` walks, `line` sends. Decides nothing.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from doorman.cloud.api import cbr, glance, ims
from doorman.cloud.api.base import read_member
from doorman.cloud.client import ApiClient
from doorman.cloud.listing import Lists, dialect_of, read
from doorman.models import Job, JobState, MemberStatus, Share, Status, Vault

if TYPE_CHECKING:
    from doorman.cloud.api.nova import Server

FEW = 3
"""Up to so many images are looked for one by one, more of them by walking the list."""

MEMORY = 1.0
"""Seconds for which a list of several pages may serve again."""

MANY = 20_000
"""Images of which is remembered whether they are of whole servers."""


@dataclass(slots=True, kw_only=True)
class Cloud:
    """One served project's view of its cloud.

    Raises, in every method:
        Unavailable: not now, or our login or reading rights are refused.
        Refused: the cloud says no to a write, with its code.
    """

    project_id: str
    client: ApiClient
    is_ims: bool
    _whole: dict[str, bool] = field(default_factory=dict)
    _seen: dict[str, Share] = field(default_factory=dict)
    _seen_at: float = 0.0
    _long: set[MemberStatus] = field(default_factory=set)

    async def pending(self, images: Collection[str] | None = None) -> dict[str, Share]:
        """List what waits for a decision, full-ECS or not told of each; our own images are among it.

        Args:
            images: only these, as far as they are listed.
        """
        wanted = None if images is None else frozenset(images)
        image_id = next(iter(images)) if images is not None and len(images) == 1 else None
        began = self.client.clock.monotonic()
        walked = await self._lists.walk("pending", image_id=image_id, wanted=wanted)
        shares = walked.shares if wanted is None else {key: walked.shares[key] for key in wanted & walked.ids}
        await self._learn_kinds(shares.values(), "pending", walked.ids, image_id=image_id)
        if wanted is not None and walked.pages > 1:
            self._seen, self._seen_at = walked.shares, began
        return {key: self._complete(share) for key, share in shares.items()}

    async def settled(self, status: Status) -> dict[str, Share]:
        """List what is settled so, full-ECS or not told of each; our own images are among it."""
        walked = await self._lists.walk(status)
        await self._learn_kinds(walked.shares.values(), status, walked.ids)
        return {key: self._complete(share) for key, share in walked.shares.items()}

    def recall(self, images: Collection[str]) -> dict[str, Share] | None:
        """Give these images as a list of several pages showed them a moment ago; None where one of them is not in it.

        Such a list proves neither that an image is absent nor that it still waits: see `find_briefly`.
        """
        if self.client.clock.monotonic() - self._seen_at > MEMORY:
            self._seen = {}
        if not all(image in self._seen for image in images):
            return None
        shares = {image: self._complete(self._seen[image]) for image in images}
        return None if any(share.full_ecs is None for share in shares.values()) else shares

    async def find_briefly(self, status: MemberStatus, images: Collection[str]) -> frozenset[str] | None:
        """Find which of the images stand in the list of this status; None where one call does not tell."""
        if status in self._long:
            return None
        walked = await self._lists.walk(status, wanted=frozenset(images), pages=1)
        found = frozenset(images) & walked.ids
        if not walked.is_whole and not found:
            # It will hardly get shorter: not asked in vain again.
            self._long.add(status)
            return None
        return found

    async def find(self, status: MemberStatus, images: Collection[str]) -> dict[str, Share]:
        """Read those of the images that stand in the list of this status, full-ECS or not told of each."""
        found: dict[str, Share] = {}
        if len(images) > FEW:
            walked = await self._lists.walk(status, wanted=frozenset(images))
            found = {image: walked.shares[image] for image in images if image in walked.shares}
        else:
            for image_id in images:
                walked = await self._lists.walk(status, image_id=image_id)
                found |= {key: share for key, share in walked.shares.items() if key == image_id}
        await self._learn_kinds(found.values(), status, found, image_id=next(iter(found)) if len(found) == 1 else None)
        return {key: self._complete(share) for key, share in found.items()}

    async def member_status(self, image_id: str) -> MemberStatus | None:
        """Read our own member row of an image; None where the cloud knows no such share."""
        return await read(self.client, glance.show_member(image_id, project_id=self.project_id), read_member)

    async def submit(self, images: Sequence[str], *, status: Status, vault_id: str | None) -> str:
        """Start the job that settles these images; answers its ID."""
        self._forget(images)
        request = ims.update_members(images, project_id=self.project_id, status=status, vault_id=vault_id)
        return await self.client.send(request, ims.read_job_id)

    async def settle(self, image_id: str, *, status: Status) -> None:
        """Settle one image at once, where the cloud has no jobs."""
        self._forget([image_id])
        await self.client.send(
            glance.update_member(image_id, project_id=self.project_id, status=status), glance.read_updated
        )

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
        found: dict[str, Vault] = {}
        offset = 0
        while True:
            page = await read(self.client, cbr.list_vaults(project_id=self.project_id, offset=offset), cbr.read_vaults)
            fresh = {vault.vault_id: vault for vault in page.vaults if vault.vault_id not in found}
            found |= fresh
            offset += page.rows
            if page.rows < cbr.PAGE or not fresh:
                return tuple(found.values())

    async def servers(self) -> "tuple[Server, ...]":
        """List the project's servers that were booted from images."""
        from doorman.cloud.api import nova  # noqa: PLC0415 - no function asks for them, only a command

        found: dict[str, Server] = {}
        request = nova.list_servers()
        markers: set[str] = set()
        while True:
            page = await read(self.client, request, nova.read_servers)
            found |= {server.server_id: server for server in page.servers}
            if page.last is None or page.last in markers:
                return tuple(found.values())
            markers.add(page.last)
            request = nova.list_servers(marker=page.last)

    async def image(self, image_id: str) -> Share:
        """Read one image by itself, where no list shows it; what it does not tell stays unknown."""
        reader = partial(glance.read_image, image_id=image_id, project_id=self.project_id)
        share = await self.client.send(glance.show_image(image_id), reader)
        return self._complete(share or Share(image_id=image_id, project_id=self.project_id))

    async def is_visible(self, image_id: str) -> bool:
        """Say whether we can see an image at all: shared with us, our own or public."""
        return await read(self.client, glance.show_image(image_id), glance.read_visible)

    @property
    def _lists(self) -> Lists:
        return Lists(project_id=self.project_id, client=self.client, dialect=dialect_of(is_ims=self.is_ims))

    def _forget(self, images: Iterable[str]) -> None:
        """Forget what is known of images that are being settled; should that fail, they are looked at afresh."""
        for image in images:
            self._seen.pop(image, None)
            self._whole.pop(image, None)

    async def _learn_kinds(
        self, shares: Iterable[Share], status: MemberStatus, listed: Collection[str], *, image_id: str | None = None
    ) -> None:
        """Ask which of the listed images are of whole servers, where that is not known of all `shares`."""
        if all(self._is_whole(share) is not None or share.owner == self.project_id for share in shares):
            return
        whole = await self._lists.walk(status, image_id=image_id, full_ecs=True)
        if len(self._whole) > MANY:
            self._whole.clear()
        # An image never changes from one kind to the other, so what was learnt need not be asked again.
        self._whole |= {key: key in whole.ids for key in listed}

    def _is_whole(self, share: Share) -> bool | None:
        if not self.is_ims:
            return False
        return self._whole.get(share.image_id) if share.full_ecs is None else share.full_ecs

    def _complete(self, share: Share) -> Share:
        whole = self._is_whole(share)
        return share if share.full_ecs is whole else replace(share, full_ecs=whole)
