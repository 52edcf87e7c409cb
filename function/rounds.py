"""Group commit: notices that arrive while a round is in flight wait, and share the next one.

An idle project adds no delay, a busy one makes ever fewer calls per share. Each notice is answered for itself.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

from .errors import Unavailable
from .ledger import Ended
from .line import Tally, counting
from .shares import Notice

MAX_WAITING = 20_000
"""Images that may wait for the next round of one project; beyond it events are sent back at once."""

Work = Callable[[Sequence[Notice]], Awaitable[Ended]]


class Rounds:
    """The rounds of one project, one at a time."""

    def __init__(self, work: Work, *, max_waiting: int = MAX_WAITING) -> None:
        self._work = work
        self._max_waiting = max_waiting
        self._waiting: list[tuple[Notice, asyncio.Future[tuple[Ended, int]]]] = []
        self._images = 0
        self._task: asyncio.Task[None] | None = None

    async def join(self, notice: Notice) -> tuple[Mapping[str, str | Unavailable], int]:
        """Have this notice worked off: how its images ended, and how many API calls its round made.

        Raises:
            Unavailable: its round could not be done, or too much is waiting already.
        """
        if self._images + len(notice.images) > self._max_waiting and self._waiting:
            raise Unavailable("too many events are waiting for this project", retry_after=1.0)
        answer: asyncio.Future[tuple[Ended, int]] = asyncio.get_running_loop().create_future()
        self._waiting.append((notice, answer))
        self._images += len(notice.images)
        if self._task is None:
            # A task of its own: a caller that goes away takes nobody with it.
            self._task = asyncio.create_task(self._run())
        ended, calls = await asyncio.shield(answer)
        return {image: ended[image] for image in notice.images}, calls

    async def _run(self) -> None:
        while self._waiting:
            batch, self._waiting, self._images = self._waiting, [], 0
            with counting() as tally:
                await self._work_off([notice for notice, _ in batch], [answer for _, answer in batch], tally)
        self._task = None

    async def _work_off(
        self, notices: Sequence[Notice], answers: Sequence["asyncio.Future[tuple[Ended, int]]"], tally: Tally
    ) -> None:
        try:
            ended = await self._work(notices)
        except Exception as error:  # noqa: BLE001 - whatever it is, each waiting event must hear of it
            for answer in answers:
                answer.set_exception(error)
        else:
            for answer in answers:
                answer.set_result((ended, tally.calls))
