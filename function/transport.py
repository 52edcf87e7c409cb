"""What carries requests under httpx: its own transport at first, aiohttp's once several calls are in flight.

httpx's own pool takes more processor time for each call the more of them are in flight; aiohttp's takes little, but a
fifth of a second to import, which a first event should not wait for (docs/performance.md has the figures).
"""

import asyncio
import ssl
from importlib import import_module

import httpx

FEW = 3
"""Calls in flight up to which httpx's own transport does."""


class Transport(httpx.AsyncBaseTransport):
    """Carries requests, and goes over to the faster transport by itself.

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
        self._in_flight = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request, over whichever transport suits it now."""
        self._in_flight += 1
        try:
            if self._in_flight > FEW and self._loading is None:
                self._loading = asyncio.create_task(self._load())
            return await (self._fast or self._own).handle_async_request(request)
        finally:
            self._in_flight -= 1

    async def aclose(self) -> None:
        """Close all connections."""
        if self._loading:
            await self._loading
        for carrier in (self._own, self._fast):
            if carrier:
                await carrier.aclose()

    async def _load(self) -> None:
        # In a thread: events in flight go on while it is imported.
        module = await asyncio.to_thread(import_module, ".aiohttp_carrier", __package__)
        self._fast = module.AiohttpCarrier(trust=self._trust, limits=self._limits)
