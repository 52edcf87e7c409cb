"""What one project asks of its cloud, in the product's own nouns: lists, member rows, settling, jobs, vaults.

`ims`, `glance` and `cbr` know the APIs, `line` sends. Decides nothing.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeVar

from . import cbr, glance, ims
from .api import Answer, Failure, Page, Request, classify, read_member
from .errors import Refused, Unavailable
from .line import Line
from .shares import Job, JobState, MemberStatus, Share, Status, Vault

RESTARTS = 3
FEW = 3
"""Up to so many images are looked for one by one, more of them by walking the list."""

T = TypeVar("T")


class Dialect(Protocol):
    """How one kind of image service is asked for lists."""

    def list_shares(self, status: MemberStatus, *, image_id: str | None = None, full_ecs: bool = False) -> Request:
        """Build the request for the first page."""
        ...

    def read_page(self, answer: Answer, asked: Request, *, project_id: str, status: MemberStatus) -> Page:
        """Read one page, and what to ask for the next one."""
        ...


@dataclass(slots=True, kw_only=True)
class Cloud:
    """One served project's view of its cloud.

    Raises, in every method:
        Unavailable: not now, or our login or reading rights are refused.
        Refused: the cloud says no to a write, with its code.
    """

    project_id: str
    line: Line
    is_ims: bool
    _whole: dict[str, bool] = field(default_factory=dict)

    async def pending(self, image_id: str | None = None) -> dict[str, Share]:
        """List what waits for a decision, full-ECS or not told of each; our own images are among it.

        Args:
            image_id: only this one.
        """
        shares = await self._walk("pending", image_id=image_id)
        if not self.is_ims:
            return {key: _as_whole(share, whole=False) for key, share in shares.items()}
        known = {key: share.full_ecs for key, share in shares.items()} | {
            key: whole for key, whole in self._whole.items() if key in shares
        }
        unknown = [key for key, whole in known.items() if whole is None and shares[key].owner != self.project_id]
        if unknown:
            whole = await self._walk("pending", image_id=image_id, full_ecs=True)
            known |= {key: key in whole for key in unknown}
        if image_id is None:
            # An image never changes from one kind to the other, so what was learnt need not be asked again.
            self._whole = {key: value for key, value in known.items() if value is not None}
        return {key: _as_whole(share, whole=known[key]) for key, share in shares.items()}

    async def find(self, status: MemberStatus, images: Collection[str], *, full_ecs: bool = False) -> dict[str, Share]:
        """Read those of the images that stand in the list of this status; `full_ecs`: only those of whole servers."""
        if len(images) > FEW:
            return await self._walk(status, wanted=frozenset(images), full_ecs=full_ecs)
        found: dict[str, Share] = {}
        for image_id in images:
            found |= await self._walk(status, image_id=image_id, wanted=frozenset({image_id}), full_ecs=full_ecs)
        return found

    async def member_status(self, image_id: str) -> MemberStatus | None:
        """Read our own member row of an image; None where the cloud knows no such share."""
        return await self._read(glance.show_member(image_id, project_id=self.project_id), read_member)

    async def submit(self, images: Sequence[str], *, status: Status, vault_id: str | None) -> str:
        """Start the job that settles these images; answers its ID."""
        request = ims.update_members(images, project_id=self.project_id, status=status, vault_id=vault_id)
        return await self.line.send(request, ims.read_job_id)

    async def settle(self, image_id: str, *, status: Status) -> None:
        """Settle one image at once, where the cloud has no jobs."""
        await self.line.send(
            glance.update_member(image_id, project_id=self.project_id, status=status), glance.read_updated
        )

    async def job(self, job_id: str) -> Job:
        """Read a job: at the classic endpoint, and at the newer one where that does not know it."""
        job = Job(state=JobState.UNKNOWN)
        for request in ims.show_job(job_id, project_id=self.project_id):
            job = await self._read(request, ims.read_job)
            if job.state is not JobState.UNKNOWN:
                break
        return job

    async def vaults(self) -> tuple[Vault, ...]:
        """List the vaults that can take server backups."""
        found: dict[str, Vault] = {}
        offset = 0
        while True:
            page = await self._read(cbr.list_vaults(project_id=self.project_id, offset=offset), cbr.read_vaults)
            fresh = {vault.vault_id: vault for vault in page.vaults if vault.vault_id not in found}
            found |= fresh
            offset += page.rows
            if page.rows < cbr.PAGE or not fresh:
                return tuple(found.values())

    async def _walk(
        self,
        status: MemberStatus,
        *,
        image_id: str | None = None,
        full_ecs: bool = False,
        wanted: frozenset[str] | None = None,
    ) -> dict[str, Share]:
        dialect: Dialect = ims if self.is_ims else glance
        first = dialect.list_shares(status, image_id=image_id, full_ecs=full_ecs)
        for _ in range(RESTARTS):
            found: dict[str, Share] = {}
            request: Request | None = first
            try:
                while request is not None:
                    asked = request
                    page = await self._read(
                        asked,
                        lambda answer, asked=asked: dialect.read_page(  # type: ignore[misc]
                            answer, asked, project_id=self.project_id, status=status
                        ),
                        lost=request is not first,
                    )
                    fresh = {share.image_id: share for share in page.shares if share.image_id not in found}
                    found |= fresh
                    request = page.next if fresh else None
                    if wanted is not None and wanted <= found.keys():
                        request = None
            except _MarkerLostError:
                continue
            return found if wanted is None else {key: share for key, share in found.items() if key in wanted}
        raise Unavailable("image list: it changes faster than it can be read")

    async def _read(self, request: Request, read: Callable[[Answer], T], *, lost: bool = False) -> T:
        try:
            return await self.line.send(request, read)
        except Refused as error:
            if lost:
                raise _MarkerLostError from error
            raise Unavailable(_explain(request, error)) from error


class _MarkerLostError(Exception):
    """The image that a page begins after is gone: the walk starts again."""


def _explain(request: Request, error: Refused) -> str:
    if classify(code=error.code, status=error.status) is Failure.PERMISSION:
        right = {"image": "ims:images:list and ims:images:get", "cbr": "cbr:vaults:list"}.get(
            request.service, "reading"
        )
        return f"the cloud refuses us to read ({error.code}); grant {right} in this project"
    return f"{error} to GET {request.path}"


def _as_whole(share: Share, *, whole: bool | None) -> Share:
    return share if share.full_ecs is whole else replace(share, full_ecs=whole)
