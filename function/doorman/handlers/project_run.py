"""One project's share of a run in one process: looks, triages and follows its jobs, again where that may help.

What a broker does for the functions, redelivery and its end, is done here. Prints nothing.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import TypeVar

from doorman.errors import Broken, Busy, DoormanError, Rejected, Stopped, Unavailable
from doorman.events.messages import CheckData, EventType
from doorman.events.writing import cause_of, read_check, read_notice
from doorman.handlers.bounds import Bounds
from doorman.handlers.check_job import check_job
from doorman.handlers.context import ProjectContext
from doorman.handlers.triage import triage
from doorman.models import Cause, CloudEvent, Notice, Share
from doorman.runtime.clock import Clock
from doorman.runtime.retry import persist
from doorman.sinks.loopback import LoopbackSink

T = TypeVar("T")

PAUSES = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Seconds before each further attempt."""

MAX_PAUSE = 60.0
"""Seconds to wait at most: a longer wait is left to the next run, or the next delivery."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """What could not be done, in words; `images` that it left undecided or untold, `project_id` None where unknown."""

    project_id: str | None
    message: str
    images: tuple[str, ...] = ()


@dataclass(slots=True, eq=False)
class StoppableClock:
    """A clock whose waits end where the run does."""

    clock: Clock
    stop: asyncio.Event

    def now(self) -> datetime:
        """Give the time of day, aware, in UTC."""
        return self.clock.now()

    def monotonic(self) -> float:
        """Give seconds since some moment, never going back."""
        return self.clock.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait that many seconds.

        Raises:
            Stopped: the run was stopped before or meanwhile.
        """
        waits = [asyncio.ensure_future(each) for each in (self.clock.sleep(seconds), self.stop.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()
        if self.stop.is_set():
            raise Stopped


@dataclass(kw_only=True, eq=False)
class ProjectRun:
    """The run of one project.

    Attributes:
        context, cause: what it works with, and what their outcomes name as the cause.
        tasks: what runs beside each other. places: for the checks among them.
        troubles: what was given up.
        running: the jobs that are not followed to their end, by the ID of the event that asks for it.
        shares: what was listed, by image.
        found: the shares to be seen to; None until the lists were read.
        open: tasks begun and not ended; those of a run that was cancelled stay so.
        is_stopped: something was left undone, since the run was stopped.
        loopback: what was told, and what could not be.
    """

    context: ProjectContext
    cause: Cause
    tasks: asyncio.TaskGroup
    places: asyncio.Semaphore
    troubles: list[Trouble] = field(default_factory=list)
    running: dict[str, CheckData] = field(default_factory=dict)
    shares: Mapping[str, Share] = field(default_factory=dict)
    found: int | None = None
    open: int = 0
    is_stopped: bool = False

    def __post_init__(self) -> None:
        self.loopback = LoopbackSink(outer=self.context.sink, go_on=self._go_on)
        self.context = replace(self.context, sink=self.loopback)
        self._clock = StoppableClock(self.context.clock, self.context.stop)
        self._started_at = self.context.clock.now()
        self._checks = 1

    @property
    def project_id(self) -> str:
        """The project."""
        return self.context.project_id

    def begin(self, task: Callable[[], Awaitable[None]]) -> None:
        """Start a task beside the others; what it cannot do is noted."""
        self.open += 1
        self.tasks.create_task(self._end(task))

    async def look(self) -> None:
        """List what waits, and have all of it triaged in one batch."""
        await self.take(await self.persist(self._list, is_worth_it=is_passing))

    async def take(self, images: Sequence[str]) -> None:
        """Have these images triaged, in one batch."""
        self.found = len(images)
        if images:
            await self._triage(Notice(project_id=self.project_id, images=tuple(images), cause=self.cause, sent_at=None))

    async def follow(self, events: Sequence[CloudEvent], *, checks: int) -> None:
        """Have done what these events ask; so many checks, of other projects as well, share what they may read."""
        self._checks = checks
        for event in events:
            self._go_on(event)

    def _go_on(self, event: CloudEvent) -> None:
        try:
            if event.type == EventType.CHECK:
                self.running[event.id] = check = read_check(event, now=self.context.clock.now())
                self.begin(partial(self._check, check, event))
            else:
                self.begin(partial(self._triage, read_notice(event)))
        except Rejected as error:  # a stranger's claim, which one more step takes out of bounds
            self.give_up(Unavailable(str(error)), event.data["images"])

    async def _end(self, task: Callable[[], Awaitable[None]]) -> None:
        try:
            await task()
        except Unavailable as error:
            self.give_up(error)
        self.open -= 1

    async def _list(self) -> tuple[str, ...]:
        self.shares = listed = await self.context.cloud.pending()
        # In the order of the sweep, so that the same shares come into the same calls.
        return tuple(sorted(image for image, share in listed.items() if share.owner != self.project_id))

    async def _triage(self, notice: Notice) -> None:
        # A call of an earlier attempt may have settled what its lost answer did not tell.
        left = replace(notice, counts_from=min(notice.sent_at or self._started_at, self._started_at))

        async def attempt() -> None:
            nonlocal left
            ended = await triage(self.context, [left])
            late = {image: end for image, end in ended.items() if isinstance(end, Unavailable)}
            if late:
                left = replace(left, images=tuple(late))
                raise next(iter(late.values()))

        try:
            await self.persist(attempt)
        except Unavailable as error:
            self.give_up(error, left.images)

    async def _check(self, check: CheckData, event: CloudEvent) -> None:
        async with self.places:
            try:
                # A check only reads: it may end in the midst of its wait, and the job is named as running.
                context, cause = replace(self.context, clock=self._clock), cause_of(event)
                await self.persist(lambda: check_job(context, check, cause=cause, bounds=Bounds(self._checks)))
            except Unavailable as error:
                self.give_up(error, check.images)
                return
        del self.running[event.id]

    async def persist(
        self, attempt: Callable[[], Awaitable[T]], *, is_worth_it: Callable[[Unavailable], bool] = lambda _: True
    ) -> T:
        """Do what may not be possible just now, some times with growing pauses.

        Raises:
            Stopped: the run was stopped.
            Unavailable: it was not possible at last.
        """
        if self.context.stop.is_set():
            raise Stopped

        async def wait(error: DoormanError, pause: float) -> bool:
            if not (isinstance(error, Unavailable) and is_worth_it(error)):
                return False
            if (seconds := max(pause, error.retry_after or 0.0)) > MAX_PAUSE:
                return False
            await self._clock.sleep(seconds)
            return True

        return await persist(attempt, pauses=PAUSES, wait=wait)

    def give_up(self, error: Unavailable, images: Sequence[str] = ()) -> None:
        """Note what could not be done, and the images that this leaves undecided or untold."""
        if isinstance(error, Stopped):
            self.is_stopped = True
            return
        self.troubles.append(Trouble(project_id=self.project_id, message=str(error), images=tuple(images)))


def is_passing(error: Unavailable) -> bool:
    """Say whether a list may be readable in a moment: refused logins and missing rights are not worth the wait."""
    return isinstance(error, Busy | Broken) or error.retry_after is not None
