"""Keystone v3: logins, tokens, projects, and the catalog whose endpoints follow the host that was asked.

https://docs.openstack.org/api-ref/identity/v3/
"""

from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from doorman.sandbox.access import authenticate, require_object
from doorman.sandbox.problems import Problem, keystone
from doorman.sandbox.records import Project, Token
from doorman.sandbox.state import Cloud


def routes(cloud: Cloud) -> list[BaseRoute]:
    """Name the endpoints, below `/identity/v3` and below `/v3`, as one cloud or the other has it."""

    async def versions(request: Request) -> Response:
        return JSONResponse({"versions": {"values": [_version(request)]}}, 300)

    async def version(request: Request) -> Response:
        return JSONResponse({"version": _version(request)})

    async def login(request: Request) -> Response:
        _require_up(cloud)
        auth = _quiet(await require_object(request), request).get("auth")
        if not isinstance(auth, dict):
            raise keystone(400, "Bad Request", "Expecting to find auth in the request body.")
        token = cloud.directory.login(auth, request.headers.get("x-auth-token"))
        call = request.scope["sandbox.call"]
        call.project_id, call.user = token.project_id, token.user.name
        return JSONResponse(_describe(cloud, token, request), 201, {"X-Subject-Token": token.id})

    async def show_token(request: Request) -> Response:
        _require_up(cloud)
        cloud.directory.token(request.headers.get("x-auth-token"))
        try:
            token = cloud.directory.token(request.headers.get("x-subject-token"))
        except Problem:
            raise keystone(404, "Not Found", "This is not a recognized token.") from None
        return JSONResponse(_describe(cloud, token, request), 200, {"X-Subject-Token": token.id})

    async def revoke(request: Request) -> Response:
        _require_up(cloud)
        cloud.directory.token(request.headers.get("x-auth-token"))
        cloud.directory.tokens.pop(request.headers.get("x-subject-token", ""), None)
        return Response(status_code=204)

    async def projects(request: Request) -> Response:
        _require_up(cloud)
        if "authorization" in request.headers:
            user = (await authenticate(request, cloud)).user
        else:
            user = cloud.directory.token(request.headers.get("x-auth-token")).user.name
        mine = {i for u in cloud.directory.users.values() if u.name == user for i in u.roles}
        name = request.query_params.get("name")
        shown = [p for p in cloud.directory.projects.values() if p.id in mine and name in {None, p.name}]
        links = {"self": str(request.url), "previous": None, "next": None}
        return JSONResponse({"projects": [_project(p) | {"enabled": p.enabled} for p in shown], "links": links})

    found = [
        Route("/auth/tokens", login, methods=["POST"]),
        Route("/auth/tokens", show_token, methods=["GET"]),
        Route("/auth/tokens", revoke, methods=["DELETE"]),
        Route("/auth/projects", projects),
        Route("/projects", projects),
        Route("/", version),
    ]
    return [
        Mount("/identity/v3", routes=found),
        Route("/identity/v3", version),
        Route("/identity", versions),
        Route("/identity/", versions),
        *(Route(f"/v3{route.path}", route.endpoint, methods=list(route.methods or ())) for route in found),
    ]


def base_of(request: Request) -> str:
    """Write the URL under which the client reached this cloud."""
    return f"{request.url.scheme}://{request.headers.get('host', request.url.netloc)}"


def _require_up(cloud: Cloud) -> None:
    if cloud.settings.keystone_down:
        raise keystone(503, "Service Unavailable", "The identity service is unavailable.")


def _quiet(body: dict[str, Any], request: Request) -> dict[str, Any]:
    """Keep a login's secrets out of the call log."""
    request.scope["sandbox.call"].body = None
    return body


def _version(request: Request) -> dict[str, Any]:
    return {
        "id": "v3.14",
        "status": "stable",
        "updated": "2020-04-07T00:00:00Z",
        "links": [{"rel": "self", "href": f"{base_of(request)}/identity/v3/"}],
        "media-types": [{"base": "application/json", "type": "application/vnd.openstack.identity-v3+json"}],
    }


def _describe(cloud: Cloud, token: Token, request: Request) -> dict[str, Any]:
    domain = {"id": token.user.domain.lower(), "name": token.user.domain}
    told: dict[str, Any] = {
        "methods": list(token.methods),
        "user": {"id": token.user.id, "name": token.user.name, "domain": domain, "password_expires_at": None},
        "issued_at": _microseconds(token.issued_at),
        "expires_at": _microseconds(token.expires_at),
        "audit_ids": [token.user.id[:22]],
    }
    if token.project_id is not None:
        told["project"] = _project(cloud.directory.projects[token.project_id])
        del told["project"]["domain_id"]
        told["roles"] = [{"id": role, "name": role} for role in sorted(token.roles)]
        told["is_domain"] = False
        told["catalog"] = _catalog(cloud, token.project_id, base_of(request))
    return {"token": told}


def _microseconds(at: float) -> str:
    """Write a time as Keystone does."""
    return datetime.fromtimestamp(at, tz=UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _project(project: Project) -> dict[str, Any]:
    domain = {"id": project.domain.lower(), "name": project.domain}
    return {"id": project.id, "name": project.name, "domain_id": domain["id"], "domain": domain}


def _catalog(cloud: Cloud, project_id: str, base: str) -> list[dict[str, Any]]:
    """List the services; internal endpoints lead nowhere, so that taking the wrong interface shows."""
    services: dict[tuple[str, str], str | None] = {
        ("identity", "keystone"): "/identity/v3",
        ("image", "glance"): cloud.settings.image_path,
        ("cbr", "cbr"): cloud.settings.cbr_path.format(project_id=project_id),
        ("compute", "nova"): f"/v2.1/{project_id}",
        ("smn", "smn"): f"/v2/{project_id}",
        ("functiongraph", "functiongraph"): f"/v2/{project_id}",
    }
    region = cloud.settings.region
    return [
        {
            "id": f"{name}-service",
            "type": kind,
            "name": name,
            "endpoints": [
                {"id": f"{name}-{interface}", "interface": interface, "region": region, "region_id": region, "url": url}
                for interface, url in (("internal", "http://internal.invalid"), ("public", base + path))
            ],
        }
        for (kind, name), path in services.items()
        if path is not None
    ]
