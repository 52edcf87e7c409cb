"""Members of the native image API (Glance v2), with the statuses that a real Glance was seen to answer.

https://docs.openstack.org/api-ref/image/v2/
"""

from typing import Any, cast

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from doorman.sandbox.access import authenticate_native, read_object
from doorman.sandbox.image_store import STATUSES
from doorman.sandbox.problems import Problem, glance
from doorman.sandbox.records import Caller, Image, Member, MemberStatus, zulu
from doorman.sandbox.state import Cloud


def routes(cloud: Cloud) -> list[Route]:
    """Name the endpoints."""

    async def members(request: Request) -> Response:
        caller = await authenticate_native(request, cloud)
        image = visible_image(cloud, caller, request)
        if request.method == "POST":
            return JSONResponse(_describe(_add(cloud, caller, image, await read_object(request))))
        _require_shared(image)
        shown = [m for m in cloud.image_store.members[image.id].values() if _sees(caller, image, m)]
        return JSONResponse({"members": [_describe(m) for m in shown], "schema": "/v2/schemas/members"})

    async def member(request: Request) -> Response:
        caller = await authenticate_native(request, cloud)
        image = visible_image(cloud, caller, request)
        if request.method == "PUT":
            return JSONResponse(_describe(_settle(cloud, caller, image, request, await read_object(request))))
        if request.method == "DELETE":
            return _remove(cloud, caller, image, request)
        if image.visibility != "shared":
            raise glance(404, "Not Found", "Only shared images have members.")
        return JSONResponse(_describe(_member(cloud, caller, image, request), has_times=cloud.settings.member_times))

    return [
        Route("/v2/images/{image_id}/members", members, methods=["GET", "POST"]),
        Route("/v2/images/{image_id}/members/{member_id}", member, methods=["GET", "PUT", "DELETE"]),
    ]


def visible_image(cloud: Cloud, caller: Caller, request: Request) -> Image:
    """Find the image of a path; what is not to be seen does not exist."""
    image_id = request.path_params["image_id"]
    image = cloud.image_store.visible(image_id, caller.project_id)
    if image is None:
        raise glance(404, "Not Found", f"No image found with ID {image_id}")
    return image


def _sees(caller: Caller, image: Image, member: Member) -> bool:
    return caller.project_id in {image.owner, member.project_id}


def _member(cloud: Cloud, caller: Caller, image: Image, request: Request) -> Member:
    member_id = request.path_params["member_id"]
    member = cloud.image_store.members[image.id].get(member_id)
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
    if code := cloud.queue.image_failures.take(image.id, "submit"):
        raise Problem(409, {"message": code, "code": "409 Conflict", "title": "Conflict"})
    if body["status"] not in STATUSES:
        raise glance(400, "Bad Request", f"Incorrect request: {body['status']} is not a valid status.")
    cloud.image_store.settle(image.id, member.project_id, cast("MemberStatus", body["status"]))
    return member


def _add(cloud: Cloud, caller: Caller, image: Image, body: dict[str, Any] | None) -> Member:
    if body is None or not isinstance(body.get("member"), str) or not body["member"]:
        raise glance(400, "Bad Request", "Member to be added not specified")
    if image.owner != caller.project_id or image.visibility != "shared" or not caller.may_write:
        raise glance(403, "Forbidden", f"Not allowed to create members for image {image.id}.")
    if body["member"] in cloud.image_store.members[image.id]:
        raise glance(409, "Conflict", f"Member {body['member']} is duplicated for image {image.id}")
    return cloud.image_store.share(image.id, body["member"])


def _remove(cloud: Cloud, caller: Caller, image: Image, request: Request) -> Response:
    _require_shared(image)
    member = _member(cloud, caller, image, request)
    if image.owner != caller.project_id or not caller.may_write:
        raise glance(403, "Forbidden", f"Not allowed to delete members for image {image.id}.")
    cloud.image_store.unshare(image.id, member.project_id)
    return Response(status_code=204)


def _require_shared(image: Image) -> None:
    if image.visibility != "shared":
        raise glance(403, "Forbidden", "Only shared images have members.")


def _describe(member: Member, *, has_times: bool = True) -> dict[str, object]:
    times = {"created_at": zulu(member.created_at), "updated_at": zulu(member.updated_at)}
    return {
        "image_id": member.image_id,
        "member_id": member.project_id,
        "status": member.status,
        **(times if has_times else {}),
        "schema": "/v2/schemas/member",
    }
