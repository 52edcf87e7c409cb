"""How follow-up events go on without a broker: FunctionGraph's asynchronous invocation, and SMN's publish.

https://docs.otc.t-systems.com/function-graph/api-ref/ and
https://docs.otc.t-systems.com/simple-message-notification/api-ref/
"""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from doorman.sandbox.access import authenticate, read_object
from doorman.sandbox.problems import gateway, smn
from doorman.sandbox.records import new_id
from doorman.sandbox.state import Cloud


def routes(cloud: Cloud) -> list[BaseRoute]:
    """Name the endpoints."""

    async def invoke(request: Request) -> Response:
        await authenticate(request, cloud, foreign=gateway(403, "FSS.0403", "The token is not of this project."))
        invocation = cloud.engine.submit(request.path_params["urn"], await request.body())
        return JSONResponse({"request_id": invocation.request_id}, 202)

    async def publish(request: Request) -> Response:
        await authenticate(request, cloud, foreign=smn(403, "SMN.0004", "The token is not of this project"))
        body = await read_object(request) or {}
        if not isinstance(body.get("message"), str) or not body["message"]:
            raise smn(400, "SMN.0002", "The message is missing")
        told = cloud.topics.publish(request.path_params["urn"], str(body.get("subject", "")), body["message"])
        return JSONResponse({"message_id": told.message_id, "request_id": new_id()})

    return [
        Route("/v2/{project_id}/fgs/functions/{urn}/invocations-async", invoke, methods=["POST"]),
        Route("/v2/{project_id}/notifications/topics/{urn}/publish", publish, methods=["POST"]),
    ]
