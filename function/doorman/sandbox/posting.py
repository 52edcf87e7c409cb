"""Posts bytes over HTTP/1.1 with kept connections: all that the broker needs, ten times cheaper than a full client."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import h11

Address = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a subscriber answered; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Connection:
    """One kept connection to one server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.state = h11.Connection(h11.CLIENT)

    @property
    def is_usable(self) -> bool:
        """Whether another request can be sent on it."""
        return self.state.our_state is h11.IDLE and not self.reader.at_eof() and not self.writer.is_closing()

    async def exchange(self, request: h11.Request, body: bytes) -> Answer:
        """Send one request and read its whole answer.

        Raises:
            OSError, h11.RemoteProtocolError: the connection broke, or what came was no HTTP.
        """
        sent = [self.state.send(event) for event in (request, h11.Data(data=body), h11.EndOfMessage())]
        self.writer.write(b"".join(part for part in sent if part))
        await self.writer.drain()
        status, headers, parts = 0, {}, list[bytes]()
        while True:
            event = self.state.next_event()
            if event is h11.NEED_DATA:
                self.state.receive_data(await self.reader.read(65536))
            elif isinstance(event, h11.Response):
                status = event.status_code
                headers = {name.decode(): value.decode("latin-1") for name, value in event.headers}
            elif isinstance(event, h11.Data):
                parts.append(bytes(event.data))
            elif isinstance(event, h11.EndOfMessage):
                break
            elif isinstance(event, h11.ConnectionClosed):
                raise ConnectionResetError("the connection was closed before the answer")
        if self.state.our_state is h11.DONE and self.state.their_state is h11.DONE:
            self.state.start_next_cycle()
        return Answer(status, headers, b"".join(parts))


class Poster:
    """A pool of connections by server. Plain HTTP only: everything it talks to is on loopback."""

    def __init__(self) -> None:
        self._idle: dict[Address, deque[Connection]] = {}

    async def __call__(self, url: str, headers: Mapping[str, str], body: bytes, *, method: str = "POST") -> Answer:
        """Send `body` to `url`.

        Raises:
            OSError, h11.RemoteProtocolError: the server is not there, or broke the connection.
        """
        parts = urlsplit(url)
        address = (parts.hostname or "", parts.port or 80)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        fields = [*headers.items(), ("host", parts.netloc), ("content-length", str(len(body)))]
        connection = await self._connect(address)
        try:
            answer = await connection.exchange(h11.Request(method=method, target=target, headers=fields), body)
        except BaseException:  # also when cancelled: the connection stands in the middle of an answer
            connection.writer.close()
            raise
        if connection.is_usable:
            self._idle.setdefault(address, deque()).append(connection)
        else:
            connection.writer.close()
        return answer

    async def aclose(self) -> None:
        """Close every kept connection."""
        for connections in self._idle.values():
            for connection in connections:
                connection.writer.close()
                with contextlib.suppress(OSError):
                    await connection.writer.wait_closed()
        self._idle.clear()

    async def _connect(self, address: Address) -> Connection:
        kept = self._idle.get(address, deque())
        while kept:
            connection = kept.pop()
            if connection.is_usable:
                return connection
            connection.writer.close()
        return Connection(*await asyncio.open_connection(*address))
