"""Traces and metrics where the usual `OTEL_*` variables ask for them: the seam, which costs nothing where they do not.

What is watched is one event, from its arrival to its answer. OpenTelemetry itself is known to `otel` alone, which is
imported with the first event, never before: the server forks, and threads of exporters would not come along.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

from doorman.models import CloudEvent
from doorman.runtime.logs import logger

if TYPE_CHECKING:
    from doorman.runtime.otel import OtelWatcher, Watched

ENDPOINTS = (
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
)
"""Telemetry is on where one of them is set, and `OTEL_SDK_DISABLED` is not `true`."""


@dataclass(slots=True)
class _Switch:
    connect: Callable[[], "OtelWatcher"] | None = None
    watcher: "OtelWatcher | None" = None


_SWITCH = _Switch()


def _connect() -> "OtelWatcher":
    from doorman.runtime.otel import connect  # noqa: PLC0415 - an extra, and never before the server forks

    return connect()


def set_up(
    environ: Mapping[str, str], *, connect: Callable[[], "OtelWatcher"] = _connect, package: str = "opentelemetry"
) -> None:
    """Turn telemetry on or off for the whole process.

    Args:
        connect: makes the watcher, when the first event arrives.
        package: what must be installed for that.
    """
    is_wanted = any(map(environ.get, ENDPOINTS)) and environ.get("OTEL_SDK_DISABLED", "").lower() != "true"
    is_there = is_wanted and is_installed(package)
    if is_wanted and not is_there:
        logger().warning(
            "telemetry.unavailable", fix="install doorman-image-shares[otel]; the image: requirements-otel.txt"
        )
    _SWITCH.connect, _SWITCH.watcher = connect if is_there else None, None


def is_installed(package: str) -> bool:
    """Say whether OpenTelemetry's SDK is there, without loading it."""
    return find_spec(package) is not None and find_spec(f"{package}.sdk") is not None


def begin(events: Sequence[CloudEvent]) -> "Watched | None":
    """Begin to watch the events of one request; None where nobody asked for it."""
    if _SWITCH.connect is None:
        return None
    if _SWITCH.watcher is None:
        _SWITCH.watcher = _SWITCH.connect()
    return _SWITCH.watcher.begin(events)
