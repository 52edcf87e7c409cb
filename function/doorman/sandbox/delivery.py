"""How an event gets to one subscriber by Knative's rules: which answers count, when to retry, what a dead letter says.

Knows no broker and no server: what posts and what waits is handed in. https://knative.dev/docs/eventing/event-delivery/
"""

import base64
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Literal, Protocol

import h11

from doorman.sandbox.envelope import Event, NotACloudEventError, binary_headers, read
from doorman.sandbox.posting import Answer

Profile = Literal["kafka", "mt"]
Verdict = Literal["done", "retry", "dead"]
Sleep = Callable[[float], Awaitable[None]]

RETRIED = {404, 408, 409, 429}
MAX_ERROR_DATA = 1024
TAKEN_FOR = 502
SUCCESS = 2  # the hundreds of a status


class Post(Protocol):
    """What sends a request and brings its answer."""

    async def __call__(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Raise OSError, TimeoutError or h11.RemoteProtocolError where no answer came."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A delivery block: `retry` times, `delay` and `timeout` in seconds; `backoff` and `delay` None where not given."""

    retry: int = 0
    backoff: Literal["linear", "exponential"] | None = None
    delay: float | None = None
    timeout: float = 30.0

    def pause(self, attempt: int, profile: Profile) -> float:
        """Give the seconds to wait before the retry number `attempt`, counted from 1."""
        if self.delay is None or self.backoff is None:
            return 0.0 if profile == "mt" else 2.0**attempt
        before = attempt - 1 if profile == "mt" else attempt
        return self.delay * (before if self.backoff == "linear" else 2.0**before)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """Who gets which events: `filters` are attributes that must be exactly so; none lets every event through."""

    name: str
    subscriber: str
    filters: Mapping[str, str] = field(default_factory=dict)
    policy: Policy = field(default_factory=Policy)
    dead_letters: str | None = None

    def matches(self, event: Event) -> bool:
        """Say whether this event is wanted; a missing attribute does not match."""
        return all(event.attributes.get(name) == value for name, value in self.filters.items())


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try: the HTTP status, or None with what happened instead."""

    status: int | None
    error: str = ""
    body: bytes = b""
    reply: Event | None = None

    def verdict(self, profile: Profile) -> Verdict:
        """Judge an answer as the broker does."""
        status = self.status
        if status is None:
            return "retry"
        if status // 100 == SUCCESS:
            if self.reply is not None or not self.body:
                return "done"
            return "retry" if profile == "mt" else "dead"
        return "retry" if status in RETRIED or status >= HTTPStatus.INTERNAL_SERVER_ERROR else "dead"

    def code(self, profile: Profile) -> int | None:
        """Name the code that a dead letter tells."""
        is_strange = self.status is not None and self.status // 100 == SUCCESS
        return TAKEN_FOR if is_strange and profile == "mt" else self.status


@dataclass(slots=True)
class Arrival:
    """An event that came in, when, and every try to deliver it: trigger, status or error."""

    event: Event
    at: float
    tries: list[tuple[str, int | str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An event that a trigger could not deliver, as the dead letter sink gets it; lost where the sink failed too."""

    event: Event
    trigger: str
    reason: str
    is_lost: bool


async def attempt(event: Event, url: str, post: Post) -> Attempt:
    """Deliver an event once, in binary mode."""
    try:
        answer = await post(url, binary_headers(event), event.data)
    except TimeoutError:
        return Attempt(status=None, error="timed out")
    except (OSError, h11.RemoteProtocolError) as error:
        return Attempt(status=None, error=str(error) or type(error).__name__)
    return Attempt(status=answer.status, body=answer.body, reply=_reply(answer))


def dead_letter(event: Event, url: str, last: Attempt, profile: Profile) -> Event:
    """Add why an event died. MT says nothing after a time-out, and cuts what the subscriber answered."""
    code = last.code(profile)
    if code is None and profile == "mt":
        return event
    data = base64.b64encode(last.body or last.error.encode()).decode()
    told = {"knativeerrordest": url, "knativeerrordata": data[:MAX_ERROR_DATA] if profile == "mt" else data}
    return event.extended(**told if code is None else told | {"knativeerrorcode": str(code)})


def _reply(answer: Answer) -> Event | None:
    """Read the event that a subscriber answered with, where it did."""
    if answer.status // 100 != SUCCESS:
        return None
    try:
        return read(answer.headers, answer.body)
    except NotACloudEventError:
        return None
