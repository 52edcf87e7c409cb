"""One request causes few calls beyond a walk of the lists of each project that it names, whoever sends it."""

import json
from typing import Any
from uuid import uuid4

import pytest

from doorman.entrypoints.functiongraph.invocation import _work_off_all
from doorman.entrypoints.http import Reply
from doorman.events.cloudevents import from_structured
from doorman.events.messages import EventType
from doorman.handlers.dispatch import handle_triage
from tests.chain import GOLDEN, RECEIVER, Chain

pytestmark = pytest.mark.anyio

WALK = 6
"""Calls at most: a page of each status, and one of whole servers."""


def notices(projects: int, images: int) -> list[dict[str, Any]]:
    """Write a notification for each of so many projects, of images that nobody knows."""
    head = {"specversion": "1.0", "source": "/x", "type": EventType.NOTIFIED, "time": "2025-01-15T08:00:00Z"}
    return [
        {**head, "id": str(n), "data": {"project_id": f"p{n}", "images": [str(uuid4()) for _ in range(images)]}}
        for n in range(projects)
    ]


def calls(chain: Chain) -> int:
    """Count the calls but for logins."""
    return sum("auth/tokens" not in call.path for call in chain.cloud.calls)


def served(projects: int) -> Chain:
    """Serve so many projects."""
    return Chain(OS_PROJECT_ID=",".join(f"p{number}" for number in range(projects)))


@pytest.mark.parametrize(("projects", "images"), [(1, 20), (2, 20), (3, 14), (10, 4), (30, 20), (50, 1), (50, 3)])
@pytest.mark.parametrize("is_payload", [True, False])
async def test_images_that_nobody_knows(projects: int, images: int, *, is_payload: bool) -> None:
    """Their rows are read for a few in all; where more are named it is lists that say so."""
    chain, asked = served(projects), notices(projects, images)
    if is_payload:  # of FunctionGraph, each of whose events is worked off for itself
        events = [from_structured(each) for each in asked]
        replies = await _work_off_all(chain.served, events, {EventType.NOTIFIED: handle_triage}, None)
        assert replies == [Reply()] * projects
    else:
        assert await chain.post(EventType.NOTIFIED, asked) == Reply()
    assert calls(chain) <= WALK * projects + 60
    assert {(fate, reason) for _, fate, reason in chain.told()} == {("skipped", "not_shared")}
    assert len(chain.told()) == projects * images


async def test_what_lists_alone_show_is_told_as_well() -> None:
    """How a share stands, though not since when."""
    chain, asked = served(50), notices(50, 1)
    for event in asked:
        image = chain.cloud.add_share(GOLDEN, event["data"]["project_id"], status="accepted")
        event["data"]["images"] = [image]
    assert await chain.post(EventType.NOTIFIED, asked) == Reply()
    assert {(fate, reason) for _, fate, reason in chain.told()} == {("accepted", "already_settled")}
    assert {entry["settled_at"] for event in chain.outcomes() for entry in event.data["images"]} == {None}


async def test_checks_come_alone() -> None:
    """Each asks for a job and reads images back: a few may come together, and share the rows."""
    chain = Chain()
    head = {"specversion": "1.0", "source": "/x", "type": EventType.CHECK}
    images = [chain.share() for _ in range(20)]
    for image in images:
        chain.cloud.unshare(image, RECEIVER)
    data = {"project_id": RECEIVER, "status": "accepted", "submitted_at": "2025-01-15T08:00:00Z", "attempt": 9}
    checks = [{**head, "id": str(n), "data": {**data, "job_id": f"job{n}", "images": images}} for n in range(5)]
    assert await chain.post(EventType.CHECK, checks) == Reply(
        status=400, text="body: a batch of 5 checks; send at most 4"
    )
    assert calls(chain) == 0
    assert (await chain.post(EventType.CHECK, checks[:4])).status == 204
    assert calls(chain) <= WALK + 60
    assert await chain.post(EventType.CHECK, []) == Reply()
    assert json.dumps(chain.told()) == "[]"
