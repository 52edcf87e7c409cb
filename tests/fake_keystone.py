"""A Keystone in memory, and a clock that only moves when it is told to, for the tests of logins and credentials."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from doorman.cloud.auth.accounts import Account, Domain, Password, Project
from doorman.cloud.auth.tokens import Gate, TokenSource
from doorman.errors import Unavailable

# the least settings of each kind of login
PASSWORD = {
    "OS_AUTH_URL": "https://iam.test/v3",
    "OS_USERNAME": "doorman",
    "OS_PASSWORD": "s3cret",
    "OS_USER_DOMAIN_NAME": "OTC1",
    "OS_PROJECT_ID": "p1",
}
KEYS = {
    "OS_ACCESS_KEY": "AK",
    "OS_SECRET_KEY": "s3cret",
    "OS_PROJECT_ID": "p1",
    "OS_IMAGE_ENDPOINT_OVERRIDE": "https://ims.test",
}
CREDENTIAL = {
    "OS_AUTH_URL": "https://iam.test/v3",
    "OS_APPLICATION_CREDENTIAL_ID": "ac1",
    "OS_APPLICATION_CREDENTIAL_SECRET": "s3cret",
}
START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
USER = Password(user_name="doorman", domain=Domain(name="OTC1"), secret="s3cret")
CATALOG = [
    {"type": "image", "endpoints": [{"interface": "public", "region": "eu-de", "url": "https://ims.test/v2/"}]},
    {"type": "cbr", "endpoints": [{"interface": "public", "region": "eu-de", "url": "https://cbr.test/v3/p1"}]},
]


class FakeClock:
    """Time that stands still; sleeping moves it on."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> datetime:
        """Give the fake time of day."""
        return START + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        """Give the seconds slept so far."""
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        """Move on by that much, and let others run."""
        self.seconds += seconds
        await asyncio.sleep(0)


class FakeKeystone:
    """Answers logins as told and counts them; everything else is a service that takes the tokens in `good`."""

    def __init__(self, clock: FakeClock, *, life: float = 3600.0) -> None:
        self.clock = clock
        self.life = life
        self.logins: list[dict[str, Any]] = []
        self.times: list[float] = []
        self.bearers: list[str | None] = []
        self.services: list[httpx.Request] = []
        self.refused_projects: set[str] = set()
        self.failure: Exception | httpx.Response | None = None
        self.gate: asyncio.Event | None = None
        self.is_trusted = True
        self.refusal: dict[str, Any] = {"status_code": 401}
        self.revoked: set[str] = set()

    def client(self) -> httpx.AsyncClient:
        """Make a client whose requests all come here."""
        return httpx.AsyncClient(transport=httpx.MockTransport(self.handle))

    async def handle(self, request: httpx.Request) -> httpx.Response:
        """Answer one request, a login or a service's."""
        if not request.url.path.endswith("/auth/tokens"):
            self.services.append(request)
            sent = request.headers.get("X-Auth-Token", "")
            is_taken = self.is_trusted and sent not in self.revoked
            return httpx.Response(200) if is_taken else httpx.Response(**self.refusal)
        body = json.loads(request.content)["auth"]
        self.logins.append(body)
        self.times.append(self.clock.seconds)
        self.bearers.append(request.headers.get("X-Auth-Token"))
        number = len(self.logins)
        if self.gate:
            await self.gate.wait()
        if isinstance(self.failure, Exception):
            raise self.failure
        return self.failure or self.accept(body, number)

    def accept(self, body: dict[str, Any], number: int) -> httpx.Response:
        """Answer a login that is as it should be."""
        project = body.get("scope", {}).get("project", {"id": "p1"})
        if project.get("id") in self.refused_projects:
            return httpx.Response(401, json={"error": {"code": 401, "message": "requires authentication"}})
        token = {
            "issued_at": "2020-01-01T00:00:00.000000Z",  # Keystone's clock may be wrong: only the difference counts
            "expires_at": (datetime(2020, 1, 1, tzinfo=UTC) + timedelta(seconds=self.life)).isoformat(),
            "catalog": CATALOG,
            "user": {"id": "u1", "name": "doorman"},
            "project": {"id": project.get("id", "p-" + project.get("name", "")), "name": "eu-de"},
        }
        return httpx.Response(201, headers={"X-Subject-Token": f"token-{number}"}, json={"token": token})


class World:
    """A Keystone, a clock, a gate, and a token source for each project asked for."""

    def __init__(self, *, life: float = 3600.0) -> None:
        self.clock = FakeClock()
        self.keystone = FakeKeystone(self.clock, life=life)
        self.gate = Gate(self.clock)
        self.client = self.keystone.client()

    def source(self, project: str = "p1", load: Callable[[], Account] | None = None) -> TokenSource:
        """Make the token source of one project."""
        account = Account(project=Project(id=project), login=USER, auth_url="https://iam.test/v3")
        return TokenSource(load=load or (lambda: account), client=self.client, gate=self.gate, clock=self.clock)


async def fails(call: Awaitable[object]) -> str:
    """Give the message of the `Unavailable` that `call` ends with."""
    with pytest.raises(Unavailable) as caught:
        await call
    return str(caught.value)
