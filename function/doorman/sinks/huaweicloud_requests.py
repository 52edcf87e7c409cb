"""Requests that hand an event to the cloud's own services, sans I/O: a FunctionGraph function, or an SMN topic.

The way on without a broker; `engine_sink` sends what is built here. Neither service can deliver later.

See https://docs.otc.t-systems.com/function-graph/api-ref/ (executing a function asynchronously) and
https://docs.otc.t-systems.com/simple-message-notification/api-ref/ (publishing a message).
"""

import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from pydantic_core import to_json

from doorman.errors import Misconfigured
from doorman.events.cloudevents import to_structured
from doorman.models import CloudEvent

MAX_BYTES = 256 * 1024
"""Bytes of one message of SMN, and of one asynchronous invocation."""

_SINK = re.compile(
    r"(functiongraph):(urn:fss:[\w-]+:([\w-]{1,64}):function:[\w-]+:[\w-]+(?::[\w.!-]+)?)"
    r"|(smn):(urn:smn:[\w-]+:([\w-]{1,64}):[\w-]+)",
    re.ASCII,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A function or a topic, and the project that it lies in."""

    service: Literal["functiongraph", "smn"]
    urn: str
    project_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One POST: the path below the service's base URL, and the JSON body."""

    path: str
    body: bytes


def read_target(sink: str) -> Target:
    """Read `functiongraph:<function urn>` or `smn:<topic urn>`, as they stand in K_SINK.

    Raises:
        Misconfigured: it is neither.
    """
    found = _SINK.fullmatch(sink)
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


def deliver(event: CloudEvent, target: Target) -> Delivery:
    """Build the request that hands over one event, as a CloudEvent in JSON.

    Raises:
        ValueError: the event is larger than the services take; ours are split long before.
    """
    text = to_json(to_structured(event))
    if len(text) > MAX_BYTES:
        raise ValueError(f"{event.type}: {len(text)} bytes; the sink takes {MAX_BYTES}")
    if target.service == "functiongraph":
        return Delivery(path=f"/v2/{target.project_id}/fgs/functions/{target.urn}/invocations-async", body=text)
    message = {"subject": _subject(event), "message": text.decode()}
    return Delivery(path=f"/v2/{target.project_id}/notifications/topics/{target.urn}/publish", body=to_json(message))


def _subject(event: CloudEvent) -> str:
    """Say for people's mailboxes what it is about; at most 512 bytes."""
    severity = event.extensions.get("severity")
    return f"[{severity}] {event.type}"[:120] if severity else event.type[:120]
