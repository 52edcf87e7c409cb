"""A small identity provider (OpenID Connect) with the Keystone that trusts it, for tests of rare logins."""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

USER = {"username": "jane", "password": "of-the-provider"}
OIDC = {
    "identity_provider": "corp",
    "protocol": "openid",
    "client_id": "doorman",
    "client_secret": "of-the-client",
    "openid_scope": "openid profile",
    **USER,
}
"""What the login wants besides URLs and project; none of it is Keystone's."""

Exchange = Callable[[], tuple[str, dict[str, Any]]]
"""Gives the unscoped token of the user that the provider vouches for, and the body that tells of it."""


@dataclass(slots=True)
class FakeIdentity:
    """Keeps what was sent to the provider and to Keystone's logins.

    Attributes:
        exchange: what the federated login gives. status: what every login of Keystone is answered with.
        keystone: URL of a real Keystone (`.../v3`) that answers the logins instead.
    """

    exchange: Exchange = lambda: ("unscoped", {"token": make_token({})})
    status: int = 201
    keystone: str | None = None
    grants: list[dict[str, str]] = field(default_factory=list)
    logins: list[dict[str, Any]] = field(default_factory=list)

    def app(self) -> Starlette:
        """Make the application that serves both."""
        federated = "/v3/OS-FEDERATION/identity_providers/corp/protocols/openid/auth"
        return Starlette(
            routes=[
                Route("/token", self.grant, methods=["POST"]),
                Route(federated, self.vouch, methods=["GET", "POST"]),
                Route("/v3/auth/tokens", self.log_in, methods=["POST"]),
                Route("/v3", self.discover),
            ]
        )

    async def grant(self, request: Request) -> Response:
        """Give an access token for a user's password, to a client that proves itself."""
        form = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
        self.grants.append(form)
        client = base64.b64decode(request.headers["authorization"].removeprefix("Basic ")).decode()
        is_known = client == f"{OIDC['client_id']}:{OIDC['client_secret']}" and form.items() >= USER.items()
        return JSONResponse({"access_token": "at"} if is_known else {}, status_code=200 if is_known else 401)

    async def vouch(self, request: Request) -> Response:
        """Give an unscoped token to whom the provider knows."""
        if request.headers.get("authorization") != "Bearer at":
            return Response(status_code=401)
        token, body = self.exchange()
        return JSONResponse(body, status_code=201, headers={"X-Subject-Token": token})

    async def log_in(self, request: Request) -> Response:
        """Give a token for whatever project is asked for."""
        auth = json.loads(await request.body())["auth"]
        self.logins.append(auth)
        if self.keystone:
            async with httpx.AsyncClient(timeout=60) as client:
                real = await client.post(f"{self.keystone}/auth/tokens", content=await request.body())
            token = {"X-Subject-Token": real.headers.get("X-Subject-Token", "")}
            return Response(real.content, status_code=real.status_code, headers=token, media_type="application/json")
        if self.status != 201:
            return JSONResponse({"error": {"message": "no"}}, status_code=self.status)
        token = make_token(auth.get("scope", {}).get("project", {"id": "p1"}))
        return JSONResponse({"token": token}, status_code=201, headers={"X-Subject-Token": f"token-{len(self.logins)}"})

    async def discover(self, request: Request) -> Response:
        """Say that this is version 3."""
        links = [{"rel": "self", "href": str(request.url)}]
        return JSONResponse({"version": {"id": "v3.14", "status": "stable", "links": links}})


def make_token(project: dict[str, Any]) -> dict[str, Any]:
    """Make what Keystone tells of a token; without a project it is unscoped."""
    endpoint = {"interface": "public", "region": "eu-de", "region_id": "eu-de", "url": "https://ims.test/v2", "id": "e"}
    scope = {
        "project": {"id": project.get("id", "p-of-name"), "name": project.get("name", "eu-de"), "domain": {"id": "d"}},
        "catalog": [{"type": "image", "name": "ims", "id": "s", "endpoints": [endpoint, {"url": None}]}],
    }
    return {
        "methods": ["password"],
        "issued_at": "2020-01-01T00:00:00.000000Z",
        "expires_at": "2099-01-01T00:00:00.000000Z",
        "user": {"id": "u1", "name": "jane", "domain": {"id": "d", "name": "d"}},
        **(scope if project else {}),
    }
