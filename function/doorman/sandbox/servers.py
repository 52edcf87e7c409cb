"""The compute service's list of servers, which tells the image that each was booted from.

https://docs.otc.t-systems.com/elastic-cloud-server/api-ref/
"""

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from doorman.sandbox.access import authenticate
from doorman.sandbox.problems import Problem
from doorman.sandbox.records import Server
from doorman.sandbox.state import Cloud

PAGE_SIZE = 1000


def routes(cloud: Cloud) -> list[BaseRoute]:
    """Name the endpoint."""

    async def list_servers(request: Request) -> Response:
        foreign = Problem(403, {"forbidden": {"message": "The token is not of this project.", "code": 403}})
        caller = await authenticate(request, cloud, foreign=foreign)
        mine = [s for s in cloud.servers.values() if s.project_id == caller.project_id]
        marker, text = request.query_params.get("marker"), request.query_params.get("limit", str(PAGE_SIZE))
        limit = min(int(text), PAGE_SIZE) if text.isascii() and text.isdigit() else PAGE_SIZE
        start = 1 + next((n for n, s in enumerate(mine) if s.id == marker), -1) if marker else 0
        page = mine[start : start + limit]
        answer: dict[str, Any] = {"servers": [_describe(server) for server in page]}
        if page and start + limit < len(mine):
            href = str(request.url.include_query_params(marker=page[-1].id))
            answer["servers_links"] = [{"rel": "next", "href": href}]
        return JSONResponse(answer)

    return [Route("/v2.1/{project_id}/servers/detail", list_servers)]


def _describe(server: Server) -> dict[str, Any]:
    return {
        "id": server.id,
        "name": server.name,
        "status": server.status,
        "tenant_id": server.project_id,
        "image": {"id": server.image_id},
        "metadata": {"metering.image_id": server.image_id, "metering.imagetype": "shared", "os_type": "Linux"},
    }
