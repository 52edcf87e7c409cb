"""The whole chain of events in one process: the real functions, the sandbox cloud, and a broker that is a list."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx

from function.clock import SystemClock
from function.cloudevents import CloudEvent, read, write
from function.errors import Unavailable
from function.messages import EventType
from function.office import Office
from function.policy import load
from function.serving import Reply, answer, handle_check, handle_sweep, handle_triage
from function.settings import Settings
from sandbox.cloud import create_app
from sandbox.state import Cloud as Sandbox

GOLDEN = "9c61004714024f9586705d090530f9fa"
BANNED = "0b1c2d3e4f5061728394a5b6c7d8e9f0"
STRANGER = "5" * 32
VAULT, SPARE = "vault-one", "vault-two"

POLICY = f"""
version: 1
default: hold
rules:
  - name: golden-images
    owners: [{GOLDEN}]
    decision: accept
  - name: known-bad
    owners: [{BANNED}]
    decision: reject
vaults:
  - owners: [{GOLDEN}]
    vault: {VAULT}
  - owners: [{GOLDEN}]
    vault: {SPARE}
"""
_HANDLERS = {EventType.NOTIFIED: handle_triage, EventType.CHECK: handle_check}


class QuickClock(SystemClock):
    """The real time of day, but nobody waits: sleeping moves the clock."""

    def __init__(self) -> None:
        self.slept = 0.0

    def now(self) -> datetime:
        """Give the time of day, as far as it was slept on."""
        return datetime.fromtimestamp(self.time(), UTC)

    def time(self) -> float:
        """Give the same as seconds, for the sandbox."""
        return super().now().timestamp() + self.slept

    def monotonic(self) -> float:
        """Give seconds that never go back."""
        return super().monotonic() + self.slept

    async def sleep(self, seconds: float) -> None:
        """Let the time pass at once."""
        self.slept += seconds


@dataclass(slots=True)
class Tray:
    """A sink that keeps what it is given; `refuse`: so many events are not taken."""

    events: list[CloudEvent] = field(default_factory=list)
    refuse: int = 0

    async def emit(self, event: CloudEvent) -> None:
        """Take an event, or do not."""
        if self.refuse:
            self.refuse -= 1
            raise Unavailable("the sink does not take it")
        # What a consumer sees is what went over the wire.
        headers, body = write(event)
        self.events.extend(read(headers, body))


class Chain:
    """One project `receiver` that is served, everything around it, and the events so far."""

    def __init__(self, *, policy: str = POLICY, project: str = "receiver", roles: str = "", **environ: str) -> None:
        self.clock = QuickClock()
        self.cloud = Sandbox(clock=self.clock.time)
        self.cloud.add_user("doorman", "secret", (roles or project).split(","))
        for each in project.split(","):
            self.cloud.add_project(each)
        for vault in (VAULT, SPARE):
            self.cloud.add_vault("receiver", vault)
        self.tray = Tray()
        self.replies: list[Reply] = []
        self._delivered = 0
        settings = Settings.from_environ(
            {
                "OS_AUTH_URL": "http://cloud.test/identity/v3",
                "OS_USERNAME": "doorman",
                "OS_PASSWORD": "secret",
                "OS_USER_DOMAIN_NAME": "Default",
                "OS_PROJECT_ID": project,
                "K_SINK": "http://sink.test",
            }
            | environ,
            is_sink_required=True,
        )
        client = httpx.AsyncClient(transport=httpx.ASGITransport(app=create_app(self.cloud)))
        self.office = Office(
            settings, load(policy, file="policy.yaml"), clock=self.clock, client=client, sink=self.tray
        )

    def share(self, owner: str = GOLDEN, **fields: Any) -> str:
        """Share a new image with the served project."""
        return self.cloud.add_share(owner, "receiver", **fields)

    async def notify(self, *images: str, event_id: str = "notice-1", age: float = 3600, **data: Any) -> Reply:
        """Deliver a share notification that is `age` seconds old."""
        body = {
            "specversion": "1.0",
            "id": event_id,
            "source": "/tests",
            "type": EventType.NOTIFIED,
            "time": datetime.fromtimestamp(self.clock.time() - age, UTC).isoformat(),
            "data": {"project_id": "receiver", "images": images, **data},
        }
        return await self.post(EventType.NOTIFIED, body)

    async def post(self, kind: EventType, body: Any) -> Reply:
        """Deliver one structured event, or a batch, to the function for this type."""
        suffix = "-batch" if isinstance(body, list) else ""
        headers = {"content-type": f"application/cloudevents{suffix}+json"}
        return await self._answer(_HANDLERS[kind], headers, json.dumps(body).encode())

    async def tick(self, event_id: str = "tick-1") -> Reply:
        """Deliver a scheduler's tick to the sweep."""
        event = CloudEvent(id=event_id, source="/ping", type="dev.knative.sources.ping")
        return await self._answer(handle_sweep, *write(event))

    async def settle(self) -> None:
        """Deliver follow-ups until none is left."""
        while self._delivered < len(self.tray.events):
            event = self.tray.events[self._delivered]
            self._delivered += 1
            if event.type in _HANDLERS:
                await self._answer(_HANDLERS[EventType(event.type)], *write(event))

    async def _answer(self, handle: Any, headers: dict[str, str], body: bytes) -> Reply:
        reply = await answer(self.office, handle, headers=headers, body=body)
        self.replies.append(reply)
        return reply

    def told(self, *, kind: str | None = None) -> list[tuple[str, str, str]]:
        """Give (image, fate, reason) of every outcome told so far, sorted."""
        return sorted(
            (entry["image_id"], event.type.split(".")[3], entry["reason"])
            for event in self.outcomes()
            for entry in event.data["images"]
            if kind in {None, event.type}
        )

    def outcomes(self) -> Sequence[CloudEvent]:
        """Give the outcome events told so far."""
        follow_ups = {EventType.NOTIFIED, EventType.CHECK, EventType.PENDING}
        return [event for event in self.tray.events if event.type not in follow_ups]

    def of(self, kind: EventType) -> list[CloudEvent]:
        """Give the events of one type so far."""
        return [event for event in self.tray.events if event.type == kind]

    def members_calls(self) -> list[int]:
        """Give the HTTP status of every members call so far."""
        return [call.status for call in self.cloud.calls_to("PUT", "/v1/cloudimages/members")]
