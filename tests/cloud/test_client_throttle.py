"""Calls to the cloud are bounded, per project and in all, and one pause holds all calls of a project back."""

import asyncio

import pytest

from doorman.cloud.client import CALLS_AT_ONCE, CALLS_PER_PROJECT, Throttle
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


def pace_of(clock: FakeClock, shared: int = CALLS_AT_ONCE) -> Throttle:
    """Make the pace of one project."""
    return Throttle(clock=clock, shared=asyncio.Semaphore(shared))


async def test_bound_of_a_project(clock: FakeClock, calls: Calls) -> None:
    """However many calls there are."""
    throttle = pace_of(clock)
    await asyncio.gather(*(calls.make(throttle) for _ in range(50)))
    assert (calls.most, len(calls.started)) == (CALLS_PER_PROJECT, 50)


async def test_bound_of_all(clock: FakeClock, calls: Calls) -> None:
    """Over all projects."""
    shared = asyncio.Semaphore(10)
    paces = [Throttle(clock=clock, shared=shared) for _ in range(5)]
    await asyncio.gather(*(calls.make(throttle) for throttle in paces for _ in range(20)))
    assert (calls.most, len(calls.started)) == (10, 100)


async def test_pause(clock: FakeClock, calls: Calls) -> None:
    """Until it ends, no call of the project starts; then they start a little apart."""
    throttle = pace_of(clock)
    throttle.hold(10.0)
    await asyncio.gather(*(calls.make(throttle) for _ in range(5)))
    assert all(start >= 10.0 for start in calls.started)


async def test_longer_pause_stays(clock: FakeClock, calls: Calls) -> None:
    """A shorter one does not end it."""
    throttle = pace_of(clock)
    throttle.hold(10.0)
    throttle.hold(1.0)
    await calls.make(throttle)
    assert 10.0 <= calls.started[0] <= 12.0


async def test_pause_holds_back_those_who_wait_for_a_place(clock: FakeClock, calls: Calls) -> None:
    """A call that was throttled speaks for all behind it: they do not run into the same answer one by one."""
    throttle = pace_of(clock)

    async def throttled() -> None:
        async with throttle.slot():
            await asyncio.sleep(0)
            throttle.hold(5.0)

    await asyncio.gather(*(throttled() for _ in range(CALLS_PER_PROJECT)), *(calls.make(throttle) for _ in range(10)))
    assert all(start >= 5.0 for start in calls.started)


async def test_pause_that_begins_while_waiting_for_all(clock: FakeClock, calls: Calls) -> None:
    """Who waits for one of the shared places when their project is told to pause gives it back and waits."""
    shared = asyncio.Semaphore(1)
    throttle = Throttle(clock=clock, shared=shared)
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
    shared = asyncio.Semaphore(CALLS_PER_PROJECT)
    throttled, free = (Throttle(clock=clock, shared=shared) for _ in range(2))
    throttled.hold(5.0)
    waiting = [asyncio.create_task(Calls(clock).make(throttled)) for _ in range(CALLS_PER_PROJECT)]
    await calls.make(free)
    assert calls.started == [0.0]
    await asyncio.gather(*waiting)


async def test_failing_call_gives_its_place_back(clock: FakeClock, calls: Calls) -> None:
    """Also one that is cancelled."""
    shared = asyncio.Semaphore(1)
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
