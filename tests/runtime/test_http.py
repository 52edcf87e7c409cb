"""Connections trust the system's authorities and those that the settings add, each for its own side; nobody else."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

import doorman.runtime.http
from doorman.bootstrap import check_trust, connect, connect_sink, make_sink
from doorman.cloud.auth.credentials import from_settings
from doorman.errors import Misconfigured
from doorman.runtime import logs
from doorman.settings import Settings
from doorman.sinks.http import HttpSink
from doorman.sinks.huaweicloud import CloudServiceSink
from doorman.version import USER_AGENT
from tests.builders import ENVIRON, FakeClock

pytestmark = pytest.mark.anyio

TOPIC = "smn:urn:smn:eu-de:receiver:doorman"


def read(**environ: str) -> Settings:
    """Read the usual environment, changed."""
    return Settings.from_environ({**ENVIRON, **environ}, is_sink_required=True)


@dataclass
class Server:
    """An HTTPS server whose certificate nobody vouches for but itself."""

    url: str
    pem: str
    file: Path


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """Make a certificate for 127.0.0.1 and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
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
    """Answer one request with the user agent that it came with."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
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
    listening = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    port = listening.sockets[0].getsockname()[1]
    async with listening:
        yield Server(url=f"https://127.0.0.1:{port}/", pem=pem.read_text(), file=pem)


async def ask(client: httpx.AsyncClient, server: Server) -> str:
    """Ask the server; gives what it says, or that it is not trusted."""
    async with client:
        try:
            return (await client.get(server.url)).text
        except httpx.ConnectError as error:
            return "not trusted" if "CERTIFICATE_VERIFY_FAILED" in str(error) else str(error)


async def test_stranger_is_not_trusted(server: Server) -> None:
    """By neither side."""
    assert await ask(connect(read()), server) == "not trusted"
    assert await ask(connect_sink(read()), server) == "not trusted"


async def test_the_systems_authorities_are_read_late(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not before somebody asks for https; then they are trusted, by both sides."""
    doorman.runtime.http._read_system.cache_clear()  # noqa: SLF001 - other tests may have asked already
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere")
    cloud, sink = connect(read()), connect_sink(read())
    monkeypatch.setenv("SSL_CERT_FILE", str(server.file))
    assert [await ask(client, server) for client in (cloud, sink)] == [USER_AGENT] * 2
    doorman.runtime.http._read_system.cache_clear()  # noqa: SLF001 - the next test has another system


async def test_authority_of_the_cloud(server: Server) -> None:
    """OS_CACERT counts for the cloud and for a sink that is one of its services, not for a broker."""
    own = {"OS_CACERT": str(server.file)}
    assert await ask(connect(read(**own)), server) == USER_AGENT
    assert await ask(connect_sink(read(**own)), server) == "not trusted"
    assert await ask(connect_sink(read(**own, K_SINK=TOPIC)), server) == USER_AGENT


async def test_authority_of_the_sink(server: Server) -> None:
    """K_CA_CERTS counts for the broker, not for the cloud."""
    own = {"K_CA_CERTS": server.pem}
    assert await ask(connect_sink(read(**own)), server) == USER_AGENT
    assert await ask(connect(read(**own)), server) == "not trusted"


async def test_extra_authorities_are_extra(server: Server) -> None:
    """Those of the system stay trusted beside them."""
    system = ssl.create_default_context().cert_store_stats()["x509_ca"]
    settings = read(K_CA_CERTS=server.pem)
    context = connect_sink(settings)._transport._trust  # type: ignore[attr-defined]  # noqa: SLF001 - no other way to see it
    assert context.cert_store_stats()["x509_ca"] == system + 1


@pytest.mark.parametrize(
    ("environ", "text"),
    [
        ({"K_CA_CERTS": "s3cret"}, "K_CA_CERTS: not a readable set of PEM certificates"),
        ({"OS_CACERT": "/no/such/file"}, "OS_CACERT: not a readable set of PEM certificates in /no/such/file"),
        ({"OS_CACERT": "/"}, "OS_CACERT: not a readable set of PEM certificates in /"),
    ],
)
def test_unreadable_authorities(environ: dict[str, str], text: str) -> None:
    """They are refused at the start, by the name of their variable."""
    with pytest.raises(Misconfigured) as caught:
        check_trust(read(**environ))
    assert str(caught.value) == text


def test_readable_authorities(tmp_path: Path) -> None:
    """They pass the check, as do none at all."""
    pem, _ = make_certificate(tmp_path)
    check_trust(read())
    check_trust(read(OS_CACERT=str(pem), K_CA_CERTS=pem.read_text()))


def test_times_and_limits() -> None:
    """Each side waits as long as its own setting says."""
    settings = read(DOORMAN_REQUEST_TIMEOUT="3", DOORMAN_SINK_TIMEOUT="40")
    assert connect(settings).timeout == httpx.Timeout(3.0)
    assert connect_sink(settings).timeout == httpx.Timeout(40.0)


def test_proxies_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the environment names a proxy, httpx carries the requests itself, since only then it heeds that."""
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.test:3128")
    mounts = connect(read())._mounts  # noqa: SLF001 - no other way to see it
    assert [pattern.pattern for pattern, carrier in mounts.items() if carrier] == ["https://"]


def test_kinds_of_sinks(clock: FakeClock) -> None:
    """A URL is posted to with the overrides; a topic of the cloud needs our credentials for it."""
    overrides = '{"extensions": {"team": "images"}}'
    for sink, kind in (("http://sink.test/", HttpSink), (TOPIC, CloudServiceSink)):
        settings = read(K_SINK=sink, K_CE_OVERRIDES=overrides)
        client = connect_sink(settings)
        credentials = from_settings(settings.identity, client=client, clock=clock)
        made = make_sink(settings, clock=clock, client=client, credentials=credentials)
        assert isinstance(made, kind)
        assert made.overrides == {"team": "images"}


async def test_requests_are_logged_where_that_is_asked_for(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    """Method, host, path, status and time; no query, no header and no body. Only at the level debug."""
    for level in ("info", "debug"):
        logs.set_up(level="debug", form="json")
        async with connect(read(OS_CACERT=str(server.file), LOG_LEVEL=level)) as client:
            await client.post(f"{server.url}v3/x?secret=1", headers={"X-Auth-Token": "secret"}, content=b"secret")
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
    listening = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    server = Server(url=f"https://127.0.0.1:{listening.sockets[0].getsockname()[1]}/", pem="", file=pem)
    async with listening:
        own = connect(read(OS_CACERT=str(pem), OS_CERT=str(pem), OS_KEY=str(secret)))
        assert await ask(own, server) == USER_AGENT
        with pytest.raises(httpx.ReadError):
            await ask(connect(read(OS_CACERT=str(pem))), server)
