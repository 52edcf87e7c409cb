"""Hands events to what works them off: notices to their project's batches, checks to their handler.

Knows no HTTP. What comes of each event is told in a `Handled`; a malformed batch is found before any work begins.
Ticks are `sweep`'s.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from doorman.cloud.client import counting
from doorman.errors import Unavailable
from doorman.events.writing import cause_of, read_check, read_notice
from doorman.handlers.batching import Batcher
from doorman.handlers.projects import Projects
from doorman.models import FEW_ROWS, CloudEvent, Handled, Notice

if TYPE_CHECKING:
    from doorman.handlers.bounds import Bounds

MAX_ROWS = 2 * FEW_ROWS
"""Member rows that the notifications of one request may have read, beyond what lists show: anybody can name images."""

Handler = Callable[[Projects, Sequence[CloudEvent]], Awaitable[Sequence[Handled]]]


async def handle_triage(served: Projects, events: Sequence[CloudEvent], *, projects: int = 0) -> Sequence[Handled]:
    """Work off share notifications; a batch is refused whole, before anything is written.

    Args:
        projects: that the request names, where these are not all of its events.
    """
    notices = [read_notice(event) for event in events]
    count = max(projects, len({notice.project_id for notice in notices}))
    if count * FEW_ROWS > MAX_ROWS:
        notices = [replace(notice, max_rows=MAX_ROWS // count) for notice in notices]
    batchers = [served.batcher(await served.context(notice.project_id)) for notice in notices]
    if len(notices) == 1:  # nearly always, and a third of our own work on an event
        return [await _join(batchers[0], notices[0])]
    answers = await asyncio.gather(*map(_join, batchers, notices), return_exceptions=True)
    # All are waited for, so that no event of the batch is still being worked off when its sender hears of a defect.
    for answered in answers:
        if isinstance(answered, BaseException):
            raise answered
    return [answered for answered in answers if isinstance(answered, Handled)]


async def _join(batcher: Batcher, notice: Notice) -> Handled:
    try:
        ended, calls = await batcher.join(notice)
    except Unavailable as error:
        return Handled(project_id=notice.project_id, error=error)
    counts: dict[str, int] = {}
    late = None
    for end in ended.values():
        if isinstance(end, Unavailable):
            late = late or end
        else:
            counts[end.value] = counts.get(end.value, 0) + 1
    return Handled(project_id=notice.project_id, counts=counts, api_calls=calls, error=late)


async def handle_check(
    served: Projects, events: Sequence[CloudEvent], *, bounds: "Bounds | None" = None
) -> Sequence[Handled]:
    """Follow jobs to their end.

    Args:
        bounds: of the request, where these are not all of its checks.
    """
    from doorman.handlers.bounds import Bounds  # noqa: PLC0415 - only its own function needs it
    from doorman.handlers.check_job import check_job  # noqa: PLC0415 - likewise

    checks = [read_check(event, now=served.clock.now()) for event in events]
    shared = bounds or Bounds(len(checks))
    contexts = [await served.context(check.project_id) for check in checks]

    async def follow(place: int) -> Handled:
        with counting() as tally:
            try:
                cause = cause_of(events[place])
                ended = await check_job(contexts[place], checks[place], cause=cause, bounds=shared)
            except Unavailable as error:
                return Handled(project_id=checks[place].project_id, api_calls=tally.calls, error=error)
        return Handled(
            project_id=checks[place].project_id,
            counts=Counter(end.value for end in ended.values()),
            api_calls=tally.calls,
        )

    return await asyncio.gather(*(follow(place) for place in range(len(events))))
