"""What the work for one served project needs at hand."""

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from doorman.cloud.project import Cloud
from doorman.events.messages import OUTCOMES
from doorman.events.writing import EventWriter
from doorman.models import CloudEvent
from doorman.policy.policy import Policy
from doorman.runtime.clock import Clock
from doorman.runtime.logs import logger
from doorman.settings import Settings
from doorman.sinks.base import Sink


class CallSize:
    """How many images one members call takes: half of a call that timed out, and twice as many after one that did not.

    Known to one process, which begins with the setting.
    """

    def __init__(self) -> None:
        self._most = math.inf

    def limit(self, most: int) -> int:
        """Give the bound that is in force; `most` is the setting."""
        return int(min(self._most, most))

    def learn(self, images: int, *, has_timed_out: bool) -> None:
        """Note how a call of so many images went."""
        if has_timed_out:
            self._most = max(images // 2, 1)
        elif images >= self._most:
            self._most = 2 * images


@dataclass(slots=True, kw_only=True, eq=False)
class ProjectContext:
    """Everything that serves one project.

    Attributes:
        stop: once it is set, nothing more is written, and nothing more put on record as about to be written.
    """

    cloud: Cloud
    sink: Sink
    policy: Policy
    writer: EventWriter
    settings: Settings
    clock: Clock
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    call_size: CallSize = field(default_factory=CallSize)

    @property
    def project_id(self) -> str:
        """The served project."""
        return self.writer.project_id

    @property
    def is_audit(self) -> bool:
        """Whether everything is decided and told, and nothing written."""
        return self.settings.mode == "audit" or self.policy.mode == "audit"

    async def emit(self, events: Sequence[CloudEvent]) -> None:
        """Hand the events over, all at once.

        Raises:
            Unavailable: the sink did not take one of them.
        """
        results = await asyncio.gather(*(self.sink.emit(event) for event in events), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        for event in events:
            log_outcomes(event)


def log_outcomes(event: CloudEvent) -> None:
    """Log a line for each image of an outcome event that was told, so that a log alone can be searched for them."""
    if event.type not in OUTCOMES:
        return
    for entry in event.data["images"]:
        logger().info(
            "outcome",
            image_id=entry["image_id"],
            project_id=event.data["project_id"],
            outcome=event.type.split(".")[-2],
            reason=entry["reason"],
            rule=entry["rule"],
            decision=entry["decision"],
            cause=entry["cause"],
        )
