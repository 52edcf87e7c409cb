"""What every sink offers, how the URL in K_SINK is read, and the sink for where there is none."""

import random
import re
from collections.abc import Awaitable, Callable
from typing import Protocol
from urllib.parse import urlsplit

from doorman.errors import Broken, Busy, DoormanError, Misconfigured
from doorman.events.messages import EventType
from doorman.models import CloudEvent
from doorman.runtime.clock import Clock
from doorman.runtime.logs import logger
from doorman.runtime.retry import persist

PAUSES = (0.1, 0.4)
"""Seconds before each repetition, half of it jitter: a sender behind a SinkBinding, and the engine, do their own."""

_URL = re.compile(r"https?://\S+")


class Sink(Protocol):
    """Where follow-up events go."""

    async def emit(self, event: CloudEvent) -> None:
        """Hand over one event.

        Raises:
            Unavailable: the sink did not take it.
        """
        ...


async def hand_over(post: Callable[[], Awaitable[None]], clock: Clock) -> None:
    """Post one event, and shortly after again where the sink may take it then: told twice it is still one.

    Raises:
        Unavailable: the sink did not take it.
    """

    async def wait(error: DoormanError, pause: float) -> bool:
        if not isinstance(error, Busy | Broken):
            return False
        await clock.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - jitter is no secret
        return True

    await persist(post, pauses=PAUSES, wait=wait)


class NullSink:
    """Takes everything and passes nothing on; what is decided stands in the log all the same."""

    async def emit(self, event: CloudEvent) -> None:
        """Take one event."""
        if event.type == EventType.DECIDED:
            log_evidence(event)


def log_evidence(event: CloudEvent) -> None:
    """Put a `share.decided` on record in the log, where no sink keeps it; the logger flushes each line."""
    logger().info("share.decided", event_id=event.id, data=event.data)


def read_url(text: str) -> str | None:
    """Read K_SINK where it is no service of the cloud: a URL, or nothing.

    Raises:
        Misconfigured: it is neither.
    """
    if text and not _is_url(text):
        raise Misconfigured("K_SINK: expected an http(s) URL, functiongraph:<function urn> or smn:<topic urn>")
    return text or None


def _is_url(text: str) -> bool:
    try:
        url = urlsplit(text)
        return bool(_URL.fullmatch(text) and url.hostname and url.port != 0)
    except ValueError:
        return False
