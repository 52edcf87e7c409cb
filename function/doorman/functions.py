"""Wiring, and the only functions-framework import: the functions, each an HTTP door to the rooms behind it.

Settings and policy are read when the framework loads this file, since it has no start-up hook: what is wrong with them
ends the start with one message.
"""

import gc
import os

gc.disable()  # nothing of what is loaded now is garbage, and to look for it takes a tenth of the start; see `tuning`
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # else it searches all that is installed for some

from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

import functions_framework.aio
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from doorman.bootstrap import Connections, connect, open_projects
from doorman.entrypoints.http import Handle, Reply, answer
from doorman.errors import DoormanError
from doorman.events.cloudevents import MAX_BODY
from doorman.events.messages import TICK, EventType
from doorman.handlers.projects import Projects
from doorman.handlers.triage import Batches
from doorman.parsing import as_utf8
from doorman.policy.policy import Policy, expired, load, load_file
from doorman.runtime import logs, telemetry, tuning
from doorman.runtime.clock import SystemClock
from doorman.settings import Settings
from doorman.version import VERSION

if TYPE_CHECKING:
    from doorman.entrypoints.functiongraph.invocation import Invocations
    from doorman.handlers.notify import Announcer
    from doorman.handlers.sweep import Sweeps


# functions-framework says in this variable, also where it was told by an option, which function it serves.
_TARGET = os.environ.get("FUNCTION_TARGET")


def _start() -> tuple[Connections, Policy]:
    is_lent = _TARGET == "functiongraph"
    is_telling = _TARGET == "notify"
    try:
        settings = Settings.from_environ(
            os.environ,
            is_sink_required=not (is_lent or is_telling),
            is_login_required=not is_lent,
            is_telling=is_telling,
        )
        with ThreadPoolExecutor(1) as pool:  # the certificate authorities are read while policy and server are
            connecting = pool.submit(connect, settings, clock=SystemClock())
            policy = _load(settings)
            tuning.tune_server()
            connections = connecting.result()
    except DoormanError as error:
        raise SystemExit(f"doorman: {error}") from None
    logs.set_up(level=settings.log_level, form=settings.log_format)
    telemetry.set_up(os.environ, event_types=[*EventType, TICK])
    logs.logger().info("started", version=VERSION, policy_digest=policy.digest, mode=settings.mode)
    for note in connections.notes:
        logs.logger().warning("settings.note", text=note)
    for rule in expired(policy, SystemClock().now().date()):
        logs.logger().warning("exception.expired", name=rule.name, expires=str(rule.expires), by=rule.by)
    return connections, policy


def _load(settings: Settings) -> Policy:
    if settings.mode == "forward":
        return load("{version: 1, default: hold, rules: []}", file="DOORMAN_MODE=forward")  # which decides nothing
    return load(_read_file("DOORMAN_POLICY", settings.policy), file=settings.policy, api=settings.api)


def _read_file(variable: str, path: str) -> str:
    try:
        return as_utf8(Path(path).read_bytes()).decode()
    except (OSError, UnicodeDecodeError) as error:
        raise SystemExit(f"doorman: {variable}: cannot read {path} ({type(error).__name__})") from None


_CONNECTIONS, _POLICY = _start()


@cache
def _served() -> Projects:
    return open_projects(_CONNECTIONS, _POLICY)


@cache
def _batches() -> Batches:
    return Batches(_served())


@cache
def _sweeps() -> "Sweeps":
    from doorman.handlers.sweep import Sweeps  # noqa: PLC0415 - only its own function needs it

    return Sweeps(_served())


@cache
def _invocations() -> "Invocations":
    from doorman.entrypoints.functiongraph.invocation import Invocations  # noqa: PLC0415 - only its own function needs it

    return Invocations(_CONNECTIONS, _POLICY)


@cache
def _announcers() -> "Mapping[str, Announcer]":
    from doorman.handlers.notify import Announcer  # noqa: PLC0415 - only its own function needs it
    from doorman.sinks.chat import open_channels  # noqa: PLC0415 - likewise

    settings = _CONNECTIONS.settings
    file = settings.channels or ""
    try:
        policy, _ = load_file(_read_file("DOORMAN_POLICY", settings.policy), file=settings.policy, api=settings.api)
        text = _read_file("DOORMAN_CHANNELS", file)
        services = open_channels(text, file=file, policy=policy, environ=os.environ)
    except DoormanError as error:
        raise SystemExit(f"doorman: {error}") from None
    make = partial(Announcer, names=policy.names, clock=_CONNECTIONS.clock)
    return {name: make(service=service) for name, service in services.items()}


@functions_framework.aio.http
async def triage(request: Request) -> Response:
    """Take share notifications."""
    return await _serve(request, _batches().handle)


@functions_framework.aio.http
async def check_job(request: Request) -> Response:
    """Take requests to follow a job."""
    from doorman.handlers.check_job import handle_check  # noqa: PLC0415 - only its own function needs it

    return await _serve(request, partial(handle_check, _served()))


@functions_framework.aio.http
async def sweep(request: Request) -> Response:
    """Take a scheduler's tick."""
    return await _serve(request, _sweeps().handle)


@functions_framework.aio.http
async def notify(request: Request) -> Response:
    """Tell people, through the channel that the last part of the path names."""
    from doorman.handlers.notify import handle_notify  # noqa: PLC0415 - only its own function needs it

    handle = partial(handle_notify, announcers=_announcers(), name=request.url.path.rpartition("/")[2])
    return await _serve(request, handle)


@functions_framework.aio.http
async def functiongraph(request: Request) -> Response:
    """Take what FunctionGraph posts to a container: `/init` once, then `/invoke` for each event."""
    if request.method != "POST":
        return _decline(request)
    if request.url.path == "/init":
        _invocations()
        return Response()
    if request.url.path != "/invoke":
        return Response(status_code=404)
    return await _take(request, _invocations().answer)


async def _serve(request: Request, handle: Handle) -> Response:
    if request.method != "POST":
        return _decline(request)
    return await _take(request, partial(answer, handle, policy_digest=_POLICY.digest))


async def _take(request: Request, work: Callable[..., Awaitable[Reply]]) -> Response:
    try:
        body = await _read(request)
    except ClientDisconnect:
        logs.logger().info("request.broken_off", path=request.url.path[:100])
        return Response(status_code=400)  # which nobody hears
    return _respond(await work(headers=_headers(request), body=body))


def _decline(request: Request) -> Response:
    is_health = request.method == "GET" and request.url.path == "/healthz"
    return Response(status_code=200 if is_health else 404 if request.method in {"GET", "HEAD"} else 405)


def _headers(request: Request) -> dict[str, str]:
    """Decode them once, not at every look; of two by one name the first counts."""
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in reversed(request.headers.raw)}


async def _read(request: Request) -> bytes:
    body, is_more = bytearray(), True
    while is_more and len(body) <= MAX_BODY:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        body += message.get("body", b"")
        is_more = message.get("more_body", False)
    return bytes(body)


_DONE = Response(status_code=HTTPStatus.NO_CONTENT)


def _respond(reply: Reply) -> Response:
    if reply.status == HTTPStatus.NO_CONTENT:
        return _DONE
    media_type = "text/plain" if reply.text else None
    return Response(reply.text, status_code=reply.status, headers=dict(reply.headers), media_type=media_type)


if _TARGET == "notify":
    _announcers()  # what is wrong with the channels ends the start, too
tuning.tune_collector()
