"""From an HTTP request to an HTTP answer: reads the events, has them worked off, and says how it went.

The framework's types stay in `functions`; what is known here is headers and bytes.
"""

import math
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from doorman.errors import Rejected, Unavailable
from doorman.events.cloudevents import Encoded, read
from doorman.models import CloudEvent, Handled
from doorman.runtime import telemetry
from doorman.runtime.logs import logger

MAX_TEXT = 512
"""Bytes of an error's body: a longer one crashes a broker's dispatcher."""

MAX_TYPE = 100
"""Characters of a foreign event's type in the log."""

RETRY_AFTER = 2.0
"""Seconds to name where nobody said when to come back."""

Handle = Callable[[Sequence[CloudEvent]], Awaitable[Sequence[Handled]]]
"""Works off the events of one request; what comes of each is told in a `Handled`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An HTTP answer; success is 204 without a body, since a broker takes any other body for a failure."""

    status: int = 204
    text: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


_DONE = Reply()


async def answer(handle: Handle, *, headers: Mapping[str, str], body: bytes, policy_digest: str) -> Reply:
    """Answer one POST of CloudEvents."""
    try:
        events = read(headers, body)
    except Rejected as error:
        return refuse(error, policy_digest=policy_digest)
    return await work_off(handle, events, policy_digest=policy_digest)


async def work_off(handle: Handle, events: Sequence[CloudEvent], *, policy_digest: str) -> Reply:
    """Have the events worked off, say how it went, and log a line for each."""
    start = time.perf_counter()
    watch = telemetry.begin(events)
    events = watch.events if watch else events
    with telemetry.within_event(events[0] if events else None):
        handled, reply = await _handle(handle, events)
    seconds = time.perf_counter() - start
    if watch:
        watch.end(handled, status=reply.status, seconds=seconds)
    _log(events, handled, reply, seconds=seconds, policy_digest=policy_digest)
    return reply


async def _handle(handle: Handle, events: Sequence[CloudEvent]) -> tuple[Sequence[Handled], Reply]:
    handled: Sequence[Handled] = []
    try:
        handled = await handle(events)
        reply = _reply([each.error for each in handled if each.error])
    except Rejected as error:
        reply = _decline(error)
    except Unavailable as error:
        handled, reply = [Handled(error=error) for _ in events], _reply([error])
    except Exception:  # noqa: BLE001 - a defect of ours is said in the log, not to the sender
        logger().exception("event.crashed", event_ids=[event.id for event in events][:10])
        reply = Reply(status=500, text="internal error")
    return handled, reply


def refuse(error: Rejected | Unavailable, *, policy_digest: str) -> Reply:
    """Answer what cannot be read into events, or of which nobody can tell now whether it concerns us; and log it."""
    reply = _reply([error]) if isinstance(error, Unavailable) else _decline(error)
    _log((), [], reply, seconds=0.0, policy_digest=policy_digest)
    return reply


def _reply(errors: Sequence[Unavailable]) -> Reply:
    if not errors:
        return _DONE
    wait = max(error.retry_after or RETRY_AFTER for error in errors)
    return Reply(status=503, text=_short(str(errors[0])), headers={"Retry-After": str(math.ceil(wait))})


def _decline(error: Rejected) -> Reply:
    return Reply(status=415 if isinstance(error, Encoded) else 400, text=_short(str(error)))


def _short(text: str) -> str:
    return text.encode()[:MAX_TEXT].decode(errors="ignore")


def _log(
    events: Sequence[CloudEvent], handled: Sequence[Handled], reply: Reply, *, seconds: float, policy_digest: str
) -> None:
    log = logger()
    told: list[tuple[CloudEvent | None, Handled]] = list(zip(events, handled, strict=False))
    # Each event of a batch counts for itself; the answer that the sender saw is the batch's. Refused it is one line.
    for event, each in told or [(events[0] if len(events) == 1 else None, Handled())]:
        with telemetry.within_event(event):
            log.info(
                "event.handled",
                event_id=event.id if event else None,
                event_type=event.type[:MAX_TYPE] if event else None,
                project_id=each.project_id,
                policy_digest=policy_digest,
                **each.counts,
                api_calls=each.api_calls,
                duration_ms=round(seconds * 1000, 1),
                http_status=reply.status,
                **({"error": str(each.error) if each.error else reply.text} if reply.text else {}),
            )
