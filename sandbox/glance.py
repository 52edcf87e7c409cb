"""The native image API (Glance v2): list, show and members, with the statuses that a real Glance was seen to answer.

https://docs.openstack.org/api-ref/image/v2/
"""

from typing import Any, cast
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from sandbox.access import authenticate, queries, read_object
from sandbox.gallery import STATUSES, ListedStatus
from sandbox.lists import chosen, common, page, render
from sandbox.problems import Problem, glance
from sandbox.records import Caller, Image, Member, MemberStatus, zulu
from sandbox.state import Cloud

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
        caller = await authenticate(request, cloud)
        return _list(cloud, caller, queries(request))

    async def show_image(request: Request) -> Response:
        caller = await authenticate(request, cloud)
        image = _image(cloud, caller, request)
        return Response(render(image, "glance", _write), media_type="application/json")

    async def members(request: Request) -> Response:
        caller = await authenticate(request, cloud)
        image = _image(cloud, caller, request)
        if request.method == "POST":
            return JSONResponse(_describe(_add(cloud, caller, image, await read_object(request))))
        _require_shared(image)
        shown = [m for m in cloud.gallery.members[image.id].values() if _sees(caller, image, m)]
        return JSONResponse({"members": [_describe(m) for m in shown], "schema": "/v2/schemas/members"})

    async def member(request: Request) -> Response:
        caller = await authenticate(request, cloud)
        image = _image(cloud, caller, request)
        if request.method == "PUT":
            return JSONResponse(_describe(_settle(cloud, caller, image, request, await read_object(request))))
        if request.method == "DELETE":
            return _remove(cloud, caller, image, request)
        if image.visibility != "shared":
            raise glance(404, "Not Found", "Only shared images have members.")
        return JSONResponse(_describe(_member(cloud, caller, image, request)))

    found: list[BaseRoute] = [
        Route("/v2/images", list_images),
        Route("/v2/images/{image_id}", show_image),
        Route("/v2/images/{image_id}/members", members, methods=["GET", "POST"]),
        Route("/v2/images/{image_id}/members/{member_id}", member, methods=["GET", "PUT", "DELETE"]),
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
        cloud.gallery,
        caller.project_id,
        visibility=visibility,
        status=cast("ListedStatus", status),
        after=_marker(cloud, caller, asked.get("marker")),
        limit=limit,
        tests=chosen(query),
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
    if marker not in cloud.gallery.images:
        raise glance(400, "Bad Request", f"No image found with ID {marker}")
    image = cloud.gallery.visible(marker, caller.project_id)
    if image is None:
        raise glance(403, "Forbidden", f"Forbidding request, image {marker} not visible")
    return image


def _write(image: Image) -> dict[str, object]:
    return common(image) | {
        "size": int(image.size_gb * 1024**3),
        "virtual_size": None,
        "checksum": None,
        "os_hash_algo": None,
        "os_hash_value": None,
        "os_hidden": False,
    } | image.properties  # fmt: skip


def _image(cloud: Cloud, caller: Caller, request: Request) -> Image:
    """Find the image of a path; what is not to be seen does not exist."""
    image_id = request.path_params["image_id"]
    image = cloud.gallery.visible(image_id, caller.project_id)
    if image is None:
        raise glance(404, "Not Found", f"No image found with ID {image_id}")
    return image


def _sees(caller: Caller, image: Image, member: Member) -> bool:
    return caller.project_id in {image.owner, member.project_id}


def _member(cloud: Cloud, caller: Caller, image: Image, request: Request) -> Member:
    member_id = request.path_params["member_id"]
    member = cloud.gallery.members[image.id].get(member_id)
    if member is None or not _sees(caller, image, member):
        raise glance(404, "Not Found", f"{member_id} not found in the member list of the image {image.id}.")
    return member


def _settle(cloud: Cloud, caller: Caller, image: Image, request: Request, body: dict[str, Any] | None) -> Member:
    """Set the status of the caller's own row; neither the owner nor a reader may."""
    if body is None or "status" not in body:
        raise glance(400, "Bad Request", "Status not specified" if body is not None else "Body expected in request.")
    _require_shared(image)
    member = _member(cloud, caller, image, request)
    if member.project_id != caller.project_id or not caller.may_write:
        raise glance(403, "Forbidden", f"Not allowed to update members for image {image.id}.")
    failure = cloud.queue.image_failures.get(image.id)
    if failure is not None and failure.at == "submit" and failure.times != 0:
        failure.times = None if failure.times is None else failure.times - 1
        raise Problem(409, {"message": failure.code, "code": "409 Conflict", "title": "Conflict"})
    if body["status"] not in STATUSES:
        raise glance(400, "Bad Request", f"Incorrect request: {body['status']} is not a valid status.")
    cloud.gallery.settle(image.id, member.project_id, cast("MemberStatus", body["status"]))
    return member


def _add(cloud: Cloud, caller: Caller, image: Image, body: dict[str, Any] | None) -> Member:
    if body is None or not isinstance(body.get("member"), str) or not body["member"]:
        raise glance(400, "Bad Request", "Member to be added not specified")
    if image.owner != caller.project_id or image.visibility != "shared" or not caller.may_write:
        raise glance(403, "Forbidden", f"Not allowed to create members for image {image.id}.")
    if body["member"] in cloud.gallery.members[image.id]:
        raise glance(409, "Conflict", f"Member {body['member']} is duplicated for image {image.id}")
    return cloud.gallery.share(image.id, body["member"])


def _remove(cloud: Cloud, caller: Caller, image: Image, request: Request) -> Response:
    _require_shared(image)
    member = _member(cloud, caller, image, request)
    if image.owner != caller.project_id or not caller.may_write:
        raise glance(403, "Forbidden", f"Not allowed to delete members for image {image.id}.")
    cloud.gallery.unshare(image.id, member.project_id)
    return Response(status_code=204)


def _require_shared(image: Image) -> None:
    if image.visibility != "shared":
        raise glance(403, "Forbidden", "Only shared images have members.")


def _describe(member: Member) -> dict[str, object]:
    return {
        "image_id": member.image_id,
        "member_id": member.project_id,
        "status": member.status,
        "created_at": zulu(member.created_at),
        "updated_at": zulu(member.updated_at),
        "schema": "/v2/schemas/member",
    }
