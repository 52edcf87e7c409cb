"""What every sink offers, and the sink for where there is none."""

from typing import Protocol

from doorman.events.messages import EventType
from doorman.models import CloudEvent
from doorman.runtime.logs import logger


class Sink(Protocol):
    """Where follow-up events go."""

    async def emit(self, event: CloudEvent) -> None:
        """Hand over one event.

        Raises:
            Unavailable: the sink did not take it.
        """
        ...


class NullSink:
    """Takes everything and passes nothing on; what is decided stands in the log all the same."""

    async def emit(self, event: CloudEvent) -> None:
        """Take one event."""
        if event.type == EventType.DECIDED:
            log_evidence(event)


def log_evidence(event: CloudEvent) -> None:
    """Put a `share.decided` on record in the log, where no sink keeps it; the logger flushes each line."""
    logger().info("share.decided", event_id=event.id, data=event.data)
