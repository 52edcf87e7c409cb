"""The answer to every request: which events are refused, which are worth another delivery, and what the log says."""

import asyncio
import json
from collections.abc import Collection
from typing import Any
from uuid import uuid4

import pytest
from structlog.testing import capture_logs

from doorman.cloud.project import Cloud
from doorman.entrypoints.http import Reply
from doorman.events.messages import EventType
from doorman.models import Share
from tests.chain import BAD, GOLDEN, POLICY, RECEIVER, STRANGER, Chain, structured

pytestmark = pytest.mark.anyio
IMAGE = str(uuid4())


def event(**changes: Any) -> dict[str, Any]:
    """Compose a share notification, changed; None takes an attribute away."""
    whole = structured(EventType.NOTIFIED, {"project_id": RECEIVER, "images": [IMAGE]}) | changes
    return {name: value for name, value in whole.items() if value is not None}


def data(**changes: Any) -> dict[str, Any]:
    """Compose a share notification with changed data."""
    return event(data={"project_id": RECEIVER, "images": [IMAGE]} | changes)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (event(id=None), "id"),
        (event(type="dev.doorman.unknown.v1"), "type"),
        (event(data=None), "data"),
        (data(images=["../../../v1/cloudimages/members"]), "data.images[0]"),
        (data(project_id="not-served"), "data.project_id"),
    ],
)
async def test_a_malformed_event_is_refused_by_the_name_of_its_field(body: dict[str, Any], field: str) -> None:
    """What can never work is a 400 with a short text that begins with the field; nobody is called."""
    chain = Chain()
    reply = await chain.post(EventType.NOTIFIED, body)
    assert (reply.status, reply.text.split(":")[0]) == (400, field)
    assert len(reply.text.encode()) <= 512
    assert not chain.cloud.writes
    assert not chain.tray.events


async def test_a_batch_with_one_bad_member_is_refused_whole() -> None:
    """Nothing is written for a batch of which one member is malformed or names a project that is not served."""
    chain = Chain()
    good = data(images=[chain.share()])
    for bad in (data(images=["x"]), data(project_id="not-served")):
        reply = await chain.post(EventType.NOTIFIED, [good, bad])
        assert reply.status == 400
    assert not chain.cloud.writes


async def test_a_batch_is_worked_off_together() -> None:
    """The events of a batch share one look and one call; an empty batch asks for nothing."""
    chain = Chain()
    images = [chain.share() for _ in range(3)]
    batch = [data(images=[image]) | {"id": f"e{place}"} for place, image in enumerate(images)]
    assert (await chain.post(EventType.NOTIFIED, batch)).status == 204
    assert (await chain.post(EventType.NOTIFIED, [])).status == 204
    (check,) = chain.of(EventType.CHECK)
    assert sorted(check.data["images"]) == sorted(images)
    assert check.extensions["causationid"] == "e0"
    assert {check.data["shares"][image]["cause"] for image in images} == {"e0", "e1", "e2"}


async def test_events_that_share_a_round_are_answered_each_for_itself() -> None:
    """Beside an image that is not visible yet, the others' events are done."""
    chain = Chain()
    seen, unseen = chain.share(), str(uuid4())
    replies = await asyncio.gather(
        chain.notify(seen, event_id="first"),
        chain.notify(unseen, event_id="young", age=1),
        chain.notify(chain.share(BAD), event_id="third"),
    )
    assert [reply.status for reply in replies] == [204, 503, 204]


async def test_each_event_has_one_line_in_the_log() -> None:
    """The canonical line names the event, the project, the counts and the answer, for successes and refusals alike."""
    chain = Chain()
    with capture_logs() as log:
        await chain.notify(chain.share(), chain.share("someone"), event_id="good")
        await chain.post(EventType.NOTIFIED, data(images=["x"]))
        await chain.post(EventType.NOTIFIED, [])
    good, bad = (line for line in log if line["event"] == "event.handled" and line["event_id"])
    wanted = {"event_id": "good", "event_type": EventType.NOTIFIED, "project_id": RECEIVER, "http_status": 204}
    assert wanted.items() <= good.items()
    assert (good["submitted"], good["held"], good["api_calls"]) == (1, 1, 3)
    assert good["policy_digest"] == chain.served.policy.digest
    assert (bad["http_status"], bad["error"].split(":")[0]) == (400, "data.images[0]")


async def test_what_is_refused_is_one_short_line() -> None:
    """A batch however large, and a type however long, of which nobody wants to read more."""
    chain = Chain()
    with capture_logs() as log:
        for body in ([event(id=f"{n:0256}", type="é" * 1000) for n in range(100)], event(type="é" * 30_000)):
            assert (await chain.post(EventType.NOTIFIED, body)).status == 400
    assert [(line["event"], line["event_id"]) for line in log] == [("event.handled", None), ("event.handled", "e")]
    assert max(len(json.dumps(line)) for line in log) < 2000


async def test_a_compressed_body_is_a_415_that_says_so() -> None:
    """It is not unpacked: nobody knows how large it would become."""
    headers = {"content-type": "application/cloudevents+json", "content-encoding": "gzip"}
    reply = await Chain().send(EventType.NOTIFIED, headers, b"\x1f\x8b")
    assert reply == Reply(status=415, text="content-encoding: gzip is not read; send the body as it is")


