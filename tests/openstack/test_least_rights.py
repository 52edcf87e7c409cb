"""The recipe for plain OpenStack in docs/clouds.md: an application credential that can only settle shares."""

import json
import re
from pathlib import Path

import httpx
import pytest

from tests.openstack.chain import POLICY
from tests.openstack.test_run import doorman
from tests.openstack.worlds import OWNERS, RECEIVER, RealWorld

GOLDEN, BANNED = OWNERS
ROOT = Path(__file__).parents[2]
RULES = json.loads(re.findall(r"access-rules '(\[.*?\])'", (ROOT / "docs" / "clouds.md").read_text(), re.DOTALL)[0])


@pytest.fixture(scope="module")
def credential(world: RealWorld) -> dict[str, str]:
    """An application credential with the rules that the documentation names."""
    return world.make_application_credential(RULES)


def test_it_settles_shares(world: RealWorld, credential: dict[str, str], tmp_path: Path) -> None:
    """`doorman run` works with it, without naming a project."""
    golden, banned = (world.projects[owner] for owner in OWNERS)
    (tmp_path / "policy.yaml").write_text(POLICY.format(golden=golden, banned=banned))
    images = [world.add_image(GOLDEN, "golden-least"), world.add_image(BANNED, "banned-least")]
    for image_id, owner in zip(images, OWNERS, strict=True):
        world.share(image_id, owner)
    environ = {
        "DOORMAN_API": "glance",
        "OS_AUTH_URL": world.auth_url,
        "OS_APPLICATION_CREDENTIAL_ID": credential["id"],
        "OS_APPLICATION_CREDENTIAL_SECRET": credential["secret"],
        "PYTHONPATH": str(ROOT / "function"),
        "PATH": "/usr/bin:/bin",
    }
    told = doorman(environ, tmp_path, "run")
    assert [told[image_id][0] for image_id in images] == ["accepted", "rejected"]
    assert [world.status(image_id) for image_id in images] == ["accepted", "rejected"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v2/images/{own}/members"),
        ("DELETE", "/v2/images/{own}/members/{owner}"),
        ("POST", "/v2/images"),
        ("DELETE", "/v2/images/{own}"),
        ("GET", "/v2/images/{own}/file"),
    ],
)
def test_it_can_do_nothing_else(world: RealWorld, credential: dict[str, str], method: str, path: str) -> None:
    """Neither sharing out, nor making, deleting or downloading images, all of which the bare role may."""
    own = world.add_image(RECEIVER, "own")
    identity = {"methods": ["application_credential"], "application_credential": credential}
    answer = httpx.post(f"{world.auth_url}/auth/tokens", json={"auth": {"identity": identity}}, timeout=60)
    bare = world.log_in("doorman", {"id": world.projects[RECEIVER]})
    statuses = []
    for token in (answer.headers["X-Subject-Token"], bare):
        headers = {"X-Auth-Token": token, "Accept": "application/json"}
        body = {"member": world.projects[GOLDEN]} if path.endswith("members") else {"name": "x"}
        url = world.image_url + path.format(own=own, owner=world.projects[GOLDEN])
        sent = httpx.request(method, url, headers=headers, json=body if method == "POST" else None, timeout=60)
        statuses.append(sent.status_code)
    restricted, unrestricted = statuses
    assert restricted == 401
    # 404: there is no such member to remove, but removing one would be allowed
    assert unrestricted in {200, 201, 204, 404}
