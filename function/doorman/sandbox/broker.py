"""A local broker that delivers by Knative's rules, in memory; a stand-in for demo and tests.

`kafka` answers first and delivers afterwards; `mt` answers when every trigger has got its event, or its dead letter.
"""

import asyncio
import contextlib
import random
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from doorman.sandbox.delivery import (
    PASSED,
    TTL,
    Arrival,
    Attempt,
    DeadLetter,
    Delivery,
    Post,
    Profile,
    Sleep,
    Trigger,
    attempt,
    dead_letter,
)
from doorman.sandbox.envelope import Event, NotACloudEventError, read
from doorman.sandbox.posting import Answer, Poster
from doorman.sandbox.tasks import Tasks

MAX_LIFE = 255
MAX_EVENTS = 100_000


class Broker:
    """Takes events in, matches them with triggers, delivers with retries, and keeps what happened.

    Args:
        triggers: who gets what; may be changed while it runs.
        profile: whose rules: `kafka` or `mt`.
        concurrency: how many requests are in flight at once; `mt` has no bound, since its requests wait for each other.
        duplicates: with which probability an event is delivered twice. jitter: up to how many seconds late, so that
            the order is lost. seed: makes both repeatable.
        post, sleep: what sends and what waits; tests hand in their own.

    Attributes:
        on_event: called with every event that comes in.
    """

    def __init__(
        self,
        triggers: Iterable[Trigger] = (),
        *,
        profile: Profile = "kafka",
        namespace: str = "doorman",
        name: str = "default",
        concurrency: int = 32,
        duplicates: float = 0.0,
        jitter: float = 0.0,
        seed: int = 0,
        post: Post | None = None,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self.triggers = list(triggers)
        self.profile: Profile = profile
        self.namespace = namespace
        self.path = f"/{namespace}/{name}"
        self.arrivals: deque[Arrival] = deque(maxlen=MAX_EVENTS)
        self.deliveries: deque[Delivery] = deque(maxlen=MAX_EVENTS)
        self.dead_letters: list[DeadLetter] = []
        self.on_event: Callable[[Event], None] | None = None
        self.in_flight = 0
        self.duplicates = duplicates
        self.jitter = jitter
        self._random = random.Random(seed)  # noqa: S311 - repeatable disorder, no secrets
        self._poster = Poster()
        self._post = post or self._poster
        self._sleep = sleep
        self._slots = asyncio.Semaphore(concurrency) if profile == "kafka" else contextlib.nullcontext()
        self.tasks = Tasks()

    @property
    def events(self) -> list[Event]:
        """All events that came in, in their order."""
        return [arrival.event for arrival in self.arrivals.copy()]

    @property
    def is_idle(self) -> bool:
        """Whether everything that came in is delivered or dead."""
        return self.in_flight == 0

    async def take(self, event: Event, passed: Mapping[str, str] | None = None) -> bool:
        """Take an event in; with `mt`, False where a trigger without dead letters failed.

        Its time to live ends chains of replies that would go round for ever.

        Args:
            passed: headers that subscribers get as well.
        """
        life = life_of(event)
        if life == 0:
            return True
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        event = event.extended(**{TTL: str(life)}, knativearrivaltime=now)
        arrival = Arrival(event, time.time(), passed or {})
        self.arrivals.append(arrival)
        if self.on_event is not None:
            self.on_event(event)
        wanted = [trigger for trigger in self.triggers if trigger.matches(event)]
        if self._random.random() < self.duplicates:
            wanted += wanted
        self.in_flight += len(wanted)
        tasks = [self.tasks.start(self._deliver(arrival, trigger)) for trigger in wanted]
        return self.profile == "kafka" or all(await asyncio.gather(*tasks))

    async def aclose(self) -> None:
        """Drop what is in flight and close all connections."""
        await self.tasks.drop()
        await self._poster.aclose()

    async def _deliver(self, arrival: Arrival, trigger: Trigger) -> bool:
        try:
            if self.jitter:
                await self._sleep(self._random.random() * self.jitter)
            last = await self._insist(arrival, trigger, arrival.event, trigger.subscriber)
            if last.verdict(self.profile) == "done":
                if last.reply is not None:
                    life = life_of(arrival.event) - 1
                    await self.take(last.reply.extended(**{TTL: str(life)}), arrival.passed)
                return True
            return await self._bury(arrival, trigger, last)
        finally:
            self.in_flight -= 1

    async def _insist(self, arrival: Arrival, trigger: Trigger, event: Event, url: str) -> Attempt:
        """Deliver until it is done, dead, or tried often enough; the last attempt."""
        policy, more = trigger.policy, dict[str, str]()
        if self.profile == "mt":
            event = event.without(TTL)
            more = {"prefer": "reply", "kn-namespace": self.namespace, **arrival.passed}
        for number in range(policy.retry + 1):
            if number:
                await self._sleep(policy.pause(number, self.profile))
            async with self._slots:
                post = self._within(policy.timeout)
                delivery = Delivery(arrival, trigger.name, time.time())
                self.deliveries.append(delivery)
                last = await attempt(event, url, post, more=more, profile=self.profile)
            delivery.answer = last.error if last.status is None else last.status
            delivery.until = time.time()
            arrival.tries.append((trigger.name, delivery.answer))
            if last.verdict(self.profile) != "retry":
                break
        return last

    async def _bury(self, arrival: Arrival, trigger: Trigger, last: Attempt) -> bool:
        """Make a dead letter; say whether it reached a sink."""
        event = dead_letter(arrival.event, trigger.subscriber, last, profile=self.profile, path=self.path)
        is_lost = False
        if trigger.dead_letters is not None:
            sent = await self._insist(arrival, trigger, event, trigger.dead_letters)
            is_lost = sent.verdict(self.profile) != "done"
        self.dead_letters.append(DeadLetter(event, trigger.name, last.error or f"HTTP {last.status}", is_lost))
        return trigger.dead_letters is not None and not is_lost

    def _within(self, seconds: float) -> Post:
        async def post(url: str, headers: Mapping[str, str], body: bytes, *, method: str = "POST") -> Answer:
            async with asyncio.timeout(seconds):
                return await self._post(url, headers, body, method=method)

        return post


def life_of(event: Event) -> int:
    """Read the time to live of an event; the longest where it tells none."""
    told = event.attributes.get(TTL, "")
    return int(told) if told.isascii() and told.isdigit() and len(told) <= len(str(MAX_LIFE)) else MAX_LIFE


def create_app(broker: Broker) -> Starlette:
    """Build the broker's ASGI application: its ingress, and what it saw under `/events` and `/dead-letters`."""

    async def ingress(request: Request) -> Response:
        if request.url.path.rstrip("/") != broker.path:
            return Response(status_code=404)
        if request.method != "POST":
            is_asked = request.method == "OPTIONS"
            return Response(status_code=200 if is_asked else 405, headers={"Allow": "POST, OPTIONS"})
        try:
            event = read(request.headers, await request.body())
        except NotACloudEventError as error:
            return PlainTextResponse(str(error), 400)
        if life_of(event) == 0:
            return PlainTextResponse("the time to live is over", 400)
        passed = {name: request.headers[name] for name in PASSED if name in request.headers}
        return Response(status_code=202 if await broker.take(event, passed) else 500)

    async def events(_: Request) -> Response:
        return JSONResponse([_describe(a.event) | {"at": a.at, "tries": a.tries} for a in broker.arrivals])

    async def dead_letters(_: Request) -> Response:
        letters = [_describe(d.event) | {"trigger": d.trigger, "reason": d.reason} for d in broker.dead_letters]
        return JSONResponse(letters)

    async def overview(_: Request) -> Response:
        lines = [f"{a.event.type}  {a.event.id}  {' '.join(f'{t}={s}' for t, s in a.tries)}" for a in broker.arrivals]
        return PlainTextResponse("\n".join([*lines, f"{len(broker.dead_letters)} dead letters", ""]))

    @contextlib.asynccontextmanager
    async def life(_: Starlette) -> AsyncIterator[None]:
        yield
        await broker.aclose()

    every_verb = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]
    return Starlette(
        routes=[
            Route("/", overview),
            Route("/events", events),
            Route("/dead-letters", dead_letters),
            Route("/{namespace}/{name}", ingress, methods=every_verb),
            Route("/{namespace}/{name}/", ingress, methods=every_verb),
        ],
        lifespan=life,
    )


def _describe(event: Event) -> dict[str, Any]:
    return {"attributes": dict(event.attributes), "data": event.value()}
