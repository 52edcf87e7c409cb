"""Serves a `sandbox.state.Cloud` over HTTP: Keystone, the image services and the rest, on one port.

A stand-in for demo and tests: it answers as the real services are documented and were seen to, and asks for no
login below `/sandbox`. The product never imports it.
"""

import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from html import escape

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from doorman.sandbox import admin, glance, identity, images, members, messaging, servers, vaults
from doorman.sandbox.faults import strike
from doorman.sandbox.problems import Problem
from doorman.sandbox.records import Call
from doorman.sandbox.state import Cloud

PAGE = "<html>\n <head>\n  <title>{title}</title>\n </head>\n <body>\n  <h1>{title}</h1>\n  {text}\n </body>\n</html>"


def create_app(cloud: Cloud, more: Sequence[BaseRoute] = ()) -> ASGIApp:
    """Build the ASGI application of a cloud: for `sandbox.serving.serve`, or in-process for `httpx.ASGITransport`.

    Args:
        more: what is served beside it, below `/sandbox`.
    """

    @contextlib.asynccontextmanager
    async def life(_: Starlette) -> AsyncIterator[None]:
        yield
        await cloud.engine.aclose()

    app = Starlette(
        routes=[
            *images.routes(cloud),
            *members.routes(cloud),
            *glance.routes(cloud),
            *identity.routes(cloud),
            *vaults.routes(cloud),
            *servers.routes(cloud),
            *messaging.routes(cloud),
            *admin.routes(cloud),
            *more,
        ],
        exception_handlers={Problem: _refuse},
        lifespan=life,
    )
    return Door(app, cloud)


class Door:
    """What every request passes: it is written down, due jobs are carried out, and a fault may strike."""

    def __init__(self, app: ASGIApp, cloud: Cloud) -> None:
        self.app = app
        self.cloud = cloud

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["path"].startswith("/sandbox"):
            await self.app(scope, receive, send)
            return
        cloud, started = self.cloud, time.perf_counter()
        call = Call(
            method=scope["method"],
            path=scope.get("raw_path", scope["path"].encode()).decode("ascii").partition("?")[0],
            query=scope["query_string"].decode("ascii"),
            at=cloud.clock(),
        )

        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start":
                call.status = message["status"]
            await send(message)

        scope["sandbox.call"] = call
        # uvicorn's transport, which ASGI has no word for: a fault that resets the connection needs it
        scope["sandbox.transport"] = getattr(getattr(send, "__self__", None), "transport", None)
        cloud.calls.append(call)
        cloud.in_flight += 1
        cloud.most_in_flight = max(cloud.most_in_flight, cloud.in_flight)
        try:
            cloud.queue.settle_due()
            await self._answer(call, scope, receive, noting)
        finally:
            cloud.in_flight -= 1
            call.seconds = time.perf_counter() - started

    async def _answer(self, call: Call, scope: Scope, receive: Receive, send: Send) -> None:
        fault = self.cloud.faults.choose(call.method, call.path)
        if fault is None:
            await self.app(scope, receive, send)
            return
        call.fault = fault.kind
        await strike(fault, self.app, scope, receive, send)


async def _refuse(request: Request, error: Exception) -> Response:
    """Answer a refusal: JSON, or Glance's HTML to a client of Glance that does not ask for JSON."""
    if not isinstance(error, Problem):
        raise error
    wants_json = "application/json" in request.headers.get("accept", "")
    if "title" in error.body and not wants_json and request.url.path.startswith(("/v2/images", "/image/v2/images")):
        page = PAGE.format(title=f"{error.status} {error.body['title']}", text=escape(error.body["message"]))
        return HTMLResponse(page, error.status, error.headers)
    return JSONResponse(error.body, error.status, error.headers)
