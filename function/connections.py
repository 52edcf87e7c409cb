"""Kept connections to other services over HTTP/1.1: the transport under httpx, whose own slows down with every call.

With thirty calls in flight httpx's own pool takes ten times the processor time for each (docs/performance.md). Here is
no login, redirect, proxy or retry: those are httpx's and `line`'s.
"""

import asyncio
import ssl
import time
from collections import deque
from collections.abc import Awaitable
from typing import TypeVar

import h11
import httpx

MAX_ANSWER = 64 << 20
"""Bytes of an answer that are read at most."""

T = TypeVar("T")
_Place = tuple[bytes, str, int]
_Answer = tuple[int, list[tuple[bytes, bytes]], bytes]


class Connections(httpx.AsyncBaseTransport):
    """A pool of connections to any number of servers.

    Args:
        trust: whom to trust with https; None: the usual authorities, read when they are first needed.
        limit: connections in use at the same time. keep: idle ones kept for each server.
        expiry: seconds that an idle one is kept.
    """

    def __init__(self, *, trust: ssl.SSLContext | None, limit: int = 100, keep: int = 32, expiry: float) -> None:
        self._trust = trust
        self._places = asyncio.Semaphore(limit)
        self._keep = keep
        self._expiry = expiry
        self._idle: dict[_Place, deque[_Connection]] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request and read its whole answer.

        Raises:
            httpx.TransportError: nothing came of it; which of its kinds says how far it got.
        """
        content = await request.aread()
        seconds = request.extensions.get("timeout", {})
        await _in_time(self._places.acquire(), seconds.get("pool"), httpx.PoolTimeout)
        try:
            connection = await _in_time(self._connect(request.url), seconds.get("connect"), httpx.ConnectTimeout)
            try:
                answer = connection.exchange(request, content)
                status, headers, body = await _in_time(answer, seconds.get("read"), httpx.ReadTimeout)
            except BaseException:  # also when cancelled: an answer may still be on its way
                connection.abort()
                raise
            self._put_back(_place(request.url), connection)
        finally:
            self._places.release()
        return httpx.Response(status, headers=headers, content=body)

    async def aclose(self) -> None:
        """Close all idle connections."""
        for connections in self._idle.values():
            for connection in connections:
                connection.abort()
        self._idle.clear()

    async def _connect(self, url: httpx.URL) -> "_Connection":
        scheme, host, port = place = _place(url)
        idle = self._idle.get(place, deque())
        while idle:
            connection = idle.pop()
            if connection.is_usable(time.monotonic() - self._expiry):
                return connection
            connection.abort()
        if scheme == b"https" and self._trust is None:
            self._trust = httpx.create_ssl_context()
        try:
            _, connection = await asyncio.get_running_loop().create_connection(
                _Connection, host, port, ssl=self._trust if scheme == b"https" else None
            )
        except OSError as error:
            raise httpx.ConnectError(str(error)) from error
        return connection

    def _put_back(self, place: _Place, connection: "_Connection") -> None:
        idle = self._idle.setdefault(place, deque())
        connection.used_at = time.monotonic()
        idle.append(connection)
        # The longest idle ones go first; what is used is taken from the other end.
        while idle and (len(idle) > self._keep or not idle[0].is_usable(connection.used_at - self._expiry)):
            idle.popleft().abort()


class _Connection(asyncio.Protocol):
    """One connection: one request after another, each answered before the next is sent."""

    def __init__(self) -> None:
        self.used_at = 0.0
        self._state = h11.Connection(h11.CLIENT)
        self._answer: asyncio.Future[_Answer] | None = None
        self._is_lost = False

    async def exchange(self, request: httpx.Request, content: bytes) -> _Answer:
        """Send a request and wait for its answer."""
        if self._is_lost:
            raise httpx.ConnectError("the server closed the connection at once")
        try:
            message = self._write(request, content)
        except h11.LocalProtocolError as error:
            raise httpx.LocalProtocolError(str(error)) from error
        self._answer = asyncio.get_running_loop().create_future()
        self._head: h11.Response | None = None
        self._parts: list[bytes] = []
        self._size = 0
        self._transport.write(message)
        return await self._answer

    def is_usable(self, since: float) -> bool:
        """Say whether a request can be sent, and the last one ended after `since`."""
        return not self._is_lost and self._state.our_state is h11.IDLE and self.used_at > since

    def abort(self) -> None:
        """Close at once."""
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what writes."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - this is how asyncio calls stream protocols
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Read on."""
        if self._answer is None or self._answer.done():
            self._lose(None)  # nobody asked
            return
        try:
            self._state.receive_data(data)
            while (event := self._state.next_event()) is not h11.NEED_DATA and self._take(event):
                pass
        except h11.RemoteProtocolError as error:
            self._lose(httpx.RemoteProtocolError(str(error)))

    def eof_received(self) -> None:
        """Read to the end an answer that ends with its connection."""
        self.data_received(b"")
        self._is_lost = True

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell who waits."""
        self._lose(httpx.ReadError(str(exc or "the server closed the connection")))

    def _write(self, request: httpx.Request, content: bytes) -> bytes:
        method = request.method.encode()
        head = h11.Request(method=method, target=request.url.raw_path, headers=request.headers.raw)
        events = [head, h11.Data(data=content), h11.EndOfMessage()] if content else [head, h11.EndOfMessage()]
        return b"".join([self._state.send(event) or b"" for event in events])

    def _take(self, event: object) -> bool:
        """Take a part of the answer; say whether more is to come."""
        if isinstance(event, h11.Response):
            self._head = event
        elif isinstance(event, h11.Data):
            self._parts.append(bytes(event.data))
            self._size += len(event.data)
            if self._size > MAX_ANSWER:
                raise h11.RemoteProtocolError("the answer is too long")
        elif isinstance(event, h11.EndOfMessage):
            self._end()
            return False
        return not isinstance(event, h11.ConnectionClosed)

    def _end(self) -> None:
        state = self._state
        if state.our_state is h11.DONE and state.their_state is h11.DONE and not state.trailing_data[0]:
            state.start_next_cycle()
        assert self._head is not None  # noqa: S101 - h11 gives a head before it gives an end
        assert self._answer is not None  # noqa: S101 - asked for by `data_received`
        self._answer.set_result((self._head.status_code, self._head.headers.raw_items(), b"".join(self._parts)))

    def _lose(self, error: Exception | None) -> None:
        self._is_lost = True
        if error and self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)


async def _in_time(work: Awaitable[T], seconds: float | None, error: type[httpx.TimeoutException]) -> T:
    try:
        async with asyncio.timeout(seconds):
            return await work
    except TimeoutError as late:
        raise error("not in time") from late


def _place(url: httpx.URL) -> _Place:
    scheme = url.raw_scheme
    return scheme, url.host, url.port or (443 if scheme == b"https" else 80)
