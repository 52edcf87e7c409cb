"""Opens connections: whom they trust, how long they wait, and who they say they are.

What is sent over them is others' concern.
"""

import ssl
import time
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any
from urllib.request import getproxies

import httpx

from doorman.errors import Misconfigured
from doorman.runtime.logs import logger
from doorman.runtime.transport import Transport
from doorman.version import USER_AGENT

CONNECTIONS, IDLE_CONNECTIONS = 100, 32
"""Of one pool: at most, and kept for the next calls."""

KEEP_ALIVE = 30.0
"""Seconds that an idle connection is kept for the next event."""


def open_client(timeout: float, trusted: ssl.SSLContext) -> httpx.AsyncClient:
    """Open a pool of connections; `timeout` in seconds for one request."""
    limits = httpx.Limits(
        max_connections=CONNECTIONS, max_keepalive_connections=IDLE_CONNECTIONS, keepalive_expiry=KEEP_ALIVE
    )
    headers = {"User-Agent": USER_AGENT}
    if getproxies():
        # httpx reads the proxies of the environment only for a transport of its own.
        return httpx.AsyncClient(timeout=timeout, verify=trusted, limits=limits, headers=headers)
    return httpx.AsyncClient(timeout=timeout, transport=Transport(trust=trusted, limits=limits), headers=headers)


def watch(client: httpx.AsyncClient) -> None:
    """Log each request and its answer (`LOG_LEVEL=debug`): no query, header or body."""

    async def begin(request: httpx.Request) -> None:
        request.extensions["doorman.began"] = time.perf_counter()

    async def end(response: httpx.Response) -> None:
        url, began = response.request.url, response.request.extensions["doorman.began"]
        logger().debug(
            "request",
            method=response.request.method,
            host=url.host,
            path=url.path,
            status=response.status_code,
            ms=round((time.perf_counter() - began) * 1000, 1),
        )

    client.event_hooks = {"request": [begin], "response": [end]}


def trust(
    variable: str,
    *,
    files: Sequence[str] = (),
    text: str | None = None,
    certificate: tuple[str, str | None] | None = None,
) -> ssl.SSLContext:
    """Trust the system's certificate authorities, and these besides.

    Args:
        variable: where they are named, for the message.
        files: PEM files.
        text: PEM text.
        certificate: PEM files of our own certificate and its key, for those who ask.

    Raises:
        Misconfigured: a file or the text is no readable PEM.
    """
    if not files and not text and not certificate:
        return _trust_system()
    context = ssl.create_default_context()
    if certificate:
        try:
            context.load_cert_chain(*certificate)
        except (OSError, ssl.SSLError) as error:
            raise Misconfigured(f"cert: no readable PEM certificate with its key in {certificate[0]}") from error
    for file in files or ((None,) if text else ()):
        try:
            context.load_verify_locations(cafile=file, cadata=text)
        except (OSError, ssl.SSLError, ValueError) as error:
            where = f" in {file}" if file else ""
            raise Misconfigured(f"{variable}: not a readable set of PEM certificates{where}") from error
    return context


class _SystemTrust(ssl.SSLContext):
    """Trusts the system's certificate authorities, once somebody asks for https: to read them takes a while."""

    def set_alpn_protocols(self, alpn_protocols: Iterable[str]) -> None:
        """Say which protocols we speak."""
        _read_system().set_alpn_protocols(alpn_protocols)

    def wrap_bio(self, *args: Any, **options: Any) -> ssl.SSLObject:
        """Begin TLS."""
        return _read_system().wrap_bio(*args, **options)


@cache
def _trust_system() -> ssl.SSLContext:
    return _SystemTrust(ssl.PROTOCOL_TLS_CLIENT)


@cache
def _read_system() -> ssl.SSLContext:
    return ssl.create_default_context()
