"""Tests of long lists: how far they are walked, what a walk may serve again, and that it settles nothing wrongly."""

import json
from collections.abc import Callable
from typing import Any, TypeVar, cast

import pytest

import doorman.cloud.project
from doorman.cloud.api.base import Answer, Request
from doorman.cloud.client import ApiClient
from doorman.cloud.listing import Lists, dialect_of, read
from doorman.errors import Refused, Unavailable
from tests.chain import BAD, GOLDEN, RECEIVER, STRANGER, Chain

pytestmark = pytest.mark.anyio

MANY = 1100
"""Shares that fill three pages; the sandbox lists the newest first."""


@pytest.fixture
def chain() -> Chain:
    """Give a project in which nothing was asked yet."""
    return Chain()


async def share_many(chain: Chain, owner: str = GOLDEN) -> list[str]:
    """Share so many images that their list takes three pages, the first to come the last one listed."""
    images = []
    for _ in range(MANY):
        images.append(chain.share(owner))
        await chain.wait(0.001)
    return images


def lists(chain: Chain) -> list[str]:
    """Name the list calls since the last time: status, whether for whole servers, whether a later page."""
    told = []
    for call in chain.cloud.calls:
        if call.path == "/v2/cloudimages":
            query = dict(pair.split("=") for pair in call.query.split("&"))
            marks = ["whole"] * ("__whole_image" in query) + ["on"] * ("marker" in query)
            told.append(" ".join([query["member_status"], *marks]))
    chain.cloud.calls.clear()
    return told


async def test_no_page_further_than_needed(chain: Chain) -> None:
    """Images that the first page shows cost that page, and one look for whole servers; what was learnt there stays."""
    images = await share_many(chain)
    await chain.notify(*images[-3:-1])
    first = lists(chain)
    await chain.notify(*images[-5:-3], event_id="notice-2")
    assert (first, lists(chain)) == (["pending", "pending whole"], ["pending"])
    assert chain.members_calls() == []
    assert len(chain.cloud.jobs) == 2


async def test_a_walk_serves_again_for_a_moment(chain: Chain) -> None:
    """What a walk over several pages showed serves the next events, once nobody can have settled it the other way."""
    images = await share_many(chain)
    await chain.notify(*images[:2])
    walk = lists(chain)
    await chain.notify(*images[2:4], event_id="notice-2")
    again = lists(chain)
    await chain.wait(1.001)
    await chain.notify(*images[4:6], event_id="notice-3")
    assert walk == ["pending", "pending on", "pending on", "pending whole"]
    assert (again, lists(chain)) == (["rejected"], ["pending", "pending on", "pending on"])
    await chain.settle()
    assert chain.told() == sorted((image, "accepted", "allowed_owner") for image in images[:6])


async def test_what_a_person_rejected_a_moment_ago_stays_rejected(chain: Chain) -> None:
    """A share that was rejected after the list was read is not accepted by it."""
    images = await share_many(chain)
    await chain.notify(images[0], images[1])
    chain.cloud.set_status(images[2], RECEIVER, "rejected")
    await chain.notify(images[2], images[3], event_id="notice-2")
    await chain.settle()
    assert chain.cloud.member_status(images[2], RECEIVER) == "rejected"
    assert (images[2], "skipped", "settled_otherwise") in chain.told()
    assert (images[3], "accepted", "allowed_owner") in chain.told()


async def test_what_a_person_accepted_a_moment_ago_stays_accepted(chain: Chain) -> None:
    """A share that was accepted after the list was read is not rejected by it."""
    images = await share_many(chain, BAD)
    await chain.notify(images[0], images[1])
    chain.cloud.set_status(images[2], RECEIVER, "accepted")
    await chain.notify(images[2], images[3], event_id="notice-2")
    await chain.settle()
    assert chain.cloud.member_status(images[2], RECEIVER) == "accepted"
    assert (images[2], "skipped", "settled_otherwise") in chain.told()
    assert (images[3], "rejected", "rejected_by_rule") in chain.told()


async def test_a_walk_proves_no_absence(chain: Chain) -> None:
    """A share made after the list was read is looked for afresh."""
    images = await share_many(chain)
    await chain.notify(*images[:2])
    late = chain.share()
    await chain.notify(late, images[3], event_id="notice-2")
    await chain.settle()
    assert (late, "accepted", "allowed_owner") in chain.told()


async def test_what_we_submitted_is_looked_at_afresh(chain: Chain) -> None:
    """An event that comes again within the second finds its images as they stand, not as they were listed."""
    images = await share_many(chain)
    await chain.notify(*images[:2])
    await chain.settle()
    await chain.notify(*images[:2])
    assert chain.told(kind="dev.doorman.share.skipped.v1") == sorted(
        (image, "skipped", "already_settled") for image in images[:2]
    )
    assert len(chain.cloud.jobs) == 1


