"""The native image API: the statuses that a real Glance gives to owners, receivers, readers and everybody else."""

from typing import Any

import pytest

from doorman.sandbox.cloud import create_app
from doorman.sandbox.serving import serve
from doorman.sandbox.state import Cloud
from tests.openstack.calls import STATUSES, calls, furnish
from tests.openstack.worlds import SandboxWorld
from tests.sandbox.asking import ME, OTHER, OWNER, Api


@pytest.fixture
def share(cloud: Cloud) -> str:
    """One pending share."""
    return cloud.add_share(OWNER, ME)


def settle(api: Api, share: str, body: Any, member: str = ME) -> int:
    """Set a member's status; the HTTP status."""
    return int(api("PUT", f"/v2/images/{share}/members/{member}", json=body).status_code)


def test_the_statuses_of_a_real_glance() -> None:
    """For every call that we make to it or to Keystone, and every way to go wrong, as `tests/openstack` sees them."""
    cloud = Cloud()
    with serve(create_app(cloud)) as url:
        side = furnish(SandboxWorld(cloud, url))
        assert {name: side.send(call).status_code for name, call in calls().items()} == STATUSES


def test_sharing(api: Api, sharer: Api, cloud: Cloud) -> None:
    """The owner shares and takes back; twice is 409, without a name 400, and nobody else may."""
    image = cloud.add_image(OWNER).id
    path = f"/v2/images/{image}/members"
    bodies: list[Any] = [{"member": ME}, {"member": ME}, {}, []]
    assert [sharer("POST", path, json=body).status_code for body in bodies] == [200, 409, 400, 400]
    assert api("POST", path, json={"member": OTHER}).status_code == 403
    assert api("DELETE", f"{path}/{ME}").status_code == 403
    assert [sharer("DELETE", f"{path}/{ME}").status_code for _ in range(2)] == [204, 404]


def test_below_a_prefix(api: Api, cloud: Cloud, share: str) -> None:
    """Some clouds have the image service below a path; the catalog can say so, and links stay root-relative."""
    cloud.settings.image_path = "/image"
    assert api("GET", f"/image/v2/images/{share}").status_code == 200
    assert settle(api, share, {"status": "accepted"}) == 200
    assert api("PUT", f"/image/v2/images/{share}/members/{ME}", json={"status": "rejected"}).status_code == 200
    found = [call.path for call in cloud.writes]
    assert found == [f"/v2/images/{share}/members/{ME}", f"/image/v2/images/{share}/members/{ME}"]


def test_scripted_refusal(api: Api, cloud: Cloud, share: str) -> None:
    """An image that is told to fail at submission is refused here too."""
    cloud.fail_image(share, "IMG.0046", at="submit", times=1)
    assert [settle(api, share, {"status": "accepted"}) for _ in range(2)] == [409, 200]
