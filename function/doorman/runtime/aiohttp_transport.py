"""aiohttp under httpx: carries one request at a time to its end, and says what became of it in httpx's own errors.

Imported late, by `transport`, since that takes a tenth of a second. The kept adapter, httpx-aiohttp, is not used: it
waits for ever for some broken answers, refuses tokens above 8 KB, and lets errors out that are not httpx's.
"""

import asyncio
import ssl

import aiohttp
import httpx
from yarl import URL

LONGEST_HEADER = 100_000
"""Bytes: tokens that carry a catalog are longer than aiohttp's 8190, and httpx takes as many."""

MOST_HEADERS = 1000

PASSES = 2
"""Passes of the event loop before a request, in which it hears of kept connections that were closed meanwhile."""


class AiohttpCarrier(httpx.AsyncBaseTransport):
    """Carries requests over aiohttp's pool.

    Args:
        trust: whom to trust with https. limits: of the pool.
    """

    def __init__(self, *, trust: ssl.SSLContext, limits: httpx.Limits) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                ssl=trust, limit=limits.max_connections or 0, keepalive_timeout=limits.keepalive_expiry or 0.0
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers={"Content-Type"},
            max_line_size=LONGEST_HEADER,
            max_field_size=LONGEST_HEADER,
            max_headers=MOST_HEADERS,
        )
        # A write is never to be repeated blindly; aiohttp does so where a kept connection breaks, without an option.
        self._session._retry_connection = False  # noqa: SLF001 - a test sees to it that this works

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request, and read its answer whole.

        Raises:
            httpx.ConnectError, httpx.ConnectTimeout: there was no connection, so nothing was sent.
            httpx.ReadTimeout, httpx.ReadError: no whole answer came; whether the request was carried out is not known.
        """
        for _ in range(PASSES):
            await asyncio.sleep(0)
        # Errors are told by their kind alone: their text may quote a header.
        try:
            async with self._session.request(
                request.method,
                URL(str(request.url), encoded=True),
                headers=request.headers.multi_items(),
                data=request.content or None,
                allow_redirects=False,
                timeout=_limit(request),
            ) as answer:
                body = await answer.read()
        except aiohttp.ClientConnectorError as error:
            raise httpx.ConnectError(type(error).__name__) from error
        except aiohttp.ConnectionTimeoutError as error:
            raise httpx.ConnectTimeout(type(error).__name__) from error
        except TimeoutError as error:
            raise httpx.ReadTimeout(type(error).__name__) from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise httpx.ReadError(type(error).__name__) from error
        return httpx.Response(answer.status, headers=answer.raw_headers, stream=httpx.ByteStream(body))

    async def aclose(self) -> None:
        """Close all connections."""
        await self._session.close()


def _limit(request: httpx.Request) -> aiohttp.ClientTimeout:
    """Give each step the time that httpx gives it, and the whole no more than all of them: some answers never end."""
    waits = request.extensions["timeout"]
    total = None if None in waits.values() else sum(waits.values())
    return aiohttp.ClientTimeout(
        total=total, connect=waits["pool"], sock_connect=waits["connect"], sock_read=waits["read"]
    )
