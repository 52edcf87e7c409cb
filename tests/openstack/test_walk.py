"""Walking a real Glance's list page by page while it changes under our feet."""

import asyncio
import json
from contextlib import aclosing

import httpx
import pytest

from doorman.bootstrap import Connections, connect, open_projects
from doorman.cloud.api import glance
from doorman.policy.policy import load
from doorman.runtime.clock import SystemClock
from doorman.settings import Settings
from tests.builders import RecordingSink
from tests.openstack.worlds import OWNERS, RECEIVER, SECRET, RealWorld

OWNER = OWNERS[0]
POLICY = load("version: 1\ndefault: hold\nrules: []\n")


def connect_to(world: RealWorld) -> Connections:
    """Make ready to serve the receiving project."""
    environ = {
        "OS_AUTH_URL": world.auth_url,
        "OS_USERNAME": "doorman",
        "OS_PASSWORD": SECRET,
        "OS_USER_DOMAIN_NAME": "Default",
        "OS_PROJECT_ID": world.projects[RECEIVER],
        "DOORMAN_API": "glance",
        "K_SINK": "http://127.0.0.1:9/",
    }
    settings = Settings.from_environ(environ, is_sink_required=True)
    return connect(settings, clock=SystemClock())


@pytest.mark.parametrize("how", ["unshare", "delete"])
def test_vanished_marker_restarts_the_walk(world: RealWorld, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    """When the image that the next page begins after is unshared or deleted, the list is read again, and is whole."""
    monkeypatch.setattr(glance, "PAGE", 3)
    images = {world.add_image(OWNER, f"walk-{number}") for number in range(10)}
    for image_id in images:
        world.share(image_id, OWNER)
    vanished: list[str] = []
    pages: list[int] = []

    async def interfere(response: httpx.Response) -> None:
        if response.request.url.path != "/v2/images":
            return
        pages.append(response.status_code)
        listed = [image["id"] for image in json.loads(await response.aread())["images"]] if response.is_success else []
        if not vanished and listed and listed[-1] in images:
            vanished.append(listed[-1])
            getattr(world, how)(listed[-1], OWNER)

    async def walk() -> set[str]:
        async with aclosing(connect_to(world)) as connections:
            connections.cloud.of(world.projects[RECEIVER]).event_hooks["response"] = [interfere]
            served = open_projects(connections, POLICY, sink=RecordingSink())
            context = await served.context(world.projects[RECEIVER])
            return set(await context.cloud.pending())

    found = asyncio.run(walk())
    for image_id in images - set(vanished if how == "delete" else ()):
        world.delete(image_id, OWNER)
    assert len(vanished) == 1
    assert found & images == images - set(vanished)
    assert {"unshare": 403, "delete": 400}[how] in pages
