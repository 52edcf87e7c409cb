"""Carries requests straight to servers over HTTP/1.1: h11 reads and writes it, asyncio moves the bytes.

What httpx brings for that takes most of a call's processor time, and loads two libraries more at the start; the ways
through proxies are left to it. Nothing is sent twice here, and no redirect is followed.
"""

import asyncio
import select
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from functools import partial
from typing import Any, TypeAlias, TypeVar, cast

import h11
import httpx

from doorman.runtime.clock import Clock
from doorman.runtime.proxies import PORTS

CONNECTIONS, IDLE_CONNECTIONS = 100, 32
"""Of one client: requests on their way at most; and to one server, kept for the next ones."""

KEEP_ALIVE = 30.0
"""Seconds that an idle connection is kept for the next event."""

ATTEMPT_DELAY = 0.25
"""Seconds until the next address of a server is tried beside the one before (RFC 8305)."""

MAX_HEAD = 100 << 10
"""Bytes of an answer's head: a token may carry a whole catalog."""

Faults: TypeAlias = tuple[type[httpx.TimeoutException], type[httpx.NetworkError]]
WAITING: Faults = (httpx.PoolTimeout, httpx.NetworkError)
CONNECTING: Faults = (httpx.ConnectTimeout, httpx.ConnectError)
READING: Faults = (httpx.ReadTimeout, httpx.ReadError)

Origin: TypeAlias = tuple[str, str, int]
T = TypeVar("T")


async def _translate(step: Coroutine[Any, Any, T], seconds: float | None, faults: Faults) -> T:
    """Take one step of a request, in that time; what goes wrong is told as httpx tells it."""
    late, broken = faults
    try:
        async with asyncio.timeout(seconds):
            return await step
    except TimeoutError as error:
        raise late("it took too long") from error
    except (OSError, UnicodeError) as error:  # Unicode: of a host that can be no name
        raise broken(str(error)) from error
    except h11.RemoteProtocolError as error:
        raise httpx.RemoteProtocolError("the server's answer is no HTTP, or not whole") from error
    except h11.LocalProtocolError as error:
        raise httpx.LocalProtocolError("the request is no HTTP") from error


