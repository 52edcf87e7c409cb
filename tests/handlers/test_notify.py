"""The function that tells people: few messages, none lost, none twice, and silence where there is nothing to say."""

import asyncio
import os
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from doorman.entrypoints.cli.notify import tell
from doorman.entrypoints.http import Reply, answer
from doorman.errors import Unavailable
from doorman.events.cloudevents import from_structured, write
from doorman.events.messages import EventType
from doorman.handlers.notify import LINGER, Announcer, handle_notify
from doorman.handlers.run import Run
from doorman.models import CloudEvent
from doorman.planning.channels import Channel
from doorman.planning.notices import Message, read_news
from doorman.sinks.chat import Service
from tests.chain import STRANGER, Chain
from tests.planning.test_notices import OPS, sample

pytestmark = pytest.mark.anyio

TICK = int(os.environ.get("TICK", "60"))
"""Minutes; `make soak` has one every five, which takes longer."""


@dataclass
class FakeService(Service):
    """Keeps the messages that it takes; `refusals` are answered first."""

    channel: Channel = OPS
    plugin: Any = None
    limit: int = 3000
    messages: list[Message] = field(default_factory=list)
    refusals: list[Unavailable] = field(default_factory=list)
    open: asyncio.Event = field(default_factory=asyncio.Event)

    async def send(self, message: Message) -> None:
        """Take one message."""
        await self.open.wait()
        if self.refusals:
            raise self.refusals.pop()
        self.messages.append(message)

    @property
    def titles(self) -> list[str]:
        """What was told, in short."""
        return [message.title for message in self.messages]


class House(Chain):
    """The chain with people behind it: what the broker brings to `notify` leads to one channel."""

    def __init__(self) -> None:
        super().__init__()
        self.service = FakeService()
        self.service.open.set()
        self.announcers = {"ops": Announcer(service=self.service, names={}, clock=self.clock)}
        self.heard = 0

    async def hand(self, *events: CloudEvent, name: str = "ops") -> list[Reply]:
        """Deliver events, all at the same moment."""
        take = partial(answer, partial(handle_notify, announcers=self.announcers, name=name), policy_digest="")
        return await asyncio.gather(*(take(headers=headers, body=body) for headers, body in map(write, events)))

    async def hear(self) -> None:
        """Deliver all that was emitted since; what is not taken is delivered again, as a broker does."""
        new, self.heard = self.tray.events[self.heard :], len(self.tray.events)
        while new:
            replies = await self.hand(*new)
            new = [event for event, reply in zip(new, replies, strict=True) if reply.status == 503]

    async def look(self, number: int, *, daily: bool = False) -> None:
        """Let the sweep look, and tell what it tells."""
        marks = {"daily": "true"} if daily else {}
        event = CloudEvent(id=f"tick-{number}", source="/ping", type="dev.knative.sources.ping", extensions=marks)
        await self.send(EventType.SWEEP, *write(event))
        await self.settle()
        await self.hear()

    async def receive(self, name: str) -> str:
        """Let a share come in that is held, with an event that says so."""
        image = self.share(STRANGER, name=name)
        await self.notify(image, event_id=f"notice-{name}")
        await self.hear()
        return image


def event(name: str, **extensions: str) -> CloudEvent:
    """Read a sample of what Doorman tells."""
    return from_structured(sample(name) | extensions)


