"""Whatever kind of image service it is: what `ImageService` asks of it is all that the handlers know."""

from collections.abc import Sequence
from typing import Any

import pytest

from doorman.cloud.api.base import Answer, Page, Request, read_object
from doorman.cloud.api.images import read_rows
from doorman.models import MemberStatus, Status
from tests.chain import BAD, GOLDEN, RECEIVER, STRANGER, VAULT, Chain

pytestmark = pytest.mark.anyio


class Mixed:
    """A third kind: pages of two, images of whole servers, and one call an image that settles it at once."""

    page = 2
    has_jobs = False
    has_whole_images = True

    def list_shares(
        self, status: MemberStatus, *, image_id: str | None = None, whole: bool = False
    ) -> tuple[Request, ...]:
        """Ask the vendor's list."""
        asked = {"member_status": status, "visibility": "shared", "limit": "2", "__imagetype": "shared"}
        asked |= {"id": image_id} if image_id else {}
        asked |= {"__whole_image": "true"} if whole else {}
        return (Request(method="GET", path="/v2/cloudimages", params=tuple(asked.items())),)

    def read_page(self, answer: Answer, asked: Request) -> Page:
        """Go on behind the last image until a page is empty."""
        _, rows = read_rows(answer)
        return Page(rows=rows, next=asked.after(list(rows)[-1]) if rows else None)

    def settle(self, images: Sequence[str], *, project_id: str, status: Status, vault_id: str | None) -> Request:
        """Settle one image by its own row."""
        (image,) = images
        body: dict[str, Any] = {"status": status, **({"vault_id": vault_id} if vault_id else {})}
        return Request(method="PUT", path=f"/v2/images/{image}/members/{project_id}", json=body)

    def read_settled(self, answer: Answer) -> str:
        """There is no job."""
        read_object(answer, "member")
        return ""


async def test_a_third_kind_passes_the_whole_chain() -> None:
    """By event and by tick, with pages and full-ECS images: nothing but the implementation is new."""
    chain = Chain(service=Mixed())
    golden = [chain.share() for _ in range(5)]
    banned, stranger, whole = chain.share(BAD), chain.share(STRANGER), chain.share(GOLDEN, full_ecs=True)
    await chain.notify(*golden[:2])
    await chain.tick()
    await chain.settle()
    assert chain.told() == sorted(
        [
            *((image, "accepted", "allowed_owner") for image in (*golden, whole)),
            (banned, "rejected", "rejected_by_rule"),
        ]
    )
    assert chain.cloud.member_status(stranger, RECEIVER) == "pending"
    vaults = {entry["image_id"]: entry["vault_id"] for event in chain.outcomes() for entry in event.data["images"]}
    assert vaults == {**dict.fromkeys((*golden, banned)), whole: VAULT}
