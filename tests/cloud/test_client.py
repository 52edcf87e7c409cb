"""Reads are repeated and writes are not, answers are bounded, and no exception of the transport gets out."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from doorman.cloud.api.base import Request, read_object
from doorman.cloud.client import MAX_ANSWER, MAX_PAUSE, PAUSES, ApiClient, counting
from doorman.errors import Broken, Busy, Denied, DoormanError, Failed, Refused, TimedOut, TooLarge, Unavailable
from tests.builders import FakeClock, Script

pytestmark = pytest.mark.anyio

GET = Request(method="GET", path="/v2/cloudimages", params=(("limit", "5"), ("name", "a b&c")))
PUT = Request(method="PUT", path="/v1/cloudimages/members", json={"images": ["ä"]})
OK = {"a": 1}
ATTEMPTS = len(PAUSES) + 1
RESET = httpx.RemoteProtocolError("reset")


def throttled(wait: str) -> httpx.Response:
    """Make an answer that asks to come back later."""
    return httpx.Response(429, headers={"retry-after": wait})


def code(number: str) -> httpx.Response:
    """Make a refusal of the image service."""
    return httpx.Response(400, json={"error": {"code": f"IMG.{number}", "message": "no"}})


async def send(line: ApiClient, request: Request = GET) -> dict[str, Any]:
    """Send a request whose answer is an object, as its method asks for."""
    way = line.send if request.method == "GET" else line.write
    return await way(request, lambda answer: read_object(answer, "answer"))


async def error_of(script: Script, clock: FakeClock, request: Request = GET) -> tuple[type[Exception], str, int]:
    """Send a request that fails: the error's type, its text, and how often the request was sent."""
    with pytest.raises(DoormanError) as caught:
        await send(script.client(clock), request)
    return type(caught.value), str(caught.value), len(script.requests)


async def test_request_is_sent(clock: FakeClock) -> None:
    """To the service's own base URL, as JSON, with what its answer shall be: JSON, and not compressed."""
    script = Script([OK])
    assert await send(script.client(clock)) == OK
    await send(script.client(clock), PUT)
    await send(script.client(clock), Request(method="GET", service="cbr", path="/v3/p/vaults"))
    assert [str(request.url) for request in script.requests] == [
        "http://cloud.test/v2/cloudimages?limit=5&name=a+b%26c",
        "http://cloud.test/v1/cloudimages/members",
        "http://cbr.test/v3/p/vaults",
    ]
    assert {request.headers["accept"] for request in script.requests} == {"application/json"}
    assert json.loads(script.requests[1].content) == {"images": ["ä"]}


BUSY = [429, 503, code("0060"), httpx.ConnectError("x"), httpx.ConnectTimeout("x"), httpx.PoolTimeout("x")]


@pytest.mark.parametrize("busy", BUSY)
async def test_nothing_was_done(clock: FakeClock, busy: Any) -> None:
    """A read is repeated, after a pause that holds back the other calls of the project too."""
    script = Script([busy, busy, OK])
    line = script.client(clock)
    assert await send(line) == OK
    assert len(script.requests) == 3
    assert sum(PAUSES[:2]) / 2 <= clock.seconds <= sum(PAUSES[:2]) * 1.2


@pytest.mark.parametrize("busy", BUSY)
async def test_a_write_is_sent_once(clock: FakeClock, busy: Any) -> None:
    """Even where nothing was done: it is worth a fresh look first, and that waits out the pause."""
    script = Script([busy, OK])
    line = script.client(clock)
    with pytest.raises(Busy):
        await send(line, PUT)
    assert (len(script.requests), clock.seconds) == (1, 0.0)
    assert await send(line, PUT) == OK
    assert PAUSES[-1] <= clock.seconds <= PAUSES[-1] * 1.2


@pytest.mark.parametrize(("asked", "wait"), [("3", 3.0), ("3600", MAX_PAUSE)])
async def test_pause_that_a_write_is_asked_for(clock: FakeClock, asked: str, wait: float) -> None:
    """The next call of the project waits as long as the cloud asks, or as long as is waited at all."""
    line = Script([throttled(asked), OK]).client(clock)
    with pytest.raises(Busy) as caught:
        await send(line, PUT)
    await send(line)
    assert caught.value.retry_after == float(asked)
    assert wait <= clock.seconds <= wait * 1.2


LOST = [502, 504, 408, 520, RESET, httpx.ReadError("x"), httpx.DecodingError("x")]


@pytest.mark.parametrize(("broken", "kind"), [*((each, Broken) for each in LOST), (500, Failed)])
async def test_lost_answer(clock: FakeClock, broken: Any, kind: type[Exception]) -> None:
    """A read is repeated; of a write nobody knows whether it was done, so the caller looks first."""
    script = Script([broken, OK])
    assert await send(script.client(clock)) == OK
    assert PAUSES[0] / 2 <= clock.seconds <= PAUSES[0]
    assert (await error_of(Script([broken]), clock, PUT))[::2] == (kind, 1)


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"a": ', b"[]"])
async def test_unusable_answer(clock: FakeClock, body: bytes) -> None:
    """Half a body or a proxy's page with status 200 is a lost answer as well."""
    script = Script([httpx.Response(200, content=body), OK])
    assert await send(script.client(clock)) == OK
    kind, _, attempts = await error_of(Script([httpx.Response(200, content=body)]), clock, PUT)
    assert (kind, attempts) == (Broken, 1)


