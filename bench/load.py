"""Generates load: posts requests over so many connections, each sending its next one when the last is answered.

A bare protocol, so that the generator is never what is measured; it runs in the benchmark's own process.
"""

import asyncio
import time
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit


@dataclass(slots=True, kw_only=True)
class Result:
    """What came of one run: seconds it took, statuses, and each answer's seconds."""

    seconds: float = 0.0
    statuses: Counter[int] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.statuses.total() / self.seconds


def post(url: str, headers: dict[str, str], body: bytes) -> bytes:
    """Write a POST as it goes over the wire."""
    parts = urlsplit(url)
    lines = [f"POST {parts.path or '/'} HTTP/1.1", f"host: {parts.netloc}", f"content-length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def notified(url: str, *, project: str, images: list[str], event_id: str) -> bytes:
    """Write a share notification as it goes over the wire."""
    quoted = ",".join(f'"{image}"' for image in images)
    headers = {
        "ce-specversion": "1.0",
        "ce-id": event_id,
        "ce-source": "/bench",
        "ce-type": "dev.doorman.share.notified.v1",
        "ce-time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "content-type": "application/json",
    }
    return post(url, headers, f'{{"project_id":"{project}","images":[{quoted}]}}'.encode())


class _Connection(asyncio.Protocol):
    def __init__(self, queue: deque[bytes], result: Result, done: "asyncio.Future[None]", total: int) -> None:
        self._queue = queue
        self._result = result
        self._done = done
        self._total = total
        self._buffer = b""
        self._sent = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport
        self._next()

    def _next(self) -> None:
        if self._queue:
            self._sent = self._queue.popleft()
            self._started = time.perf_counter()
            self._transport.write(self._sent)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        place = self._buffer[:end].lower().find(b"content-length:")
        length = int(self._buffer[place + 15 : end].split(b"\r\n", 1)[0]) if place >= 0 else 0
        if len(self._buffer) < end + 4 + length:
            return
        self._result.statuses[int(self._buffer[9:12])] += 1
        self._result.latencies.append(time.perf_counter() - self._started)
        self._buffer = b""
        if self._result.statuses.total() >= self._total and not self._done.done():
            self._done.set_result(None)
        self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._done.done():
            self._done.set_exception(exc or ConnectionResetError("the server closed a connection"))


async def _run(address: tuple[str, int], requests: list[bytes], connections: int) -> Result:
    loop = asyncio.get_running_loop()
    result, done, queue = Result(), loop.create_future(), deque(requests)
    start = time.perf_counter()
    opened = [
        await loop.create_connection(lambda: _Connection(queue, result, done, len(requests)), *address)
        for _ in range(min(connections, len(requests)))
    ]
    await done
    result.seconds = time.perf_counter() - start
    for transport, _ in opened:
        transport.abort()
    return result


def run(url: str, requests: Iterable[bytes], *, connections: int) -> Result:
    """Send all requests and wait for all answers."""
    parts = urlsplit(url)
    return asyncio.run(_run((parts.hostname or "", parts.port or 80), list(requests), connections))
