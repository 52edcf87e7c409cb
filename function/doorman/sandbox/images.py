"""The list of the image service's own API (IMS); `members` has its members and jobs.

https://docs.otc.t-systems.com/image-management-service/api-ref/
"""

from collections.abc import Callable
from typing import cast

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from doorman.sandbox.access import authenticate, queries
from doorman.sandbox.image_store import STATUSES, ListedStatus
from doorman.sandbox.lists import chosen, common, page, render
from doorman.sandbox.problems import ims
from doorman.sandbox.records import Caller, Image
from doorman.sandbox.state import Cloud

PAGE_SIZE = 500
VISIBILITY = {"gold": "public", "private": "private", "shared": "shared", "market": "community"}


def routes(cloud: Cloud) -> list[BaseRoute]:
    """Name the endpoints."""

    async def list_images(request: Request) -> Response:
        caller = await authenticate(request, cloud)
        return _list(cloud, caller, queries(request))

    return [Route("/v2/cloudimages", list_images)]


def _list(cloud: Cloud, caller: Caller, query: list[tuple[str, str]]) -> Response:
    asked = dict(query)
    visibility = asked.get("visibility") or VISIBILITY.get(asked.get("__imagetype", ""))
    status = asked.get("member_status", "accepted")
    if status not in {*STATUSES, "all"}:
        raise ims("IMG.0001", f"The member_status {status!r} is invalid.")
    limit = asked.get("limit", str(PAGE_SIZE))
    if not limit.isascii() or not limit.isdigit():
        raise ims("IMG.0001", "The limit must be a number of at least 0.")
    found = page(
        cloud.image_store,
        caller.project_id,
        visibility=visibility,
        status=cast("ListedStatus", status),
        after=_marker(cloud, caller, asked.get("marker")),
        limit=min(int(limit), PAGE_SIZE) if cloud.settings.honours_limit else PAGE_SIZE,
        tests=chosen(pair for pair in query if pair[0] not in _ignored(cloud)),
    )
    dialect = "ims+whole" if cloud.settings.whole_image_in_answer else "ims"
    body = b", ".join(render(image, dialect, writer(is_whole_told=dialect != "ims")) for image in found)
    return Response(b'{"images": [' + body + b"]}", media_type="application/json")


def _ignored(cloud: Cloud) -> set[str]:
    """Name the filters that this cloud does not know."""
    known = {"__whole_image": cloud.settings.honours_whole_image, "os_hidden": cloud.settings.honours_os_hidden}
    return {name for name, is_known in known.items() if not is_known}


def _marker(cloud: Cloud, caller: Caller, marker: str | None) -> Image | None:
    """Find the image after which a page starts; a vanished one is refused as Glance does."""
    if marker is None:
        return None
    if marker not in cloud.image_store.images:
        raise ims("IMG.0027", f"The marker image {marker} does not exist.")
    image = cloud.image_store.visible(marker, caller.project_id)
    if image is None:
        raise ims("IMG.0047", f"The marker image {marker} is not yours to see.", 403)
    return image


def writer(*, is_whole_told: bool) -> Callable[[Image], dict[str, object]]:
    """Make what writes an image as a row of the list."""

    def write(image: Image) -> dict[str, object]:
        told: dict[str, object] = common(image) | {
            "__imagetype": "shared" if image.visibility == "shared" else image.visibility,
            "__image_size": str(int(image.size_gb * 1024**3)),
            "__isregistered": "true",
            "__image_source_type": "uds",
            "__os_type": "Linux",
            "__os_bit": "64",
            "__platform": "Ubuntu",
            "__os_version": "Ubuntu 22.04 server 64bit",
            "virtual_env_type": "FusionCompute",
        }
        if image.backup_id:
            told["__backup_id"] = image.backup_id
        if is_whole_told and image.full_ecs:
            told["__whole_image"] = "true"
        return told | image.properties

    return write
