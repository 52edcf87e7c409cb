"""What carries requests: httpx's own transport for the first calls, aiohttp's from then on."""

import asyncio
import gc
import ssl
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from doorman.runtime.aiohttp_transport import AiohttpCarrier
from doorman.runtime.transport import FEW, Transport, untie
from doorman.sandbox.serving import serve

pytestmark = pytest.mark.anyio


TRUST = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
HEAD = b"HTTP/1.1 200 OK\r\n"
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

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", seen
    await asyncio.gather(*(task for task in tasks if task))


def carried(*, timeout: float = 5.0, limits: httpx.Limits | None = None) -> httpx.AsyncClient:
    """Make a client whose requests aiohttp carries."""
    carrier = AiohttpCarrier(trust=TRUST, limits=limits or httpx.Limits(keepalive_expiry=9))
    return httpx.AsyncClient(transport=carrier, timeout=timeout)


async def tell_method(request: Request) -> PlainTextResponse:
    """Answer the method and the body, after a moment in which others come in."""
    await asyncio.sleep(0.02)
    return PlainTextResponse(f"{request.method} {(await request.body()).decode()}")


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """A client over our transport to a server that answers a little late."""
    app = Starlette(routes=[Route("/", tell_method, methods=["GET", "POST", "PUT"])])
    transport = Transport(trust=TRUST, limits=httpx.Limits())
    with serve(app) as url:
        async with httpx.AsyncClient(transport=transport, base_url=url) as client:
            client.headers["carrier"] = "test"
            yield client


def transport_of(client: httpx.AsyncClient) -> Transport:
    """Give what carries a client's requests."""
    transport = client._transport  # noqa: SLF001 - the client does not show what carries it
    assert isinstance(transport, Transport)
    return transport


async def test_a_first_event_loads_nothing(client: httpx.AsyncClient) -> None:
    """What a first event calls is carried without waiting for an import; the next call begins it."""
    await asyncio.gather(*(client.get("/") for _ in range(FEW)))
    transport = transport_of(client)
    assert transport._loading is None  # noqa: SLF001 - what is tested here
    await client.get("/")
    assert transport._loading is not None  # noqa: SLF001 - likewise


async def test_the_faster_one_takes_over(client: httpx.AsyncClient) -> None:
    """It is loaded without keeping anybody waiting; every answer is its own, whoever carried it."""
    bodies = [f"body-{number}" for number in range(20)]
    first = await asyncio.gather(*(client.post("/", content=body) for body in bodies))
    transport = transport_of(client)
    assert transport._loading is not None  # noqa: SLF001 - what is tested here
    await transport._loading  # noqa: SLF001 - likewise
    later = await asyncio.gather(*(client.post("/", content=body) for body in bodies))
    assert [answer.text for answer in first] == [answer.text for answer in later] == [f"POST {body}" for body in bodies]


async def test_a_response_does_not_wait_for_the_collector(client: httpx.AsyncClient) -> None:
    """Untied from its stream, it is gone with its last user."""
    gc.disable()
    try:
        response = await client.get("/")
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

    server = await asyncio.start_server(break_at_second, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    async with server, carried() as client:
        assert (await client.put(url, content="x")).text == "ok"
        with pytest.raises(httpx.ReadError):
            await client.put(url, content="x")
    assert seen == [b"PUT", b"PUT"]


async def test_a_connection_closed_without_a_word_is_not_used_again() -> None:
    """Where the server closes after each answer, the next request goes over a new connection and is sent once."""
    async with answering(WHOLE, is_closing=True) as (url, seen), carried() as client:
        for _ in range(50):
            assert (await client.put(url)).text == "ok"
    assert seen == [b"PUT"] * 50


async def test_no_connection_is_told_from_a_broken_one() -> None:
    """Where nobody listens nothing was sent, and a silent server is a time-out."""
    async with answering() as (url, _), carried(timeout=0.1) as client:
        with pytest.raises(httpx.ConnectError):
            await client.get("http://127.0.0.1:9/")
        with pytest.raises(httpx.ReadTimeout):
            await client.get(url)


async def test_who_gets_no_connection_sent_nothing() -> None:
    """A wait for a place in the pool that takes too long is told as such."""
    one = httpx.Limits(max_connections=1)
    async with answering() as (url, seen), carried(timeout=0.5, limits=one) as client:
        got = await asyncio.gather(client.get(url), client.get(url), return_exceptions=True)
    assert {type(each) for each in got} == {httpx.ReadTimeout, httpx.ConnectTimeout}
    assert seen == [b"GET"]


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (HEAD + b"X-Subject-Token: " + b"a" * 20_000 + b"\r\n", 200),
        (HEAD + b"".join(b"X-%d: a\r\n" % number for number in range(200)), 200),
        ("HTTP/1.1 503 für später\r\n".encode("latin-1"), 503),
        (b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\n", 302),
        (HEAD + b"Set-Cookie: a=b=\x01;;=; x\r\n", 200),
        (b"this is not HTTP\r\n", None),
        (HEAD + b"Transfer-Encoding: chunked\r\n", None),
    ],
)
async def test_strange_answers(head: bytes, status: int | None) -> None:
    """What httpx takes is taken, however long; anything else is a broken connection, never an error of another kind."""
    async with answering(head + b"Content-Length: 2\r\n\r\nok") as (url, _), carried() as client:
        if status is None:
            with pytest.raises(httpx.ReadError):
                await client.get(url)
        else:
            answer = await client.get(url)
            assert (answer.status_code, answer.text) == (status, "ok")


async def test_an_answer_that_breaks_in_the_middle_comes_to_an_end() -> None:
    """A chunk that is none, in a later packet: it is waited for, but not for ever."""
    chunked = HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n"
    async with answering(chunked, b"zz\r\n") as (url, _), carried(timeout=0.1) as client, asyncio.timeout(5):
        with pytest.raises((httpx.ReadTimeout, httpx.ReadError)):
            await client.get(url)


async def test_half_an_answer_is_a_broken_one() -> None:
    """A body that ends before its length."""
    half = HEAD + b"Content-Length: 20\r\n\r\nok"
    async with answering(half, is_closing=True) as (url, _), carried() as client:
        with pytest.raises(httpx.ReadError):
            await client.get(url)


async def test_urls_and_bodies_go_out_as_they_are() -> None:
    """Nothing is encoded anew, and nothing said of a body that its sender did not say."""
    seen = b""

    async def keep(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal seen
        seen = await reader.readuntil(b"\r\n\r\n")
        writer.write(WHOLE)
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(keep, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, carried() as client:
        await client.post(f"http://127.0.0.1:{port}/a%7Eb?marker=%2F%3A%21", content=b"x")
    assert seen.startswith(b"POST /a%7Eb?marker=%2F%3A%21 HTTP/1.1\r\n")
    assert b"content-type" not in seen.lower()


async def test_a_client_without_time_limits_waits() -> None:
    """Where no step has a limit, the whole has none."""
    async with answering(HEAD, b"Content-Length: 2\r\n\r\nok") as (url, _), carried() as client:
        assert (await client.get(url, timeout=None)).text == "ok"
