"""Asks the sandbox cloud in this process, for its tests."""

import asyncio
from collections.abc import Mapping
from typing import Any

import httpx

from doorman.sandbox.cloud import create_app
from doorman.sandbox.state import Cloud
from tests.builders import password_login

ME, OWNER, OTHER = "receiver", "owner", "bystander"
JSON = {"Accept": "application/json"}


class Api:
    """Asks the cloud in this process, as the user `doorman` of the project `receiver` once `login` was called."""

    def __init__(self, cloud: Cloud) -> None:
        self.app = create_app(cloud)
        self.headers: dict[str, str] = dict(JSON)

    def __call__(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, **rest: Any
    ) -> httpx.Response:
        """Send one request."""

        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(app=self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://cloud.test") as client:
                return await client.request(method, path, headers={**self.headers, **(headers or {})}, **rest)

        return asyncio.run(send())

    def login(self, user: str = "doorman", project: str = ME) -> "Api":
        """Log in for good."""
        answer = self("POST", "/v3/auth/tokens", json=password_login(user, project))
        self.headers["X-Auth-Token"] = answer.headers["x-subject-token"]
        return self
