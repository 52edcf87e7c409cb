"""Time as a value that is handed in, so that no test waits and no pure room reads a clock."""

import asyncio
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from doorman.errors import Stopped


class Clock(Protocol):
    """What the product needs of time."""

    def now(self) -> datetime:
        """Give the time of day, aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Give seconds since some moment, never going back."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait that many seconds."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """Give the time of day, aware, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Give seconds since some moment, never going back."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait that many seconds."""
        await asyncio.sleep(seconds)


@dataclass(frozen=True, slots=True)
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
