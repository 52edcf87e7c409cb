"""Tests of the kept connections, against servers that say byte by byte what they were told to."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

import function.connections
from function.connections import Connections

pytestmark = pytest.mark.anyio

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


@asynccontextmanager
async def serving(talk: Talk, *, context: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """Serve on a free port; `talk` is called for each connection."""
    tasks: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            with suppress(ConnectionError, asyncio.CancelledError):
                await talk(reader, writer)
        finally:
            tasks.discard(task)
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    try:
        yield f"{'https' if context else 'http'}://127.0.0.1:{port}/"
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def answering(*parts: bytes, wait: float = 0.0) -> Talk:
    """Answer every request of a connection with these bytes, part by part."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(65536):
            for part in parts:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(wait)

    return talk


def once(*parts: bytes) -> Talk:
    """Answer the first request of a connection with these bytes and close it."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(65536)
        writer.writelines(parts)
        await writer.drain()

    return talk


def counted(talk: Talk, connections: list[int]) -> Talk:
    """Count a server's connections."""

    async def counting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(1)
        await talk(reader, writer)

    return counting


def connect(
    *, trust: ssl.SSLContext | None = None, seconds: float = 5.0, limit: int = 100, keep: int = 32, expiry: float = 30.0
) -> httpx.AsyncClient:
    """Make a client over connections of ours."""
    transport = Connections(trust=trust, limit=limit, keep=keep, expiry=expiry)
    return httpx.AsyncClient(transport=transport, timeout=seconds)


