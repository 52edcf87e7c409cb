"""The sink of a run in one process: follow-up events go on right here, outcomes to the sink behind and into the report.

Knows nothing of what the events ask for.
"""

from collections.abc import Callable

from doorman.events.messages import EventType
from doorman.models import CloudEvent
from doorman.sinks.base import Sink

_FOLLOW_UPS = frozenset({EventType.CHECK, EventType.NOTIFIED})


class LoopbackSink:
    """One project's outbox; `go_on` is handed each follow-up event once."""

    def __init__(self, *, outer: Sink, go_on: Callable[[CloudEvent], None]) -> None:
        self._outer = outer
        self._go_on = go_on
        self._passed: set[str] = set()
        self._told: dict[str, CloudEvent] = {}
        self._untold: dict[str, CloudEvent] = {}

    @property
    def told(self) -> tuple[CloudEvent, ...]:
        """The outcomes that the sink behind took."""
        return tuple(self._told.values())

    @property
    def untold(self) -> tuple[CloudEvent, ...]:
        """The outcomes that it has not taken."""
        return tuple(self._untold.values())

    async def emit(self, event: CloudEvent) -> None:
        """Take one event; the same one a second time changes nothing.

        Raises:
            Unavailable: the sink behind did not take an outcome.
        """
        if event.type in _FOLLOW_UPS:
            if event.id not in self._passed:
                self._passed.add(event.id)
                self._go_on(event)
            return
        if event.type == EventType.DECIDED:
            await self._outer.emit(event)
            return
        if event.id not in self._told:
            self._untold[event.id] = event
            await self._outer.emit(event)
            del self._untold[event.id]
            self._told[event.id] = event