TICK = {"ce-specversion": "1.0", "ce-id": "t", "ce-source": "/s", "ce-type": "any.type"}


@pytest.mark.parametrize("body", [b"", b"tick", b"[" * 1000, b"\xff"])
async def test_a_tick_is_any_event_whatever_is_in_it(body: bytes) -> None:
    """A PingSource may send plain text without a content type."""
    chain = Chain()
    assert await chain.send(EventType.SWEEP, TICK, body) == Reply()
    assert len(chain.of(EventType.PENDING)) == 1


@pytest.mark.parametrize("kind", [EventType.NOTIFIED, EventType.PENDING, "dev.doorman.unknown.v1"])
async def test_our_own_events_start_no_sweep(kind: str) -> None:
    """A sweep that heard itself would never end; beside a tick they do no harm."""
    chain = Chain()
    ours = event(type=kind, id="ours")
    assert await chain.post(EventType.SWEEP, ours) == Reply()
    assert not chain.cloud.calls
    assert not chain.tray.events
    with capture_logs() as log:
        await chain.post(EventType.SWEEP, [ours, event(type="t")])
    assert [(line["event_id"], line["api_calls"] > 0) for line in log] == [("ours", False), ("e", True)]


@pytest.mark.parametrize(
    ("extensions", "told"),
    [
        ({}, {(EventType.PENDING, None), (EventType.DRIFTED, None)}),
        ({"scope": "pending"}, {(EventType.PENDING, None)}),
        ({"scope": "settled", "daily": "yes"}, {(EventType.DRIFTED, "true")}),
        ({"scope": "nonsense", "daily": ""}, {(EventType.PENDING, "true"), (EventType.DRIFTED, "true")}),
    ],
)
async def test_a_tick_says_what_to_look_at(extensions: dict[str, str], told: set[tuple[EventType, str | None]]) -> None:
    """Two schedules may have two rhythms, and one of them is the daily one."""
    chain = Chain(policy=POLICY + "reconcile: {tell: true}\n")
    chain.share(BAD, status="accepted")
    chain.share(STRANGER)
    assert await chain.post(EventType.SWEEP, event(type="tick", **extensions)) == Reply()
    assert {(each.type, each.extensions.get("daily")) for each in chain.tray.events} == told
    assert (
        await chain.post(EventType.SWEEP, [event(type="tick"), event(type="tick", scope="pending", id="2")]) == Reply()
    )


async def test_ticks_join_a_sweep() -> None:
    """Forty at once are at most three sweeps, and so are a hundred in one batch; each tick is answered."""
    chain = Chain()
    replies = await asyncio.gather(*(chain.tick(f"tick-{number}") for number in range(40)))
    assert replies == [Reply()] * 40
    assert len(chain.of(EventType.PENDING)) <= 3
    swept = len(chain.of(EventType.PENDING))
    assert await chain.post(EventType.SWEEP, [event(type="t", id=str(number)) for number in range(100)]) == Reply()
    assert len(chain.of(EventType.PENDING)) == swept + 1


async def test_a_defect_met_by_one_event_of_a_batch_fails_the_batch_once_all_are_done() -> None:
    """A batch has one answer: where one event meets a defect it is a 500, and the others are settled nevertheless."""
    chain = Chain()
    good, bad = chain.share(), chain.share()

    class Stumbling(Cloud):
        async def pending(self, images: Collection[str] | None = None) -> dict[str, Share]:
            if bad in (images or ()):
                raise ZeroDivisionError
            return await super().pending(images)

    await chain.swap(Stumbling)
    events = [data(images=[image]) | {"id": image} for image in (good, bad)]
    reply = await chain.post(EventType.NOTIFIED, events)
    await chain.settle()
    assert (reply.status, chain.told()) == (500, [(good, "accepted", "allowed_owner")])


async def test_a_project_known_by_name_only_cannot_be_told_apart_while_the_login_fails() -> None:
    """Whether the event's project is served is not known then: that is a 503, and a tick is one too."""
    chain = Chain(OS_PROJECT_ID="", OS_PROJECT_NAME="by-name", OS_PROJECT_DOMAIN_NAME="Default")
    chain.cloud.settings.keystone_down = True
    assert (await chain.notify(IMAGE)).status == 503
    assert (await chain.tick()).status == 503


async def test_a_wrong_password_is_one_clear_line() -> None:
    """A login that is refused is a 503 with one sentence, for every function."""
    chain = Chain(OS_PASSWORD="wrong-secret")
    image = chain.share(GOLDEN)
    with capture_logs() as log:
        reply = await chain.notify(image)
    assert reply.status == 503
    assert "login refused" in reply.text
    assert "wrong-secret" not in json.dumps(log) + reply.text
    assert [line["event"] for line in log] == ["event.handled"]


class BrokenCloud(Cloud):
    """A cloud whose client has a defect."""

    async def pending(self, images: Collection[str] | None = None) -> dict[str, Share]:
        """Stumble."""
        raise ZeroDivisionError


async def test_a_defect_in_a_batch_is_a_500_too() -> None:
    """What fails inside a batch reaches every event of it, and the log."""
    chain = Chain()
    await chain.swap(BrokenCloud)
    with capture_logs() as log:
        reply = await chain.notify(IMAGE)
    assert (reply.status, reply.text) == (500, "internal error")
    assert [line["event"] for line in log] == ["event.crashed", "event.handled"]
