"""Hands events to what works them off: notices to their project's batches, checks and ticks to their handlers.

Knows no HTTP. What comes of each event is told in a `Handled`;
a malformed batch is found before any work begins.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial

from doorman.cloud.client import counting
from doorman.errors import Unavailable
from doorman.events.writing import cause_of, read_check, read_notice
from doorman.handlers.batching import Batcher
from doorman.handlers.projects import Projects
from doorman.models import CloudEvent, Handled, Notice
from doorman.runtime import telemetry
from doorman.runtime.logs import logger

OURS = "dev.doorman."
SCOPES = frozenset({"pending", "settled"})

AT_ONCE = 8
"""Projects that one sweep reads at the same time."""

Handler = Callable[[Projects, Sequence[CloudEvent]], Awaitable[Sequence[Handled]]]


async def handle_triage(served: Projects, events: Sequence[CloudEvent]) -> Sequence[Handled]:
    """Work off share notifications; a batch is refused whole, before anything is written."""
    notices = [read_notice(event) for event in events]
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


async def handle_check(served: Projects, events: Sequence[CloudEvent]) -> Sequence[Handled]:
    """Follow jobs to their end."""
    from doorman.handlers.check_job import check_job  # noqa: PLC0415 - only its own function needs it

    checks = [read_check(event, now=served.now()) for event in events]
    contexts = [await served.context(check.project_id) for check in checks]

    async def follow(place: int) -> Handled:
        with counting() as tally:
            try:
                ended = await check_job(contexts[place], checks[place], cause=cause_of(events[place]))
            except Unavailable as error:
                return Handled(project_id=checks[place].project_id, api_calls=tally.calls, error=error)
        return Handled(
            project_id=checks[place].project_id,
            counts=Counter(end.value for end in ended.values()),
            api_calls=tally.calls,
        )

    return await asyncio.gather(*(follow(place) for place in range(len(events))))


async def handle_sweep(served: Projects, events: Sequence[CloudEvent]) -> Sequence[Handled]:
    """Sweep all served projects, once for all alike ticks of a batch, and for all that come while another sweep runs.

    Any event is a tick, but for our own, which may be routed here and would go round for ever. Its data is not read;
    of its extensions `scope` says what to look at (`pending` or `settled`; both without it), and `daily` is passed on.
    """
    firsts: dict[tuple[str, bool], CloudEvent] = {}
    for event in events:
        if not event.type.startswith(OURS):
            firsts.setdefault(_rhythm(event), event)
    swept = {
        rhythm: await served.sweeps.join(rhythm, partial(_sweep_all, served, event)) for rhythm, event in firsts.items()
    }

    def tell(event: CloudEvent) -> Handled:
        if event.type.startswith(OURS):
            return Handled()
        done = swept[_rhythm(event)]
        return done if event is firsts[_rhythm(event)] else Handled(error=done.error)

    return [tell(event) for event in events]


def _rhythm(event: CloudEvent) -> tuple[str, bool]:
    """Say what makes ticks differ: few things, so that many ticks are few sweeps whatever they carry."""
    scope = event.extensions.get("scope", "")
    return scope if scope in SCOPES else "", "daily" in event.extensions


async def _sweep_all(served: Projects, event: CloudEvent) -> Handled:
    from doorman.handlers.sweep import sweep  # noqa: PLC0415 - likewise

    scope, is_daily = _rhythm(event)
    look = partial(sweep, cause=cause_of(event), scope=scope, marks={"daily": "true"} if is_daily else None)
    contexts, errors = await served.contexts()
    places = asyncio.Semaphore(AT_ONCE)
    with counting() as tally:

        async def one(place: int) -> Mapping[str, int] | Unavailable:
            async with places:
                try:
                    swept = await look(contexts[place])
                except Unavailable as error:
                    return error
            counts = {"pending": swept.pending, "notified": swept.notified, "unread": int(swept.error is not None)}
            telemetry.note(contexts[place].project_id, counts)
            return counts | ({"drifted": swept.drifted} if swept.drifted else {})

        found = await asyncio.gather(*(one(place) for place in range(len(contexts))))
    counts: Counter[str] = Counter()
    for each in found:
        counts.update(each if isinstance(each, Mapping) else {})
    telemetry.note(None, {"unread": len(errors)})
    for unknown in errors:
        # A project that is known by name only has no digest of its own while the login fails.
        logger().warning("project.unreachable", error=str(unknown))
        counts["unread"] += 1
    error = next((each for each in [*found, *(() if contexts else errors)] if isinstance(each, Unavailable)), None)
    return Handled(counts=counts, api_calls=tally.calls, error=error)
