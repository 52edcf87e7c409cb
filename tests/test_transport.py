"""What carries requests: httpx's own transport for the first calls, aiohttp's from then on."""

import asyncio
import gc
import ssl
import weakref
from collections.abc import AsyncIterator

import aiohttp
import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from function.aiohttp_carrier import AiohttpCarrier, _tell_apart
from function.transport import FEW, Transport, untie
from sandbox.serving import serve

pytestmark = pytest.mark.anyio


async def tell_method(request: Request) -> PlainTextResponse:
    """Answer the method and the body, after a moment in which others come in."""
    await asyncio.sleep(0.02)
    return PlainTextResponse(f"{request.method} {(await request.body()).decode()}")


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """A client over our transport to a server that answers a little late."""
    app = Starlette(routes=[Route("/", tell_method, methods=["GET", "POST", "PUT"])])
    transport = Transport(trust=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), limits=httpx.Limits())
    with serve(app) as url:
        async with httpx.AsyncClient(transport=transport, base_url=url) as client:
            client.headers["carrier"] = "test"
            yield client


def carriers(client: httpx.AsyncClient) -> tuple[bool, Transport]:
    """Say whether the faster transport is loaded."""
    transport = client._transport  # noqa: SLF001 - the client does not show what carries it
    assert isinstance(transport, Transport)
    return transport._fast is not None, transport  # noqa: SLF001 - what is tested here


async def test_a_first_event_loads_nothing(client: httpx.AsyncClient) -> None:
    """What a first event calls is carried without waiting for an import; the next call begins it."""
    await asyncio.gather(*(client.get("/") for _ in range(FEW)))
    _, transport = carriers(client)
    assert transport._loading is None  # noqa: SLF001 - what is tested here
    await client.get("/")
    assert transport._loading is not None  # noqa: SLF001 - likewise


async def test_the_faster_one_takes_over(client: httpx.AsyncClient) -> None:
    """It is loaded without keeping anybody waiting; every answer is its own, whoever carried it."""
    bodies = [f"body-{number}" for number in range(20)]
    first = await asyncio.gather(*(client.post("/", content=body) for body in bodies))
    _, transport = carriers(client)
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
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(break_at_second, "127.0.0.1", 0)
    carrier = AiohttpCarrier(trust=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), limits=httpx.Limits(keepalive_expiry=9))
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    async with server, httpx.AsyncClient(transport=carrier) as client:
        assert (await client.put(url, content="x")).text == "ok"
        with pytest.raises(httpx.ReadError):
            await client.put(url, content="x")
    assert seen == [b"PUT", b"PUT"]


async def test_no_connection_is_told_from_a_broken_one() -> None:
    """Where nobody listens nothing was sent, and a silent server is a time-out."""

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        await writer.wait_closed()

    quiet = await asyncio.start_server(listen, "127.0.0.1", 0)
    carrier = AiohttpCarrier(trust=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), limits=httpx.Limits())
    async with quiet, httpx.AsyncClient(transport=carrier, timeout=0.1) as client:
        with pytest.raises(httpx.ConnectError):
            await client.get("http://127.0.0.1:9/")
        with pytest.raises(httpx.ReadTimeout):
            await client.get(f"http://127.0.0.1:{quiet.sockets[0].getsockname()[1]}/")


def test_a_connection_that_takes_too_long_was_none() -> None:
    """A time-out while connecting is told as such."""
    error = httpx.TimeoutException("late")
    error.__cause__ = aiohttp.ConnectionTimeoutError()
    assert isinstance(_tell_apart(error), httpx.ConnectTimeout)
