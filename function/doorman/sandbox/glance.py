"""The native image API (Glance v2): versions, list and show; `glance_members` has its members.

https://docs.openstack.org/api-ref/image/v2/
"""

from hashlib import md5, sha512
from typing import cast
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from doorman.sandbox import glance_members
from doorman.sandbox.access import authenticate_native, queries
from doorman.sandbox.glance_members import visible_image
from doorman.sandbox.image_store import STATUSES, ListedStatus
from doorman.sandbox.lists import chosen, common, page, render
from doorman.sandbox.problems import glance
from doorman.sandbox.records import Caller, Image
from doorman.sandbox.state import Cloud

PAGE_SIZE, MAX_PAGE_SIZE = 25, 1000
VISIBILITIES = {"community", "public", "private", "shared", "all"}


def routes(cloud: Cloud) -> list[BaseRoute]:
    """Name the endpoints, at the root and once more below `/image`, as some clouds have it."""

    async def versions(request: Request) -> Response:
        base = str(request.base_url).rstrip("/")
        known = [("v2.9", "CURRENT"), *((f"v2.{minor}", "SUPPORTED") for minor in range(8, -1, -1))]
        links = [{"rel": "self", "href": f"{base}/v2/"}]
        return JSONResponse({"versions": [{"id": i, "status": s, "links": links} for i, s in known]}, 300)

    async def list_images(request: Request) -> Response:
        caller = await authenticate_native(request, cloud)
        return _list(cloud, caller, queries(request))

    async def show_image(request: Request) -> Response:
        caller = await authenticate_native(request, cloud)
        image = visible_image(cloud, caller, request)
        return Response(render(image, "glance", _write), media_type="application/json")

    found: list[BaseRoute] = [
        Route("/v2/images", list_images),
        Route("/v2/images/{image_id}", show_image),
        *glance_members.routes(cloud),
        Route("/", versions),
        Route("/versions", versions),
    ]
    return [*found, Mount("/image", routes=found)]


def _list(cloud: Cloud, caller: Caller, query: list[tuple[str, str]]) -> Response:
    asked = dict(query)
    status, visibility = asked.get("member_status", "accepted"), asked.get("visibility")
    if status not in {*STATUSES, "all"}:
        raise glance(400, "Bad Request", f"Invalid status: {status}")
    if visibility is not None and visibility not in VISIBILITIES:
        raise glance(400, "Bad Request", f"Invalid visibility value: {visibility}")
    limit = _limit(asked.get("limit"))
    found = page(
        cloud.image_store,
        caller.project_id,
        visibility=visibility,
        status=cast("ListedStatus", status),
        after=_marker(cloud, caller, asked.get("marker")),
        limit=limit,
        tests=chosen([("os_hidden", "false"), *query]),
    )
    links = [("schema", "/v2/schemas/images"), ("first", _link(asked, None))]
    if found and len(found) == limit:
        links.append(("next", _link(asked, found[-1].id)))
    body = b", ".join(render(image, "glance", _write) for image in found)
    tail = ", ".join(f'"{name}": "{link}"' for name, link in links).encode()
    return Response(b'{"images": [' + body + b"], " + tail + b"}", media_type="application/json")


def _limit(text: str | None) -> int:
    try:
        limit = PAGE_SIZE if text is None else int(text)
    except ValueError:
        raise glance(400, "Bad Request", "limit param must be an integer") from None
    if limit < 0:
        raise glance(400, "Bad Request", "limit param must be positive")
    return min(limit, MAX_PAGE_SIZE)


def _link(asked: dict[str, str], marker: str | None) -> str:
    """Write a root-relative link to another page of the same list."""
    kept = {name: value for name, value in asked.items() if name != "marker"}
    query = urlencode(kept if marker is None else kept | {"marker": marker})
    return f"/v2/images?{query}" if query else "/v2/images"


def _marker(cloud: Cloud, caller: Caller, marker: str | None) -> Image | None:
    if marker is None:
        return None
    if marker not in cloud.image_store.images:
        raise glance(400, "Bad Request", f"No image found with ID {marker}")
    image = cloud.image_store.visible(marker, caller.project_id)
    if image is None:
        raise glance(403, "Forbidden", f"Forbidding request, image {marker} not visible")
    return image


def _write(image: Image) -> dict[str, object]:
    return common(image) | {
        "size": int(image.size_gb * 1024**3),
        "virtual_size": int(image.size_gb * 1024**3),
        # The content is made up, so its checksums are those of the image's ID.
        "checksum": md5(image.id.encode(), usedforsecurity=False).hexdigest(),
        "os_hash_algo": "sha512",
        "os_hash_value": sha512(image.id.encode()).hexdigest(),
        "os_hidden": image.hidden,
    } | image.properties  # fmt: skip
