"""Walks the image service's lists of shares, page by page, and no further than what is looked for.

How a list is asked for and reads is the image service's concern, what it is good for `project`'s.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from doorman.cloud.api.base import Answer, Failure, ImageService, Page, Request, Service, classify
from doorman.cloud.api.images import ImageRow, read_first_id, read_row
from doorman.cloud.client import ApiClient
from doorman.errors import Refused, TooLarge, Unavailable
from doorman.models import MemberStatus
from doorman.runtime.logs import logger

RESTARTS = 3
"""Walks before it is given up, each begun since the image that a page begins after was gone."""

GROWTH = 8
"""How much smaller a page is asked for that was too large, and how much larger the one after it."""

FIRST = 64
"""Images in the first page where some are looked for: those just shared are near the beginning."""

RIGHTS: Mapping[Service, str] = {
    "image": "ims:images:list and ims:images:get",
    "cbr": "cbr:vaults:list",
    "compute": "reading servers",
}

T = TypeVar("T")


@dataclass(slots=True, kw_only=True, eq=False)
class Listing:
    """The lists of one served project."""

    project_id: str
    client: ApiClient
    service: ImageService

    async def walk(
        self,
        status: MemberStatus,
        *,
        image_id: str | None = None,
        whole: bool = False,
        wanted: frozenset[str] | None = None,
        visit: Callable[[ImageRow], None] | None = None,
    ) -> dict[str, ImageRow]:
        """Walk the lists of one status to their end, or until all `wanted` were seen; a page at a time is in memory.

        Args:
            image_id: only this one. whole: only images of whole servers.
            wanted: no other image is read.
            visit: takes what is read, which is kept nowhere then; hears it again where a walk begins anew.

        Raises:
            Unavailable: the cloud cannot be read now.
        """
        walked: dict[str, ImageRow] = {}
        for first in self.service.list_shares(status, image_id=image_id, whole=whole):
            left = None if wanted is None else wanted - walked.keys()
            if left is None or left:
                walked |= await _persist(partial(self._walk, self._shorten(first, left), status, left, visit))
        return walked

    def _shorten(self, first: Request, wanted: frozenset[str] | None) -> Request:
        size = min(max(len(wanted or ()), FIRST), self.service.page)
        return first if wanted is None else first.with_param("limit", str(size))

    async def _walk(
        self,
        first: Request,
        status: MemberStatus,
        wanted: frozenset[str] | None,
        visit: Callable[[ImageRow], None] | None,
    ) -> dict[str, ImageRow]:
        walked: dict[str, ImageRow] = {}
        missing = set(wanted or ())
        begun: set[str | None] = {None}  # the first image of each page: a list that goes round in circles ends
        request: Request | None = first
        while request is not None:
            page = await self._page(request, is_first=request is first)
            read = (
                (image_id, read_row(row, project_id=self.project_id, status=status))
                for image_id, row in page.rows.items()
                if wanted is None or image_id in wanted
            )
            for image_id, row in read:
                missing.discard(image_id)
                if visit:
                    visit(row)
                else:
                    walked[image_id] = row
            start = next(iter(page.rows), None)
            request = page.next if (missing or wanted is None) and start not in begun else None
            begun.add(start)
        return walked

    async def _page(self, request: Request, *, is_first: bool) -> Page:
        """Read one page; one that is too large is asked for in smaller pages, down to a single image.

        What follows is asked for in ever larger ones again: many large images make no long walk.
        """
        while True:
            limit = int(dict(request.params)["limit"])
            try:
                page = await self.client.send(request, partial(self.service.read_page, asked=request))
            except TooLarge as error:
                if limit == 1:
                    return self._skip(request, error)
                request = request.with_param("limit", str(max(limit // GROWTH, 1)))
            except Refused as error:
                raise (explain(request, error) if is_first else _MarkerLostError()) from error
            else:
                larger = str(min(limit * GROWTH, self.service.page))
                return Page(rows=page.rows, next=page.next and page.next.with_param("limit", larger))

    def _skip(self, request: Request, error: TooLarge) -> Page:
        """Go on behind an image that is too large to be read; of it only its ID is known."""
        image_id = read_first_id(error.start)
        if image_id is None:
            raise Unavailable("image list: one image is too large to be read, and its ID cannot be found") from error
        logger().warning("image.too_large", project_id=self.project_id, image_id=image_id)
        return Page(rows={image_id: {"id": image_id}}, next=request.after(image_id).with_param("limit", str(GROWTH)))


class _MarkerLostError(Exception):
    """The image that a page begins after is gone: the walk starts again."""


async def _persist(walk: Callable[[], Awaitable[T]]) -> T:
    for _ in range(RESTARTS):
        try:
            return await walk()
        except _MarkerLostError:
            continue
    raise Unavailable("image list: it changes faster than it can be read")


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
        right = RIGHTS[request.service]
        return Unavailable(f"the cloud denied the {request.service} list ({error.code}): grant {right} in this project")
    return Unavailable(f"{error} to GET {request.path}")
