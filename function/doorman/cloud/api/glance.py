"""The native image API of OpenStack, sans I/O: lists and single members; there are no jobs and no vaults.

See https://docs.openstack.org/api-ref/image/v2/
"""

from urllib.parse import parse_qsl

from doorman.cloud.api.base import Answer, Failure, Page, Request, check, classify, read_member, read_object
from doorman.cloud.api.images import read_rows, read_share
from doorman.errors import Refused
from doorman.models import MemberStatus, Share, Status

PAGE = 1000
"""Images a page: Glance gives no more, however much one asks for."""


def list_shares(
    status: MemberStatus, *, image_id: str | None = None, full_ecs: bool = False, marker: str | None = None
) -> Request:
    """Ask for the images shared with us under this member status; there are no images of whole servers to ask for."""
    del full_ecs
    params = {
        "member_status": status,
        "visibility": "shared",
        **({"id": image_id} if image_id else {}),
        "limit": str(PAGE),
        **({"marker": marker} if marker else {}),
    }
    return Request(method="GET", path="/v2/images", params=tuple(params.items()))


def read_page(answer: Answer, asked: Request) -> Page:
    """Read one page; `next` is relative to the host's root and may lead to an empty page.

    Raises:
        Unavailable, Refused: see `api.read_object`.
    """
    value, rows = read_rows(answer)
    following = value.get("next")
    if not isinstance(following, str) or not value["images"]:
        return Page(rows=rows, next=None)
    # Only what it adds is taken: host, path and filters stay those that we asked for.
    kept = {name: value for name, value in asked.params if name != "marker"}
    params = {**dict(parse_qsl(following.partition("?")[2])), **kept}
    return Page(rows=rows, next=Request(method="GET", path=asked.path, params=tuple(params.items())))


def show_member(image_id: str, *, project_id: str) -> Request:
    """Ask for our own member row of an image; the image services of all clouds answer it."""
    return Request(method="GET", path=f"/v2/images/{image_id}/members/{project_id}")


def show_image(image_id: str) -> Request:
    """Ask for an image, whoever owns it."""
    return Request(method="GET", path=f"/v2/images/{image_id}")


def read_image(answer: Answer, image_id: str, *, project_id: str) -> Share | None:
    """Read an image by itself, its status unknown; None where it is not shown to us, whyever.

    Raises:
        Unavailable: see `api.read_object`.
    """
    try:
        share = read_share(read_object(answer, "image"), project_id=project_id, status=None)
    except Refused:
        return None
    return share if share.image_id == image_id else None


def read_visible(answer: Answer) -> bool:
    """Read whether the image can be seen: unshared, private, deleted and non-existent ones all give the same answer.

    Raises:
        Unavailable, Refused: see `api.read_object`.
    """
    try:
        check(answer)
    except Refused as error:
        if classify(code=error.code, status=error.status) is Failure.GONE:
            return False
        raise
    return True


def update_member(image_id: str, *, project_id: str, status: Status) -> Request:
    """Ask to accept or reject one image, at once."""
    return Request(method="PUT", path=f"/v2/images/{image_id}/members/{project_id}", json={"status": status})


def read_updated(answer: Answer) -> MemberStatus | None:
    """Read the answer of `update_member`; it echoes the request, so it proves nothing about a racing one.

    Raises:
        Unavailable, Refused: see `api.read_object`.
    """
    return read_member(answer)