@pytest.mark.parametrize(
    ("parts", "body"),
    [
        pytest.param([OK], b"ok", id="content-length"),
        pytest.param([OK[:9], OK[9:40], OK[40:]], b"ok", id="in pieces"),
        pytest.param(
            [b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", b"1\r\no\r\n1\r\nk\r\n0\r\n\r\n"],
            b"ok",
            id="chunked",
        ),
        pytest.param([b"HTTP/1.1 103 Early Hints\r\n\r\n", OK], b"ok", id="after an interim answer"),
    ],
)
async def test_whole_answers(parts: list[bytes], body: bytes) -> None:
    """An answer is read to its end, however it comes, and the connection serves the next request."""
    connections: list[int] = []
    async with serving(counted(answering(*parts), connections)) as url, connect() as client:
        answers = [await client.post(url, json={"n": number}) for number in range(3)]
    assert [(answer.status_code, answer.content) for answer in answers] == [(200, body)] * 3
    assert len(connections) == 1


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param([b"HTTP/1.0 200 OK\r\n\r\nok"], id="that ends with its connection"),
        pytest.param([b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok"], id="that says close"),
        pytest.param([OK, b"and more"], id="with something behind it"),
    ],
)
async def test_last_answers(parts: list[bytes]) -> None:
    """An answer after which the connection cannot be used is read, and the next request takes another connection."""
    connections: list[int] = []
    async with serving(counted(once(b"".join(parts)), connections)) as url, connect() as client:
        answers = [await client.get(url) for _ in range(2)]
    assert [answer.content for answer in answers] == [b"ok"] * 2
    assert len(connections) == 2


@pytest.mark.parametrize(
    ("parts", "error"),
    [
        ([], httpx.RemoteProtocolError),
        ([OK[:20]], httpx.RemoteProtocolError),
        ([OK[:-1]], httpx.RemoteProtocolError),
        ([b"SSH-2.0-OpenSSH_9.6\r\n\r\n"], httpx.RemoteProtocolError),
        ([b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n"], httpx.RemoteProtocolError),
        ([b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n"], httpx.RemoteProtocolError),
        ([b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 2\r\n\r\nok"], httpx.DecodingError),
    ],
)
async def test_broken_answers(parts: list[bytes], error: type[Exception]) -> None:
    """Half an answer, or something that is no HTTP, is an error of httpx's, never a half result."""
    async with serving(once(*parts)) as url, connect() as client:
        with pytest.raises(error):
            await client.get(url)


async def test_long_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer without end is given up."""
    monkeypatch.setattr(function.connections, "MAX_ANSWER", 10)
    async with serving(once(b"HTTP/1.0 200 OK\r\n\r\n", b"x" * 11)) as url, connect() as client:
        with pytest.raises(httpx.RemoteProtocolError, match="too long"):
            await client.get(url)


async def test_reset() -> None:
    """A connection that is reset in the middle of an answer is an error."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(65536)
        writer.transport.abort()

    async with serving(talk) as url, connect() as client:
        with pytest.raises(httpx.TransportError):
            await client.get(url)


async def test_nobody_there() -> None:
    """Where nobody listens, nothing was sent, and the error says so."""
    async with serving(answering(OK)) as url:
        pass
    async with connect() as client:
        with pytest.raises(httpx.ConnectError):
            await client.get(url)


async def test_closed_at_once() -> None:
    """A connection that breaks before anything could be sent counts as none."""
    async with serving(answering(OK)) as url, connect() as client:
        connection = function.connections._Connection()  # noqa: SLF001 - the moment cannot be hit from outside
        connection.connection_lost(None)
        with pytest.raises(httpx.ConnectError, match="at once"):
            await connection.exchange(client.build_request("GET", url), b"")


async def test_impossible_request() -> None:
    """A request that no HTTP can carry is not sent."""
    async with serving(answering(OK)) as url, connect() as client:
        with pytest.raises(httpx.LocalProtocolError):
            await client.get(url, headers={"X-Auth-Token": "two\nlines"})


async def test_silence() -> None:
    """A server that does not answer in time is given up, also when it sends a byte now and then."""
    drip = [OK[place : place + 1] for place in range(len(OK))]
    async with serving(answering(*drip, wait=0.005)) as url, connect(seconds=0.02) as client:
        with pytest.raises(httpx.ReadTimeout):
            await client.get(url)


async def test_limit() -> None:
    """No more requests than `limit` are under way; one that gets no place in time says so."""
    async with serving(answering(OK[:-1], wait=0.1)) as url, connect(limit=1) as client:
        first = asyncio.create_task(client.get(url))
        await asyncio.sleep(0.01)
        with pytest.raises(httpx.PoolTimeout):
            await client.get(url, timeout=httpx.Timeout(5, pool=0.01))
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)


async def test_caller_gone() -> None:
    """A caller that goes away gives its place back, and its connection is not used again for somebody else's answer."""
    late = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            if b"/first" in data:
                await late.wait()
            writer.write(OK.replace(b"ok", b"1." if b"/first" in data else b"2."))

    async with serving(talk) as url, connect(limit=1) as client:
        first = asyncio.create_task(client.get(f"{url}first"))
        await asyncio.sleep(0.01)
        first.cancel()
        answer = asyncio.create_task(client.get(f"{url}second"))
        late.set()
        assert (await answer).content == b"2."


async def test_idle_connections() -> None:
    """Idle connections are used again until they expire or are closed, and no more than `keep` stay."""
    connections: list[int] = []
    async with serving(counted(answering(OK), connections)) as url:
        async with connect(keep=1) as client:
            await asyncio.gather(*(client.get(url) for _ in range(3)))
            await client.get(url)
        assert len(connections) == 3
        async with connect(expiry=0.0) as client:
            await client.get(url)
            await client.get(url)
        assert len(connections) == 5


async def test_closed_while_idle() -> None:
    """A connection that the server closed, or on which it spoke unasked, is not used again."""
    closings: list[asyncio.StreamWriter] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        closings.append(writer)
        await answering(OK)(reader, writer)

    async with serving(talk) as url, connect() as client:
        await client.get(url)
        closings[0].close()
        await asyncio.sleep(0.01)
        await client.get(url)
        closings[1].write(b"HTTP/1.1 408 Request Timeout\r\n\r\n")
        await asyncio.sleep(0.01)
        await client.get(url)
    assert len(closings) == 3


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Make a certificate for 127.0.0.1 that only who is told to trusts, with its key in the same file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    address = x509.IPAddress(ip_address("127.0.0.1"))
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path / "certificate.pem"
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file.write_bytes(made.public_bytes(pem) + secret)
    return file


async def test_https(certificate: Path) -> None:
    """With https the server must be one that is trusted; by default the usual authorities are."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    trusting = ssl.create_default_context(cafile=str(certificate))
    async with serving(answering(OK), context=context) as url:
        async with connect(trust=trusting) as client:
            assert (await client.get(url)).content == b"ok"
            assert (await client.get(url)).content == b"ok"
        async with connect() as client:
            with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
                await client.get(url)
