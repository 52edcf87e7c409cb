"""The native image API: the statuses that a real Glance gives to owners, receivers, readers and everybody else."""

from typing import Any

import pytest

from doorman.sandbox.state import Cloud
from tests.sandbox.asking import ME, OTHER, OWNER, Api, HandClock

NOWHERE = "6596628c-42d4-4ff1-8660-8ea5ae61f243"


@pytest.fixture
def share(cloud: Cloud) -> str:
    """One pending share."""
    return cloud.add_share(OWNER, ME)


def listed(api: Api, **query: str) -> list[str]:
    """List the IDs of pending shares."""
    params = {"visibility": "shared", "member_status": "pending", **query}
    return [image["id"] for image in api("GET", "/v2/images", params=params).json()["images"]]


def settle(api: Api, share: str, body: Any, member: str = ME) -> int:
    """Set a member's status; the HTTP status."""
    return int(api("PUT", f"/v2/images/{share}/members/{member}", json=body).status_code)


@pytest.mark.parametrize("status", ["pending", "accepted", "rejected"])
def test_image_can_be_read_in_every_status(api: Api, cloud: Cloud, share: str, status: Any) -> None:
    """A share is readable while pending and after rejection, by its receiver and its owner."""
    cloud.set_status(share, ME, status)
    assert api("GET", f"/v2/images/{share}").json()["id"] == share
    assert api("GET", f"/v2/images/{share}/members/{ME}").json() == {
        "image_id": share,
        "member_id": ME,
        "status": status,
        "created_at": "2023-11-14T22:13:20Z",
        "updated_at": "2023-11-14T22:13:20Z",
        "schema": "/v2/schemas/member",
    }


def test_what_is_not_shared_does_not_exist(api: Api, cloud: Cloud, share: str) -> None:
    """Unshared, private, deleted and never heard of give the same 404."""
    private, deleted = cloud.add_image(OWNER, visibility="private").id, cloud.add_image(OWNER).id
    cloud.delete_image(deleted)
    cloud.unshare(share, ME)
    assert [api("GET", f"/v2/images/{i}").status_code for i in (share, private, deleted, NOWHERE)] == [404] * 4
    assert [settle(api, i, {"status": "accepted"}) for i in (share, private, deleted, NOWHERE)] == [404] * 4


def test_settling(api: Api, cloud: Cloud, share: str) -> None:
    """Each allowed status is 200, again too, and back to pending as well; a vault is ignored."""
    for status in ("accepted", "accepted", "rejected", "pending"):
        assert settle(api, share, {"status": status, "vault_id": "any"}) == 200
        assert cloud.member_status(share, ME) == status


def test_the_same_status_again_changes_no_row(api: Api, cloud: Cloud, clock: HandClock, share: str) -> None:
    """A row tells when it was made, and when its status last changed."""
    times = []
    for status in ("accepted", "accepted", "rejected"):
        clock.now += 60
        settle(api, share, {"status": status})
        row = api("GET", f"/v2/images/{share}/members/{ME}").json()
        times.append((row["created_at"][-9:], row["updated_at"][-9:]))
    assert times == [("22:13:20Z", "22:14:20Z"), ("22:13:20Z", "22:14:20Z"), ("22:13:20Z", "22:16:20Z")]


def test_hidden_images(api: Api, cloud: Cloud, share: str) -> None:
    """Their owner takes them out of ordinary lists; they have a list of their own, and are read by ID as before."""
    hidden = cloud.add_share(OWNER, ME)
    assert api("GET", f"/v2/images/{hidden}").json()["os_hidden"] is False
    cloud.hide(hidden)
    assert api("GET", f"/v2/images/{hidden}").json()["os_hidden"] is True
    assert api("GET", f"/v2/images/{hidden}/members/{ME}").json()["status"] == "pending"
    assert [listed(api), listed(api, os_hidden="false"), listed(api, os_hidden="True")] == [[share], [share], [hidden]]


@pytest.mark.parametrize("body", [{"status": "ACCEPTED"}, {"status": None}, {"status": 1}, {}, [], None])
def test_malformed_statuses(api: Api, share: str, body: Any) -> None:
    """Wrong spelling, null, a number and nothing are 400."""
    assert settle(api, share, body) == 400


def test_who_may_settle(api: Api, sharer: Api, cloud: Cloud, share: str) -> None:
    """A reader and the owner get 403; the rows of others do not exist."""
    cloud.add_user("reader", "secret", [ME], role="reader")
    cloud.share(share, OTHER)
    accepted = {"status": "accepted"}
    assert settle(Api(cloud).login("reader"), share, accepted) == 403
    assert settle(sharer, share, accepted) == 403
    assert settle(sharer, share, accepted, member=OWNER) == 404
    assert settle(api, share, accepted, member=OTHER) == 404
    assert cloud.member_status(share, ME) == "pending"


def test_member_lists(api: Api, sharer: Api, cloud: Cloud, share: str) -> None:
    """The owner sees all rows, a receiver their own only; an image that is not shared has no members."""
    cloud.share(share, OTHER)
    public = cloud.add_image(OWNER, visibility="public").id
    seen = [
        [m["member_id"] for m in by("GET", f"/v2/images/{share}/members").json()["members"]] for by in (api, sharer)
    ]
    assert seen == [[ME], [ME, OTHER]]
    assert [api("GET", f"/v2/images/{public}/members{rest}").status_code for rest in ("", f"/{ME}")] == [403, 404]
    assert api("GET", f"/v2/images/{share}/members/{OTHER}").status_code == 404


def test_sharing(api: Api, sharer: Api, cloud: Cloud) -> None:
    """The owner shares and takes back; twice is 409, without a name 400, and nobody else may."""
    image = cloud.add_image(OWNER).id
    path = f"/v2/images/{image}/members"
    bodies: list[Any] = [{"member": ME}, {"member": ME}, {}, []]
    assert [sharer("POST", path, json=body).status_code for body in bodies] == [200, 409, 400, 400]
    assert api("POST", path, json={"member": OTHER}).status_code == 403
    assert api("DELETE", f"{path}/{ME}").status_code == 403
    assert [sharer("DELETE", f"{path}/{ME}").status_code for _ in range(2)] == [204, 404]


def test_errors_are_html_for_those_who_do_not_ask_for_json(api: Api) -> None:
    """Without `Accept: application/json` a refusal is a page, with it an object."""
    path = f"/v2/images/{NOWHERE}"
    page, told = api("GET", path, headers={"Accept": "*/*"}), api("GET", path)
    assert (page.headers["content-type"], page.text[:6]) == ("text/html; charset=utf-8", "<html>")
    assert (told.json()["code"], told.json()["title"]) == ("404 Not Found", "Not Found")


def test_below_a_prefix(api: Api, cloud: Cloud, share: str) -> None:
    """Some clouds have the image service below a path; the catalog can say so, and links stay root-relative."""
    cloud.settings.image_path = "/image"
    assert api("GET", f"/image/v2/images/{share}").status_code == 200
    assert settle(api, share, {"status": "accepted"}) == 200
    assert api("PUT", f"/image/v2/images/{share}/members/{ME}", json={"status": "rejected"}).status_code == 200
    assert [call.path for call in cloud.writes] == [
        f"/v2/images/{share}/members/{ME}",
        f"/image/v2/images/{share}/members/{ME}",
    ]


def test_scripted_refusal(api: Api, cloud: Cloud, share: str) -> None:
    """An image that is told to fail at submission is refused here too."""
    cloud.fail_image(share, "IMG.0046", at="submit", times=1)
    assert [settle(api, share, {"status": "accepted"}) for _ in range(2)] == [409, 200]
