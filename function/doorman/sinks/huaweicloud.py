"""Hands follow-up events to a FunctionGraph function or an SMN topic, where there is no broker.

What the requests look like is `engine`'s business; here they are sent, with the credentials that the cloud knows us by.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import httpx

from doorman.cloud.api.base import Answer, check
from doorman.cloud.auth.credentials import Credentials
from doorman.errors import Broken, Busy, Misconfigured, Refused, Unavailable
from doorman.models import CloudEvent
from doorman.runtime.clock import Clock
from doorman.sinks.huaweicloud_requests import Delivery, Target, deliver, find_beside

PAUSES = (0.1, 0.4)
"""Seconds before each repetition, half of it jitter; later ones are the engine's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
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
        """Hand over one event; told twice it is still one, so it is repeated where the answer got lost.

        Raises:
            Unavailable: the service did not take it.
        """
        delivery = deliver(replace(event, extensions={**event.extensions, **self.overrides}), self.target)
        for pause in PAUSES:
            try:
                return await self._post(delivery)
            except (Busy, Broken):
                await self.clock.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - jitter is no secret
        return await self._post(delivery)

    async def _post(self, delivery: Delivery) -> None:
        try:
            credentials = await self._choose()
            base = find_beside(await credentials.endpoint("image"), self.target.service)
            response = await self.client.post(
                base + delivery.path,
                content=delivery.body,
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
            if await credentials.project_id() == self.target.project_id:
                return credentials
        return self.credentials[0]
