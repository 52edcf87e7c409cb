"""Ends a run before its time: the calls under way are awaited, no other is begun, and no wait is sat out.

Decides nothing: it stands between a run and its clock, its cloud and its sink.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from doorman.cloud.project import Cloud
from doorman.errors import Unavailable
from doorman.events.messages import EventType
from doorman.handlers.context import ProjectContext
from doorman.models import CloudEvent, Status
from doorman.runtime.clock import Clock
from doorman.sinks.base import Sink


class Stopped(Unavailable):
    """Somebody ended the run; what is left is the next run's."""

    def __init__(self) -> None:
        super().__init__("the run was stopped")


def make_stoppable(context: ProjectContext, stop: asyncio.Event) -> ProjectContext:
    """Have a project write nothing more, and put nothing more on record as about to be written, once `stop` is set."""
    cloud = context.cloud
    gate = StoppableCloud(project_id=cloud.project_id, client=cloud.client, service=cloud.service, stop=stop)
    return replace(context, cloud=gate, sink=StoppableSink(context.sink, stop))


@dataclass(frozen=True, slots=True, kw_only=True)
class StoppableCloud(Cloud):
    """A cloud that takes no further write."""

    stop: asyncio.Event

    async def settle(self, images: Sequence[str], *, status: Status, vault_id: str | None = None) -> str:
        """Settle these images as `Cloud` does.

        Raises:
            Stopped: no call was made.
        """
        if self.stop.is_set():
            raise Stopped
        return await Cloud.settle(self, images, status=status, vault_id=vault_id)


@dataclass(frozen=True, slots=True)
class StoppableSink:
    """A sink that takes outcomes, and no further decision."""

    outer: Sink
    stop: asyncio.Event

    async def emit(self, event: CloudEvent) -> None:
        """Hand the event on.

        Raises:
            Stopped: it would be the evidence of a call that is not made any more.
            Unavailable: the sink behind did not take it.
        """
        if event.type == EventType.DECIDED and self.stop.is_set():
            raise Stopped
        await self.outer.emit(event)


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
