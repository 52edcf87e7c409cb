"""The sink of a run in one process: follow-up events go on right here, outcomes to the sink behind and into the report.

Knows nothing of what the events ask for.
"""

from collections.abc import Callable

from doorman.events.messages import EventType
from doorman.models import CloudEvent
from doorman.runtime.logs import logger
from doorman.sinks.base import Sink, log_evidence

_FOLLOW_UPS = frozenset({EventType.CHECK, EventType.NOTIFIED})


class LogSink:
    """Tells events in the log, where nobody else listens."""

    async def emit(self, event: CloudEvent) -> None:
        """Tell one event."""
        if event.type == EventType.DECIDED:
            log_evidence(event)
            return
        logger().info("event.told", event_id=event.id, event_type=event.type, data=event.data)


class LoopbackSink:
    """A sink that hands each follow-up event to `go_on`, once.

    Attributes:
        told: the outcomes that the sink behind took, by ID.
        untold: those that it has not taken.
    """

    def __init__(self, *, outer: Sink, go_on: Callable[[CloudEvent], None]) -> None:
        self._outer = outer
        self._go_on = go_on
        self._passed: set[str] = set()
        self.told: dict[str, CloudEvent] = {}
        self.untold: dict[str, CloudEvent] = {}

    async def emit(self, event: CloudEvent) -> None:
        """Take one event; the same one a second time changes nothing.

        Raises:
            Unavailable: the sink behind did not take an outcome.
        """
        if event.type == EventType.DECIDED:
            await self._outer.emit(event)
        elif event.type in _FOLLOW_UPS:
            if event.id not in self._passed:
                self._passed.add(event.id)
                self._go_on(event)
        elif event.id not in self.told:
            self.untold[event.id] = event
            await self._outer.emit(event)
            self.told[event.id] = self.untold.pop(event.id)
