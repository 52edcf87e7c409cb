"""Hands events to what works them off: notices to their project's batches, checks and ticks to their handlers.

Knows no HTTP. What comes of each event is told in a `Handled`;
a malformed batch is found before any work begins.
"""

import asyncio
import math
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from doorman.cloud.client import counting
from doorman.errors import Unavailable
from doorman.events.messages import MAX_PROJECTS, EventType
from doorman.events.writing import cause_of, project_sweep_event, read_check, read_notice, read_sweep
from doorman.handlers.batching import Batcher
from doorman.handlers.context import ProjectContext
from doorman.handlers.projects import Projects
from doorman.models import FEW_ROWS, Cause, CloudEvent, Handled, Notice
from doorman.runtime import telemetry
from doorman.runtime.logs import logger

if TYPE_CHECKING:
    from doorman.handlers.bounds import Bounds

OURS = "dev.doorman."
MAX_ROWS = 2 * FEW_ROWS
"""Member rows that the notifications of one request may have read, beyond what lists show: anybody can name images."""

SCOPES = frozenset({"pending", "settled"})

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
    lines = [served.batcher(await served.context(notice.project_id)) for notice in notices]
    if len(notices) == 1:  # nearly always, and a third of our own work on an event
        return [await _join(lines[0], notices[0])]
    answers = await asyncio.gather(*map(_join, lines, notices), return_exceptions=True)
    # All are waited for, so that no event of the batch is still being worked off when its sender hears of a defect.
    for answered in answers:
        if isinstance(answered, BaseException):
            raise answered
    return [answered for answered in answers if isinstance(answered, Handled)]


async def _join(line: Batcher, notice: Notice) -> Handled:
    try:
        ended, calls = await line.join(notice)
    except Unavailable as error:
        return Handled(project_id=notice.project_id, error=error)
    words: dict[str, int] = {}
    late = None
    for end in ended.values():
        if isinstance(end, Unavailable):
            late = late or end
        else:
            words[end.value] = words.get(end.value, 0) + 1
    return Handled(project_id=notice.project_id, counts=words, api_calls=calls, error=late)


async def handle_check(
    served: Projects, events: Sequence[CloudEvent], *, bounds: "Bounds | None" = None
) -> Sequence[Handled]:
    """Follow jobs to their end.

    Args:
        bounds: of the request, where these are not all of its checks.
    """
    from doorman.handlers.bounds import Bounds  # noqa: PLC0415 - only its own function needs it
    from doorman.handlers.check_job import check_job  # noqa: PLC0415 - likewise

    checks = [read_check(event, now=served.now()) for event in events]
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


async def handle_sweep(served: Projects, events: Sequence[CloudEvent]) -> Sequence[Handled]:
    """Sweep all served projects, or those that a `project.sweep` names.

    Each is swept once for all events of a batch, and once more for all that come while it is swept. Any event is a
    tick, but for our own others, which may be routed here and would go round for ever; of a tick no data is read. Of
    the extensions, `scope` says what to look at (`pending` or `settled`; both without it), and `daily` is passed on.
    """
    asking = [event for event in events if _asks(event)]
    if not asking:
        return [Handled() for _ in events]
    named = [read_sweep(event) if event.type == EventType.SWEEP else None for event in asking]
    tour = _Tour.of(asking)
    if None in named:
        done = await served.ticks.join(tour.rhythm, partial(_tick, served, tour))
    else:
        done = await _sweep_named(served, {each for projects in named for each in projects or ()}, tour)
    return [done if event is asking[0] else Handled(error=done.error if _asks(event) else None) for event in events]


def _asks(event: CloudEvent) -> bool:
    return event.type == EventType.SWEEP or not event.type.startswith(OURS)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tour:
    """What one sweep looks at, and what its events pass on of the event that asks for it."""

    cause: Cause
    scope: str
    is_daily: bool

    @classmethod
    def of(cls, asking: Sequence[CloudEvent]) -> "_Tour":
        """Join what the events of a batch ask for: few things, so that many are few sweeps whatever they carry."""
        scopes = {event.extensions.get("scope", "") for event in asking}
        (scope,) = scopes if len(scopes) == 1 else {""}
        is_daily = any("daily" in event.extensions for event in asking)
        return cls(cause=cause_of(asking[0]), scope=scope if scope in SCOPES else "", is_daily=is_daily)

    @property
    def rhythm(self) -> tuple[str, bool]:
        """What makes two of them differ."""
        return self.scope, self.is_daily

    @property
    def marks(self) -> dict[str, str]:
        """The extensions that are passed on to people."""
        return {"daily": "true"} if self.is_daily else {}


async def _tick(served: Projects, tour: _Tour) -> Handled:
    contexts, errors = await served.contexts()
    for unknown in errors:
        # A project that is known by name only has no digest of its own while the login fails.
        logger().warning("project.unreachable", error=str(unknown))
    done = await (_spread if len(contexts) > served.fanout else _sweep)(served, contexts, tour)
    telemetry.note(None, {"unread": len(errors)})
    counts = {**done.counts, **({"unread": done.counts.get("unread", 0) + len(errors)} if errors else {})}
    return replace(done, counts=counts, error=done.error or (errors[0] if errors and not contexts else None))


async def _sweep_named(served: Projects, wanted: Collection[str], tour: _Tour) -> Handled:
    contexts, errors = await served.contexts()
    found = [each for each in contexts if each.project_id in wanted]
    done = await _sweep(served, found, tour)
    # One that is known by name only may be meant, too.
    return replace(done, error=done.error or errors[0]) if errors and len(found) < len(wanted) else done


async def _spread(served: Projects, contexts: Sequence[ProjectContext], tour: _Tour) -> Handled:
    """Leave the projects to the broker, in as equal parts as may be, for as many processes as it likes."""
    projects = sorted(context.project_id for context in contexts)
    parts = math.ceil(len(projects) / min(served.fanout, MAX_PROJECTS))
    marks = {**tour.marks, **({"scope": tour.scope} if tour.scope else {})}
    make = partial(project_sweep_event, served.writer(), cause=tour.cause, now=served.now(), marks=marks)
    try:
        await contexts[0].emit([make(projects[start::parts]) for start in range(parts)])
    except Unavailable as error:
        return Handled(error=error)
    return Handled(counts={"spread": len(projects)})


async def _sweep(served: Projects, contexts: Sequence[ProjectContext], tour: _Tour) -> Handled:
    with counting() as tally:
        found = await asyncio.gather(
            *(
                served.sweeps[context.project_id].join(tour.rhythm, partial(_sweep_one, served, context, tour))
                for context in contexts
            )
        )
    counts: Counter[str] = Counter()
    for each in found:
        counts.update(each if isinstance(each, Mapping) else {})
    error = next((each for each in found if isinstance(each, Unavailable)), None)
    return Handled(counts=counts, api_calls=tally.calls, error=error)


async def _sweep_one(served: Projects, context: ProjectContext, tour: _Tour) -> Mapping[str, int] | Unavailable:
    from doorman.handlers.sweep import sweep  # noqa: PLC0415 - likewise

    async with served.places:
        try:
            swept = await sweep(context, cause=tour.cause, scope=tour.scope, marks=tour.marks)
        except Unavailable as error:
            return error
    counts = {"pending": swept.pending, "notified": swept.notified, "unread": int(swept.error is not None)}
    telemetry.note(context.project_id, counts)
    return counts | ({"drifted": swept.drifted} if swept.drifted else {})
