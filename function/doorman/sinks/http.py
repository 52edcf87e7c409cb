"""Posts follow-up events to the sink, in binary mode; an event counts as told once the sink took it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from http import HTTPStatus
from pathlib import Path

import httpx

from doorman.errors import Broken, Busy, Unavailable
from doorman.events.cloudevents import write
from doorman.models import CloudEvent
from doorman.runtime.clock import Clock
from doorman.runtime.http import Clients, parse_url, untie
from doorman.sinks.base import hand_over

TOKEN = Path("/oidc/token")
"""Where a SinkBinding puts the proof of who sends, on clusters whose Brokers ask for it; it changes every hour."""

_PASSING = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS})


@dataclass(slots=True, kw_only=True, eq=False)
class HttpSink:
    """A sink that takes CloudEvents over HTTP, such as a Knative broker.

    See https://knative.dev/docs/eventing/custom-event-source/sinkbinding/ for K_SINK and K_CE_OVERRIDES.

    Attributes:
        clients: each event goes by that of its source, which is one for each project.
        overrides: extensions that every event gets (K_CE_OVERRIDES).
    """

    url: str
    clients: Clients
    clock: Clock
    overrides: Mapping[str, str] = field(default_factory=dict)
    token: Path = TOKEN

    async def emit(self, event: CloudEvent) -> None:
        """Post one event; repeats it shortly where the sink may take it the next time.

        Raises:
            Unavailable: the sink did not take it.
        """
        await hand_over(partial(self._post, event), self.clock)

    async def send(self, event: CloudEvent) -> httpx.Response:
        """Post one event, once, and give whatever the sink answers.

        Raises:
            httpx.HTTPError, httpx.InvalidURL: it did not.
        """
        headers, body = write(replace(event, extensions={**event.extensions, **self.overrides}))
        client = self.clients.of(event.source)
        return await client.post(parse_url(self.url), headers=headers | self._prove(), content=body)

    def _prove(self) -> dict[str, str]:
        try:
            return {"Authorization": f"Bearer {self.token.read_text('ascii').strip()}"}
        except (OSError, ValueError):
            return {}  # nobody asks, or the sink will say that it does

    async def _post(self, event: CloudEvent) -> None:
        try:
            response = await self.send(event)
        except (httpx.ConnectError, httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError) as error:
            raise Broken(f"the sink does not take {event.type}") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Unavailable(f"the sink does not answer ({type(error).__name__})") from error
        untie(response)
        if response.status_code in _PASSING or response.is_server_error:
            raise Busy(f"the sink does not take {event.type}")
        if not response.is_success:
            raise Unavailable(f"the sink answers {response.status_code}")
