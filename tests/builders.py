"""The stage on which the product's rooms are played: one project of the local cloud, a sink that keeps what it takes.

`conftest` builds all of it once for each test; the types stand here so that tests can name them.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from doorman.bootstrap import SERVICES
from doorman.cloud.api.base import ImageService
from doorman.cloud.auth.accounts import Endpoints
from doorman.cloud.auth.credentials import from_invocation, from_settings, list_served
from doorman.cloud.client import ApiClient, Places, Throttle
from doorman.errors import Unavailable
from doorman.events.cloudevents import data_of, write
from doorman.handlers.context import ProjectContext
from doorman.handlers.projects import Projects
from doorman.models import Cause, CloudEvent, Share
from doorman.policy.policy import Policy, load
from doorman.runtime import telemetry
from doorman.sandbox.cloud import create_app
from doorman.sandbox.serving import serve
from doorman.sandbox.state import Cloud as State
from doorman.settings import Settings
from tests.fake_keystone import START, FakeClock

__all__ = ["START", "FakeClock", "Play", "RecordingSink", "Script", "State"]

RECEIVER = "receiver"
GOLDEN, BAD, STRANGER = "golden-owner", "bad-owner", "some-stranger"
VAULT, SECOND_VAULT = "vault-1", "vault-2"
CAUSE = Cause(id="cause-1", correlation="correlation-1")

POLICY = f"""\
version: 1
default: hold
rules:
  - name: golden-images
    owners: [{GOLDEN}]
    decision: accept
  - name: known-bad
    owners: [{BAD}]
    decision: reject
vaults:
  - owners: [{GOLDEN}]
    vault: {VAULT}
  - owners: [{GOLDEN}]
    vault: {SECOND_VAULT}
"""
"""Accepts what GOLDEN shares, rejects what BAD shares, holds everything else; two vaults, one after the other."""

ENVIRON: Mapping[str, str] = {
    "OS_AUTH_URL": "http://cloud.test/identity/v3",
    "OS_USERNAME": "doorman",
    "OS_PASSWORD": "secret",
    "OS_USER_DOMAIN_NAME": "Default",
    "OS_PROJECT_ID": RECEIVER,
    "OS_REGION_NAME": "eu-de",
    "K_SINK": "http://sink.test/",
}
"""An environment in which the functions start, and that leads them to the local cloud."""


def image_id(number: int) -> str:
    """Give the image ID with this number."""
    return f"00000000-0000-4000-8000-{number:012d}"


def share(**fields: Any) -> Share:
    """Make a share of which is known what `fields` say."""
    return Share(**{"image_id": image_id(1), "project_id": RECEIVER, "full_ecs": None, **fields})


def password_login(
    user: str = "doorman", project: str | dict[str, Any] = RECEIVER, password: str = "secret"
) -> dict[str, Any]:
    """Write a password login as clients send it; a project that is a text is named by its ID."""
    named = {"name": user, "domain": {"name": "Default"}, "password": password}
    identity = {"methods": ["password"], "password": {"user": named}}
    return {
        "auth": {"identity": identity, "scope": {"project": {"id": project} if isinstance(project, str) else project}}
    }


def trace(*images: str, project: str = RECEIVER, **changes: Any) -> dict[str, Any]:
    """Write the trace of a share, as the sharer's audit service would."""
    request = {"images": list(images), "projects": [project]}
    told = {"trace_id": "trace-1", "trace_name": "addMember", "service_type": "IMS", "code": 200}
    return {**told, "request": request, "user": {"name": "alice"}, **changes}


def whole(event: CloudEvent) -> CloudEvent:
    """Give an event that was read with its data."""
    return replace(event, data=data_of(event))


LIMIT = 200_000
"""Bytes of an event with all its headers, above which brokers refuse it."""


def size_of(event: CloudEvent) -> int:
    """Give the bytes of an event over the wire."""
    headers, body = write(event)
    return len(body) + sum(len(name) + len(value) + 4 for name, value in headers.items())


@asynccontextmanager
async def serving(
    answer: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]], tls: ssl.SSLContext | None = None
) -> AsyncIterator[int]:
    """Have every connection answered so, byte by byte; gives the port."""
    async with await asyncio.start_server(answer, "127.0.0.1", 0, ssl=tls) as server:
        yield server.sockets[0].getsockname()[1]


