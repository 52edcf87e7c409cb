"""What carries requests: each comes to an end, none is sent twice, and what nobody uses is closed."""

import asyncio
import gc
import gzip
import ssl
import weakref
from collections.abc import AsyncIterator, Generator
from contextlib import asynccontextmanager, suppress

import httpx
import pytest

from doorman.runtime.clock import Clock, SystemClock
from doorman.runtime.http import MAX_READ, STEPS, BoundedTransport, open_client, open_sender, untie
from doorman.runtime.http11 import KEEP_ALIVE
from doorman.runtime.proxies import Proxies
from tests.builders import serving

pytestmark = pytest.mark.anyio

TRUST = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
HEAD = b"HTTP/1.1 200 OK\r\n"
BROKEN = (httpx.ReadError, httpx.RemoteProtocolError)
WHOLE = HEAD + b"Content-Length: 2\r\n\r\nok"


@asynccontextmanager
async def answering(*answers: bytes, is_closing: bool = False) -> AsyncIterator[tuple[str, list[bytes]]]:
    """Answer each request with these bytes, a moment apart; gives the URL, and the methods as they come in.

    Args:
        is_closing: without a word, after each answer.
    """
    seen: list[bytes] = []
    tasks: list[asyncio.Task[None] | None] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.append(asyncio.current_task())
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                seen.append((await reader.readuntil(b"\r\n\r\n")).split()[0])
                for part in answers:
                    writer.write(part)
                    await asyncio.sleep(0.02 if len(answers) > 1 else 0)
                if is_closing:
                    break
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    async with serving(answer) as port:
        yield f"http://127.0.0.1:{port}/", seen
    await asyncio.gather(*(task for task in tasks if task))


def carried(*, clock: Clock | None = None, proxies: Proxies | None = None) -> httpx.AsyncClient:
    """Open a client as the product does."""
    return open_client(5.0, TRUST, clock=clock or SystemClock(), proxies=proxies or Proxies({}))


async def test_a_response_does_not_wait_for_the_collector() -> None:
    """Untied from its stream, it is gone with its last user."""
    gc.disable()
    try:
        async with answering(WHOLE) as (url, _), carried() as client:
            response = await client.get(url)
            untie(response)
            gone = weakref.ref(response)
            del response
            assert gone() is None
    finally:
        gc.enable()


