"""Both image lists: what they show to whom, in which order, page by page, and how they refuse."""

from typing import Any

import pytest

from doorman.sandbox.state import Cloud
from tests.sandbox.asking import ME, OTHER, OWNER, Api

PENDING = {"member_status": "pending", "visibility": "shared"}


def ids(api: Api, path: str, **query: Any) -> list[str]:
    """List images; their IDs."""
    answer = api("GET", path, params=PENDING | query)
    assert answer.status_code == 200, answer.text
    return [image["id"] for image in answer.json()["images"]]


@pytest.mark.parametrize("path", ["/v2/cloudimages", "/v2/images"])
def test_who_sees_what(api: Api, sharer: Api, cloud: Cloud, path: str) -> None:
    """A share stands in the list of its status; the owner's own stands in every one; a bystander sees nothing."""
    pending, accepted, rejected = (cloud.add_share(OWNER, ME, status=s) for s in ("pending", "accepted", "rejected"))
    private = cloud.add_image(OWNER, visibility="private").id
    onlooker = Api(cloud).login("onlooker", OTHER)
    found = [ids(api, path, member_status=s) for s in ("pending", "accepted", "rejected")]
    assert found == [[pending], [accepted], [rejected]]
    assert sorted(ids(api, path, member_status="all")) == sorted([pending, accepted, rejected])
    assert sorted(ids(sharer, path, member_status="rejected")) == sorted([pending, accepted, rejected])
    assert ids(sharer, path, visibility="private") == [private]
    assert ids(onlooker, path, member_status="all") == []


def test_whole_images(api: Api, cloud: Cloud) -> None:
    """Full-ECS images are found by the filter; whether the answer says so too can be set."""
    cloud.add_share(OWNER, ME)
    whole = cloud.add_share(OWNER, ME, full_ecs=True, backup_id="backup-1")
    (told,) = api("GET", "/v2/cloudimages", params=PENDING | {"__whole_image": "true"}).json()["images"]
    assert (told["id"], told["__backup_id"], "__whole_image" in told) == (whole, "backup-1", False)
    cloud.settings.whole_image_in_answer = True
    assert [i.get("__whole_image") for i in api("GET", "/v2/cloudimages", params=PENDING).json()["images"]].count(
        "true"
    ) == 1
