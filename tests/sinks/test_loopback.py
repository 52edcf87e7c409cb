"""The sink inside the process."""

import asyncio

from structlog.testing import capture_logs

from doorman.models import CloudEvent
from doorman.sinks.inbox import Inbox

NOTICE = CloudEvent(id="1", source="/s", type="dev.doorman.share.notified.v1", data={"images": ["a"]})
CHECK = CloudEvent(id="2", source="/s", type="dev.doorman.job.check.v1", data={"job_id": "j"})
TOLD = CloudEvent(id="3", source="/s", type="dev.doorman.share.held.v1", data={"images": []})


def test_work_waits_and_outcomes_are_told_in_the_log() -> None:
    """What asks us for more is kept once and handed out once; what others want to know is a log line."""
    inbox = Inbox()

    async def run() -> None:
        for event in (NOTICE, TOLD, CHECK, NOTICE):
            await inbox.emit(event)

    with capture_logs() as lines:
        asyncio.run(run())
    assert lines == [
        {
            "event": "event.told",
            "log_level": "info",
            "event_id": "3",
            "event_type": "dev.doorman.share.held.v1",
            "data": {"images": []},
        }
    ]
    assert inbox.take() == (NOTICE, CHECK)
    assert inbox.take() == ()
