"""Both image lists: what they show to whom, in which order, page by page, and how they refuse."""

import time
from typing import Any

import pytest

from doorman.sandbox.state import Cloud
from tests.builders import FakeClock
from tests.sandbox.asking import ME, OTHER, OWNER, Api

PENDING = {"member_status": "pending", "visibility": "shared"}


def ids(api: Api, path: str, **query: Any) -> list[str]:
    """List images; their IDs."""
    answer = api("GET", path, params=PENDING | query)
    assert answer.status_code == 200, answer.text
    return [image["id"] for image in answer.json()["images"]]


@pytest.fixture
def shares(cloud: Cloud, clock: FakeClock) -> list[str]:
    """Seven pending shares, the oldest first."""
    found = []
    for number in range(7):
        clock.seconds += 1
        found.append(cloud.add_share(OWNER, ME, name=f"image {number}"))
    return found


def test_page_sizes(api: Api, cloud: Cloud) -> None:
    """25 a page and never more than 1000 natively, 500 a page at the image service."""
    for _ in range(1010):
        cloud.add_share(OWNER, ME)
    assert (len(ids(api, "/v2/images")), len(ids(api, "/v2/images", limit=5000))) == (25, 1000)
    assert (len(ids(api, "/v2/cloudimages")), len(ids(api, "/v2/cloudimages", limit=5000))) == (500, 500)


@pytest.mark.parametrize("path", ["/v2/cloudimages", "/v2/images"])
@pytest.mark.parametrize("query", [{"limit": "x"}, {"limit": "-1"}, {"member_status": "PENDING"}])
def test_bad_queries(api: Api, path: str, query: dict[str, str]) -> None:
    """A limit that is no number and an unknown status are 400."""
    assert api("GET", path, params=PENDING | query).status_code == 400


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


def test_image_type_stands_for_visibility(api: Api, cloud: Cloud) -> None:
    """`__imagetype=shared` alone narrows like `visibility=shared`; without either, public images are shown too."""
    public = cloud.add_image(OTHER, visibility="public").id
    share = cloud.add_share(OWNER, ME)
    listed = [
        [i["id"] for i in api("GET", "/v2/cloudimages", params={"member_status": "pending", **query}).json()["images"]]
        for query in ({"__imagetype": "shared"}, {"__imagetype": "gold"}, {})
    ]
    assert listed == [[share], [public], sorted([public, share], reverse=True)]


@pytest.mark.parametrize("path", ["/v2/cloudimages", "/v2/images"])
def test_filters(api: Api, cloud: Cloud, shares: list[str], path: str) -> None:
    """Filters narrow the list; of two owners the last wins; what is unknown is ignored."""
    tagged = cloud.add_share(OTHER, ME, tags=["gold", "x86"], min_disk=80, status="pending")
    assert ids(api, path, id=shares[3]) == [shares[3]]
    assert ids(api, path, name="image 2") == [shares[2]]
    assert ids(api, path, owner=OTHER) == [tagged]
    assert ids(api, path, tag=["gold", "x86"], min_disk="80") == [tagged]
    assert ids(api, path, tag=["gold", "arm"]) == []
    assert len(ids(api, path, made_up="x")) == 8
    twice = api("GET", f"{path}?member_status=pending&visibility=shared&owner={OWNER}&owner={OTHER}").json()["images"]
    assert [image["id"] for image in twice] == [tagged]


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


def test_fields(api: Api, cloud: Cloud) -> None:
    """Numbers that the service writes as text come as text, and properties as they were set."""
    cloud.add_share(OWNER, ME, name="Grün", size_gb=2, properties={"__os_type": "Windows", "os_hash_value": "ab"})
    (ims,) = api("GET", "/v2/cloudimages", params=PENDING).json()["images"]
    (native,) = api("GET", "/v2/images", params=PENDING).json()["images"]
    found = (ims["name"], ims["owner"], ims["__image_size"], ims["__os_type"])
    assert found == ("Grün", OWNER, "2147483648", "Windows")
    assert (ims["created_at"], ims["__imagetype"]) == ("2026-01-02T03:04:05Z", "shared")
    assert (native["size"], native["os_hash_value"], native["visibility"]) == (2147483648, "ab", "shared")


def test_ten_thousand_shares_stay_fast(cloud: Cloud) -> None:
    """Walking 10,000 shares page by page, settled in between, takes a time that grows with their number only."""
    shares = [cloud.add_share(OWNER, ME) for _ in range(10_000)]
    api = Api(cloud).login()
    started, seen, marker = time.perf_counter(), 0, None
    while page := ids(api, "/v2/cloudimages", **({"marker": marker} if marker else {})):
        seen, marker = seen + len(page), page[-1]
    for image_id in shares[:200]:
        cloud.set_status(image_id, ME, "accepted")
        ids(api, "/v2/cloudimages", limit=1)
    assert (seen, len(cloud.image_store.received(ME, "pending"))) == (10_000, 9_800)
    assert time.perf_counter() - started < 10
