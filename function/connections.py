"""Opens the connections to the cloud and to the sink: whom they trust, how long they wait, and who they say they are.

What is sent over them is `line`'s and the sinks' concern.
"""

import ssl
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any
from urllib.request import getproxies

import httpx

from .access.credentials import Credentials, list_ca_files, read_all_accounts
from .clock import Clock
from .errors import Misconfigured
from .pace import CALLS_AT_ONCE
from .settings import Settings
from .sinks.sink import HttpSink, Sink
from .transport import Transport
from .version import USER_AGENT

KEEP_ALIVE = 30.0
"""Seconds that an idle connection is kept for the next event."""


def check_trust(settings: Settings) -> None:
    """Read clouds.yaml and the extra certificate authorities, so that a wrong one stops the start, not the first event.

    Raises:
        Misconfigured: clouds.yaml is missing or wrong, OS_CACERT or an entry's cacert is no readable PEM file, or
            K_CA_CERTS no PEM text.
    """
    read_all_accounts(settings.identity)
    _trust_cloud(settings)
    _trust("K_CA_CERTS", text=settings.sink_ca)


def connect(settings: Settings) -> httpx.AsyncClient:
    """Open the connections to the cloud.

    Raises:
        Misconfigured: OS_CACERT, or an entry's cacert, is no readable PEM file.
    """
    return _client(settings.request_timeout, _trust_cloud(settings))


def connect_sink(settings: Settings) -> httpx.AsyncClient:
    """Open the connections to the sink, which may be one of the cloud's own services.

    Raises:
        Misconfigured: K_CA_CERTS or OS_CACERT is no readable PEM.
    """
    is_engine = bool(settings.sink and not settings.sink.startswith("http"))
    trust = _trust_cloud(settings) if is_engine else _trust("K_CA_CERTS", text=settings.sink_ca)
    return _client(settings.sink_timeout, trust)


def make_sink(
    settings: Settings, *, clock: Clock, client: httpx.AsyncClient, credentials: Sequence[Credentials]
) -> Sink:
    """Make the sink that K_SINK names.

    Args:
        client: see `connect_sink`.
        credentials: of all served projects, for a sink that is one of the cloud's own services.
    """
    url = settings.sink or ""
    if url.startswith("http"):
        return HttpSink(url=url, client=client, clock=clock, overrides=settings.overrides)
    from .sinks.engine import read_target  # noqa: PLC0415 - most have a broker
    from .sinks.engine_sink import EngineSink  # noqa: PLC0415 - likewise

    target = read_target(url)
    return EngineSink(target=target, credentials=credentials, client=client, clock=clock, overrides=settings.overrides)


def _client(timeout: float, trust: ssl.SSLContext) -> httpx.AsyncClient:
    limits = httpx.Limits(max_connections=100, max_keepalive_connections=CALLS_AT_ONCE, keepalive_expiry=KEEP_ALIVE)
    headers = {"User-Agent": USER_AGENT}
    if getproxies():
        # httpx reads the proxies of the environment only for a transport of its own.
        return httpx.AsyncClient(timeout=timeout, verify=trust, limits=limits, headers=headers)
    return httpx.AsyncClient(timeout=timeout, transport=Transport(trust=trust, limits=limits), headers=headers)


def _trust_cloud(settings: Settings) -> ssl.SSLContext:
    return _trust("OS_CACERT", files=list_ca_files(settings.identity))


def _trust(variable: str, *, files: Sequence[str] = (), text: str | None = None) -> ssl.SSLContext:
    """Trust the system's certificate authorities, and these besides."""
    if not files and not text:
        return _trust_system()
    context = ssl.create_default_context()
    for file in files or (None,):
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