class Endless(httpx.AsyncByteStream):
    """A body without end; counts the bytes that were taken of it."""

    def __init__(self) -> None:
        self.taken = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Go on."""
        while True:
            self.taken += 1 << 20
            yield b"x" * (1 << 20)


@pytest.mark.parametrize("request_", [GET, PUT])
async def test_answer_without_end(clock: FakeClock, request_: Request) -> None:
    """It is read as far as the bound and asked for once; how it began is told."""
    body = Endless()
    script = Script([httpx.Response(200, stream=body)])
    with pytest.raises(TooLarge, match=rf"^{request_.path}: the answer is larger than {MAX_ANSWER} bytes$") as caught:
        await send(script.client(clock), request_)
    assert (body.taken, len(script.requests)) == (MAX_ANSWER + (1 << 20), 1)
    assert caught.value.start == b"x" * body.taken


async def test_largest_answer(clock: FakeClock) -> None:
    """Up to the bound it is read."""
    body = b'{"a": "' + b"x" * (MAX_ANSWER - 9) + b'"}'
    assert len(body) == MAX_ANSWER
    assert await send(Script([httpx.Response(200, content=body)]).client(clock)) == {"a": "x" * (MAX_ANSWER - 9)}


async def test_answer_that_says_that_it_is_plain(clock: FakeClock) -> None:
    """In whatever case."""
    plain = httpx.Response(200, headers={"content-encoding": "Identity"}, json=OK)
    assert await send(Script([plain]).client(clock)) == OK


async def test_repetitions_end(clock: FakeClock) -> None:
    """After some attempts the error is told; the broker comes back later."""
    assert await error_of(Script([503]), clock) == (Busy, "the cloud answers 503 (503)", ATTEMPTS)
    found = await error_of(Script([RESET]), clock)
    assert found == (Broken, "the connection to the cloud broke (RemoteProtocolError)", ATTEMPTS)
    told = await error_of(Script([httpx.ConnectError("x")]), clock)
    assert told == (Busy, "the cloud cannot be reached: cloud.test:80: ConnectError", ATTEMPTS)


async def test_silence_is_not_waited_for_twice(clock: FakeClock) -> None:
    """A read that timed out has used up its time."""
    for timeout in (httpx.ReadTimeout("x"), httpx.WriteTimeout("x")):
        found = await error_of(Script([timeout]), clock)
        assert found == (TimedOut, "the cloud does not answer in time", 1)


async def test_perhaps_passing_refusal(clock: FakeClock) -> None:
    """It is worth a few tries of a read; then it is a refusal, as it is at once of a write."""
    assert await send(Script([code("0064"), OK]).client(clock)) == OK
    refusal = (Refused, "the cloud refuses the request (IMG.0064)")
    assert await error_of(Script([code("0064")]), clock) == (*refusal, ATTEMPTS)
    assert await error_of(Script([code("0064")]), clock, PUT) == (*refusal, 1)


@pytest.mark.parametrize("refusal", [401, 403, 404, 409, code("0182"), code("0027"), code("0067")])
async def test_refusal(clock: FakeClock, refusal: Any) -> None:
    """It is told at once, also of a login: who may renew it has done so already."""
    kind, _, attempts = await error_of(Script([refusal]), clock)
    assert (kind, attempts, clock.seconds) == (Denied if refusal == 401 else Refused, 1, 0.0)


async def test_asked_pause_is_kept(clock: FakeClock) -> None:
    """At least as long as the cloud asks for."""
    assert await send(Script([throttled("3"), OK]).client(clock)) == OK
    assert 3.0 <= clock.seconds <= 3.6


async def test_longer_pause_is_left_to_the_broker(clock: FakeClock) -> None:
    """An event may wait there; the error says for how long."""
    script = Script([throttled(str(int(MAX_PAUSE) + 1)), OK])
    with pytest.raises(Busy) as caught:
        await send(script.client(clock))
    assert (caught.value.retry_after, len(script.requests), clock.seconds) == (6.0, 1, 0.0)


async def test_endpoint_that_is_not_known(clock: FakeClock) -> None:
    """Neither catalog nor settings name it: told as a passing failure, since catalogs change."""
    script = Script([OK])
    with pytest.raises(Unavailable, match="OS_IMAGE_ENDPOINT_OVERRIDE"):
        await send(script.client(clock, base=""))
    assert script.requests == []


@pytest.mark.parametrize("base", ["http://cloud.test:x", "http://cloud.test:99999", "http://xn--a.test"])
async def test_endpoint_that_is_no_url(clock: FakeClock, base: str) -> None:
    """A catalog may name anything; no exception of the transport gets out."""
    with pytest.raises(Unavailable, match=r"^the endpoint of the image service is no URL: correct it$"):
        await send(Script([OK]).client(clock, base=base))


async def test_calls_are_counted(clock: FakeClock) -> None:
    """Repetitions and those of tasks started inside, and only while somebody counts."""
    line = Script([503, OK]).client(clock)
    with counting() as outer:
        await send(line)
        with counting() as inner:
            await asyncio.gather(send(line), send(line))
    await send(line)
    assert (outer.calls, inner.calls) == (2, 2)