async def test_a_long_list_of_the_other_status_is_asked_once(chain: Chain) -> None:
    """Where one call does not tell that nobody settled a share the other way, lists are read afresh from then on."""
    images = await share_many(chain)
    for image in images[:501]:
        chain.cloud.set_status(image, RECEIVER, "rejected")
    images = await share_many(chain)
    await chain.notify(*images[:2])
    lists(chain)
    await chain.notify(*images[2:4], event_id="notice-2")
    first = lists(chain)
    await chain.notify(*images[4:6], event_id="notice-3")
    assert first[:2] == ["rejected", "pending"]
    assert "rejected" not in lists(chain)


async def test_what_is_remembered_of_images_is_bounded(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of so many images is remembered whether they are of whole servers, then it is asked again."""
    monkeypatch.setattr(doorman.cloud.project, "MANY", 1)
    for number in range(3):
        images = [chain.share(), chain.share()]
        await chain.notify(*images, event_id=f"notice-{number}")
    assert lists(chain) == ["pending", "pending whole"] * 3


async def test_held_shares_need_no_second_look(chain: Chain) -> None:
    """A share that is held is told as it was listed a moment ago: nothing is written by it."""
    images = await share_many(chain, STRANGER)
    await chain.notify(*images[:2])
    lists(chain)
    await chain.notify(*images[2:4], event_id="notice-2")
    assert lists(chain) == []
    assert chain.told() == sorted((image, "held", "owner_not_allowed") for image in images[:4])


async def test_plain_openstack() -> None:
    """On plain OpenStack long lists serve again in the same way."""
    chain = Chain(DOORMAN_API="glance")
    images = await share_many(chain)
    await chain.notify(*images[:2])
    chain.cloud.calls.clear()
    await chain.notify(*images[2:4], event_id="notice-2")
    asked = [call.query for call in chain.cloud.calls if call.method == "GET" and call.path == "/v2/images"]
    assert [query for query in asked if "pending" in query or "rejected" in query] == [
        "member_status=rejected&visibility=shared&limit=1000"
    ]
    assert [chain.cloud.member_status(image, RECEIVER) for image in images[:4]] == ["accepted"] * 4


T = TypeVar("T")


class Script:
    """A line that gives what it was told to, one thing a request; an error is raised."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def send(self, request: Request, reader: Callable[[Answer], T]) -> T:
        """Give the next answer."""
        self.asked.append(dict(request.params).get("marker", "first").removeprefix("00000000-0000-4000-8000-000000000"))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return reader(Answer(status=200, body=json.dumps({"images": [{"id": image} for image in answer]}).encode()))


def line(script: Script) -> ApiClient:
    """Give the script as the line that it stands in for."""
    return cast("ApiClient", script)


def page(start: int, size: int = 500) -> list[str]:
    """Name the images of a page."""
    return [f"00000000-0000-4000-8000-{number:012d}" for number in range(start, start + size)]


GONE = Refused("gone", code="IMG.0027", status=400)
DENIED = Refused("denied", code="IMG.0106", status=403)


async def test_a_lost_marker_starts_the_walk_again() -> None:
    """Where the image that a page begins after is gone, the list is read again from the start."""
    script = Script(page(0), GONE, page(1), page(501, 3))
    walked = await Lists(project_id="p", client=line(script), dialect=dialect_of(is_ims=True)).walk("pending")
    assert walked.ids == {*page(1), *page(501, 3)}
    assert script.asked == ["first", "499", "first", "500"]


async def test_a_list_that_never_stands_still_is_given_up() -> None:
    """A marker that is lost again and again ends in a redelivery, not in half a list."""
    script = Script(*[page(0), GONE] * 3)
    with pytest.raises(Unavailable, match="changes faster than it can be read"):
        await Lists(project_id="p", client=line(script), dialect=dialect_of(is_ims=True)).walk("pending")
    assert script.answers == []


async def test_a_list_that_goes_round_ends() -> None:
    """A service that gives the same page again and again is asked no further."""
    script = Script(page(0), page(0), page(0))
    walked = await Lists(project_id="p", client=line(script), dialect=dialect_of(is_ims=True)).walk("pending")
    assert (len(walked.ids), len(script.answers)) == (500, 1)


@pytest.mark.parametrize(
    ("refusal", "text"),
    [
        (DENIED, "grant ims:images:list and ims:images:get in this project"),
        (GONE, "gone to GET /v2/cloudimages"),
    ],
)
async def test_a_refused_list_is_worth_a_redelivery(refusal: Refused, text: str) -> None:
    """What a list call lacks is for people to put right, so the event comes again; the error names the right."""
    with pytest.raises(Unavailable, match=text):
        await Lists(project_id="p", client=line(Script(refusal)), dialect=dialect_of(is_ims=True)).walk("pending")


async def test_a_refused_vault_list_names_its_right() -> None:
    """The right to read vaults is another one."""
    request = Request(method="GET", path="/v3/p/vaults", service="cbr")
    with pytest.raises(Unavailable, match="grant cbr:vaults:list in this project"):
        await read(line(Script(DENIED)), request, lambda answer: answer)
