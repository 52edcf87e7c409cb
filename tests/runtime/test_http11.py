"""What speaks HTTP/1.1: how connections are kept, how answers end, and what their faults are called."""

import asyncio
import socket
import ssl
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from importlib.util import find_spec

import httpx
import pytest

from doorman.runtime.http11 import CONNECTIONS, IDLE_CONNECTIONS, KEEP_ALIVE, MAX_HEAD, DirectTransport
from tests.builders import serving
from tests.fake_keystone import FakeClock

pytestmark = pytest.mark.anyio

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[object]]
METHODS = ("GET", "PUT", "POST", "DELETE")
HEAD = b"HTTP/1.1 200 OK\r\n"
WHOLE = HEAD + b"Content-Length: 2\r\n\r\nok"


@pytest.fixture(params=[False, *([True] if find_spec("uvloop") else [])], ids=str)
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    """Whichever loop uvicorn takes: uvloop where it is installed."""
    return "asyncio", {"use_uvloop": request.param}


@asynccontextmanager
async def server(
    answer: Serve, *, seconds: float = 5.0
) -> AsyncIterator[tuple[httpx.AsyncClient, list[int], FakeClock]]:
    """Serve connections; gives a client for them, the numbers of connections opened, and the client's clock."""
    opened: list[int] = []
    tasks: list[asyncio.Task[None] | None] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        opened.append(len(opened))
        tasks.append(asyncio.current_task())
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            await answer(reader, writer)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    clock = FakeClock()
    transport = DirectTransport(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), clock=clock)
    async with serving(serve) as port:
        base = f"http://127.0.0.1:{port}"
        async with httpx.AsyncClient(transport=transport, base_url=base, timeout=seconds) as client:
            yield client, opened, clock
        await asyncio.gather(*(task for task in tasks if task))


def saying(*parts: bytes, then: Serve | None = None) -> Serve:
    """Answer one request with these parts, a moment apart, and then do that."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for part in parts:
            writer.write(part)
            await asyncio.sleep(0.01)
        if then:
            await then(reader, writer)

    return serve


async def wait(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    """Say no more, until the other side goes."""
    await reader.read()


async def reset(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """End a connection without a goodbye."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def ask_all(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: bytes = WHOLE) -> None:
    """Answer each request alike."""
    while head := await reader.readuntil(b"\r\n\r\n"):
        if b"Content-Length: 1" in head:
            await reader.readexactly(1)
        writer.write(answer)


async def test_a_connection_is_used_again() -> None:
    """One after the other go over one connection, of whatever method, with a body or without."""
    async with server(ask_all) as (client, opened, _):
        said = [(await client.request(method, "/x?y=z", content=body)).text for method in METHODS for body in ("", "x")]
    assert (said, opened) == (["ok"] * 8, [0])


