"""What carries requests under httpx: its own transport for a first event, aiohttp's from then on.

aiohttp takes a third of the processor time for a call, and a sixth where many are in flight, but a tenth of a second to
import, which a first event should not wait for (docs/performance.md has the figures).
"""

import asyncio
import ssl
from functools import lru_cache
from importlib import import_module

import httpx

FEW = 4
"""Calls that httpx's own transport carries: as many as it takes to log in and to settle a first share."""


@lru_cache(maxsize=1000)
def locate(url: str, params: tuple[tuple[str, str], ...] = ()) -> httpx.URL:
    """Parse a URL: a fifth of what a request costs, and most requests are for the same few.

    Raises:
        httpx.InvalidURL: it is none.
    """
    return httpx.URL(url, params=params) if params else httpx.URL(url)


def untie(response: httpx.Response) -> None:
    """Let a response that was read be freed at once: tied to its own stream, it would wait for the collector."""
    response.stream = httpx.ByteStream(b"")


class Transport(httpx.AsyncBaseTransport):
    """Carries requests, and goes over to the faster transport by itself, once there are more than FEW.

    Args:
        trust: whom to trust with https.
        limits: of each of the two pools.
    """

    def __init__(self, *, trust: ssl.SSLContext, limits: httpx.Limits) -> None:
        self._trust = trust
        self._limits = limits
        self._own = httpx.AsyncHTTPTransport(verify=trust, limits=limits)
        self._fast: httpx.AsyncBaseTransport | None = None
        self._loading: asyncio.Task[None] | None = None
        self._left = FEW

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request, over whichever transport suits it now."""
        if self._left:
            self._left -= 1
        elif self._loading is None:
            self._loading = asyncio.create_task(self._load())
        return await (self._fast or self._own).handle_async_request(request)

    async def aclose(self) -> None:
        """Close all connections."""
        if self._loading:
            await self._loading
        for carrier in (self._own, self._fast):
            if carrier:
                await carrier.aclose()

    async def _load(self) -> None:
        # In a thread: events in flight go on while it is imported.
        module = await asyncio.to_thread(import_module, "doorman.runtime.aiohttp_transport")
        self._fast = module.AiohttpCarrier(trust=self._trust, limits=self._limits)
