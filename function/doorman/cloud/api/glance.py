"""The native image API of OpenStack, sans I/O: lists and single members; there are no jobs and no vaults.

See https://docs.openstack.org/api-ref/image/v2/
"""

from collections.abc import Sequence
from urllib.parse import parse_qsl

from doorman.cloud.api.base import Answer, Failure, Page, Request, check, classify, read_member, read_object
from doorman.cloud.api.images import ImageRow, read_row, read_rows
from doorman.errors import Refused
from doorman.models import MemberStatus, Status

PAGE = 1000
"""Images a page: Glance gives no more, however much one asks for."""


class Glance:
    """Glance, as `ImageService`."""

    page = PAGE
    has_jobs = False
    has_whole_images = False

    def list_shares(
        self, status: MemberStatus, *, image_id: str | None = None, whole: bool = False
    ) -> tuple[Request, ...]:
        """Ask for the images shared with us under this status: those that show, and those that their owner hides."""
        del whole
        params = {"member_status": status, "visibility": "shared", **({"id": image_id} if image_id else {})}
        shown = Request(method="GET", path="/v2/images", params=(*params.items(), ("limit", str(PAGE))))
        return shown, shown.with_param("os_hidden", "true")

    def read_page(self, answer: Answer, asked: Request) -> Page:
        """Read one page; `next` is relative to the host's root and may lead to an empty page.

        Raises:
            Unavailable, Refused: see `base.read_object`.
        """
        value, rows = read_rows(answer)
        following = value.get("next")
        if not isinstance(following, str) or not value["images"]:
            return Page(rows=rows, next=None)
        # Only what it adds is taken: host, path and filters stay those that we asked for.
        kept = {name: value for name, value in asked.params if name != "marker"}
        params = {**dict(parse_qsl(following.partition("?")[2])), **kept}
        return Page(rows=rows, next=Request(method="GET", path=asked.path, params=tuple(params.items())))

    def settle(self, images: Sequence[str], *, project_id: str, status: Status, vault_id: str | None) -> Request:
        """Ask to accept or reject one image, at once."""
        del vault_id
        (image_id,) = images
        return Request(method="PUT", path=f"/v2/images/{image_id}/members/{project_id}", json={"status": status})

    def read_settled(self, answer: Answer) -> str:
        """Read the answer; it echoes the request, so it proves nothing about a racing one.

        Raises:
            Unavailable, Refused: see `base.read_object`.
        """
        read_member(answer)
        return ""


def show_member(image_id: str, *, project_id: str) -> Request:
    """Ask for our own member row of an image; the image services of all clouds answer it."""
    return Request(method="GET", path=f"/v2/images/{image_id}/members/{project_id}")


def show_image(image_id: str) -> Request:
    """Ask for an image, whoever owns it."""
    return Request(method="GET", path=f"/v2/images/{image_id}")


def read_image(answer: Answer, image_id: str, *, project_id: str) -> ImageRow | None:
    """Read an image by itself, its member status unknown; None where it is not shown to us, for whatever reason.

    Raises:
        Unavailable: see `base.read_object`.
    """
    try:
        value = read_object(answer, "image")
    except Refused:
        return None
    return read_row(value, project_id=project_id, status=None) if str(value.get("id")).lower() == image_id else None


def read_visible(answer: Answer) -> bool:
    """Read whether the image can be seen: unshared, private, deleted and non-existent ones all give the same answer.

    Raises:
        Unavailable, Refused: see `base.read_object`.
    """
    try:
        check(answer)
    except Refused as error:
        if classify(code=error.code, status=error.status) is Failure.GONE:
            return False
        raise
    return True