async def test_a_week_of_quiet() -> None:
    """Of 40 shares that wait and 3 new ones a day: one report a day, and one message for each new share."""
    house, new, ticks = House(), [], 24 * 60 // TICK
    for number in range(40):
        house.share(STRANGER, name=f"old-{number}")
    for tick in range(7 * ticks):
        if tick % ticks in {ticks // 6, ticks // 6 + 1, ticks // 2}:
            new.append(await house.receive(f"new-{tick}"))
        await house.look(tick, daily=tick % ticks == ticks // 3)
        await house.wait(TICK * 60)
    reports = [title for title in house.service.titles if "waiting" in title]
    assert reports == [f"Doorman: {42 + 3 * day} waiting" for day in range(7)]
    others = [message for message in house.service.messages if "waiting" not in message.title]
    assert [message.title for message in others] == ["Doorman: 1 held"] * 21
    assert [image in message.body for image, message in zip(new, others, strict=True)] == [True] * 21


async def test_a_week_of_cron(tmp_path: Path) -> None:
    """With `--state` each thing is told once, none twice and none not at all; a share that comes back is told again."""
    house, state = House(), str(tmp_path / "told.json")
    old = [house.share(STRANGER, name=f"old-{number}") for number in range(40)]
    channels = {"ops": house.service}

    async def run(number: int) -> bool:
        report = await Run(house.served, run_id=f"run-{number}").work()
        events = report.events
        return await tell(events, channels, names={}, state=state, is_whole=report.is_whole)

    new = []
    for hour in range(0, 7 * 24, 4):
        new += [house.share(STRANGER, name=f"new-{hour}")] if hour % 8 == 4 else []
        house.service.refusals += [Unavailable("not now")] if hour == 12 else []
        assert await run(hour) is (hour != 12)
        await house.wait(4 * 3600)
    first, *others = house.service.messages
    assert first.title == "Doorman: 40 held"
    assert [[image for image in new if image in message.body] for message in others] == [[image] for image in new]
    house.cloud.unshare(old[0], "receiver")
    assert await run(200)
    house.cloud.share(old[0], "receiver")
    assert [await run(201), await run(202)] == [True, True]
    assert [message.title for message in house.service.messages[22:]] == ["Doorman: 1 held"]


async def test_a_project_that_cannot_be_read_is_told_at_each_run(tmp_path: Path) -> None:
    """What was told does not grow by it."""
    house, state, unread = House(), tmp_path / "told.json", sample("pending")
    unread["data"] |= {"images": [], "error": "denied"}
    for number in range(2):
        events = [from_structured(unread | {"id": f"report-{number}"})]
        assert await tell(events, {"ops": house.service}, names={}, state=str(state), is_whole=False)
    assert (len(house.service.messages), state.read_text()) == (2, '{"keys": []}')


async def test_what_comes_together_is_one_message() -> None:
    """The reports of all projects, and a batch; each thing counts once, however often and by whomever it is told."""
    house = House()
    reports = [event("pending", daily="true", id=f"report-{number}") for number in range(3)]
    replies = await house.hand(*reports, reports[0], event("failed"), event("failed", id="of another process"))
    assert [reply.status for reply in replies] == [204] * 6
    assert house.service.titles == ["Doorman: 1 failed, 30 waiting"]
    assert house.clock.seconds >= LINGER
    assert [reply.status for reply in await house.hand(reports[1], event("failed"))] == [204, 204]
    assert house.service.titles == ["Doorman: 1 failed, 30 waiting"]


async def test_what_fails_at_every_tick_is_told_once_a_day() -> None:
    """The sweep has it tried again every five minutes, and it is the same each time."""
    house = House()
    for tick in range(3 * 288):
        await house.hand(event("failed", id=f"failed-{tick}"))
        await house.wait(300 - LINGER)
    assert house.service.titles == ["Doorman: 1 failed"] * 3


async def test_a_message_that_was_not_taken_comes_again() -> None:
    """All whose events were in it are answered 503, no one hears it twice, and the log has a line for each message."""
    house = House()
    house.service.refusals.append(Unavailable("channel ops: the service did not take the message"))
    both = (event("failed"), event("held"))
    with capture_logs() as lines:
        replies = await house.hand(*both)
    expected = Reply(status=503, text="channel ops: the service did not take the message", headers={"Retry-After": "2"})
    assert replies == [expected, expected]
    assert house.service.messages == []
    with capture_logs() as more:
        assert [reply.status for reply in await house.hand(*both)] == [204, 204]
    assert house.service.titles == ["Doorman: 1 failed, 9 held"]
    assert [line for line in [*lines, *more] if line["event"].startswith("notify.")] == [
        {"event": "notify.failed", "channel": "ops", "error": expected.text, "log_level": "warning"},
        {"event": "notify.sent", "channel": "ops", "shares": 10, "log_level": "info"},
    ]


async def test_an_event_that_comes_again_meanwhile_waits_for_the_message() -> None:
    """A broker that lost patience hears of it when it was sent, and it is not sent twice."""
    house = House()
    house.service.open.clear()
    first, again = (asyncio.create_task(house.hand(event("failed"))) for _ in range(2))
    await asyncio.sleep(0.01)
    second = asyncio.create_task(house.hand(event("failed")))
    await asyncio.sleep(0.01)
    house.service.open.set()
    assert [reply.status for task in (first, again, second) for reply in await task] == [204] * 3
    assert house.service.titles == ["Doorman: 1 failed"]


async def test_a_report_of_nothing_is_logged_with_its_project() -> None:
    """And wakes nobody."""
    house, empty = House(), sample("pending")
    empty["data"]["images"] = []
    with capture_logs() as lines:
        await house.hand(from_structured(empty | {"daily": "true"}))
    handled = [line["project_id"] for line in lines if line["event"] == "event.handled"]
    assert (handled, house.service.titles) == ([empty["data"]["project_id"]], [])


async def test_a_caller_that_goes_away_takes_nobody_with_it() -> None:
    """The message is sent all the same."""
    house = House()
    _, news = read_news(event("failed"))
    announcer = Announcer(service=house.service, names={}, clock=house.clock)
    gone, stays = (asyncio.create_task(announcer.tell(news)) for _ in range(2))
    await asyncio.sleep(0)
    gone.cancel()
    await stays
    assert (gone.cancelled(), house.service.titles) == (True, ["Doorman: 1 failed"])


async def test_an_unknown_channel_is_named() -> None:
    """With those that there are; a Trigger's URI is wrong, and no retry mends it."""
    house = House()
    (reply,) = await house.hand(event("failed"), name="opps")
    assert reply == Reply(status=400, text="path: 'opps' is no channel of DOORMAN_CHANNELS: end it with ops")


async def test_what_is_no_news_for_people_does_nothing() -> None:
    """Other events, those that the channel does not ask for, and what only the daily report brings."""
    house = House()
    others = [event("decided"), event("accepted"), event("pending"), CloudEvent(id="1", source="/x", type="tick")]
    assert [reply.status for reply in await house.hand(*others)] == [204] * 4
    assert (house.service.messages, house.clock.seconds) == ([], 0)


async def test_a_malformed_event_is_refused() -> None:
    """Before anything is told."""
    house = House()
    (reply,) = await house.hand(from_structured(sample("failed") | {"data": {}}))
    assert (reply.status, reply.text) == (400, "data.project_id: missing")


async def test_what_is_remembered_is_bounded() -> None:
    """Anybody may send events: the oldest of what was told is forgotten first, and told again where it comes again."""
    house = House()
    house.announcers["ops"] = Announcer(service=house.service, names={}, clock=house.clock, most=1)
    for name in ("failed", "held", "failed"):
        await house.hand(event(name))
    assert house.service.titles == ["Doorman: 1 failed", "Doorman: 9 held", "Doorman: 1 failed"]


async def test_what_waits_for_one_message_is_bounded() -> None:
    """While a service hangs, what is too much is sent back; what waits is told all the same."""
    house = House()
    house.announcers["ops"] = Announcer(service=house.service, names={}, clock=house.clock, most=5)
    first, second = await house.hand(event("failed"), event("held"))
    text = "channel ops: too much is waiting for it"
    assert (first, second) == (Reply(), Reply(status=503, text=text, headers={"Retry-After": "2"}))
    assert house.service.titles == ["Doorman: 1 failed"]
