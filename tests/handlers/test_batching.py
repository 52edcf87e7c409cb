"""Tests of batches: who shares one, who waits for what, and that nobody's trouble becomes somebody else's."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from doorman.errors import Unavailable
from doorman.handlers.batching import YIELDS, Batcher, Turns
from doorman.handlers.results import Ended
from doorman.models import Cause, Notice, OutcomeType
from tests.builders import image_id

pytestmark = pytest.mark.anyio


def notice(*numbers: int) -> Notice:
    """Make a notice of these images."""
    name = f"notice-{numbers[0]}"
    images = tuple(image_id(number) for number in numbers)
    return Notice(project_id="p", images=images, cause=Cause(id=name, correlation=name), sent_at=None)


@dataclass
class Work:
    """Works batches off when it is told to.

    Attributes:
        batches: numbers of the first images of each batch's notices.
        errors: by number of a first image, what goes wrong with a batch that has it.
        is_open: whether batches end at once; else each waits for `go_on`.
    """

    batcher: list[list[int]] = field(default_factory=list)
    errors: dict[int, Exception] = field(default_factory=dict)
    is_open: bool = True
    in_flight: int = 0
    most_in_flight: int = 0
    places: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))

    async def __call__(self, notices: Sequence[Notice]) -> Ended:
        """Work one batch off."""
        numbers = [int(each.images[0][-12:]) for each in notices]
        self.batcher.append(numbers)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        if not self.is_open:
            await self.places.acquire()
        self.in_flight -= 1
        for number in numbers:
            if number in self.errors:
                raise self.errors[number]
        return {image: OutcomeType.ACCEPTED for each in notices for image in each.images}

    def go_on(self, batcher: int = 1) -> None:
        """Let batches end."""
        for _ in range(batcher):
            self.places.release()


def open_batcher(work: Work, *, turns: Turns | None = None, waiting: int = 100, size: int = 100) -> Batcher:
    """Open a line of notices."""
    return Batcher(work=work, turns=turns or Turns(), max_waiting=waiting, max_batch=size)


async def yield_often() -> None:
    """Let everybody run until nobody can go on."""
    for _ in range(20):
        await asyncio.sleep(0)


async def join(batcher: Batcher, *notices: Sequence[int]) -> list[asyncio.Task[tuple[Ended, int]]]:
    """Have these notices wait in line, and let everybody run."""
    tasks = [asyncio.create_task(batcher.join(notice(*numbers))) for numbers in notices]
    await yield_often()
    return tasks


async def test_an_idle_project_adds_no_delay() -> None:
    """A lone notice is worked off at once, and so is the next one; each is told its own images only."""
    work = Work()
    batcher = open_batcher(work)
    first = await batcher.join(notice(1, 2))
    second = await batcher.join(notice(3))
    assert first == ({image_id(1): "accepted", image_id(2): "accepted"}, 0)
    assert second == ({image_id(3): "accepted"}, 0)
    assert work.batcher == [[1], [3]]


async def test_what_comes_meanwhile_shares_the_next_round() -> None:
    """While a batch is in flight the next notices wait; then all of them go in one batch."""
    work = Work(is_open=False)
    batcher = open_batcher(work)
    tasks = await join(batcher, [1])
    tasks += await join(batcher, *([number] for number in range(2, 7)))
    assert work.batcher == [[1]]
    work.go_on(2)
    await asyncio.gather(*tasks)
    assert work.batcher == [[1], [2, 3, 4, 5, 6]]


async def test_a_busy_project_waits_a_moment_for_those_just_answered() -> None:
    """Who was answered and at once sends the next event shares the next batch with those that waited."""
    work = Work(is_open=False)
    batcher = open_batcher(work)

    async def two(number: int) -> None:
        await batcher.join(notice(number))
        await batcher.join(notice(number + 10))

    tasks = [asyncio.create_task(two(number)) for number in (1, 2)]
    await yield_often()
    tasks.append(asyncio.create_task(two(3)))
    await asyncio.sleep(0.02)
    work.go_on()
    await asyncio.sleep(0.005)
    assert work.batcher == [[1, 2], [3, 11, 12]]
    work.go_on(2)
    await asyncio.gather(*tasks)
    assert work.batcher[2:] == [[13]]


async def test_a_round_has_a_bound() -> None:
    """Nobody waits for the whole of a large storm: a batch takes the first to come, and one large event goes alone."""
    work = Work(is_open=False)
    batcher = open_batcher(work, size=4)
    tasks = await join(batcher, [0])
    tasks += await join(batcher, [1, 2], [3], [4, 5], [6], [7, 8, 9, 10, 11], [12])
    work.go_on(10)
    await asyncio.gather(*tasks)
    assert work.batcher == [[0], [1, 3], [4, 6], [7], [12]]


async def test_a_full_queue_sends_back_at_once() -> None:
    """Past the bound an event is not kept waiting; one that is larger than the bound still finds its way."""
    work = Work(is_open=False)
    batcher = open_batcher(work, waiting=2)
    tasks = await join(batcher, [0])
    tasks += await join(batcher, [1, 2, 3])
    with pytest.raises(Unavailable, match="too many events are waiting") as caught:
        await batcher.join(notice(4))
    assert caught.value.retry_after == 1.0
    work.go_on(2)
    await asyncio.gather(*tasks)
    work.go_on()
    assert await batcher.join(notice(4)) == ({image_id(4): "accepted"}, 0)


async def test_a_cloud_that_is_down_is_told_to_all() -> None:
    """Where nothing of a batch could be done, each of its events is to come again; the next batch is not held up."""
    work = Work(errors={1: Unavailable("the cloud is down", retry_after=7.0)})
    batcher = open_batcher(work)
    answers = await asyncio.gather(*(batcher.join(notice(number)) for number in (1, 2)), return_exceptions=True)
    assert [(str(each), each.retry_after) for each in answers if isinstance(each, Unavailable)] == [
        ("the cloud is down", 7.0)
    ] * 2
    assert work.batcher == [[1, 2]]
    assert await batcher.join(notice(3)) == ({image_id(3): "accepted"}, 0)


async def test_a_defect_met_by_one_event_fails_no_other() -> None:
    """A batch that meets a defect of ours is worked off one by one: only the event that causes it fails."""
    work = Work(errors={2: ZeroDivisionError("a defect")})
    batcher = open_batcher(work)
    answers = await asyncio.gather(*(batcher.join(notice(number)) for number in (1, 2, 3)), return_exceptions=True)
    assert work.batcher == [[1, 2, 3], [1], [2], [3]]
    assert [type(each) for each in answers] == [tuple, ZeroDivisionError, tuple]


async def test_a_caller_that_goes_away_takes_nobody_with_it() -> None:
    """The batch goes on for the others, also when all are gone, and the next one finds an open door."""
    work = Work(is_open=False)
    batcher = open_batcher(work)
    tasks = await join(batcher, [1], [2])
    tasks[0].cancel()
    work.go_on()
    assert await tasks[1] == ({image_id(2): "accepted"}, 0)
    (lone,) = await join(batcher, [3])
    lone.cancel()
    work.go_on(2)
    assert await batcher.join(notice(4)) == ({image_id(4): "accepted"}, 0)
    assert work.batcher == [[1, 2], [3], [4]]


async def test_nobody_hears_of_the_error_of_a_caller_that_left(caplog: pytest.LogCaptureFixture) -> None:
    """An error that nobody waits for is not complained about either."""
    work = Work(is_open=False, errors={1: Unavailable("down")})
    batcher = open_batcher(work)
    (task,) = await join(batcher, [1])
    task.cancel()
    work.go_on()
    await yield_often()
    assert caplog.records == []


async def test_projects_take_turns() -> None:
    """While batches of others are in flight, the next one waits for what comes in meanwhile; then it has its turn."""
    turns = Turns()
    works = [Work(is_open=False) for _ in range(3)]
    lines = [open_batcher(work, turns=turns) for work in works]
    tasks = [asyncio.create_task(lines[place].join(notice(1))) for place in (0, 1, 2)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    tasks += [asyncio.create_task(lines[place].join(notice(2))) for place in (0, 1, 2)]
    assert [work.batcher for work in works] == [[[1]], [], []]
    for _ in range(4 * YIELDS):
        await asyncio.sleep(0)
    assert [work.batcher for work in works] == [[[1]], [[1, 2]], [[1, 2]]]
    for work in works:
        work.go_on(2)
    await asyncio.gather(*tasks)
    assert works[0].batcher == [[1], [2]]
