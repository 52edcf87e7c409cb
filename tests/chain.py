"""The whole chain of events in one process: the real functions, the sandbox cloud, and a broker that is a list."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

from doorman.cloud.api.base import ImageService
from doorman.cloud.project import Cloud
from doorman.entrypoints.http import Handle, Reply, answer
from doorman.errors import Unavailable
from doorman.events.cloudevents import write
from doorman.events.messages import EventType
from doorman.handlers.check_job import handle_check
from doorman.handlers.projects import Projects
from doorman.handlers.sweep import Sweeps
from doorman.handlers.triage import Batches
from doorman.models import CloudEvent
from tests.builders import (
    BAD,
    GOLDEN,
    POLICY,
    RECEIVER,
    SECOND_VAULT,
    STRANGER,
    VAULT,
    FakeClock,
    Play,
    RecordingSink,
    State,
)

__all__ = ["BAD", "GOLDEN", "POLICY", "RECEIVER", "SECOND_VAULT", "STRANGER", "VAULT", "Chain", "structured"]


def structured(kind: str, data: Any, **attributes: Any) -> dict[str, Any]:
    """Write an event as anybody could send it."""
    return {"specversion": "1.0", "id": "e", "source": "/tests", "type": kind, "data": data, **attributes}


class Chain:
    """One project `receiver` that is served, everything around it, and the events so far."""

    def __init__(
        self, *, policy: str = POLICY, roles: str = "", service: ImageService | None = None, **environ: str
    ) -> None:
        self.clock = FakeClock()
        self.cloud = State(clock=lambda: self.clock.now().timestamp())
        projects = environ.get("OS_PROJECT_ID", RECEIVER)
        self.cloud.add_user("doorman", "secret", (roles or projects).split(","))
        for project in projects.split(","):
            self.cloud.add_project(project)
        for vault in (VAULT, SECOND_VAULT):
            self.cloud.add_vault(RECEIVER, vault)
        self.tray = RecordingSink()
        self.replies: list[Reply] = []
        self._delivered = 0
        self.play = Play(state=self.cloud, clock=self.clock, sink=self.tray, service=service)
        self.serve(self.play.served(policy=policy, **environ))

    def serve(self, served: Projects) -> None:
        """Have the functions serve these projects."""
        self.served = served
        self._handlers: Mapping[str, Handle] = {
            EventType.NOTIFIED: Batches(served).handle,
            EventType.CHECK: partial(handle_check, served),
            EventType.SWEEP: Sweeps(served).handle,
        }

    async def swap(self, cloud: type[Cloud]) -> None:
        """Serve the project by another class of cloud."""
        context = await self.served.context(RECEIVER)
        other = cloud(project_id=RECEIVER, client=context.cloud.client, service=context.cloud.service)
        self.served._contexts[RECEIVER] = replace(context, cloud=other)  # noqa: SLF001 - there is no door for this

    async def wait(self, seconds: float) -> None:
        """Let time pass."""
        await self.clock.sleep(seconds)

    def refuse(self, events: int) -> None:
        """Let the sink not take the next events."""
        self.tray.refusals += [Unavailable("the sink does not take it")] * events

    def share(self, owner: str = GOLDEN, **fields: Any) -> str:
        """Share a new image with the served project."""
        return self.cloud.add_share(owner, RECEIVER, **fields)

    async def notify(self, *images: str, event_id: str = "notice-1", age: float = 3600, **data: Any) -> Reply:
        """Deliver a share notification that is `age` seconds old."""
        time = (self.clock.now() - timedelta(seconds=age)).isoformat()
        data = {"project_id": RECEIVER, "images": images, **data}
        return await self.post(EventType.NOTIFIED, structured(EventType.NOTIFIED, data, id=event_id, time=time))

    async def check(self, *images: str, event_id: str = "check-1", age: float = 0, **data: Any) -> Reply:
        """Deliver a `job.check` as anybody could send it, submitted `age` seconds ago."""
        submitted = (self.clock.now() - timedelta(seconds=age)).isoformat()
        known = {"job_id": "some-job", "status": "accepted", "submitted_at": submitted, "attempt": 1}
        data = {"project_id": RECEIVER, "images": images, **known, **data}
        return await self.post(EventType.CHECK, structured(EventType.CHECK, data, id=event_id))

    async def post(self, kind: EventType, body: Any) -> Reply:
        """Deliver one structured event, or a batch, to the function for this type."""
        suffix = "-batch" if isinstance(body, list) else ""
        headers = {"content-type": f"application/cloudevents{suffix}+json"}
        return await self.send(kind, headers, json.dumps(body).encode())

    async def tick(self, event_id: str = "tick-1", **extensions: str) -> Reply:
        """Deliver a scheduler's tick to the sweep."""
        event = CloudEvent(id=event_id, source="/ping", type="dev.knative.sources.ping", extensions=extensions)
        return await self.send(EventType.SWEEP, *write(event))

    async def settle(self) -> None:
        """Deliver follow-ups until none is left."""
        while self._delivered < len(self.tray.events):
            event = self.tray.events[self._delivered]
            self._delivered += 1
            if event.type in self._handlers:
                await self.send(event.type, *write(event))

    async def send(self, kind: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """Deliver a request to the function for this type."""
        reply = await answer(self._handlers[kind], headers=headers, body=body, policy_digest=self.served.policy.digest)
        self.replies.append(reply)
        return reply

    def told(self, *, kind: str | None = None) -> list[tuple[str, str, str]]:
        """Give (image, outcome, reason) of every outcome told so far, sorted."""
        return sorted(
            (entry["image_id"], event.type.split(".")[3], entry["reason"])
            for event in self.outcomes()
            for entry in event.data["images"]
            if kind in {None, event.type}
        )

    def outcomes(self) -> Sequence[CloudEvent]:
        """Give the outcome events told so far."""
        others = {*self._handlers, EventType.PENDING, EventType.DECIDED}
        return [event for event in self.tray.events if event.type not in others]

    def of(self, kind: EventType) -> list[CloudEvent]:
        """Give the events of one type so far."""
        return [event for event in self.tray.events if event.type == kind]

    def members_calls(self) -> list[int]:
        """Give the HTTP status of every members call so far."""
        return [call.status for call in self.cloud.calls_to("PUT", "/v1/cloudimages/members")]
