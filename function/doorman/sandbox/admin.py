"""The sandbox's own API below `/sandbox`: seed the cloud, change it, break it, and read what happened. No login."""

from collections.abc import Awaitable, Callable
from dataclasses import asdict, fields
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from doorman.sandbox.problems import Problem
from doorman.sandbox.records import Call
from doorman.sandbox.state import Cloud

Change = Callable[[Cloud, dict[str, Any]], Any]


def routes(cloud: Cloud) -> list[BaseRoute]:
    """Name the endpoints."""

    async def show_state(_: Request) -> Response:
        return JSONResponse(describe(cloud))

    async def calls(request: Request) -> Response:
        if request.method == "DELETE":
            cloud.calls.clear()
            return Response(status_code=204)
        shown = cloud.writes if request.query_params.get("writes") else list(cloud.calls)
        return JSONResponse({"count": len(shown), "calls": [_call(call) for call in shown]})

    async def settings(request: Request) -> Response:
        if request.method == "PATCH":
            _adjust(cloud, await read_body(request))
        return JSONResponse(asdict(cloud.settings))

    async def faults(request: Request) -> Response:
        if request.method == "DELETE":
            cloud.faults.clear(request.query_params.get("kind"))
        elif request.method == "POST":
            _plan(cloud, await read_body(request))
        return JSONResponse(cloud.faults.describe())

    return [
        Route("/sandbox/state", show_state),
        Route("/sandbox/calls", calls, methods=["GET", "DELETE"]),
        Route("/sandbox/settings", settings, methods=["GET", "PATCH"]),
        Route("/sandbox/faults", faults, methods=["GET", "POST", "DELETE"]),
        *(Route(f"/sandbox/{path}", _changer(cloud, act), methods=[verb]) for (verb, path), act in CHANGES.items()),
    ]


def _changer(cloud: Cloud, act: Change) -> Callable[[Request], Awaitable[Response]]:
    async def serve(request: Request) -> Response:
        body = await read_body(request)
        return JSONResponse(_try(lambda: act(cloud, body)))

    return serve


def _adjust(cloud: Cloud, body: dict[str, Any]) -> None:
    known = {field.name for field in fields(cloud.settings)}
    for name, value in body.items():
        if name not in known:
            raise Problem(400, {"error": f"unknown setting {name!r}; known: {', '.join(sorted(known))}"})
        setattr(cloud.settings, name, value)


def _plan(cloud: Cloud, body: dict[str, Any]) -> None:
    if "seed" in body:
        cloud.faults.seed(body.pop("seed"))
    _try(lambda: cloud.faults.add(**body))


def describe(cloud: Cloud) -> dict[str, Any]:
    """Write the whole state as JSON, without any secret."""
    cloud.queue.settle_due()
    return {
        "projects": [asdict(project) for project in cloud.directory.projects.values()],
        "users": [{"name": u.name, "projects": sorted(u.roles)} for u in cloud.directory.users.values()],
        "images": [
            {"id": i.id, "name": i.name, "owner": i.owner, "full_ecs": i.full_ecs, "members": _members(cloud, i.id)}
            for i in cloud.image_store.images.values()
        ],
        "jobs": [asdict(job) for job in cloud.jobs.values()],
        "vaults": [asdict(vault) for vault in cloud.vaults.values()],
        "servers": [asdict(server) for server in cloud.servers.values()],
        "published": [asdict(message) for message in cloud.topics.published],
        "invocations": [
            {"urn": i.urn, "request_id": i.request_id, "payload": i.payload.decode(errors="replace"), "tries": i.tries}
            for i in cloud.engine.invocations
        ],
        "settings": asdict(cloud.settings),
        "faults": cloud.faults.describe(),
        "calls": len(cloud.calls),
        "writes": len(cloud.writes),
        "most_in_flight": cloud.most_in_flight,
    }


def _members(cloud: Cloud, image_id: str) -> dict[str, str]:
    return {project_id: member.status for project_id, member in cloud.image_store.members[image_id].items()}


def _call(call: Call) -> dict[str, Any]:
    return asdict(call) | {"is_write": call.is_write}


async def read_body(request: Request) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        Problem: it is none.
    """
    try:
        body = await request.json()
    except (RecursionError, ValueError):
        body = None
    if not isinstance(body, dict):
        raise Problem(400, {"error": "send a JSON object"})
    return body


def _try(act: Callable[[], Any]) -> Any:
    """Do what was asked; what does not fit is the client's mistake and is told."""
    try:
        return act()
    except (KeyError, TypeError, ValueError) as error:
        raise Problem(400, {"error": f"{type(error).__name__}: {error}"}) from error


def _user(cloud: Cloud, body: dict[str, Any]) -> dict[str, Any]:
    user = cloud.add_user(**body)
    return {"id": user.id, "name": user.name, "projects": sorted(user.roles)}


def _image(cloud: Cloud, body: dict[str, Any]) -> dict[str, Any]:
    """Add an image; `share_with` names projects that it is shared with at once."""
    projects = body.pop("share_with", [])
    image = cloud.add_image(**body)
    for project_id in projects:
        cloud.share(image.id, project_id)
    return {"id": image.id}


def _access_key(cloud: Cloud, body: dict[str, Any]) -> dict[str, Any]:
    user = cloud.directory.named(body.pop("user"), body.pop("domain", "Default"))
    if user is None:
        raise ValueError("no such user")
    return {"access": cloud.add_access_key(user=user, **body).access}


def _function(cloud: Cloud, body: dict[str, Any]) -> dict[str, Any]:
    """Deploy a function; `agency` is the name of the user whose rights it is lent."""
    agency = cloud.directory.named(body.pop("agency", ""), body.pop("domain", "Default"))
    return {"urn": cloud.add_function(agency=agency, **body).urn}


CHANGES: dict[tuple[str, str], Change] = {
    ("POST", "projects"): lambda cloud, body: asdict(cloud.add_project(**body)),
    ("POST", "users"): _user,
    ("POST", "access-keys"): _access_key,
    ("POST", "images"): _image,
    ("DELETE", "images"): lambda cloud, body: cloud.delete_image(**body),
    ("POST", "shares"): lambda cloud, body: cloud.share(**body),
    ("PATCH", "shares"): lambda cloud, body: cloud.set_status(**body),
    ("DELETE", "shares"): lambda cloud, body: cloud.unshare(**body),
    ("POST", "vaults"): lambda cloud, body: asdict(cloud.add_vault(**body)),
    ("POST", "servers"): lambda cloud, body: asdict(cloud.add_server(**body)),
    ("POST", "functions"): _function,
    ("POST", "topics"): lambda cloud, body: asdict(cloud.add_topic(**body)),
    ("POST", "ticks"): lambda cloud, body: {"request_id": cloud.engine.tick(**body).request_id},
    ("POST", "image-failures"): lambda cloud, body: cloud.fail_image(**body),
    ("POST", "vault-failures"): lambda cloud, body: cloud.fail_vault(**body),
    ("POST", "finished-jobs"): lambda cloud, body: cloud.finish_job(**body),
    ("DELETE", "jobs"): lambda cloud, body: cloud.forget_job(**body),
}
