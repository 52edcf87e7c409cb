"""Hands follow-up events to a FunctionGraph function or an SMN topic, where there is no broker; neither delivers later.

See https://docs.otc.t-systems.com/function-graph/api-ref/ (executing a function asynchronously) and
https://docs.otc.t-systems.com/simple-message-notification/api-ref/ (publishing a message).
"""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal
from urllib.parse import urlsplit

import httpx
from pydantic_core import to_json

from doorman.cloud.api.base import Answer, check
from doorman.cloud.auth.credentials import Credentials
from doorman.errors import Broken, Misconfigured, Refused, Unavailable
from doorman.events.cloudevents import to_structured
from doorman.events.messages import EventType
from doorman.models import CloudEvent
from doorman.runtime.clock import Clock
from doorman.sinks.base import hand_over, log_evidence

_URN = re.compile(
    r"(functiongraph):(urn:fss:[\w-]+:([\w-]{1,64}):function:[\w-]+:[\w-]+(?::[\w.!-]+)?)"
    r"|(smn):(urn:smn:[\w-]+:([\w-]{1,64}):[\w-]+)",
    re.ASCII,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A function or a topic of the cloud, and the project that it lies in."""

    service: Literal["functiongraph", "smn"]
    urn: str
    project_id: str


def read_target(text: str) -> Target:
    """Read `functiongraph:<function urn>` or `smn:<topic urn>`, as they stand in K_SINK.

    Raises:
        Misconfigured: it is neither.
    """
    found = _URN.fullmatch(text)
    if found is None:
        raise Misconfigured(
            "K_SINK: expected functiongraph:urn:fss:<region>:<project>:function:<app>:<name>[:<version>] "
            "or smn:urn:smn:<region>:<project>:<topic>"
        )
    if found[1]:
        return Target(service="functiongraph", urn=found[2], project_id=found[3])
    return Target(service="smn", urn=found[5], project_id=found[6])


def find_beside(image: str, service: str) -> str:
    """Give the base URL of a service that stands beside the image service of the same region.

    `https://ims.eu-de.otc.t-systems.com` -> `https://smn.eu-de.otc.t-systems.com`; a host that is not named after the
    image service serves everything itself.

    Args:
        image: base URL of the image service.
    """
    url = urlsplit(image)
    return f"{url.scheme}://{re.sub(r'^ims(?=[.])', service, url.netloc)}"


def deliver(event: CloudEvent, target: Target) -> tuple[str, bytes]:
    """Build the request that hands over one event: the path below the service's base URL, and the event in JSON."""
    text = to_json(to_structured(event))
    if target.service == "functiongraph":
        return f"/v2/{target.project_id}/fgs/functions/{target.urn}/invocations-async", text
    severity = event.extensions.get("severity")
    subject = f"[{severity}] {event.type}" if severity else event.type  # for people's mailboxes; at most 512 bytes
    message = {"subject": subject[:120], "message": text.decode()}
    return f"/v2/{target.project_id}/notifications/topics/{target.urn}/publish", to_json(message)


@dataclass(slots=True, kw_only=True, eq=False)
class CloudServiceSink:
    """A sink that publishes to a topic or invokes a function asynchronously.

    Attributes:
        credentials: of all served projects; taken are those of the target's own project, else the first.
        overrides: extensions that every event gets (K_CE_OVERRIDES).
    """

    target: Target
    credentials: Sequence[Credentials]
    client: httpx.AsyncClient
    clock: Clock
    overrides: Mapping[str, str] = field(default_factory=dict)

    async def emit(self, event: CloudEvent) -> None:
        """Hand over one event, and again where the answer got lost.

        Raises:
            Unavailable: the service did not take it.
        """
        if self.target.service == "functiongraph" and event.type == EventType.DECIDED:
            log_evidence(event)  # the function behind does work; it keeps no records
            return
        path, body = deliver(replace(event, extensions={**event.extensions, **self.overrides}), self.target)
        await hand_over(partial(self._post, path, body), self.clock)

    async def _post(self, path: str, body: bytes) -> None:
        try:
            credentials = await self._choose()
            base = find_beside(await credentials.endpoint("image"), self.target.service)
            response = await self.client.post(
                base + path,
                content=body,
                headers={"Content-Type": "application/json", "Accept": "application/json"},
                auth=credentials.auth,
            )
            check(Answer(status=response.status_code, body=response.content, headers=response.headers))
        except httpx.TimeoutException as error:
            raise Unavailable(f"the sink does not answer ({type(error).__name__})") from error
        except httpx.HTTPError as error:
            raise Broken(f"the sink cannot be reached ({type(error).__name__})") from error
        except (Refused, Misconfigured, httpx.InvalidURL) as error:
            raise Unavailable(f"the sink {self.target.urn[:80]} does not take events: {error}") from error

    async def _choose(self) -> Credentials:
        for credentials in self.credentials:
            with suppress(Unavailable):  # one of which only the name is known, while its login fails
                if await credentials.project_id() == self.target.project_id:
                    return credentials
        return self.credentials[0]
