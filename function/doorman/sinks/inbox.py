"""A sink inside the process: keeps the events that ask us for more work, and tells the others in the log.

For runs without a broker, where one process takes a share from its notice to its outcome. It works nothing off itself.
"""

from doorman.events.messages import EventType
from doorman.models import CloudEvent
from doorman.runtime.logs import logger

_WORK = frozenset({EventType.NOTIFIED, EventType.CHECK})


class Inbox:
    """What one run still has to do."""

    def __init__(self) -> None:
        self._waiting: dict[str, CloudEvent] = {}

    async def emit(self, event: CloudEvent) -> None:
        """Take one event; the same fact told twice is kept once."""
        if event.type in _WORK:
            self._waiting.setdefault(event.id, event)
        else:
            logger().info("event.told", event_id=event.id, event_type=event.type, data=event.data)

    def take(self) -> tuple[CloudEvent, ...]:
        """Give what waits, in order of arrival, and keep nothing."""
        waiting, self._waiting = self._waiting, {}
        return tuple(waiting.values())