async def test_a_write_whose_answer_is_lost_is_not_sent_again() -> None:
    """A kept connection that breaks after a PUT is told as broken, and the PUT was sent once."""
    seen = []

    async def break_at_second(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            await reader.readexactly(1)
            seen.append(head.split()[0])
            if len(seen) > 1:
                break
            writer.write(WHOLE)
        writer.close()
        await writer.wait_closed()

    async with serving(break_at_second) as port, carried() as client:
        url = f"http://127.0.0.1:{port}/"
        assert (await client.put(url, content="x")).text == "ok"
        with pytest.raises(BROKEN):
            await client.put(url, content="x")
    assert seen == [b"PUT", b"PUT"]


async def test_a_connection_closed_without_a_word_is_not_used_again() -> None:
    """Where the server closes after each answer, the next request goes over a new connection and is sent once."""
    async with answering(WHOLE, is_closing=True) as (url, seen), carried() as client:
        for _ in range(50):
            assert (await client.put(url)).text == "ok"
    assert seen == [b"PUT"] * 50


class HandClock(SystemClock):
    """A clock that a test moves on: who sleeps wakes up when told to."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.sleepers: list[asyncio.Future[None]] = []
        self.began = asyncio.Event()

    def monotonic(self) -> float:
        """Give the seconds moved so far."""
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        """Wait until told."""
        self.sleepers.append(asyncio.get_running_loop().create_future())
        await self.sleepers[-1]

    async def move(self, seconds: float) -> None:
        """Move on, and let all sleepers look at the clock."""
        self.seconds += seconds
        sleepers, self.sleepers = self.sleepers, []
        for sleeper in sleepers:
            sleeper.set_result(None)
        await asyncio.sleep(0.01)


async def test_what_nobody_uses_is_closed_and_opened_again() -> None:
    """After a while without requests the server sees its connection end; the next request opens another."""
    ended: asyncio.Queue[str] = asyncio.Queue()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError):
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(WHOLE)
        await ended.put("ended")
        writer.close()

    clock, enough = HandClock(), 2 * STEPS * 5.0 + KEEP_ALIVE
    async with serving(answer) as port:
        url = f"http://127.0.0.1:{port}/"
        async with carried(clock=clock) as client:
            await client.get(url)
            await clock.move(enough - 1)
            await client.get(url)
            assert await ended.get() == "ended"  # the first one, too old to be used again
            await clock.move(2)
            assert ended.empty()  # the second request counts
            await clock.move(enough)
            assert await ended.get() == "ended"
            assert (await client.get(url)).text == "ok"
        assert await ended.get() == "ended"


async def test_a_head_that_trickles_comes_to_an_end() -> None:
    """Each line comes in time, the whole does not."""
    transport = BoundedTransport(TRUST, longest=0.3, clock=SystemClock(), proxies=Proxies({}))
    async with answering(HEAD, *[b"X-A: b\r\n"] * 30) as (url, _), httpx.AsyncClient(transport=transport) as client:
        with pytest.raises(httpx.ReadTimeout, match="takes too long"):
            await client.get(url)


async def test_a_body_that_trickles_comes_to_an_end() -> None:
    """Each part comes in time; one that comes after the end of the answer's time is not taken any more."""
    clock = HandClock()

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
        await clock.began.wait()
        clock.seconds += STEPS * 5.0 + 1
        writer.write(b"1\r\na\r\n")
        await writer.drain()
        writer.close()

    async with (
        serving(answer) as port,
        carried(clock=clock) as client,
        client.stream("GET", f"http://127.0.0.1:{port}/") as response,
    ):
        parts = response.aiter_raw()
        assert await anext(parts) == b"a"
        clock.began.set()
        with pytest.raises(httpx.ReadTimeout, match="takes too long"):
            await anext(parts)


class Twice(httpx.Auth):
    """Reads an answer, and sends the request again."""

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Send it twice."""
        yield request
        yield request


async def test_an_answer_that_is_too_large_comes_to_an_end() -> None:
    """Whoever reads it whole: a login, or a request that is made again after a refusal. A command may fetch more."""
    answer = HEAD + b"Content-Length: %d\r\n\r\n" % (MAX_READ + 1) + b"x" * (MAX_READ + 1)
    async with answering(answer, is_closing=True) as (url, seen), carried() as client:
        for auth in (httpx.Auth(), Twice()):
            with pytest.raises(httpx.ReadError, match="larger than is read"):
                await client.post(url, auth=auth)
        assert seen == [b"POST"] * 2
        with open_sender(url, timeout=5) as sender:
            assert len((await asyncio.to_thread(sender.get, url)).content) == MAX_READ + 1


async def test_nothing_is_unpacked() -> None:
    """What comes packed though nobody asked for it may be a thousand times as large: it stays as it is."""
    packed = gzip.compress(b"x" * 1000)
    head = HEAD + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed)
    async with answering(head + packed) as (url, _), carried() as client:
        assert (await client.get(url)).content == packed
        with open_sender(url, timeout=5) as sender:
            assert (await asyncio.to_thread(sender.get, url)).content == packed


async def test_cookies_are_not_kept() -> None:
    """A cookie of one answer comes with no later request, of whichever project."""
    answer = HEAD + b"Set-Cookie: session=1; Path=/\r\nContent-Length: 2\r\n\r\nok"
    async with answering(answer) as (url, _), carried() as client:
        answers = [await client.get(url) for _ in range(2)]
    assert ["cookie" in each.request.headers for each in answers] == [False, False]


async def test_a_proxy_carries_what_is_not_spared() -> None:
    """It is asked for the whole URL; a network that is spared is reached straight."""
    async with (
        answering(WHOLE) as (proxy, seen),
        answering(WHOLE) as (straight, others),
        carried(proxies=Proxies({"http": proxy, "no": "127.0.0.0/8"})) as client,
    ):
        await client.get(straight)
        assert (await client.get("http://cloud.test/v3")).text == "ok"
    assert (seen, others) == ([b"GET"], [b"GET"])
