"""The sinks inside the process."""

import asyncio

from structlog.testing import capture_logs

from doorman.models import CloudEvent
from doorman.sinks.loopback import LogSink, LoopbackSink

NOTICE = CloudEvent(id="1", source="/s", type="dev.doorman.share.notified.v1", data={"images": ["a"]})
CHECK = CloudEvent(id="2", source="/s", type="dev.doorman.job.check.v1", data={"job_id": "j"})
TOLD = CloudEvent(id="3", source="/s", type="dev.doorman.share.held.v1", data={"images": []})


def test_work_waits_and_outcomes_are_told_in_the_log() -> None:
    """What asks us for more is handed on once; what others want to know is a log line, once."""
    waiting: list[CloudEvent] = []
    sink = LoopbackSink(outer=LogSink(), go_on=waiting.append)

    async def run() -> None:
        for event in (NOTICE, TOLD, CHECK, NOTICE, TOLD):
            await sink.emit(event)

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
    assert waiting == [NOTICE, CHECK]
    assert (sink.told, sink.untold) == ((TOLD,), ())
