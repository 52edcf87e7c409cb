"""Opens connections: whom they trust, how long they wait, who they say they are, and when they end.

What is sent over them is others' concern.
"""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from functools import cache, lru_cache, partial
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any
from urllib.parse import urlsplit

import httpx

from doorman.errors import Misconfigured
from doorman.runtime import telemetry
from doorman.runtime.clock import Clock
from doorman.runtime.http11 import KEEP_ALIVE, DirectTransport
from doorman.runtime.logs import logger
from doorman.runtime.proxies import Proxies
from doorman.version import USER_AGENT

STEPS = 4
"""Waits of a request: for a place in the pool, a connection, sending, reading; it takes no longer than all of them."""

MAX_READ = 8 << 20
"""Bytes of an answer that are taken at most, whoever reads it; some read less."""

MAX_FETCHED = 64 << 20
"""The same for a command, which may fetch a file of dead letters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One request and how it was answered; nothing else of the request is kept, since it carries secrets."""

    method: str
    url: str
    status: int
    body: bytearray = field(default_factory=bytearray)


@lru_cache(maxsize=256)
def parse_url(text: str, params: tuple[tuple[str, str], ...] = ()) -> httpx.URL:
    """Parse a URL once: to do so takes a tenth of a call, and most are called again.

    Raises:
        httpx.InvalidURL: it is none.
    """
    url = httpx.URL(text, params=params) if params else httpx.URL(text)
    try:
        _ = url.host, urlsplit(text).port
    except ValueError as error:  # a host that stands for no name, a port that there is none of
        raise httpx.InvalidURL(str(error)) from error
    return url


def untie(response: httpx.Response) -> None:
    """Let a response that was read be freed at once: tied to its own stream, it would wait for the collector."""
    response.stream = httpx.ByteStream(b"")


class Clients:
    """A client for each project, made when first asked for: no project waits in the pool of another one.

    Args:
        make: opens a client.
    """

    def __init__(self, make: Callable[[], httpx.AsyncClient]) -> None:
        self._make = make
        self._made: dict[str, httpx.AsyncClient] = {}

    def of(self, key: str) -> httpx.AsyncClient:
        """Give a project's client, or that of whatever else `key` stands for."""
        if key not in self._made:
            self._made[key] = self._make()
        return self._made[key]

    async def aclose(self) -> None:
        """Close them all."""
        for client in self._made.values():
            await client.aclose()


def open_client(
    timeout: float,
    trusted: ssl.SSLContext,
    *,
    clock: Clock,
    proxies: Proxies,
    is_watched: bool = False,
    kept: list[Exchange] | None = None,
) -> httpx.AsyncClient:
    """Open a client, which connects when first used, keeps no cookies, and lets go of its connections when unused.

    Args:
        timeout: seconds for each step of a request; `STEPS` times as many for all of it.
        trusted: whom to trust with https.
        is_watched: each request is logged.
        kept: where each answer is put down.
    """
    client = telemetry.client_type()(
        timeout=timeout,
        transport=BoundedTransport(trusted, longest=STEPS * timeout, clock=clock, proxies=proxies),
        # Nothing compressed, so that what is read is as large as what is sent.
        headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity"},
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
    )
    if is_watched:
        watch(client)
    if kept is not None:
        put_down(client, kept)
    return client


def open_sender(url: str, *, timeout: float) -> httpx.Client:
    """Open a client for commands that send to one URL, or fetch it; `timeout` in seconds for each step of a request.

    Raises:
        Misconfigured: a variable that names proxies is wrong.
    """
    try:
        proxy = Proxies.of_environment().find(parse_url(url))
    except httpx.InvalidURL:
        proxy = None  # which is told by whoever sends
    headers = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity"}
    hooks: dict[str, list[Callable[..., Any]]] = {"response": [partial(_bound, most=MAX_FETCHED)]}
    return httpx.Client(
        timeout=timeout, verify=trust(), proxy=proxy, headers=headers, event_hooks=hooks, trust_env=False
    )


def _bound(response: httpx.Response, *, most: int, see: Callable[[bytes], object] = len) -> None:
    """Have no more than that read of an answer, and nothing of it unpacked; each part is shown to `see`."""
    response.headers.pop("content-encoding", None)  # nobody asked for one: a thousand times as much may be in it
    left = most

    def count(part: bytes) -> None:
        nonlocal left
        left -= len(part)
        if left < 0:
            raise httpx.ReadError("the answer is larger than is read")
        see(part)

    response.stream = _SeenStream(response.stream, count)


