"""Connections trust the system's authorities and those that the settings add, each for its own side; nobody else."""

import asyncio
import json
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import aclosing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from doorman.bootstrap import connect, make_sink
from doorman.errors import Misconfigured
from doorman.runtime import logs
from doorman.runtime.clock import SystemClock
from doorman.runtime.http import open_sender, trust
from doorman.settings import Settings
from doorman.sinks.http import HttpSink
from doorman.sinks.huaweicloud import CloudServiceSink
from doorman.version import USER_AGENT
from tests.builders import ENVIRON, FakeClock, serving

pytestmark = pytest.mark.anyio

TOPIC = "smn:urn:smn:eu-de:receiver:doorman"
STRANGER = "not trusted"


def read(**environ: str) -> Settings:
    """Read the usual environment, changed."""
    return Settings.from_environ({**ENVIRON, **environ}, is_sink_required=True)


@dataclass
class Server:
    """An HTTPS server whose certificate nobody vouches for but itself."""

    url: str
    pem: str
    file: Path


def make_certificate(folder: Path, *hosts: str) -> tuple[Path, Path]:
    """Make a certificate for 127.0.0.1, and for these hosts, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now, address = datetime.now(UTC), x509.IPAddress(ip_address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address, *map(x509.DNSName, hosts)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem, secret = folder / "server.pem", folder / "server.key"
    pem.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return pem, secret


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer one request, which asks for nothing compressed, with the user agent that it came with."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    assert "accept-encoding: identity" in head.lower()
    agent = next(line.partition(": ")[2] for line in head.splitlines() if line.lower().startswith("user-agent"))
    writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(agent)}\r\nConnection: close\r\n\r\n{agent}".encode())
    await writer.drain()
    writer.close()


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    """Serve on a free port."""
    pem, secret = make_certificate(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pem, secret)
    async with serving(answer, context) as port:
        yield Server(url=f"https://127.0.0.1:{port}/", pem=pem.read_text(), file=pem)


async def ask(client: httpx.AsyncClient, server: Server) -> str:
    """Ask the server; gives what it says, or that it is not trusted."""
    try:
        return (await client.get(server.url)).text
    except httpx.ConnectError as error:
        return STRANGER if "CERTIFICATE_VERIFY_FAILED" in str(error) else str(error)


async def ask_both(server: Server, **environ: str) -> tuple[str, str]:
    """Ask the server as if it were the cloud, then as if it were the sink."""
    async with aclosing(connect(read(**environ), clock=SystemClock())) as connections:
        return await ask(connections.cloud.of("p"), server), await ask(connections.sink.of("p"), server)


async def test_stranger_is_not_trusted(server: Server) -> None:
    """By neither side."""
    assert await ask_both(server) == (STRANGER, STRANGER)
    assert await ask_both(server, K_SINK=server.url) == (STRANGER, STRANGER)


async def test_authority_of_the_cloud(server: Server) -> None:
    """OS_CACERT counts for the cloud and for a sink that is one of its services, not for a broker."""
    own = {"OS_CACERT": str(server.file)}
    assert await ask_both(server, K_SINK=server.url, **own) == (USER_AGENT, STRANGER)
    other = make_certificate(server.file.parent)[0].read_text()
    assert await ask_both(server, K_SINK=TOPIC, K_CA_CERTS=other, **own) == (USER_AGENT, USER_AGENT)


async def test_authority_of_the_sink(server: Server) -> None:
    """K_CA_CERTS counts for the broker, not for the cloud."""
    assert await ask_both(server, K_CA_CERTS=server.pem) == (STRANGER, USER_AGENT)


def test_extra_authorities_are_extra(tmp_path: Path) -> None:
    """Those of the system stay trusted beside them; what was read once is kept."""
    pem, _ = make_certificate(tmp_path)
    context = trust(text=f"# Főtanúsítvány\n{pem.read_text()}")
    system = trust()
    assert context.cert_store_stats()["x509_ca"] == system.cert_store_stats()["x509_ca"] + 1
    assert trust() is system


@pytest.mark.parametrize(
    ("environ", "text"),
    [
        ({"K_CA_CERTS": "s3cret"}, "K_CA_CERTS: not a readable set of PEM certificates"),
        (
            {"OS_CACERT": "/no/such/file"},
            "OS_CACERT or cacert: not a readable set of PEM certificates in /no/such/file",
        ),
        ({"OS_CACERT": "/"}, "OS_CACERT or cacert: not a readable set of PEM certificates in /"),
    ],
)
def test_unreadable_authorities(environ: dict[str, str], text: str, clock: FakeClock) -> None:
    """They are refused at the start, by the name of their variable."""
    with pytest.raises(Misconfigured) as caught:
        connect(read(**environ), clock=clock)
    assert str(caught.value) == text


@pytest.mark.parametrize(("sink", "kind"), [("http://sink.test/", HttpSink), (TOPIC, CloudServiceSink)])
def test_kinds_of_sinks(clock: FakeClock, sink: str, kind: type) -> None:
    """A URL is posted to with the overrides; a topic of the cloud needs our credentials for it."""
    connections = connect(read(K_SINK=sink, K_CE_OVERRIDES='{"extensions": {"team": "images"}}'), clock=clock)
    made = make_sink(connections, connections.credentials)
    assert (type(made), made.overrides) == (kind, {"team": "images"})  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("url", "asked"), [("http://sink.test/x", True), ("http://127.0.0.1:9/", False), ("http://sink.test:x", False)]
)
def test_senders_heed_the_proxies(monkeypatch: pytest.MonkeyPatch, url: str, asked: bool) -> None:  # noqa: FBT001 - a parameter
    """What the commands send goes by the same proxies; a URL that is none is told when it is sent to."""
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.getsockname()[1]}")
        monkeypatch.setenv("no_proxy", "[::1],127.0.0.0/8")
        proxy.settimeout(0.2)
        with open_sender(url, timeout=0.5) as client, pytest.raises((httpx.TransportError, httpx.InvalidURL)):
            client.post(url)
        monkeypatch.setenv("no_proxy", "127.0.0.0/64")
        with pytest.raises(Misconfigured, match="NO_PROXY"):
            open_sender(url, timeout=0.2)
        heads = []
        with suppress(TimeoutError):
            connection, _ = proxy.accept()
            with connection:
                heads.append(connection.recv(29))
    assert heads == ([b"POST http://sink.test/x HTTP/"] if asked else [])


async def test_requests_are_logged_where_that_is_asked_for(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    """Method, host, path, status and time; no query, no header and no body. Only at the level debug."""
    for level in ("info", "debug"):
        logs.set_up(level="debug", form="json")
        async with aclosing(connect(read(OS_CACERT=str(server.file), LOG_LEVEL=level), clock=SystemClock())) as opened:
            await opened.cloud.of("p").post(
                f"{server.url}v3/x?secret=1", headers={"X-Auth-Token": "secret"}, content=b"secret"
            )
    told = capsys.readouterr().out
    (line,) = map(json.loads, told.splitlines())
    assert "secret" not in told
    assert 0 <= line.pop("ms") < 60_000
    assert {name: value for name, value in line.items() if name != "timestamp"} == {
        "event": "request",
        "level": "debug",
        "method": "POST",
        "host": "127.0.0.1",
        "path": "/v3/x",
        "status": 200,
    }


async def test_own_certificate_is_shown_to_who_asks(tmp_path: Path) -> None:
    """A client certificate, which only openstacksdk's logins have, is for all calls to the cloud."""
    pem, secret = make_certificate(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(pem))
    context.load_cert_chain(pem, secret)
    context.verify_mode = ssl.CERT_REQUIRED
    async with serving(answer, context) as port:
        server = Server(url=f"https://127.0.0.1:{port}/", pem="", file=pem)
        own = connect(read(OS_CACERT=str(pem), OS_CERT=str(pem), OS_KEY=str(secret)), clock=SystemClock())
        assert await ask(own.cloud.of("p"), server) == USER_AGENT
        with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
            await ask(connect(read(OS_CACERT=str(pem)), clock=SystemClock()).cloud.of("p"), server)