@pytest.mark.parametrize(
    ("answer", "text", "connections"),
    [
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n", "ok", 1),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n" + WHOLE, "ok", 1),
        (b"HTTP/1.1 204 No Content\r\n\r\n", "", 1),
        (HEAD + b"Connection: close\r\nContent-Length: 2\r\n\r\nok", "ok", 2),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", "ok", 2),
        (WHOLE + b"HTTP/1.1 408 Request Timeout\r\n\r\n", "ok", 2),
        (HEAD + b"X-Subject-Token: " + b"t" * (MAX_HEAD // 2) + b"\r\nContent-Length: 2\r\n\r\nok", "ok", 1),
    ],
)
async def test_whole_answers(answer: bytes, text: str, connections: int) -> None:
    """However an answer says where it ends; a connection is kept where server and answer leave it in order."""
    async with server(partial(ask_all, answer=answer)) as (client, opened, _):
        assert [(await client.get("/")).text for _ in range(2)] == [text] * 2
    assert len(opened) == connections


async def test_what_comes_unasked_is_no_answer() -> None:
    """Some servers say 408 to a connection that idles, and close it: the next request gets an answer of its own."""
    late = b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n"
    async with server(saying(WHOLE, late, then=wait)) as (client, opened, _):
        assert (await client.get("/")).status_code == 200
        await asyncio.sleep(0.05)
        assert (await client.get("/")).status_code == 200
    assert opened == [0, 1]


@pytest.mark.parametrize(
    "answer",
    [
        HEAD + b"\r\nok",
        b"",
        HEAD,
        HEAD + b"Content-Length: 3\r\n\r\nok",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\no\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nz\r\no\r\n",
        HEAD + b"X-Header: " + b"x" * (MAX_HEAD + 1),
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    ],
)
async def test_answers_that_end_with_their_connection(answer: bytes) -> None:
    """Where no length is named, that is how an answer ends; what is no HTTP, or ends too early, is told as such."""
    async with server(saying(answer[:-1], answer[-1:])) as (client, opened, _):
        for _ in range(2):
            if answer == HEAD + b"\r\nok":
                assert (await client.get("/")).text == "ok"
            else:
                with pytest.raises(httpx.RemoteProtocolError):
                    await client.get("/")
    assert opened == [0, 1]


@pytest.mark.parametrize("head", [b"", HEAD + b"\r\no"])
async def test_a_reset_is_no_end(head: bytes) -> None:
    """A connection that is reset broke, even where its end would have been the answer's end."""
    async with server(saying(head, then=reset)) as (client, _, _):
        with pytest.raises(httpx.ReadError):
            await client.get("/")


async def test_a_reset_after_the_answer() -> None:
    """What came before it is read; its connection is not used again."""
    async with server(saying(WHOLE, then=reset)) as (
        client,
        opened,
        _,
    ):
        for _ in range(2):
            async with client.stream("GET", "/") as response:
                await asyncio.sleep(0.03)
                assert await response.aread() == b"ok"
    assert opened == [0, 1]


async def test_an_answer_that_does_not_wait_for_the_question() -> None:
    """What is unsent of a request that is answered would go before the next one, which gets another connection."""

    async def sleep(*_: object) -> None:
        await asyncio.sleep(0.3)

    async with server(saying(WHOLE, then=sleep), seconds=0.2) as (client, opened, _):
        assert (await client.put("/", content=bytes(16 << 20))).text == "ok"
        assert (await client.get("/")).text == "ok"
    assert opened == [0, 1]


@pytest.mark.parametrize("head", [b"", HEAD + b"Content-Length: 2\r\n\r\no"])
async def test_silence_comes_to_an_end(head: bytes) -> None:
    """Before the answer or within it."""
    async with server(saying(head, then=wait), seconds=0.05) as (client, opened, _):
        for _ in range(2):
            with pytest.raises(httpx.ReadTimeout):
                await client.get("/")
    assert opened == [0, 1]


async def test_an_answer_that_came_while_the_process_stood_still() -> None:
    """It counts, though the time is over when it is found."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(WHOLE)
        time.sleep(0.1)  # noqa: ASYNC251 - nothing moves

    async with server(serve, seconds=0.05) as (client, _, _):
        assert (await client.get("/")).text == "ok"


async def test_who_goes_away_leaves_nothing_behind() -> None:
    """Where a caller gives up in the middle, or reads only a part, the connection is closed and its place free."""
    asked: asyncio.Queue[int] = asyncio.Queue()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.put_nowait(len(await reader.readuntil(b"\r\n\r\n")))
        if asked.qsize() > CONNECTIONS:
            await reader.read()
        writer.write(HEAD + b"Content-Length: 9\r\n\r\nx")
        await reader.read()

    async with server(serve) as (client, _, _):
        for _ in range(CONNECTIONS):
            async with client.stream("GET", "/") as response:
                assert await anext(response.aiter_raw()) == b"x"
        waiting = [asyncio.create_task(client.get("/")) for _ in range(CONNECTIONS)]
        for _ in range(2 * CONNECTIONS):
            await asked.get()
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting)
        async with client.stream("GET", "/") as response:
            assert response.status_code == 200


async def test_connections_have_a_bound() -> None:
    """More requests than that wait for a place; of those that end together, fewer connections are kept."""
    asked: asyncio.Queue[int] = asyncio.Queue()
    is_open = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            asked.put_nowait(len(head))
            await is_open.wait()
            writer.write(WHOLE)

    async def ask(client: httpx.AsyncClient, count: int) -> set[str]:
        return {answer.text for answer in await asyncio.gather(*(client.get("/") for _ in range(count)))}

    async with server(serve) as (client, opened, _):
        all_asked = asyncio.create_task(ask(client, CONNECTIONS + 20))
        for _ in range(CONNECTIONS):
            await asked.get()
        assert len(opened) == CONNECTIONS
        with pytest.raises(httpx.PoolTimeout):
            await client.get("/", timeout=0.01)
        is_open.set()
        assert await all_asked == {"ok"}
        counts = [len(opened)]
        for more in (0, 1):
            assert await ask(client, IDLE_CONNECTIONS + more) == {"ok"}
            counts.append(len(opened))
    assert counts == [counts[0], counts[0], counts[0] + 1]


async def test_old_connections_are_closed() -> None:
    """What lies between may have forgotten them without a word; those beside one that is in use get old as well."""
    ended: asyncio.Queue[str] = asyncio.Queue()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            await ask_all(reader, writer)
        ended.put_nowait("ended")

    async with server(serve) as (client, opened, clock):
        await asyncio.gather(client.get("/"), client.get("/"))
        for seconds in (KEEP_ALIVE - 1, 2):
            assert ended.empty()
            clock.seconds += seconds
            await client.get("/")
        async with asyncio.timeout(1):
            assert (await ended.get(), opened) == ("ended", [0, 1])
        clock.seconds += KEEP_ALIVE + 1
        await client.get("/")
        assert (await ended.get(), opened) == ("ended", [0, 1, 2])


async def test_a_client_that_is_closed_keeps_nothing() -> None:
    """A request that is on its way then is answered, and its connection closed."""
    is_asked, is_closed, is_ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        is_asked.set()
        await is_closed.wait()
        writer.write(WHOLE)
        await reader.read()
        is_ended.set()

    async with server(serve) as (client, _, _):
        answer = asyncio.create_task(client.get("/"))
        await is_asked.wait()
        await client.aclose()
        is_closed.set()
        assert (await answer).text == "ok"
        async with asyncio.timeout(1):
            await is_ended.wait()


async def test_a_large_answer_waits_for_its_reader() -> None:
    """Of an answer that nobody reads, no more comes in than the system's buffers take and a part or two of ours."""
    sent = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(HEAD + b"Content-Length: %d\r\n\r\n" % (64 << 20))
        for _ in range(64):
            writer.write(bytes(1 << 20))
            await writer.drain()
            sent += 1

    async with server(serve) as (client, _, _), client.stream("GET", "/") as response:
        await asyncio.sleep(0.2)
        assert sent < 32
        assert sum([len(part) async for part in response.aiter_raw()]) == 64 << 20


@pytest.mark.parametrize("url", ["ftp://cloud.test/", "http:///v3"])
async def test_what_is_no_web_address(url: str) -> None:
    """It is refused before anything is opened."""
    transport = DirectTransport(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), clock=FakeClock())
    async with httpx.AsyncClient(transport=transport) as client:
        with pytest.raises(httpx.UnsupportedProtocol, match="https://"):
            await client.get(url)


async def test_a_header_that_would_end_the_head() -> None:
    """It is not sent."""
    async with server(ask_all) as (client, _, _):
        with pytest.raises(httpx.LocalProtocolError):
            await client.get("/", headers={"X-A": "b\r\nX-C: d"})
        assert (await client.get("/")).text == "ok"