@contextmanager
def listening() -> Iterator[tuple[str, list[tuple[str, Any]]]]:
    """Serve a sink over HTTP that keeps type and data of what it is sent; gives its URL, too."""
    taken: list[tuple[str, Any]] = []

    async def take(request: Request) -> Response:
        taken.append((request.headers["ce-type"], await request.json()))
        return Response(status_code=202)

    with serve(Starlette(routes=[Route("/", take, methods=["POST"])])) as url:
        yield url, taken


@dataclass(slots=True)
class RecordingSink:
    """A sink that keeps the events that it takes, and refuses as many as it is told to.

    Attributes:
        events: what was taken, in order.
        refusals: errors to answer the next events with; None takes one.
    """

    events: list[CloudEvent] = field(default_factory=list)
    refusals: list[Unavailable | None] = field(default_factory=list)

    async def emit(self, event: CloudEvent) -> None:
        """Keep one event, or refuse it."""
        refusal = self.refusals.pop(0) if self.refusals else None
        if refusal is not None:
            raise refusal
        self.events.append(event)

    def types(self) -> list[str]:
        """Give the last but one word of each event's type, sorted: `accepted`, `check`, `notified`, ..."""
        return sorted(event.type.split(".")[-2] for event in self.events)


@dataclass(slots=True)
class Script:
    """A cloud that answers what stands in a script, in turn, the last for ever.

    Attributes:
        answers: what is answered: an HTTP status, JSON with status 200, a whole response, or an exception that breaks.
        requests: what was asked so far.
    """

    answers: Sequence[int | dict[str, Any] | httpx.Response | Exception]
    requests: list[httpx.Request] = field(default_factory=list)

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        """Give the next answer."""
        answer = self.answers[min(len(self.requests), len(self.answers) - 1)]
        self.requests.append(request)
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, int):
            return httpx.Response(answer)
        return httpx.Response(200, json=answer) if isinstance(answer, dict) else answer

    def client(self, clock: FakeClock, *, base: str = "http://cloud.test") -> ApiClient:
        """Make a client of this cloud."""
        return ApiClient(
            credentials=from_invocation(
                project_id=RECEIVER,
                endpoints=Endpoints(image=base, cbr="http://cbr.test", compute="http://ecs.test"),
                lent="given",
                now=clock.now,
            ),
            client=httpx.AsyncClient(transport=httpx.MockTransport(self)),
            clock=clock,
            throttle=Throttle(clock=clock, shared=Places(8)),
        )


@dataclass(slots=True, kw_only=True)
class Play:
    """Everything that a test plays with: serve projects in it, with other settings or another policy.

    Attributes:
        hooks: are called with each request before it reaches the cloud, to change something in the middle.
        app: what answers in the cloud's place.
    """

    state: State
    clock: FakeClock
    sink: RecordingSink
    hooks: list[Callable[[httpx.Request], None]] = field(default_factory=list)
    app: ASGIApp | None = None
    service: ImageService | None = None

    def client(self) -> httpx.AsyncClient:
        """Connect to the local cloud, in this process."""

        async def call_hooks(request: httpx.Request) -> None:
            for hook in self.hooks:
                hook(request)

        transport = httpx.ASGITransport(app=self.app or create_app(self.state))
        return telemetry.client_type()(transport=transport, event_hooks={"request": [call_hooks]})

    def settings(self, **environ: str) -> Settings:
        """Read ENVIRON, changed by `environ`."""
        return Settings.from_environ({**ENVIRON, **environ}, is_sink_required=True)

    def served(self, *, policy: str | Policy = POLICY, **environ: str) -> Projects:
        """Serve all projects that `environ` names."""
        settings, client = self.settings(**environ), self.client()
        return Projects(
            settings,
            load(policy) if isinstance(policy, str) else policy,
            clock=self.clock,
            service=self.service or SERVICES[settings.api],
            open_client=lambda _: client,
            sink=self.sink,
            credentials=from_settings(list_served(settings.identity), client=client, clock=self.clock),
        )

    async def context(
        self, *, policy: str | Policy = POLICY, project_id: str = RECEIVER, **environ: str
    ) -> ProjectContext:
        """Give the context of one project."""
        environ = {"OS_PROJECT_ID": project_id, **environ}
        return await self.served(policy=policy, **environ).context(project_id)

    def now(self) -> datetime:
        """Give the fake time of day."""
        return self.clock.now()
