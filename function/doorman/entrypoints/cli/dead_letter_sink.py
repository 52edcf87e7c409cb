"""A small dead letter sink: takes events over HTTP, appends each to a file as a line of JSON, gives them all back."""

import contextlib
import socket
from ipaddress import ip_address
from pathlib import Path

import uvicorn
from pydantic_core import to_json
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route

from doorman.entrypoints.cli.output import say
from doorman.errors import Misconfigured, Rejected
from doorman.events.cloudevents import MAX_BODY
from doorman.events.dead_letters import read_delivery

MAX_PORT = 65535


def collect(file: str, place: str, *, is_giving: bool) -> int:
    """Collect dead letters until Ctrl-C.

    Args:
        place: `[HOST:]PORT`.
        is_giving: other machines may read them too; they hold names of images, owners and projects.

    Raises:
        Misconfigured: the place or the file is wrong.
    """
    app = create_app(Path(file), is_giving=is_giving)
    with _listen(place) as listener:
        host, port = listener.getsockname()[:2]
        say(f"collecting dead letters into {file}: POST them to http://{host}:{port}/, GET gives them back")
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False, lifespan="off"))
        with contextlib.suppress(KeyboardInterrupt):
            server.run(sockets=[listener])
    return 0


def create_app(file: Path, *, is_giving: bool) -> Starlette:
    """Build the sink.

    Raises:
        Misconfigured: the file cannot be written.
    """
    try:
        with file.open("ab"):
            pass
    except OSError as error:
        raise Misconfigured(f"{file}: cannot be written: {error.strerror}") from error

    async def take(request: Request) -> Response:
        """Keep one event; only what is in the file is taken."""
        body = bytearray()
        async for part in request.stream():
            body += part
            if len(body) > MAX_BODY:
                return PlainTextResponse("body: too large", 413)
        try:
            event = read_delivery(request.headers, bytes(body))
        except Rejected as error:
            return PlainTextResponse(str(error), 400)
        with file.open("ab") as kept:
            kept.write(to_json(event) + b"\n")
        return Response(status_code=204)

    async def give(request: Request) -> Response:
        """Give everything that was kept, one event a line."""
        if not is_giving and not _is_here(request):
            return PlainTextResponse("given on this machine only; --give allows others", 403)
        return FileResponse(file, media_type="application/x-ndjson")

    return Starlette(routes=[Route("/{_:path}", take, methods=["POST"]), Route("/{_:path}", give, methods=["GET"])])


def _is_here(request: Request) -> bool:
    return request.client is not None and ip_address(request.client.host).is_loopback


def _listen(place: str) -> socket.socket:
    host, _, port = place.rpartition(":")
    if not port.isascii() or not port.isdecimal() or int(port) > MAX_PORT:
        raise Misconfigured(f"--collect: expected [HOST:]PORT, got {place[:40]!r}")
    try:
        return socket.create_server((host or "127.0.0.1", int(port)))
    except OSError as error:
        raise Misconfigured(f"--collect: nobody can listen at {place[:80]} ({type(error).__name__})") from error
