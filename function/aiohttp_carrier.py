"""aiohttp under httpx, such that no request is sent twice and a broken connection is told from one that never was.

Imported late, by `transport`: aiohttp takes a fifth of a second to import.
"""

import ssl

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport


class AiohttpCarrier(httpx.AsyncBaseTransport):
    """Carries requests over aiohttp's pool.

    Args:
        trust: whom to trust with https. limits: of the pool.
    """

    def __init__(self, *, trust: ssl.SSLContext, limits: httpx.Limits) -> None:
        connector = aiohttp.TCPConnector(
            ssl=trust, limit=limits.max_connections or 0, keepalive_timeout=limits.keepalive_expiry or 0.0
        )
        session = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
        # A write is never to be repeated blindly; aiohttp does so where a kept connection breaks, without an option.
        session._retry_connection = False  # noqa: SLF001 - a test sees to it that this works
        self._carrier = AiohttpTransport(verify=trust, client=session)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request.

        Raises:
            httpx.ConnectError, httpx.ConnectTimeout: there was no connection, so nothing was sent.
            httpx.ReadError: the connection broke; whether the request was carried out is not known.
        """
        try:
            return await self._carrier.handle_async_request(request)
        except httpx.HTTPError as error:
            raise _tell_apart(error) from error

    async def aclose(self) -> None:
        """Close all connections."""
        await self._carrier.aclose()


def _tell_apart(error: httpx.HTTPError) -> httpx.HTTPError:
    """Name the error by what aiohttp met: the transport calls every loss of a connection a failure to connect."""
    cause = error.__cause__
    if isinstance(cause, aiohttp.ClientConnectorError):
        return httpx.ConnectError(str(error))
    if isinstance(cause, aiohttp.ConnectionTimeoutError):
        return httpx.ConnectTimeout(str(error))
    if isinstance(cause, aiohttp.ServerDisconnectedError | aiohttp.ClientOSError):
        return httpx.ReadError(str(error))
    return error
