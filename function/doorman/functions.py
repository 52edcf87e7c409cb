"""Wiring, and the only functions-framework import: the functions, each an HTTP door to the rooms behind it.

Settings and policy are read when the framework loads this file, since it has no start-up hook: what is wrong with them
ends the start with one message. What stands behind the function that it serves is loaded then, too; nothing else is.
"""

import gc
import os

gc.disable()  # nothing of what is loaded now is garbage, and to look for it takes a tenth of the start; see `tuning`
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # else it searches all that is installed for some

from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache, partial
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import functions_framework.aio
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from doorman.entrypoints.http import Handle, Reply, answer
from doorman.errors import DoormanError
from doorman.events.cloudevents import MAX_BODY
from doorman.events.messages import TICK, EventType
from doorman.parsing import as_utf8
from doorman.policy.policy import Policy, expired, load, load_file
from doorman.runtime import logs, telemetry, tuning
from doorman.runtime.clock import SystemClock
from doorman.runtime.proxies import Proxies
from doorman.settings import Settings
from doorman.version import VERSION

# functions-framework says in this variable, also where it was told by an option, which function it serves.
_TARGET = os.environ.get("FUNCTION_TARGET")

if _TARGET != "notify":  # which calls no cloud
    from doorman import bootstrap

if TYPE_CHECKING:
    from doorman.handlers.projects import Projects

Answering: TypeAlias = Callable[[Request], Awaitable[Response]]


@contextmanager
def _ending() -> Iterator[None]:
    """End the start with one message where something is wrong with what it reads."""
    try:
        yield
    except DoormanError as error:
        raise SystemExit(f"doorman: {error}") from None


with _ending():
    _SETTINGS = Settings.from_environ(
        os.environ,
        is_sink_required=_TARGET not in {"functiongraph", "notify"},
        is_login_required=_TARGET != "functiongraph",
        is_telling=_TARGET == "notify",
    )


@cache
def _connections() -> "bootstrap.Connections":
    return bootstrap.connect(_SETTINGS, clock=SystemClock())


def _start() -> Policy:
    logs.set_up(level=_SETTINGS.log_level, form=_SETTINGS.log_format)
    telemetry.set_up(os.environ, event_types=[*EventType, TICK])  # before any client is made
    # The certificate authorities are read while policy and server are.
    with _ending(), ThreadPoolExecutor(1) as pool:
        connecting = None if _TARGET == "notify" else pool.submit(_connections)
        policy = _load()
        tuning.tune_server()
        if connecting:
            connecting.result()
    return policy


def _say_started() -> None:
    notes = _SETTINGS.notes if _TARGET == "notify" else _connections().notes
    logs.logger().info("started", version=VERSION, policy_digest=_POLICY.digest, mode=_SETTINGS.mode)
    for note in notes:
        logs.logger().warning("settings.note", text=note)
    for rule in expired(_POLICY, SystemClock().now().date()):
        logs.logger().warning("exception.expired", name=rule.name, expires=str(rule.expires), by=rule.by)


def _load() -> Policy:
    if _SETTINGS.mode == "forward":
        return load("{version: 1, default: hold, rules: []}", file="DOORMAN_MODE=forward")  # which decides nothing
    return load(_read_file("DOORMAN_POLICY", _SETTINGS.policy), file=_SETTINGS.policy, api=_SETTINGS.api)


def _read_file(variable: str, path: str) -> str:
    try:
        return as_utf8(Path(path).read_bytes()).decode()
    except (OSError, UnicodeDecodeError) as error:
        raise SystemExit(f"doorman: {variable}: cannot read {path} ({type(error).__name__})") from None


_POLICY = _start()


@cache
def _served() -> "Projects":
    return bootstrap.open_projects(_connections(), _POLICY)


@cache
def _open(function: str) -> Answering:
    """Load what stands behind a function, and nothing of the others."""
    match function:
        case "triage":
            from doorman.handlers.triage import Batches  # noqa: PLC0415 - only its own function needs it

            return partial(_serve, Batches(_served()).handle)
        case "check_job":
            from doorman.handlers.check_job import handle_check  # noqa: PLC0415 - likewise

            return partial(_serve, partial(handle_check, _served()))
        case "sweep":
            from doorman.handlers.sweep import Sweeps  # noqa: PLC0415 - likewise

            return partial(_serve, Sweeps(_served()).handle)
        case "notify":
            return _open_channels()
        case _:  # `functiongraph`
            from doorman.entrypoints.functiongraph.invocation import Invocations  # noqa: PLC0415 - likewise

            return partial(_invoke, Invocations(_connections(), _POLICY).answer)


def _open_channels() -> Answering:
    from doorman.handlers.notify import Announcer, handle_notify  # noqa: PLC0415 - only its own function needs it
    from doorman.sinks.chat import open_channels  # noqa: PLC0415 - likewise

    file = _SETTINGS.channels or ""
    with _ending():
        Proxies.of_environment()  # which its library goes by, too
        policy, _ = load_file(_read_file("DOORMAN_POLICY", _SETTINGS.policy), file=_SETTINGS.policy, api=_SETTINGS.api)
        services = open_channels(_read_file("DOORMAN_CHANNELS", file), file=file, policy=policy, environ=os.environ)
    make = partial(Announcer, names=policy.names, clock=SystemClock())
    announcers = {name: make(service=service) for name, service in services.items()}

    async def tell(request: Request) -> Response:
        name = request.url.path.rpartition("/")[2]
        return await _serve(partial(handle_notify, announcers=announcers, name=name), request)

    return tell


@functions_framework.aio.http
async def triage(request: Request) -> Response:
    """Take share notifications."""
    return await _open("triage")(request)


@functions_framework.aio.http
async def check_job(request: Request) -> Response:
    """Take requests to follow a job."""
    return await _open("check_job")(request)


@functions_framework.aio.http
async def sweep(request: Request) -> Response:
    """Take a scheduler's tick."""
    return await _open("sweep")(request)


@functions_framework.aio.http
async def notify(request: Request) -> Response:
    """Tell people, through the channel that the last part of the path names."""
    return await _open("notify")(request)


@functions_framework.aio.http
async def functiongraph(request: Request) -> Response:
    """Take what FunctionGraph posts to a container: `/init` once, then `/invoke` for each event."""
    return await _open("functiongraph")(request)


async def _serve(handle: Handle, request: Request) -> Response:
    if request.method != "POST":
        return _decline(request)
    return await _take(partial(answer, handle, policy_digest=_POLICY.digest), request)


async def _invoke(work: Callable[..., Awaitable[Reply]], request: Request) -> Response:
    if request.method != "POST":
        return _decline(request)
    if request.url.path == "/init":
        return Response()
    if request.url.path != "/invoke":
        return Response(status_code=404)
    return await _take(work, request)


async def _take(work: Callable[..., Awaitable[Reply]], request: Request) -> Response:
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
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in reversed(request.scope["headers"])}


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


if _TARGET:
    _open(_TARGET)  # now, so that no event pays for it, and what is wrong ends the start
_say_started()
tuning.tune_collector()