class BoundedTransport(httpx.AsyncBaseTransport):
    """The ways of one client, straight and by each proxy, with an end to each answer and to connections nobody uses.

    Args:
        longest: seconds from a request to the end of its answer, however slowly that comes in.
    """

    def __init__(self, trusted: ssl.SSLContext, *, longest: float, clock: Clock, proxies: Proxies) -> None:
        self._trusted = trusted
        self._longest = longest
        self._clock = clock
        self._proxies = proxies
        self._pools: dict[str | None, httpx.AsyncBaseTransport] = {}
        self._used_at = 0.0
        self._closing: asyncio.Task[None] | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request.

        Raises:
            httpx.ReadTimeout: no whole head came in time; whether the request was carried out is not known.
        """
        self._used_at = started_at = self._clock.monotonic()
        if self._closing is None:
            self._closing = asyncio.create_task(self._close_unused())
        pool = self._find_pool(request.url)
        try:
            async with asyncio.timeout(self._longest):
                response = await pool.handle_async_request(request)
        except TimeoutError as error:
            raise httpx.ReadTimeout("the answer takes too long") from error
        _bound(response, most=MAX_READ, see=partial(self._see, started_at + self._longest))
        return response

    async def aclose(self) -> None:
        """Close all connections."""
        if self._closing:
            self._closing.cancel()
        await self._close()

    def _see(self, ends_at: float, _: bytes) -> None:
        if self._clock.monotonic() > ends_at:
            raise httpx.ReadTimeout("the answer takes too long")

    def _find_pool(self, url: httpx.URL) -> httpx.AsyncBaseTransport:
        proxy = self._proxies.find(url)
        if proxy not in self._pools:
            self._pools[proxy] = (
                httpx.AsyncHTTPTransport(verify=self._trusted, proxy=proxy)
                if proxy
                else DirectTransport(self._trusted, clock=self._clock)
            )
        return self._pools[proxy]

    async def _close_unused(self) -> None:
        """Close what nobody uses any more: no answer is on its way then, and no connection would be used again."""
        enough = 2 * self._longest + KEEP_ALIVE
        while (left := self._used_at + enough - self._clock.monotonic()) > 0:
            await self._clock.sleep(left)
        await self._close()

    async def _close(self) -> None:
        pools, self._pools, self._closing = self._pools, {}, None
        for pool in pools.values():
            await pool.aclose()


class _SeenStream(httpx.AsyncByteStream, httpx.SyncByteStream):
    """A stream of which `see` is shown each part; it may raise."""

    def __init__(self, stream: Any, see: Callable[[bytes], None]) -> None:
        self._stream = stream
        self._see = see

    def __iter__(self) -> Iterator[bytes]:
        for part in self._stream:
            self._see(part)
            yield part

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self._stream:
            self._see(part)
            yield part

    def close(self) -> None:
        self._stream.close()

    async def aclose(self) -> None:
        await self._stream.aclose()


def put_down(client: httpx.AsyncClient, kept: list[Exchange]) -> None:
    """Put down what is answered, while it is read."""

    async def begin(response: httpx.Response) -> None:
        kept.append(
            Exchange(method=response.request.method, url=str(response.request.url), status=response.status_code)
        )
        response.stream = _SeenStream(response.stream, kept[-1].body.extend)

    client.event_hooks["response"].append(begin)


def watch(client: httpx.AsyncClient) -> None:
    """Log each request and its answer (`LOG_LEVEL=debug`): no query, header or body."""

    async def begin(request: httpx.Request) -> None:
        request.extensions["doorman.began"] = time.perf_counter()

    async def end(response: httpx.Response) -> None:
        url, began = response.request.url, response.request.extensions["doorman.began"]
        ms = round((time.perf_counter() - began) * 1000, 1)
        logger().debug(
            "request", method=response.request.method, host=url.host, path=url.path, status=response.status_code, ms=ms
        )

    client.event_hooks = {"request": [begin], "response": [end]}


@cache
def trust(
    files: tuple[str, ...] = (), *, text: str | None = None, certificate: tuple[str, str | None] | None = None
) -> ssl.SSLContext:
    """Trust the system's certificate authorities, and these besides; read once, since that takes a while.

    Args:
        files: PEM files, as OS_CACERT names them.
        text: PEM text, as in K_CA_CERTS.
        certificate: PEM files of our own certificate and its key, for those who ask.

    Raises:
        Misconfigured: a file or the text is no readable PEM.
    """
    context = ssl.create_default_context()
    if certificate:
        try:
            context.load_cert_chain(*certificate)
        except (OSError, ssl.SSLError) as error:
            raise Misconfigured(
                f"OS_CERT or cert: no readable PEM certificate with its key in {certificate[0]}"
            ) from error
    for file in files or ((None,) if text else ()):
        try:
            context.load_verify_locations(cafile=file, cadata=text and text.encode("ascii", "ignore").decode())
        except (OSError, ssl.SSLError, ValueError) as error:
            where = f"OS_CACERT or cacert: not a readable set of PEM certificates in {file}"
            raise Misconfigured(where if file else "K_CA_CERTS: not a readable set of PEM certificates") from error
    return context
