"""What a person is told where there is no connection."""

import asyncio
import socket
import ssl

import httpx
import pytest

from doorman.runtime.clock import SystemClock
from doorman.runtime.connection_errors import name_trouble
from doorman.runtime.http import open_client, trust
from doorman.runtime.proxies import Proxies
from tests.builders import serving

pytestmark = pytest.mark.anyio


def caused(*causes: BaseException) -> BaseException:
    """Make an error that came from others, one after the other."""
    top: BaseException = httpx.ConnectError("no connection")
    below = top
    for cause in causes:
        below.__cause__ = cause
        below = cause
    return top


def untrusted() -> ssl.SSLCertVerificationError:
    """A certificate that nobody vouches for."""
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_message = "self-signed certificate"
    return error


@pytest.mark.parametrize(
    ("error", "url", "said"),
    [
        (caused(), "https://iam.test/v3", "iam.test:443: ConnectError"),
        (caused(OSError()), "http://iam.test/v3", "iam.test:80: ConnectError"),
        (caused(OSError("Multiple exceptions: two")), "http://iam.test/v3", "iam.test:80: Multiple exceptions: two"),
        (
            caused(RuntimeError(), socket.gaierror(-2, "Name or service not known")),
            "https://user:pass@iam.test:5000/v3?x=y",
            "iam.test:5000: unknown name (Name or service not known)",
        ),
        (caused(OSError(113, "No route to host")), "https://iam.test", "iam.test:443: No route to host"),
        (
            caused(OSError("All attempts failed"), BaseExceptionGroup("all", [ConnectionRefusedError(111, "refused")])),
            "https://iam.test",
            "iam.test:443: connection refused",
        ),
        (
            caused(untrusted()),
            "https://iam.test",
            "iam.test:443: its certificate is not trusted (self-signed certificate): name its authority in OS_CACERT",
        ),
        (httpx.InvalidURL("no"), "http://ü_x.example/v3", "that is no URL of a host"),
        (caused(ssl.SSLError()), "https://iam.test", "iam.test:443: no TLS there (broken off): https or http?"),
    ],
)
def test_cause(error: BaseException, url: str, said: str) -> None:
    """Host and port, and what the deepest cause says; nothing else of the URL."""
    assert name_trouble(error, url) == said


def test_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxy is named where there is one in between, without its user."""
    monkeypatch.setenv("https_proxy", "http://user:pass@proxy.test:3128")
    monkeypatch.setenv("no_proxy", "direct.test")
    through = name_trouble(caused(), "https://iam.test")
    assert through == "iam.test:443 through the proxy proxy.test:3128: ConnectError"
    assert name_trouble(httpx.ProxyError("407 Who are you?"), "https://iam.test").endswith(":3128: ProxyError (407)")
    assert name_trouble(caused(), "https://direct.test") == "direct.test:443: ConnectError"


async def fail(url: str) -> str:
    """Say what is told of a request that finds no server."""
    async with open_client(5, trust(), clock=SystemClock(), proxies=Proxies({})) as client:
        with pytest.raises(httpx.ConnectError) as caught:
            await client.get(url)
    return name_trouble(caught.value, url)


async def test_nobody_listens(free_tcp_port: int) -> None:
    """A port where nobody listens is told as such."""
    port = free_tcp_port
    assert await fail(f"http://127.0.0.1:{port}/v3") == f"127.0.0.1:{port}: connection refused"


@pytest.mark.parametrize("host", ["a..b", f"{'a' * 64}.test"])
async def test_what_can_be_no_name(host: str) -> None:
    """A host with an empty or too long part is unknown, as any that is not found."""
    assert (await fail(f"https://{host}/v3")).startswith(f"{host}:443: unknown name (")


@pytest.mark.parametrize("said", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b""])
async def test_plain_http_is_no_tls(said: bytes) -> None:
    """A server that speaks HTTP where https was asked for, or hangs up, is told as such."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4096)
        writer.write(said)
        writer.close()

    async with serving(answer) as port:
        told = await fail(f"https://127.0.0.1:{port}/v3")
    assert told.startswith(f"127.0.0.1:{port}: no TLS there (")
    assert told.endswith("): https or http?")