class _Connection(asyncio.Protocol):
    """A connection to one server, for one exchange at a time; its bytes wait for whoever reads the answer."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD)
        self._news = asyncio.Event()
        self._error: Exception | None = None
        self.idle_since = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # as TCP and TLS give it, also uvloop's
        self._socket = transport.get_extra_info("socket")

    def data_received(self, data: bytes) -> None:
        if self._news.is_set():  # nobody read what came before
            self.transport.pause_reading()
        self._http.receive_data(data)
        self._news.set()

    def eof_received(self) -> None:
        self.connection_lost(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._error = exc
        if exc is None:
            self._http.receive_data(b"")
        self._news.set()

    @property
    def is_usable(self) -> bool:
        """Whether the next exchange may go over it: it is open, and nothing came since the last one, no end either."""
        if self._news.is_set() or self._socket.fileno() < 0:
            return False
        waiting = select.poll()
        waiting.register(self._socket, select.POLLIN)
        return not waiting.poll(0)

    async def begin(self, request: httpx.Request, seconds: float) -> h11.Response:
        """Send a request, and read the head of its answer."""
        head = h11.Request(method=request.method, target=request.url.raw_path, headers=request.headers.raw)
        events = (head, h11.Data(data=await request.aread()), h11.EndOfMessage())
        self.transport.write(b"".join(self._http.send(event) or b"" for event in events))
        while not isinstance(event := await self.read(seconds), h11.Response):
            pass  # an answer is on its way, says the server
        return event

    async def read(self, seconds: float) -> h11.Event:
        """Read the next part of the answer; what came while the process stood still is in time."""
        while not isinstance(event := self._http.next_event(), h11.Event):
            if self._error:
                raise self._error
            self._news.clear()
            self.transport.resume_reading()
            end = asyncio.get_running_loop().call_later(seconds, self._give_up)
            await self._news.wait()
            end.cancel()
        return event

    def _give_up(self) -> None:
        if not self._news.is_set():
            self._error = TimeoutError()
            self._news.set()

    def is_finished(self) -> bool:
        """Say whether the exchange came to its end, and left nothing behind; then it is ready for the next one."""
        is_left = self._http.trailing_data != (b"", False) or self.transport.get_write_buffer_size() > 0
        if is_left or self._http.their_state is not h11.DONE:
            return False
        self._http.start_next_cycle()
        self._news.clear()
        self.transport.resume_reading()
        return True


class DirectTransport(httpx.AsyncBaseTransport):
    """The connections of one client, kept for a while.

    Args:
        trusted: whom to trust with https.
    """

    def __init__(self, trusted: ssl.SSLContext, *, clock: Clock) -> None:
        self._trusted = trusted
        self._clock = clock
        self._places = asyncio.Semaphore(CONNECTIONS)
        self._idle: dict[Origin, list[_Connection]] = {}
        self._is_closed = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request, once.

        Raises:
            httpx.TransportError: it was not answered; but for errors of connecting it may have been carried out.
        """
        url, timeouts = request.url, request.extensions["timeout"]
        if url.scheme not in PORTS or not url.raw_host:
            raise httpx.UnsupportedProtocol("expected a URL that begins with http:// or https:// and a host")
        origin = url.scheme, url.raw_host.decode("ascii"), url.port or PORTS[url.scheme]
        await _translate(self._places.acquire(), timeouts["pool"], WAITING)
        release = self._places.release
        try:
            connection = self._find_idle(origin)
            if connection is None:
                connection = await _translate(self._connect(origin), timeouts["connect"], CONNECTING)
            release = partial(self._release, origin, connection)
            head = await _translate(connection.begin(request, timeouts["read"]), None, READING)
        except BaseException:
            release()
            raise
        body = _Body(connection, timeouts["read"], release)
        extensions = {"network_stream": connection.transport}
        return httpx.Response(head.status_code, headers=list(head.headers), stream=body, extensions=extensions)

    async def aclose(self) -> None:
        """Close all connections: those that are idle now, the others after their answers."""
        self._is_closed = True
        for connection in [each for idle in self._idle.values() for each in idle]:
            connection.transport.abort()
        await asyncio.sleep(0)  # in which they are closed

    async def _connect(self, origin: Origin) -> _Connection:
        scheme, host, port = origin
        trusted = self._trusted if scheme == "https" else None
        loop = asyncio.get_running_loop()
        # uvloop, which uvicorn takes where it is installed, tries the addresses one after another.
        races: dict[str, Any] = (
            {"happy_eyeballs_delay": ATTEMPT_DELAY} if isinstance(loop, asyncio.BaseEventLoop) else {}
        )
        _, connection = await loop.create_connection(_Connection, host, port, ssl=trusted, **races)
        return connection

    def _find_idle(self, origin: Origin) -> _Connection | None:
        """Take the connection that was used last, if it is good for another request; close what is too old."""
        idle, oldest = self._idle.get(origin, []), self._clock.monotonic() - KEEP_ALIVE
        while idle and idle[0].idle_since <= oldest:
            idle.pop(0).transport.abort()
        while idle:
            if (connection := idle.pop()).is_usable:
                return connection
            connection.transport.abort()
        return None

    def _release(self, origin: Origin, connection: _Connection) -> None:
        """Keep a connection for the next request, where it is good for one; another may use its place."""
        self._places.release()
        idle = self._idle.setdefault(origin, [])
        if connection.is_finished() and len(idle) < IDLE_CONNECTIONS and not self._is_closed:
            connection.idle_since = self._clock.monotonic()
            idle.append(connection)
        else:
            connection.transport.abort()


class _Body(httpx.AsyncByteStream):
    """The body of one answer; `release` gives its connection back, read or not."""

    def __init__(self, connection: _Connection, seconds: float, release: Callable[[], None]) -> None:
        self._connection = connection
        self._seconds = seconds
        self._release = release

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while isinstance(event := await _translate(self._connection.read(self._seconds), None, READING), h11.Data):
            yield bytes(event.data)

    async def aclose(self) -> None:
        self._release()
