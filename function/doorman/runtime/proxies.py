"""Reads the proxies that the environment names, and says which of them a URL goes by.

httpx reads the same variables, but breaks at entries that other programs take, and overlooks networks.
See https://everything.curl.dev/usingcurl/proxies/env.html and https://pkg.go.dev/golang.org/x/net/http/httpproxy.
"""

import ssl
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit
from urllib.request import getproxies

import httpx

from doorman.errors import Misconfigured

PORTS = {"https": 443, "http": 80}

_ADVICE = "expected http://<host>:<port> or https://...; socks5://... needs the package httpx[socks]"


class Proxies:
    """The proxies of one process.

    Args:
        named: what `urllib.request.getproxies` gives: URLs by scheme, `all` for those of any other scheme, and `no`.

    Raises:
        Misconfigured: a variable is wrong; the text names it.
    """

    def __init__(self, named: Mapping[str, str]) -> None:
        spared = [entry.strip().lower() for entry in named.get("no", "").split(",") if entry.strip()]
        chosen = {
            scheme: name
            for scheme in ("http", "https")
            for name in ("all", scheme)
            if named.get(name) and "*" not in spared
        }
        self._urls = {scheme: _read_proxy(name, named[name]) for scheme, name in chosen.items()}
        self._spared = [_read_spared(entry) for entry in spared] if self._urls else []

    @classmethod
    def of_environment(cls) -> "Proxies":
        """Read those of the environment. Raises as the constructor."""
        return cls(getproxies())

    def find(self, url: httpx.URL) -> str | None:
        """Give the URL of the proxy that a request for this URL goes by; None where it goes straight."""
        proxy = self._urls.get(url.scheme)
        if proxy is None or any(_is_spared(url, *each) for each in self._spared):
            return None
        return proxy


def _read_proxy(scheme: str, text: str) -> str:
    url = text if "://" in text else f"http://{text}"
    try:
        httpx.AsyncHTTPTransport(verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), proxy=url)
        if not httpx.URL(url).host or urlsplit(url).port == 0:  # whose port says whether there can be such a one
            raise ValueError  # noqa: TRY301 - a fault like the others
    except (httpx.InvalidURL, ImportError, ValueError) as error:
        raise Misconfigured(f"{scheme.upper()}_PROXY: no proxy that can be used; {_ADVICE}") from error
    return url


def _read_spared(entry: str) -> tuple[IPv4Network | IPv6Network | str, int | None]:
    """Read one entry of NO_PROXY: an address, a network or the end of a name, and a port."""
    text, port = entry.rpartition("://")[2], ""
    if "]:" in text or text.count(":") == 1:
        text, _, port = text.rpartition(":")
    text = text.replace("[", "").replace("]", "")
    try:
        number = int(port) if port else None
    except ValueError as error:
        raise Misconfigured(f"NO_PROXY: {entry[:80]!r} ends with no port") from error
    try:
        return ip_network(text, strict=False), number
    except ValueError as error:
        if "/" in text or ":" in text:
            raise Misconfigured(f"NO_PROXY: {entry[:80]!r} is no host, address or network") from error
    return text.removeprefix("*"), number


def _is_spared(url: httpx.URL, host: IPv4Network | IPv6Network | str, port: int | None) -> bool:
    if port is not None and port != (url.port or PORTS[url.scheme]):
        return False
    try:
        if isinstance(host, str):
            return url.host == host or url.host.endswith(host if host.startswith(".") else f".{host}")
        return ip_address(url.host) in host
    except ValueError:
        return False
