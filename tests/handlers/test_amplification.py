"""One request causes few calls beyond a walk of the lists of each project that it names, whoever sends it."""

from typing import Any
from uuid import uuid4

import pytest

from doorman.entrypoints.functiongraph.invocation import Opened, work_off_all
from doorman.entrypoints.http import Reply
from doorman.events.cloudevents import from_structured, to_structured
from doorman.events.messages import EventType
from tests.chain import GOLDEN, RECEIVER, Chain, structured

pytestmark = pytest.mark.anyio

WALK = 6
"""Calls at most: a page of each status, and one of whole servers."""


def notices(projects: int, images: int) -> list[dict[str, Any]]:
    """Write a notification for each of so many projects, of images that nobody knows."""
    named = [{"project_id": f"p{n}", "images": [str(uuid4()) for _ in range(images)]} for n in range(projects)]
    time = "2025-01-15T08:00:00Z"
    return [structured(EventType.NOTIFIED, each, id=each["project_id"], time=time) for each in named]


def calls(chain: Chain) -> int:
    """Count the calls but for logins."""
    return sum("auth/tokens" not in call.path for call in chain.cloud.calls)


def served(projects: int) -> Chain:
    """Serve so many projects."""
    return Chain(OS_PROJECT_ID=",".join(f"p{number}" for number in range(projects)))


@pytest.mark.parametrize(("projects", "images"), [(1, 20), (3, 14), (30, 20), (50, 1)])
@pytest.mark.parametrize("is_payload", [True, False])
async def test_images_that_nobody_knows(projects: int, images: int, *, is_payload: bool) -> None:
    """Their rows are read for a few in all; where more are named it is lists that say so."""
    chain, asked = served(projects), notices(projects, images)
    if is_payload:  # of FunctionGraph, each of whose events is worked off for itself
        events = [from_structured(each) for each in asked]
        replies = await work_off_all(events, Opened(chain.served).handlers(events), policy_digest="")
        assert replies == [Reply()] * projects
    else:
        assert await chain.post(EventType.NOTIFIED, asked) == Reply()
    assert calls(chain) <= WALK * projects + 60
    assert {(outcome, reason) for _, outcome, reason in chain.told()} == {("skipped", "not_shared")}
    assert len(chain.told()) == projects * images


async def test_events_of_one_project_count_once() -> None:
    """Each event of a payload is worked off for itself, but what they name is one project: rows are read."""
    chain, asked = served(1), notices(1, 1) * 3
    images = [chain.cloud.add_share(GOLDEN, "p0", status="accepted") for _ in range(14)]
    events = [from_structured({**event, "id": str(n)}) for n, event in enumerate(asked)]
    events[0] = from_structured(
        {**asked[0], "data": {"project_id": "p0", "images": images}, "time": "2999-01-01T00:00:00Z"}
    )
    assert await work_off_all(events, Opened(chain.served).handlers(events), policy_digest="") == [Reply()] * 3
    assert [end for end in chain.told() if end[0] in images] == sorted(
        (image, "skipped", "already_settled") for image in images
    )


async def test_what_lists_alone_show_is_told_as_well() -> None:
    """How a share stands, though not since when."""
    chain, asked = served(50), notices(50, 1)
    for event in asked:
        image = chain.cloud.add_share(GOLDEN, event["data"]["project_id"], status="accepted")
        event["data"]["images"] = [image]
    assert await chain.post(EventType.NOTIFIED, asked) == Reply()
    assert {(outcome, reason) for _, outcome, reason in chain.told()} == {("accepted", "already_settled")}
    assert {entry["settled_at"] for event in chain.outcomes() for entry in event.data["images"]} == {None}


def checks(count: int, images: list[str]) -> list[dict[str, Any]]:
    """Write checks of as many jobs that nobody knows."""
    data: dict[str, Any] = {
        "project_id": RECEIVER,
        "status": "accepted",
        "submitted_at": "2025-01-15T08:00:00Z",
        "attempt": 9,
    }
    data["images"] = images
    return [structured(EventType.CHECK, {**data, "job_id": f"job{n}"}, id=str(n)) for n in range(count)]


async def test_few_jobs_that_the_cloud_does_not_know_are_asked_for() -> None:
    """A hundred forged checks are put off, and cost no more than a few; a few are read back, and share the rows."""
    chain = Chain()
    images = [chain.share() for _ in range(20)]
    for image in images:
        chain.cloud.unshare(image, RECEIVER)
    reply = await chain.post(EventType.CHECK, checks(100, images))
    found = (reply.status, reply.text)
    assert found == (503, "checks of too many jobs that the cloud does not know: send them one by one")
    assert calls(chain) <= WALK + 60
    before = calls(chain)
    copies = [{**checks(1, images)[0], "id": str(number)} for number in range(100)]
    assert (await chain.post(EventType.CHECK, copies)).status == 503
    assert calls(chain) - before <= WALK + 60
    before = calls(chain)
    assert (await chain.post(EventType.CHECK, checks(4, images))).status == 204
    assert calls(chain) - before <= WALK + 60
    assert await chain.post(EventType.CHECK, []) == Reply()
    assert chain.told() == []


async def test_as_many_checks_as_a_batch_holds_may_come_together() -> None:
    """As a topic brings them: those of jobs that the cloud knows are all followed to their end."""
    chain = Chain()
    images = [chain.share() for _ in range(30)]
    for image in images:
        await chain.notify(image, event_id=image)
    events = [to_structured(event) for event in chain.of(EventType.CHECK)]
    assert len(events) == 30
    assert await chain.post(EventType.CHECK, events) == Reply()
    assert chain.told() == sorted((image, "accepted", "allowed_owner") for image in images)
