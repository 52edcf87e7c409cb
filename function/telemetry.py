"""Traces and metrics where the usual `OTEL_*` variables ask for them: the seam, which costs nothing where they do not.

What is watched is one event, from its arrival to its answer. OpenTelemetry itself is known to `otel` alone, which is
imported with the first event, never before: the server forks, and threads of exporters would not come along.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Protocol

from .logs import logger
from .wire.cloudevents import CloudEvent

ENDPOINTS = (
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
)
"""Telemetry is on where one of them is set, and `OTEL_SDK_DISABLED` is not `true`."""


class Seen(Protocol):
    """What is told of one event: whose it was, what came of its images, and how many calls that took."""

    @property
    def project_id(self) -> str | None:
        """The receiving project, where there is just one."""
        ...

    @property
    def counts(self) -> Mapping[str, int]:
        """How many images ended how, or what a sweep found."""
        ...

    @property
    def api_calls(self) -> int:
        """Requests to the cloud."""
        ...

    @property
    def error(self) -> Exception | None:
        """Why it is worth another delivery."""
        ...


class Watch(Protocol):
    """Watches the events of one request."""

    @property
    def events(self) -> Sequence[CloudEvent]:
        """The events to work off: their follow-ups belong to the same trace."""
        ...

    def end(self, handled: Sequence[Seen], *, status: int, seconds: float) -> None:
        """Tell what came of them: one of `handled` for each event, or none where the request failed as a whole."""
        ...


class Watcher(Protocol):
    """Begins to watch; made once in each process."""

    def begin(self, events: Sequence[CloudEvent]) -> Watch:
        """Begin with the events of one request."""
        ...


@dataclass(frozen=True, slots=True)
class Unwatched:
    """Looks away."""

    events: Sequence[CloudEvent]

    def end(self, handled: Sequence[Seen], *, status: int, seconds: float) -> None:
        """Tell nobody."""


@dataclass(slots=True)
class _Switch:
    connect: Callable[[], Watcher] | None = None
    watcher: Watcher | None = None


_SWITCH = _Switch()


def _connect() -> Watcher:
    watcher: Watcher = import_module(".otel", __package__).connect()
    return watcher


def set_up(
    environ: Mapping[str, str], *, connect: Callable[[], Watcher] = _connect, package: str = "opentelemetry"
) -> None:
    """Turn telemetry on or off for the whole process.

    Args:
        connect: makes the watcher, when the first event arrives.
        package: what must be installed for that.
    """
    is_wanted = any(map(environ.get, ENDPOINTS)) and environ.get("OTEL_SDK_DISABLED", "").lower() != "true"
    is_there = is_wanted and is_installed(package)
    if is_wanted and not is_there:
        logger().warning("telemetry.unavailable", fix="install doorman[otel]; the image: requirements-otel.txt")
    _SWITCH.connect, _SWITCH.watcher = connect if is_there else None, None


def is_installed(package: str) -> bool:
    """Say whether OpenTelemetry's SDK is there, without loading it."""
    return find_spec(package) is not None and find_spec(f"{package}.sdk") is not None


def begin(events: Sequence[CloudEvent]) -> Watch:
    """Begin to watch the events of one request."""
    if _SWITCH.connect is None:
        return Unwatched(events)
    if _SWITCH.watcher is None:
        _SWITCH.watcher = _SWITCH.connect()
    return _SWITCH.watcher.begin(events)
