"""Wires settings into what the functions and the command work with: connections, credentials, sink, served projects.

Plain calls, one place: nothing here decides, and nothing is kept beyond what it returns.
"""

import ssl
from collections.abc import Sequence

import httpx

from doorman.cloud.auth.credentials import Credentials, find_certificate, list_ca_files, list_notes
from doorman.runtime.clock import Clock
from doorman.runtime.http import open_client, trust, watch
from doorman.settings import Settings
from doorman.sinks.base import Sink
from doorman.sinks.http import HttpSink


def check_trust(settings: Settings) -> tuple[str, ...]:
    """Read clouds.yaml and the extra certificate authorities, so that a wrong one stops the start, not the first event.

    Returns:
        What a person should know, though it stops nothing.

    Raises:
        Misconfigured: clouds.yaml is missing or wrong, OS_CACERT or an entry's cacert is no readable PEM file, or
            K_CA_CERTS no PEM text.
    """
    notes = list_notes(settings.identity)
    _trust_cloud(settings)
    trust("K_CA_CERTS", text=settings.sink_ca)
    return (*settings.notes, *notes)


def connect(settings: Settings) -> httpx.AsyncClient:
    """Open the connections to the cloud.

    Raises:
        Misconfigured: OS_CACERT, or an entry's cacert, is no readable PEM file.
    """
    client = open_client(settings.request_timeout, _trust_cloud(settings))
    if settings.log_level == "debug":
        watch(client)
    return client


def connect_sink(settings: Settings) -> httpx.AsyncClient:
    """Open the connections to the sink, which may be one of the cloud's own services.

    Raises:
        Misconfigured: K_CA_CERTS or OS_CACERT is no readable PEM.
    """
    is_engine = bool(settings.sink and not settings.sink.startswith("http"))
    trusted = _trust_cloud(settings) if is_engine else trust("K_CA_CERTS", text=settings.sink_ca)
    return open_client(settings.sink_timeout, trusted)


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
    from doorman.sinks.huaweicloud import CloudServiceSink, read_target  # noqa: PLC0415 - most have a broker

    target = read_target(url)
    return CloudServiceSink(
        target=target, credentials=credentials, client=client, clock=clock, overrides=settings.overrides
    )


def _trust_cloud(settings: Settings) -> ssl.SSLContext:
    identity = settings.identity
    return trust("OS_CACERT", files=list_ca_files(identity), certificate=find_certificate(identity))
