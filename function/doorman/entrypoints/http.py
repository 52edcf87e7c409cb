"""From an HTTP request to an HTTP answer: reads the events, has them worked off, and says how it went.

The framework's types stay in `main`; what is known here is a method, a path, headers and bytes.
"""

import asyncio
import math
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from doorman.cloud.client import counting
from doorman.errors import Rejected, Unavailable
from doorman.events.cloudevents import read
from doorman.events.writing import cause_of, read_check, read_notice
from doorman.handlers.batching import Batcher
from doorman.handlers.projects import Projects
from doorman.models import CloudEvent, Handled, Notice
from doorman.runtime import telemetry
from doorman.runtime.logs import logger

MAX_TEXT = 512
"""Bytes of an error's body: a longer one crashes a broker's dispatcher."""

RETRY_AFTER = 2.0
"""Seconds to name where nobody said when to come back."""

AT_ONCE = 8
"""Projects that one sweep reads at the same time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An HTTP answer; success is 204 without a body, since a broker takes any other body for a failure."""

    status: int = 204
    text: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


Handler = Callable[[Projects, Sequence[CloudEvent]], Awaitable[Sequence[Handled]]]


async def answer(served: Projects, handle: Handler, *, headers: Mapping[str, str], body: bytes) -> Reply:
    """Answer one POST of CloudEvents."""
    try:
        events = read(headers, body)
    except Rejected as error:
        return refuse(error, policy_digest=served.policy_digest)
    return await work_off(served, handle, events)


async def work_off(served: Projects, handle: Handler, events: Sequence[CloudEvent]) -> Reply:
    """Have the events worked off, say how it went, and log a line for each."""
    start = time.perf_counter()
    watch = telemetry.begin(events)
    handled: Sequence[Handled] = []
    try:
        handled = await handle(served, watch.events if watch else events)
        reply = _reply([each.error for each in handled if each.error])
    except Rejected as error:
        reply = Reply(status=400, text=_short(str(error)))
    except Unavailable as error:
        handled, reply = [Handled(error=error) for _ in events], _reply([error])
    except Exception:  # noqa: BLE001 - a defect of ours is said in the log, not to the sender
        logger().exception("event.crashed", event_ids=[event.id for event in events][:10])
        reply = Reply(status=500, text="internal error")
    seconds = time.perf_counter() - start
    if watch:
        watch.end(handled, status=reply.status, seconds=seconds)
    _log(events, handled, reply, seconds=seconds, policy_digest=served.policy_digest)
    return reply


def refuse(error: Rejected | Unavailable, *, policy_digest: str) -> Reply:
    """Answer what cannot be read into events, or of which nobody can tell now whether it concerns us; and log it."""
    reply = _reply([error]) if isinstance(error, Unavailable) else Reply(status=400, text=_short(str(error)))
    _log((), [], reply, seconds=0.0, policy_digest=policy_digest)
    return reply


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
    for word in ended.values():
        if isinstance(word, str):
            words[word] = words.get(word, 0) + 1
        else:
            late = late or word
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
        return Handled(project_id=checks[place].project_id, counts=Counter(ended.values()), api_calls=tally.calls)

    return await asyncio.gather(*(follow(place) for place in range(len(events))))


async def handle_sweep(served: Projects, events: Sequence[CloudEvent]) -> Sequence[Handled]:
    """Sweep all served projects, once for each tick."""
    return [await _sweep_all(served, event) for event in events]


async def _sweep_all(served: Projects, event: CloudEvent) -> Handled:
    from doorman.handlers.sweep import sweep  # noqa: PLC0415 - likewise

    contexts, errors = await served.contexts()
    places = asyncio.Semaphore(AT_ONCE)
    with counting() as tally:

        async def one(place: int) -> Mapping[str, int] | Unavailable:
            async with places:
                try:
                    swept = await sweep(contexts[place], cause=cause_of(event))
                except Unavailable as error:
                    return error
            counts = {"pending": swept.pending, "notified": swept.notified, "unread": int(swept.error is not None)}
            return counts | ({"drifted": swept.drifted} if swept.drifted else {})

        found = await asyncio.gather(*(one(place) for place in range(len(contexts))))
    counts: Counter[str] = Counter()
    for each in found:
        counts.update(each if isinstance(each, Mapping) else {})
    for unknown in errors:
        # A project that is known by name only has no digest of its own while the login fails.
        logger().warning("project.unreachable", error=str(unknown))
        counts["unread"] += 1
    error = next((each for each in [*found, *(() if contexts else errors)] if isinstance(each, Unavailable)), None)
    return Handled(counts=counts, api_calls=tally.calls, error=error)


def _reply(errors: Sequence[Unavailable]) -> Reply:
    if not errors:
        return Reply()
    wait = max(error.retry_after or RETRY_AFTER for error in errors)
    return Reply(status=503, text=_short(str(errors[0])), headers={"Retry-After": str(math.ceil(wait))})


def _short(text: str) -> str:
    return text.encode()[:MAX_TEXT].decode(errors="ignore")


def _log(
    events: Sequence[CloudEvent], handled: Sequence[Handled], reply: Reply, *, seconds: float, policy_digest: str
) -> None:
    log = logger()
    told: list[tuple[CloudEvent | None, Handled]] = list(zip(events, handled, strict=False))
    told = told or [(event, Handled()) for event in events] or [(None, Handled())]
    for event, each in told:
        # Each event of a batch counts for itself; the answer that the sender saw is the batch's.
        log.info(
            "event.handled",
            event_id=event.id if event else None,
            event_type=event.type if event else None,
            project_id=each.project_id,
            policy_digest=policy_digest,
            **each.counts,
            api_calls=each.api_calls,
            duration_ms=round(seconds * 1000, 1),
            http_status=reply.status,
            **({"error": str(each.error) if each.error else reply.text} if reply.text else {}),
        )
