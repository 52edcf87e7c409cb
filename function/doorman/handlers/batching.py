"""Group commit: notices that arrive while a batch is in flight wait, and share the next one.

An idle project adds no delay, a busy one makes ever fewer calls per share. Each notice is answered for itself.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeAlias

from doorman.cloud.client import counting
from doorman.errors import Unavailable
from doorman.handlers.results import Ended
from doorman.models import Notice
from doorman.runtime import telemetry

MAX_WAITING = 20_000
"""Images that may wait for the next batch of one project; beyond it events are sent back at once."""

MAX_BATCH = 2000
"""Images in one batch, unless a single event has more: nobody waits for the whole of a large storm."""

YIELDS = 6
"""Passes of the event loop that a batch waits for each one in flight; a pass is short unless there is much to do."""

LINGER = 0.05
"""Part of a batch's duration that a busy project waits for those just answered to send their next events."""

Work = Callable[[Sequence[Notice]], Awaitable[Ended]]
Answer: TypeAlias = "tuple[Ended, int] | Exception"


@dataclass(slots=True, eq=False)
class _Waiting:
    """A notice with the answer that its caller waits for."""

    notice: Notice
    answer: "asyncio.Future[Answer]"

    def tell(self, answer: Answer) -> None:
        """Answer the caller, unless they are gone."""
        if not self.answer.done():
            self.answer.set_result(answer)


class Turns:
    """Lets the batches of all projects begin one after another, in the order in which they ask.

    A batch begins at once where none is in flight, and the later the more there are: in a storm over many projects each
    one's events gather meanwhile. It is the process's own work that is waited for, not the cloud's.
    """

    def __init__(self) -> None:
        self._next = asyncio.Lock()
        self._in_flight = 0

    @asynccontextmanager
    async def take(self) -> AsyncIterator[None]:
        """Wait for a turn, and count as in flight for the body."""
        async with self._next:
            for _ in range(self._in_flight * YIELDS):
                await asyncio.sleep(0)
            self._in_flight += 1
        try:
            yield
        finally:
            self._in_flight -= 1


@dataclass(slots=True, kw_only=True, eq=False)
class Batcher:
    """The batches of one project, one at a time.

    Attributes:
        work: works notices off together; raises where nothing of it was done.
        turns: shared with the other projects.
        max_waiting: see MAX_WAITING. max_batch: see MAX_BATCH.
    """

    work: Work
    turns: Turns
    max_waiting: int = MAX_WAITING
    max_batch: int = MAX_BATCH
    _waiting: list[_Waiting] = field(default_factory=list)
    _images: int = 0
    _wanted: int = 0
    _gathered: asyncio.Event = field(default_factory=asyncio.Event)
    _task: "asyncio.Task[None] | None" = None

    async def join(self, notice: Notice) -> tuple[Ended, int]:
        """Have this notice worked off: how its images ended, and how many API calls its batch made.

        Raises:
            Unavailable: its batch could not be done, or too much is waiting already.
        """
        if self._images + len(notice.images) > self.max_waiting and self._waiting:
            raise Unavailable("too many events are waiting for this project", retry_after=1.0)
        waiting = _Waiting(notice, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        self._images += len(notice.images)
        if len(self._waiting) >= self._wanted:
            self._gathered.set()
        if self._task is None:
            # A task of its own, which goes on for the others where a caller is cancelled.
            self._task = asyncio.create_task(self._run())
        answer = await waiting.answer
        if isinstance(answer, Exception):
            raise answer
        ended, calls = answer
        return {image: ended[image] for image in notice.images}, calls

    async def _run(self) -> None:
        clock = asyncio.get_running_loop()
        while self._waiting:
            async with self.turns.take():
                start, batch = clock.time(), self._take()
                await self._work_off(batch)
            if self._waiting:
                await self._gather(len(batch), seconds=(clock.time() - start) * LINGER)
        self._task = None

    def _take(self) -> list[_Waiting]:
        """Take the next batch's notices, the first to come first."""
        images = count = 0
        for waiting in self._waiting:
            images += len(waiting.notice.images)
            if count and images > self.max_batch:
                break
            count += 1
        batch, self._waiting = self._waiting[:count], self._waiting[count:]
        self._images = sum(len(waiting.notice.images) for waiting in self._waiting)
        return batch

    async def _gather(self, answered: int, *, seconds: float) -> None:
        """Wait a moment for as many new events as were just answered: their senders are about to send the next ones."""
        self._wanted = len(self._waiting) + answered
        self._gathered.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._gathered.wait()
        except TimeoutError:
            pass
        self._wanted = 0

    async def _work_off(self, batch: Sequence[_Waiting]) -> None:
        try:
            answer = await self._answer([waiting.notice for waiting in batch])
        except Unavailable as error:
            for waiting in batch:
                waiting.tell(Unavailable(str(error), retry_after=error.retry_after))
        except Exception:  # noqa: BLE001 - found out below whose it is
            # One of them met a defect of ours: each is worked off alone, so that only this one fails.
            for waiting in batch:
                waiting.tell(await self._answer_alone(waiting.notice))
        else:
            for waiting in batch:
                waiting.tell(answer)

    async def _answer(self, notices: Sequence[Notice]) -> tuple[Ended, int]:
        with telemetry.within(notices[0].cause.traceparent), counting() as tally:
            return await self.work(notices), tally.calls

    async def _answer_alone(self, notice: Notice) -> Answer:
        try:
            return await self._answer([notice])
        except Exception as error:  # noqa: BLE001 - told to the one whose event it is
            return error
