"""Walks the image service's lists of shares, page by page, and no further than what is looked for.

How a list is asked for and reads is `ims`' and `glance`'s concern, what it is good for `cloud`'s.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from doorman.cloud.api import glance, ims
from doorman.cloud.api.base import Answer, Failure, Page, Request, classify
from doorman.cloud.api.images import read_share
from doorman.cloud.client import ApiClient
from doorman.errors import Refused, Unavailable
from doorman.models import MemberStatus, Share

RESTARTS = 3
"""Walks before it is given up, each begun since the image that a page begins after was gone."""

_RIGHTS = {"image": "ims:images:list and ims:images:get", "cbr": "cbr:vaults:list", "compute": "reading servers"}

T = TypeVar("T")


class Dialect(Protocol):
    """How one kind of image service is asked for lists."""

    def list_shares(self, status: MemberStatus, *, image_id: str | None = None, full_ecs: bool = False) -> Request:
        """Build the request for the first page."""
        ...

    def read_page(self, answer: Answer, asked: Request) -> Page:
        """Read one page, and what to ask for the next one."""
        ...


@dataclass(slots=True)
class Walked:
    """What a walk saw: the IDs of all images, and the shares that were read of them; how many pages it took."""

    ids: set[str] = field(default_factory=set)
    shares: dict[str, Share] = field(default_factory=dict)
    pages: int = 0
    is_whole: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Lists:
    """The lists of one served project."""

    project_id: str
    client: ApiClient
    dialect: Dialect

    async def walk(
        self,
        status: MemberStatus,
        *,
        image_id: str | None = None,
        full_ecs: bool = False,
        wanted: frozenset[str] | None = None,
        pages: int | None = None,
    ) -> Walked:
        """Walk the list of one status to its end, or until all `wanted` were seen.

        Args:
            image_id: only this one. full_ecs: only images of whole servers.
            wanted: where the first page has them all, no other share is read.
            pages: go no further.

        Raises:
            Unavailable: the cloud cannot be read now.
        """
        first = self.dialect.list_shares(status, image_id=image_id, full_ecs=full_ecs)
        for _ in range(RESTARTS):
            try:
                return await self._walk(first, status, wanted=wanted, pages=pages)
            except _MarkerLostError:
                continue
        raise Unavailable("image list: it changes faster than it can be read")

    async def _walk(
        self, first: Request, status: MemberStatus, *, wanted: frozenset[str] | None, pages: int | None
    ) -> Walked:
        walked = Walked()
        request: Request | None = first
        while request is not None and walked.pages != pages:
            page = await self._page(request, is_first=request is first)
            fresh = page.rows.keys() - walked.ids
            walked.ids |= fresh
            walked.pages += 1
            is_enough = wanted is not None and wanted <= walked.ids
            read = fresh & wanted if wanted is not None and is_enough and walked.pages == 1 else fresh
            walked.shares |= {
                key: read_share(row, project_id=self.project_id, status=status)
                for key, row in page.rows.items()
                if key in read
            }
            request = page.next if fresh and not is_enough else None
        walked.is_whole = request is None
        return walked

    async def _page(self, request: Request, *, is_first: bool) -> Page:
        try:
            return await self.client.send(request, lambda answer: self.dialect.read_page(answer, request))
        except Refused as error:
            if not is_first:
                raise _MarkerLostError from error
            raise explain(request, error) from error


class _MarkerLostError(Exception):
    """The image that a page begins after is gone: the walk starts again."""


async def read(client: ApiClient, request: Request, reader: Callable[[Answer], T]) -> T:
    """Read something else than a list.

    Raises:
        Unavailable: not now, or reading is refused: that is for people to put right, and then worth a redelivery.
    """
    try:
        return await client.send(request, reader)
    except Refused as error:
        raise explain(request, error) from error


def explain(request: Request, error: Refused) -> Unavailable:
    """Say what a refused reading lacks."""
    if classify(code=error.code, status=error.status) is Failure.PERMISSION:
        right = _RIGHTS[request.service]
        return Unavailable(f"the cloud refuses us to read ({error.code}); grant {right} in this project")
    return Unavailable(f"{error} to GET {request.path}")


def dialect_of(*, is_ims: bool) -> Dialect:
    """Give the dialect of the image service."""
    return ims if is_ims else glance
