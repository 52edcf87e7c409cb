"""How an event gets to one subscriber by Knative's rules: which answers count, when to retry, what a dead letter says.

Knows no broker and no server: what posts and what waits is handed in. https://knative.dev/docs/eventing/event-delivery/
"""

import base64
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Literal, Protocol
from urllib.parse import urljoin

import h11

from doorman.sandbox.envelope import Event, NotACloudEventError, binary_headers, is_meant, read
from doorman.sandbox.posting import Answer

Profile = Literal["kafka", "mt"]
Verdict = Literal["done", "retry", "dead"]
Sleep = Callable[[float], Awaitable[None]]

RETRIED = {404, 408, 409, 429}
MAX_ERROR_DATA = 1024
TIMED_OUT = "timed out"
SUCCESS = 2  # the hundreds of a status
MAX_REDIRECTS = 10
REDIRECTS = {301: "GET", 302: "GET", 303: "GET", 307: "POST", 308: "POST"}
"""How MT's HTTP client follows: what comes of a GET counts as delivered, though it brings no event."""

INGRESS = "http://broker-ingress.knative-eventing.svc.cluster.local"
TTL = "knativebrokerttl"
PASSED = ("traceparent", "tracestate", "x-request-id")
"""Headers that MT passes on; others do not survive."""


class Post(Protocol):
    """What sends a request and brings its answer."""

    async def __call__(self, url: str, headers: Mapping[str, str], body: bytes, *, method: str = "POST") -> Answer:
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
    """Who gets which events: `filters` are attributes that must be exactly so, `prefixes` such as begin so."""

    name: str
    subscriber: str
    filters: Mapping[str, str] = field(default_factory=dict)
    prefixes: Mapping[str, str] = field(default_factory=dict)
    policy: Policy = field(default_factory=Policy)
    dead_letters: str | None = None

    def matches(self, event: Event) -> bool:
        """Say whether this event is wanted; a missing attribute does not match."""
        told = event.attributes
        return all(told.get(name) == value for name, value in self.filters.items()) and all(
            name in told and told[name].startswith(value) for name, value in self.prefixes.items()
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try: the HTTP status, or None with what happened instead; `reply_error`: why its event is none."""

    status: int | None
    error: str = ""
    body: bytes = b""
    reply: Event | None = None
    reply_error: str = ""

    def verdict(self, profile: Profile) -> Verdict:
        """Judge an answer as the broker does."""
        status = self.status
        if status is None:
            return "retry"
        if status // 100 == SUCCESS:
            if self.reply is not None or not (self.body or self.reply_error):
                return "done"
            return "retry" if profile == "mt" and not self.reply_error else "dead"
        return "retry" if status in RETRIED or status >= HTTPStatus.INTERNAL_SERVER_ERROR else "dead"


@dataclass(slots=True)
class Arrival:
    """An event that came in, when, the headers to pass on, and every try to deliver it: trigger, status or error."""

    event: Event
    at: float
    passed: Mapping[str, str] = field(default_factory=dict)
    tries: list[tuple[str, int | str]] = field(default_factory=list)


@dataclass(slots=True)
class Delivery:
    """One try to hand an event to a subscriber: when, until when, and its status or error; None: under way."""

    arrival: Arrival
    trigger: str
    at: float
    until: float | None = None
    answer: int | str | None = None


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An event that a trigger could not deliver, as the dead letter sink gets it; lost where the sink failed too."""

    event: Event
    trigger: str
    reason: str
    is_lost: bool


async def attempt(event: Event, url: str, post: Post, *, more: Mapping[str, str], profile: Profile) -> Attempt:
    """Deliver an event once, in binary mode, with some headers more."""
    headers = {**binary_headers(event), **more}
    try:
        answer = await post(url, headers, event.data)
        for _ in range(MAX_REDIRECTS if profile == "mt" else 0):
            if answer.status not in REDIRECTS or "location" not in answer.headers:
                break
            url, method = urljoin(url, answer.headers["location"]), REDIRECTS[answer.status]
            answer = await post(url, headers, event.data if method == "POST" else b"", method=method)
    except TimeoutError:
        return Attempt(status=None, error=TIMED_OUT)
    except (OSError, h11.RemoteProtocolError) as error:
        return Attempt(status=None, error=str(error) or type(error).__name__)
    return _read_answer(answer)


def dead_letter(event: Event, url: str, last: Attempt, *, profile: Profile, path: str) -> Event:
    """Add why an event died.

    MT says nothing after a time-out or a success with a foreign body, calls it a 500 where nobody answered, and cuts
    what the subscriber said. An event that nobody can read was refused by the broker itself, at its `path`.
    """
    status, data = last.status, last.body or last.error.encode()
    is_mt, is_success = profile == "mt", status is not None and status // 100 == SUCCESS
    if is_mt and last.reply_error:
        status, data, url = HTTPStatus.BAD_REQUEST, last.reply_error.encode(), INGRESS + path
    elif is_mt and (is_success or last.error == TIMED_OUT):
        return event
    elif is_mt and status is None:
        status, data = HTTPStatus.INTERNAL_SERVER_ERROR, f'dispatch error: Post "{url}": {last.error}'.encode()
    encoded = base64.b64encode(data).decode()
    told = {"knativeerrordest": url, "knativeerrordata": encoded[:MAX_ERROR_DATA] if is_mt else encoded}
    return event.extended(**told if status is None else told | {"knativeerrorcode": str(int(status))})


def _read_answer(answer: Answer) -> Attempt:
    """Read what a subscriber answered, which may be an event."""
    reply, reply_error = None, ""
    if answer.status // 100 == SUCCESS:
        try:
            reply = read(answer.headers, answer.body)
        except NotACloudEventError as error:
            reply_error = str(error) if is_meant(answer.headers) else ""
    return Attempt(status=answer.status, body=answer.body, reply=reply, reply_error=reply_error)
