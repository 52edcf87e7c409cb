"""Wires settings into what the functions and the command work with: connections, credentials, sink, served projects.

Plain calls, one place: nothing here decides, and nothing is kept beyond what it returns.
"""

import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from doorman.cloud.api.base import ImageService
from doorman.cloud.api.glance import Glance
from doorman.cloud.api.ims import Ims
from doorman.cloud.auth.credentials import (
    Credentials,
    find_certificate,
    from_settings,
    list_ca_files,
    list_notes,
    list_served,
)
from doorman.handlers.projects import Projects
from doorman.models import Api
from doorman.policy.policy import Policy, load
from doorman.runtime.clock import Clock
from doorman.runtime.http import Clients, Exchange, open_client, trust
from doorman.runtime.proxies import Proxies
from doorman.settings import Settings
from doorman.sinks.base import NullSink, Sink
from doorman.sinks.http import HttpSink

if TYPE_CHECKING:
    from doorman.handlers.doctor import Examination


SERVICES: Mapping[Api, ImageService] = {"ims": Ims(), "glance": Glance()}
"""How the image services of DOORMAN_API are asked."""


@dataclass(slots=True, kw_only=True, eq=False)
class Connections:
    """What all served projects of one process share.

    Attributes:
        cloud: the ways to the cloud, one for each project, and one for their logins.
        sink: the ways to the sink, likewise.
        credentials: of the projects that the settings name.
        notes: what a person should know, though it stops nothing.
    """

    settings: Settings
    clock: Clock
    cloud: Clients
    sink: Clients
    credentials: Sequence[Credentials]
    notes: tuple[str, ...] = ()

    async def aclose(self) -> None:
        """Close them."""
        await self.cloud.aclose()
        await self.sink.aclose()


def connect(settings: Settings, *, clock: Clock, kept: list[Exchange] | None = None) -> Connections:
    """Make ready to connect; nobody is called yet, but whatever would prevent it shows.

    Args:
        kept: where the answers of the cloud are put down.

    Raises:
        Misconfigured: clouds.yaml is missing or wrong, OS_CACERT or an entry's cacert is no readable PEM file,
            K_CA_CERTS no PEM text, or a variable that names proxies is wrong.
    """
    served = list_served(settings.identity)
    notes = (*settings.notes, *list_notes(settings.identity, served))
    cloud_trust = trust(list_ca_files(settings.identity, served), certificate=find_certificate(served))
    make = partial(open_client, clock=clock, proxies=Proxies.of_environment(), is_watched=settings.log_level == "debug")
    cloud = Clients(partial(make, settings.request_timeout, cloud_trust, kept=kept))
    sink = Clients(partial(make, settings.sink_timeout, _trust_sink(settings) or cloud_trust))
    credentials = from_settings(served, client=cloud.of("logins"), clock=clock)
    return Connections(settings=settings, clock=clock, cloud=cloud, sink=sink, credentials=credentials, notes=notes)


def open_projects(
    connections: Connections,
    policy: Policy,
    *,
    sink: Sink | None = None,
    credentials: Sequence[Credentials] | None = None,
) -> Projects:
    """Open the served projects.

    Args:
        sink: where events go instead of K_SINK.
        credentials: of the served projects, where they are not those that the settings name.
    """
    credentials = connections.credentials if credentials is None else credentials
    return Projects(
        settings=connections.settings,
        policy=policy,
        clock=connections.clock,
        service=SERVICES[connections.settings.api],
        open_client=connections.cloud.of,
        sink=sink or make_sink(connections, credentials),
        credentials=credentials,
    )


def open_examination(
    connections: Connections,
    policy: Policy | str,
    *,
    projects: Projects | None = None,
    credentials: Sequence[Credentials] | None = None,
    warnings: Sequence[str] = (),
) -> "Examination":
    """Put together all that `doctor` looks at.

    Args:
        policy: or why it cannot be loaded. warnings: what a strict check warns of.
        projects, credentials: of those who ask, where they are not those that the settings name.
    """
    from doorman.handlers.doctor import Examination  # noqa: PLC0415 - seldom asked for

    settings = connections.settings
    credentials = connections.credentials if credentials is None else credentials
    decides = load("version: 1") if isinstance(policy, str) else policy
    return Examination(
        settings=settings,
        clock=connections.clock,
        credentials=credentials,
        projects=projects or open_projects(connections, decides, sink=NullSink(), credentials=credentials),
        policy=policy,
        client=connections.cloud.of("doctor"),
        sink_client=connections.sink.of("doctor"),
        sink=make_sink(connections, credentials) if settings.sink else None,
        notes=connections.notes,
        warnings=warnings,
    )


def make_sink(connections: Connections, credentials: Sequence[Credentials]) -> Sink:
    """Make the sink that K_SINK names.

    Args:
        credentials: of all served projects, for a sink that is one of the cloud's own services.
    """
    settings, clock = connections.settings, connections.clock
    if settings.sink is None or isinstance(settings.sink, str):
        return HttpSink(url=settings.sink or "", clients=connections.sink, clock=clock, overrides=settings.overrides)
    from doorman.sinks.huaweicloud import CloudServiceSink  # noqa: PLC0415 - most have a broker

    client = connections.sink.of(settings.sink.urn)
    return CloudServiceSink(
        target=settings.sink, credentials=credentials, client=client, clock=clock, overrides=settings.overrides
    )


def _trust_sink(settings: Settings) -> ssl.SSLContext | None:
    """Trust a broker's authorities; None for the cloud's own services, and for plain HTTP, which asks for none."""
    is_asked = settings.sink_ca or str(settings.sink).startswith("https:")
    broker = trust(text=settings.sink_ca) if is_asked else None
    return broker if isinstance(settings.sink, str | None) else None
