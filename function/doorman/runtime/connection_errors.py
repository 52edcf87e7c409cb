"""Says why there is no connection: which host and port, what the operating system said, through which proxy."""

import socket
import ssl
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx

from doorman.runtime.proxies import PORTS, Proxies


def name_trouble(error: BaseException, url: str) -> str:
    """Say it in a few words; never with more of a URL than host and port."""
    target = urlsplit(url)
    try:
        proxy = urlsplit(Proxies.of_environment().find(httpx.URL(url)) or "")
    except httpx.InvalidURL:
        return "that is no URL of a host"
    through = f" through the proxy {proxy.hostname}:{proxy.port or 80}" if proxy.hostname else ""
    said = f" ({str(error)[:3]})" if isinstance(error, httpx.ProxyError) and str(error)[:3].isdecimal() else ""
    return f"{target.hostname}:{target.port or PORTS.get(target.scheme)}{through}: {name_cause(error)}{said}"


def name_cause(error: BaseException) -> str:
    """Say what the deepest cause that we know is."""
    causes = list(list_causes(error))
    for cause in reversed(causes):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted ({cause.verify_message}): name its authority in OS_CACERT"
        is_asyncios = isinstance(cause, ConnectionResetError) and not cause.args
        if isinstance(cause, ssl.SSLError) or is_asyncios:
            return f"no TLS there ({getattr(cause, 'reason', None) or 'broken off'}): https or http?"
        if isinstance(cause, socket.gaierror | UnicodeError):
            return f"unknown name ({getattr(cause, 'strerror', cause)})"
        if isinstance(cause, ConnectionRefusedError):
            return "connection refused"
    said = [cause.strerror or str(cause) for cause in reversed(causes) if isinstance(cause, OSError)]
    return next(filter(None, said), type(error).__name__)


def list_causes(error: BaseException | None) -> Iterator[BaseException]:
    """List an error and what it came from."""
    while error is not None:
        yield error
        first = error.exceptions[0] if isinstance(error, BaseExceptionGroup) else None
        error = first or error.__cause__ or error.__context__
