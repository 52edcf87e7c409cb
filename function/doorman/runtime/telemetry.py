"""Traces and metrics where the usual `OTEL_*` variables ask for them: the seam, which costs nothing where they do not.

What is watched is one event from its arrival to its answer, one run, and each call within. OpenTelemetry itself is
known to `otel` alone, which is imported with the first of them, never before: the server forks, and threads of
exporters would not come along.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import httpx

from doorman.models import CloudEvent
from doorman.runtime.logs import TRACEPARENT, logger

if TYPE_CHECKING:
    from doorman.runtime.otel import OtelWatcher, Watched

ENDPOINTS = (
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
)
"""Telemetry is on where one of them is set, and `OTEL_SDK_DISABLED` is not `true`."""


@dataclass(slots=True, eq=False)
class _Switch:
    """What `set_up` was told, and the watcher since it was first needed."""

    connect: "Callable[[], OtelWatcher] | None" = None
    watcher: "OtelWatcher | None" = None
    event_types: Collection[str] = ()


_SWITCH = _Switch()
_NOTHING = nullcontext()


def _connect() -> "OtelWatcher":
    from doorman.runtime.otel import connect  # noqa: PLC0415 - an extra, and never before the server forks

    return connect(_SWITCH.event_types)


def set_up(
    environ: Mapping[str, str],
    *,
    connect: "Callable[[], OtelWatcher]" = _connect,
    event_types: Collection[str] = (),
) -> None:
    """Turn telemetry on or off for the whole process.

    Args:
        connect: makes the watcher, when there is something to watch.
        event_types: those that metrics name; all others are `other`, since anybody may invent some.
    """
    is_wanted = any(map(environ.get, ENDPOINTS)) and environ.get("OTEL_SDK_DISABLED", "").lower() != "true"
    is_there = is_wanted and find_spec("opentelemetry") is not None and find_spec("opentelemetry.sdk") is not None
    if is_wanted and not is_there:
        logger().warning(
            "telemetry.unavailable", fix="install doorman-image-shares[otel]; the image: requirements-otel.txt"
        )
    _SWITCH.connect, _SWITCH.watcher = connect if is_there else None, None
    _SWITCH.event_types = event_types


def _watcher() -> "OtelWatcher | None":
    if _SWITCH.watcher is None and _SWITCH.connect is not None:
        _SWITCH.watcher = _SWITCH.connect()
    return _SWITCH.watcher


def begin(events: Sequence[CloudEvent]) -> "Watched | None":
    """Begin to watch the events of one request; None where nobody asked for it."""
    watcher = _watcher()
    return watcher.begin(events) if watcher else None


def within(traceparent: str | None) -> AbstractContextManager[None]:
    """Let the body's calls and log lines belong to this span of ours; None leaves them where they are."""
    return _put(traceparent) if traceparent and _SWITCH.connect else _NOTHING


@contextmanager
def _put(traceparent: str) -> Iterator[None]:
    token = TRACEPARENT.set(traceparent)
    try:
        yield
    finally:
        TRACEPARENT.reset(token)


def within_event(event: CloudEvent | None) -> AbstractContextManager[None]:
    """Let the body's calls and log lines belong to an event that is watched; None: there is none."""
    return within(event.extensions.get("traceparent") if event else None)


@contextmanager
def span(name: str, attributes: Mapping[str, str]) -> Iterator[str | None]:
    """Watch the body as one span below the one in force; gives it as W3C's `traceparent`, None where nobody watches."""
    if (watcher := _watcher()) is None:
        yield None
        return
    with watcher.span(name, attributes, parent=TRACEPARENT.get()) as traceparent, within(traceparent):
        yield traceparent


def note(project_id: str | None, counts: Mapping[str, int]) -> None:
    """Note how a project was found: `pending` shares, `unread` (0 or 1); None: projects that nobody can name now."""
    if watcher := _watcher():
        watcher.note(project_id, counts)


def count_run(command: str, *, code: int, images: Mapping[str, int]) -> None:
    """Count one run of a command that ends with this exit code, and how its images ended."""
    if watcher := _watcher():
        watcher.count_run(command, code=code, images=images)


def close() -> None:
    """Send what was not sent yet, and turn telemetry off: at the end of a process that ends by itself."""
    if _SWITCH.watcher:
        _SWITCH.watcher.close()
    set_up({})


def client_type() -> type[httpx.AsyncClient]:
    """Give the kind of client whose calls are watched, where they are."""
    return WatchedClient if _SWITCH.connect else httpx.AsyncClient


class WatchedClient(httpx.AsyncClient):
    """Watches each call as a span: to the cloud, its logins included, and to the sink."""

    async def send(self, request: httpx.Request, **options: Any) -> httpx.Response:
        """Send a request."""
        if (watcher := _watcher()) is None:
            return await super().send(request, **options)
        with watcher.call(request, parent=TRACEPARENT.get()) as call, within(call.traceparent):
            response = await super().send(request, **options)
            call.status = response.status_code
        return response
