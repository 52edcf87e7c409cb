"""What every sink offers, and the sink for where there is none."""

from typing import Protocol

from doorman.models import CloudEvent


class Sink(Protocol):
    """Where follow-up events go."""

    async def emit(self, event: CloudEvent) -> None:
        """Hand over one event.

        Raises:
            Unavailable: the sink did not take it.
        """
        ...


class NullSink:
    """Takes everything and passes nothing on."""

    async def emit(self, event: CloudEvent) -> None:
        """Take one event."""
