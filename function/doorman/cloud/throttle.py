"""Back-pressure towards the cloud: how many calls at once, and one pause for all when it throttles."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from doorman.runtime.clock import Clock

CALLS_AT_ONCE = 32
"""In one process, over all projects."""

CALLS_PER_PROJECT = 8


class Throttle:
    """The calls of one project: a bound of its own, a bound shared with the other projects, and a common pause."""

    def __init__(self, *, clock: Clock, shared: asyncio.Semaphore, limit: int = CALLS_PER_PROJECT) -> None:
        self._clock = clock
        self._shared = shared
        self._own = asyncio.Semaphore(limit)
        self._resume_at = 0.0

    def hold(self, seconds: float) -> None:
        """Let no call of this project start for that long; a longer pause in force stays."""
        self._resume_at = max(self._resume_at, self._clock.monotonic() + seconds)

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Wait for the pause to end and for a free place, and keep the place for the body.

        Who waits for a place when a pause begins waits for its end as well; no other project waits for that.
        """
        async with self._own:
            while True:
                while (wait := self._resume_at - self._clock.monotonic()) > 0:
                    # A little apart, so that those who waited together do not all call at once.
                    await self._clock.sleep(wait * random.uniform(1.0, 1.2))  # noqa: S311 - jitter is no secret
                async with self._shared:
                    if self._resume_at <= self._clock.monotonic():
                        yield
                        return
