"""The sink of a run in one process: follow-up events go on right here, outcomes to the sink behind and into the report.

Knows nothing of what the events ask for.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

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


@dataclass(slots=True, kw_only=True, eq=False)
class LoopbackSink:
    """A sink that hands each follow-up event to `go_on`, once.

    Attributes:
        outer: the sink behind.
        told: the outcomes that it took, by ID.
        untold: those that it has not taken.
    """

    outer: Sink
    go_on: Callable[[CloudEvent], None]
    told: dict[str, CloudEvent] = field(default_factory=dict)
    untold: dict[str, CloudEvent] = field(default_factory=dict)
    _passed: set[str] = field(default_factory=set)

    async def emit(self, event: CloudEvent) -> None:
        """Take one event; the same one a second time changes nothing.

        Raises:
            Unavailable: the sink behind did not take an outcome.
        """
        if event.type == EventType.DECIDED:
            await self.outer.emit(event)
        elif event.type in _FOLLOW_UPS:
            if event.id not in self._passed:
                self._passed.add(event.id)
                self.go_on(event)
        elif event.id not in self.told:
            self.untold[event.id] = event
            await self.outer.emit(event)
            self.told[event.id] = self.untold.pop(event.id)
