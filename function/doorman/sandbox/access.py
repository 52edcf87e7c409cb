"""Finds out who sent a request, by token or by signature, and reads its body."""

import json
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request

from doorman.sandbox.problems import Problem, glance, keystone
from doorman.sandbox.records import Call, Caller
from doorman.sandbox.signing import ALGORITHM, verify
from doorman.sandbox.state import Cloud

UNAUTHORIZED = 401


async def authenticate(request: Request, cloud: Cloud, *, foreign: Problem | None = None) -> Caller:
    """Say who is calling.

    Args:
        foreign: how the service refuses who asks for another project than their own.

    Raises:
        Problem: 401 where neither token nor signature holds, or `foreign`.
    """
    if request.headers.get("authorization", "").startswith(ALGORITHM):
        caller = verify(
            cloud.directory,
            method=request.method,
            path=request.scope.get("raw_path", request.url.path.encode()).decode("ascii").partition("?")[0],
            query=request.scope["query_string"].decode("ascii"),
            headers=dict(request.headers),
            body=await request.body(),
        )
    else:
        caller = cloud.directory.caller(request.headers.get("x-auth-token"))
    call = call_of(request)
    call.project_id, call.user = caller.project_id, caller.user
    if foreign is not None and request.path_params["project_id"] != caller.project_id:
        raise foreign
    return caller


async def authenticate_native(request: Request, cloud: Cloud) -> Caller:
    """Say who is calling the native image API, which refuses tokens in its own words.

    Raises:
        Problem: 401 where neither token nor signature holds.
    """
    try:
        return await authenticate(request, cloud)
    except Problem as problem:
        if problem.status != UNAUTHORIZED or "authorization" in request.headers:
            raise
        raise glance(UNAUTHORIZED, "Unauthorized", "This server could not verify that you are authorized.") from None


def call_of(request: Request) -> Call:
    """Find what the call log keeps of this request."""
    call = request.scope["sandbox.call"]
    assert isinstance(call, Call)  # noqa: S101 - the door put it there
    return call


async def read_object(request: Request) -> dict[str, Any] | None:
    """Read a JSON object and note it in the call log; None where the body is anything else."""
    try:
        body = json.loads(await request.body())
    except ValueError:
        return None
    call_of(request).body = body
    return body if isinstance(body, dict) else None


async def require_object(request: Request) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        Problem: 400 where the body is anything else.
    """
    body = await read_object(request)
    if body is None:
        raise keystone(400, "Bad Request", "Malformed request body: a JSON object is expected.")
    return body


def queries(request: Request) -> list[tuple[str, str]]:
    """Read the query as sent, in its order, empty values included."""
    return parse_qsl(request.scope["query_string"].decode("ascii"), keep_blank_values=True)
