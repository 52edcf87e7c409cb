"""Passes share notices on to the sink: all that the function of a project that shares has to do.

It reads no cloud and decides nothing. Whoever hears a notice reads the share again, so none of this needs their trust.
"""

from collections.abc import Sequence
from dataclasses import replace

from doorman.events.writing import read_notice, share_notified_event
from doorman.handlers.projects import Projects
from doorman.models import CloudEvent, Handled


async def handle_forward(served: Projects, events: Sequence[CloudEvent]) -> Sequence[Handled]:
    """Pass notices on, each as an event of its receiving project, at the time of the share."""
    return [await _forward(served, event) for event in events]


async def _forward(served: Projects, event: CloudEvent) -> Handled:
    notice = read_notice(event)
    writer = served.writer(notice.project_id)
    told = share_notified_event(writer, notice.images, cause=notice.cause, now=served.clock.now())
    await served.sink.emit(replace(told, time=event.time))
    return Handled(project_id=notice.project_id, counts={"notified": len(notice.images)})
