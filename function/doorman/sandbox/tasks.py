"""Tasks that go on by themselves, until somebody waits for all of them or drops them."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Tasks:
    """Those that have not ended."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()

    @property
    def is_idle(self) -> bool:
        """Whether all have ended."""
        return not self._running

    def start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Begin one; must run in an event loop."""
        task = asyncio.get_running_loop().create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    async def settle(self) -> None:
        """Wait until all have ended, those that others start meanwhile included."""
        while self._running:
            await asyncio.wait(set(self._running))

    async def drop(self) -> None:
        """End all at once."""
        for task in list(self._running):
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
