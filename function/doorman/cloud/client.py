"""Sends one request to the cloud, and repeats it only where that can do no harm; bounds how many are in flight.

What is sent and how an answer reads is its callers' concern.
"""

import asyncio
import math
import random
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TypeVar

import httpx

from doorman.cloud.api.base import Answer, Failure, Request, classify
from doorman.cloud.auth.credentials import Credentials
from doorman.errors import Broken, Busy, DoormanError, Late, Misconfigured, Refused, TimedOut, TooLarge, Unavailable
from doorman.runtime.clock import Clock
from doorman.runtime.connection_errors import name_trouble
from doorman.runtime.http import parse_url, untie
from doorman.runtime.retry import persist

CALLS_AT_ONCE = 32
"""In one process, over all projects."""

CALLS_PER_PROJECT = 8


class Places(asyncio.Semaphore):
    """Places for calls, of which the urgent ones come first: what they rest on gets old while they wait."""

    _urgent = 0

    @asynccontextmanager
    async def take(self, *, is_urgent: bool) -> AsyncIterator[None]:
        """Wait for a place, and keep it for the body."""
        self._urgent += is_urgent
        try:
            await self.acquire()
            while self._urgent and not is_urgent:
                self.release()
                await asyncio.sleep(0)
                await self.acquire()
        finally:
            self._urgent -= is_urgent
        try:
            yield
        finally:
            self.release()


class Throttle:
    """The calls of one project: a bound of its own, a bound shared with the other projects, and a common pause."""

    def __init__(self, *, clock: Clock, shared: Places, limit: int = CALLS_PER_PROJECT) -> None:
        self._clock = clock
        self._shared = shared
        self._own = Places(limit)
        self._resume_at = 0.0

    def hold(self, seconds: float) -> None:
        """Let no call of this project start for that long; a longer pause in force stays."""
        self._resume_at = max(self._resume_at, self._clock.monotonic() + seconds)

    @asynccontextmanager
    async def slot(self, *, is_urgent: bool = False) -> AsyncIterator[None]:
        """Wait for the pause to end and for a free place, and keep the place for the body.

        Who waits for a place when a pause begins waits for its end as well; no other project waits for that.
        """
        async with self._own.take(is_urgent=is_urgent):
            while True:
                while (wait := self._resume_at - self._clock.monotonic()) > 0:
                    # A little apart, so that those who waited together do not all call at once.
                    await self._clock.sleep(wait * random.uniform(1.0, 1.2))  # noqa: S311 - jitter is no secret
                async with self._shared.take(is_urgent=is_urgent):
                    if self._resume_at <= self._clock.monotonic():
                        yield
                        return


PAUSES = (0.2, 0.4, 0.8)
"""Seconds before each repetition of a request, half of it jitter."""

MAX_PAUSE = 5.0
"""Seconds: a longer wait is left to the broker's redelivery."""

MAX_ANSWER = 4 << 20
"""Bytes of one answer: some times a full page of ordinary images."""

T = TypeVar("T")
_TALLY: ContextVar["Tally | None"] = ContextVar("api_calls", default=None)


@dataclass(slots=True, eq=False)
class Tally:
    """Counts the API calls made while it is in force."""

    calls: int = 0


@contextmanager
def counting() -> Iterator[Tally]:
    """Count the API calls made by the body, and by tasks that it starts."""
    tally = Tally()
    token = _TALLY.set(tally)
    try:
        yield tally
    finally:
        _TALLY.reset(token)


@dataclass(slots=True, kw_only=True, eq=False)
class ApiClient:
    """The connection of one project to its cloud."""

    credentials: Credentials
    client: httpx.AsyncClient
    clock: Clock
    throttle: Throttle

    async def send(self, request: Request, read: Callable[[Answer], T]) -> T:
        """Send a reading request, again where that may help, and read its answer.

        Raises:
            Unavailable: not now, or our login is refused.
            Refused: the cloud says no, with its code.
        """

        async def attempt() -> T:
            return read(await self._once(request))

        return await persist(attempt, pauses=PAUSES, wait=self._wait)

    async def write(self, request: Request, read: Callable[[Answer], T], *, until: float = math.inf) -> T:
        """Send a writing request, once: whether it may be repeated is for a fresh look to say.

        Raises:
            Late: its turn came after `until`, by the monotonic clock; nothing was done.
            Busy: nothing was done; the next call of this project waits as long as the cloud asks.
            Unavailable: not now; what was done is not known.
            Refused: the cloud says no, with its code.
        """
        try:
            return read(await self._once(request, until=until))
        except Busy as error:
            self.throttle.hold(min(error.retry_after or PAUSES[-1], MAX_PAUSE))
            raise

    async def _wait(self, error: DoormanError, pause: float) -> bool:
        """Wait where a reading request may be repeated; while the cloud is busy, the project's other calls wait too."""
        is_passing = isinstance(error, Busy | Broken) and not isinstance(error, TimedOut)
        if isinstance(error, Refused):
            is_passing = classify(code=error.code, status=error.status) is Failure.PASSING
        asked = (isinstance(error, Unavailable) and error.retry_after) or 0.0
        if not is_passing or asked > MAX_PAUSE:
            return False
        seconds = max(asked, pause * random.uniform(0.5, 1.0))  # noqa: S311 - jitter is no secret
        if isinstance(error, Busy):
            self.throttle.hold(seconds)
        else:
            await self.clock.sleep(seconds)
        return True

    async def _once(self, request: Request, *, until: float = math.inf) -> Answer:
        try:
            base = await self.credentials.endpoint(request.service)
        except Misconfigured as error:
            raise Unavailable(str(error)) from error
        async with self.throttle.slot(is_urgent=until < math.inf):
            if self.clock.monotonic() > until:
                raise Late("too much time passed before the call could be made")
            if (tally := _TALLY.get()) is not None:
                tally.calls += 1
            try:
                async with self.client.stream(
                    request.method,
                    parse_url(base + request.path, request.params),
                    json=request.json,
                    headers={"Accept": "application/json"},
                    auth=self.credentials.auth,
                ) as response:
                    body = await _read_bounded(response, request)
            except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
                raise Busy(f"the cloud cannot be reached: {name_trouble(error, base)}") from error
            except httpx.TimeoutException as error:
                raise TimedOut("the cloud does not answer in time") from error
            except httpx.InvalidURL as error:
                raise Unavailable(f"the endpoint of the {request.service} service is no URL: correct it") from error
            except httpx.HTTPError as error:
                raise Broken(f"the connection to the cloud broke ({type(error).__name__})") from error
        untie(response)
        return Answer(status=response.status_code, body=body, headers=response.headers)


async def _read_bounded(response: httpx.Response, request: Request) -> bytes:
    """Read an answer as far as it is read at all: strangers may make a list as large as they like."""
    body = bytearray()
    async for part in response.aiter_bytes():
        body += part
        if len(body) > MAX_ANSWER:
            raise TooLarge(f"{request.path}: the answer is larger than {MAX_ANSWER} bytes", start=bytes(body))
    return bytes(body)
