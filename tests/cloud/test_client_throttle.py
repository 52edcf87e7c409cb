"""Calls to the cloud are bounded, per project and in all, and one pause holds all calls of a project back."""

import asyncio

import pytest

from doorman.cloud.client import CALLS_AT_ONCE, CALLS_PER_PROJECT, Places, Throttle
from tests.builders import FakeClock

pytestmark = pytest.mark.anyio


class Calls:
    """Calls that take a moment, and what was seen of them."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.started: list[float] = []
        self.now = 0
        self.most = 0

    async def make(self, throttle: Throttle) -> None:
        """Make one call."""
        async with throttle.slot():
            self.started.append(self.clock.monotonic())
            self.now += 1
            self.most = max(self.most, self.now)
            for _ in range(3):
                await asyncio.sleep(0)
            self.now -= 1


@pytest.fixture
def calls(clock: FakeClock) -> Calls:
    """No call yet."""
    return Calls(clock)


async def test_bound_of_a_project(clock: FakeClock, calls: Calls) -> None:
    """However many calls there are."""
    throttle = Throttle(clock=clock, shared=Places(CALLS_AT_ONCE))
    await asyncio.gather(*(calls.make(throttle) for _ in range(50)))
    assert (calls.most, len(calls.started)) == (CALLS_PER_PROJECT, 50)


async def test_bound_of_all(clock: FakeClock, calls: Calls) -> None:
    """Over all projects."""
    shared = Places(10)
    paces = [Throttle(clock=clock, shared=shared) for _ in range(5)]
    await asyncio.gather(*(calls.make(throttle) for throttle in paces for _ in range(20)))
    assert (calls.most, len(calls.started)) == (10, 100)


@pytest.mark.parametrize("limit", [1, 9])
async def test_what_is_urgent_comes_first(clock: FakeClock, limit: int) -> None:
    """It takes the next place of its project, and of all; the others keep their order."""
    throttle, order = Throttle(clock=clock, shared=Places(1), limit=limit), []

    async def call(name: str) -> None:
        async with throttle.slot(is_urgent=name == "urgent"):
            order.append(name)
            await asyncio.sleep(0)

    await asyncio.gather(*map(call, ("a", "b", "c", "urgent")))
    assert order == ["a", "urgent", "b", "c"]


async def test_pause(clock: FakeClock, calls: Calls) -> None:
    """Until it ends, no call of the project starts; then they start a little apart. A shorter one does not end it."""
    throttle = Throttle(clock=clock, shared=Places(CALLS_AT_ONCE))
    throttle.hold(10.0)
    throttle.hold(1.0)
    await asyncio.gather(*(calls.make(throttle) for _ in range(5)))
    assert all(10.0 <= start <= 12.0 for start in calls.started)


async def test_pause_holds_back_those_who_wait_for_a_place(clock: FakeClock, calls: Calls) -> None:
    """A call that was throttled speaks for all behind it: they do not run into the same answer one by one."""
    throttle = Throttle(clock=clock, shared=Places(CALLS_AT_ONCE))

    async def throttled() -> None:
        async with throttle.slot():
            await asyncio.sleep(0)
            throttle.hold(5.0)

    await asyncio.gather(*(throttled() for _ in range(CALLS_PER_PROJECT)), *(calls.make(throttle) for _ in range(10)))
    assert all(start >= 5.0 for start in calls.started)


async def test_pause_that_begins_while_waiting_for_all(clock: FakeClock, calls: Calls) -> None:
    """Who waits for one of the shared places when their project is told to pause gives it back and waits."""
    throttle = Throttle(clock=clock, shared=(shared := Places(1)))
    await shared.acquire()
    waiting = asyncio.create_task(calls.make(throttle))
    await asyncio.sleep(0)
    throttle.hold(5.0)
    shared.release()
    await waiting
    assert calls.started[0] >= 5.0
    assert not shared.locked()


async def test_other_projects_do_not_pause(clock: FakeClock, calls: Calls) -> None:
    """One throttled project keeps none of the shared places while it waits."""
    shared = Places(CALLS_PER_PROJECT)
    throttled, free = (Throttle(clock=clock, shared=shared) for _ in range(2))
    throttled.hold(5.0)
    waiting = [asyncio.create_task(Calls(clock).make(throttled)) for _ in range(CALLS_PER_PROJECT)]
    await calls.make(free)
    assert calls.started == [0.0]
    await asyncio.gather(*waiting)


async def test_failing_call_gives_its_place_back(clock: FakeClock, calls: Calls) -> None:
    """Also one that is cancelled."""
    shared = Places(1)
    throttle = Throttle(clock=clock, shared=shared, limit=1)
    with pytest.raises(ZeroDivisionError):
        async with throttle.slot():
            raise ZeroDivisionError
    task = asyncio.create_task(calls.make(throttle))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    await calls.make(throttle)
    assert not shared.locked()
