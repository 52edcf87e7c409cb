"""Watches events, runs and calls with OpenTelemetry: spans in the trace that an event came with, and a few metrics.

Exporters speak OTLP over HTTP and read the usual `OTEL_*` variables themselves. See https://opentelemetry.io/docs/specs/otel/
Names are those of https://opentelemetry.io/docs/specs/semconv/ and begin with `doorman.` where it has none.
"""

import logging
import os
import re
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TypeAlias

import httpx
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.metrics import MeterProvider
from opentelemetry.sdk.metrics import MeterProvider as SdkMeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider as SdkTracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import NoOpTracerProvider, Span, SpanKind, StatusCode, TracerProvider, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from doorman.models import CloudEvent, Handled
from doorman.runtime.logs import logger
from doorman.version import VERSION

SPANS = ("OTEL_BSP_SCHEDULE_DELAY", 1000.0)
METRICS = ("OTEL_METRIC_EXPORT_INTERVAL", 15000.0)
"""The variable that says how often to send, and our default, in milliseconds."""

MESSAGE = 300
"""Characters of what an exporter says that are logged."""

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 30, 60, 120)
"""Borders of the histograms: those of the conventions, and what a job may take."""

TIMEOUT = 3.0
"""Seconds that an export may take, its repetitions included, where `OTEL_EXPORTER_OTLP_TIMEOUT` says nothing else: the
end of a process waits so long for a collector that is away, for traces and again for metrics."""

Attributes: TypeAlias = dict[str, str | int]

_TRACE_CONTEXT = TraceContextTextMapPropagator()
_ID = re.compile(r"(?<=/)(?=[^/]*\d)[^/]{8,}")
_ERROR = 400


@dataclass(slots=True, eq=False)
class Watched:
    """One request's events, each with its span."""

    watcher: "OtelWatcher"
    events: Sequence[CloudEvent]
    spans: Sequence[Span]

    def end(self, handled: Sequence[Handled], *, status: int, seconds: float) -> None:
        """End the spans and count what came of the events."""
        for place, (event, span) in enumerate(zip(self.events, self.spans, strict=True)):
            seen = handled[place] if handled else None
            error = _error_type(seen.error if seen else None, status)
            self.watcher.count(event, seen, status=status, error=error, seconds=seconds)
            span.set_attributes({"http.response.status_code": status, **error})
            if seen is not None:
                span.set_attributes({f"doorman.{name}": number for name, number in seen.counts.items()})
                span.set_attribute("doorman.api_calls", seen.api_calls)
                span.set_attribute("doorman.project_id", seen.project_id or "")
            if error:
                span.set_status(StatusCode.ERROR, str(seen.error) if seen and seen.error else None)
            span.end()


@dataclass(slots=True, eq=False)
class Call:
    """One call that is being made; `status` is the answer's, once there is one."""

    traceparent: str | None
    status: int | None = None


class OtelWatcher:
    """Makes the spans and keeps the metrics of one process.

    Args:
        event_types: those that metrics name.
    """

    def __init__(self, tracers: TracerProvider, meters: MeterProvider, *, event_types: Collection[str] = ()) -> None:
        self._providers = [each for each in (tracers, meters) if isinstance(each, SdkTracerProvider | SdkMeterProvider)]
        self._event_types = frozenset(event_types)
        self._tracer = tracers.get_tracer("doorman", VERSION)
        meter = meters.get_meter("doorman", VERSION)
        self._events = meter.create_counter("doorman.events", "{event}", "Events answered.")
        self._images = meter.create_counter("doorman.images", "{image}", "What came of images.")
        self._runs = meter.create_counter("doorman.runs", "{run}", "Runs of the command.")
        self._stands = {
            "pending": meter.create_gauge("doorman.pending", "{share}", "Shares that the last look found pending."),
            "unread": meter.create_gauge("doorman.unread", "{project}", "Projects that the last look could not read."),
        }
        self._seconds, self._calls = (
            meter.create_histogram(name, "s", text, explicit_bucket_boundaries_advisory=SECONDS)
            for name, text in (
                ("doorman.event.duration", "From event to answer."),
                ("http.client.request.duration", "Calls to the cloud and to the sink."),
            )
        )

    def begin(self, events: Sequence[CloudEvent]) -> Watched:
        """Begin a span for each event, in the event's own trace or in a new one."""
        spans = [self._start(event) for event in events]
        return Watched(self, [_within(event, span) for event, span in zip(events, spans, strict=True)], spans)

    def count(
        self, event: CloudEvent, seen: Handled | None, *, status: int, error: Mapping[str, str], seconds: float
    ) -> None:
        """Count one answered event."""
        kind = {"cloudevents.event_type": event.type if event.type in self._event_types else "other"}
        self._events.add(1, {**kind, "http.response.status_code": status, **error})
        self._seconds.record(seconds, kind)
        if seen is not None:
            self._count_images({name: number for name, number in seen.counts.items() if name not in self._stands})

    def count_run(self, command: str, *, code: int, images: Mapping[str, int]) -> None:
        """Count one run of a command."""
        self._runs.add(1, {"doorman.command": command, "process.exit.code": code})
        self._count_images(images)

    def note(self, project_id: str | None, counts: Mapping[str, int]) -> None:
        """Note how a project was found."""
        for name, gauge in self._stands.items():
            if name in counts:
                gauge.set(counts[name], {"doorman.project_id": project_id or ""})

    @contextmanager
    def span(self, name: str, attributes: Mapping[str, str], *, parent: str | None) -> Iterator[str | None]:
        """Watch the body as one span."""
        span = self._tracer.start_span(name, context=_read(parent), attributes=attributes)
        try:
            yield _write(span).get("traceparent")
        finally:
            span.end()

    @contextmanager
    def call(self, request: httpx.Request, *, parent: str | None) -> Iterator[Call]:
        """Watch one call, from its first byte to the last of the answer."""
        common: Attributes = {
            "http.request.method": request.method,
            "server.address": request.url.host,
            "server.port": request.url.port or (443 if request.url.scheme == "https" else 80),
        }
        template = _ID.sub("{id}", request.url.path)
        span = self._tracer.start_span(
            f"{request.method} {template}",
            context=_read(parent),
            kind=SpanKind.CLIENT,
            attributes={**common, "url.full": _redact(request), "url.template": template},
        )
        call, start, broken = Call(_write(span).get("traceparent")), time.perf_counter(), None
        try:
            yield call
        except BaseException as error:
            broken = error
            raise
        finally:
            ended: Attributes = {"http.response.status_code": call.status} if call.status else {}
            ended |= _error_type(broken, call.status or 0)
            self._calls.record(time.perf_counter() - start, {**common, **ended})
            span.set_attributes(ended)
            if "error.type" in ended:
                span.set_status(StatusCode.ERROR)
            span.end()

    def close(self) -> None:
        """Send what was not sent yet, and stop."""
        for provider in self._providers:
            provider.shutdown()

    def _count_images(self, images: Mapping[str, int]) -> None:
        for name, number in images.items():
            self._images.add(number, {"doorman.outcome": name})

    def _start(self, event: CloudEvent) -> Span:
        attributes = {
            "messaging.operation.type": "process",
            "cloudevents.event_id": event.id,
            "cloudevents.event_source": event.source,
            "cloudevents.event_spec_version": "1.0",
            "cloudevents.event_type": event.type,
            **({"cloudevents.event_subject": event.subject} if event.subject else {}),
        }
        parent = _TRACE_CONTEXT.extract(event.extensions)
        return self._tracer.start_span(
            f"process {event.type}", context=parent, kind=SpanKind.CONSUMER, attributes=attributes
        )


def connect(event_types: Collection[str] = ()) -> OtelWatcher:
    """Connect to the collector that `OTEL_*` variables name; one that is empty is unset, also to the exporters."""
    for name in [name for name, value in os.environ.items() if name.startswith("OTEL_") and not value]:
        del os.environ[name]
    own = logging.getLogger("opentelemetry")
    own.handlers, own.propagate = [_Told()], False
    return OtelWatcher(*make_providers(os.environ), event_types=event_types)


def make_providers(environ: Mapping[str, str]) -> tuple[TracerProvider, SdkMeterProvider]:
    """Make what exports traces and metrics, each where it has an endpoint.

    The server's worker ends by its signal's default action: nothing can be sent at the end, so it is sent often.
    """
    resource, timeout = _describe(environ), _pause(environ, "OTEL_EXPORTER_OTLP_TIMEOUT", TIMEOUT)
    tracers: TracerProvider = NoOpTracerProvider()
    if _is_wanted(environ, "TRACES"):
        tracers = SdkTracerProvider(resource=resource)
        tracers.add_span_processor(
            BatchSpanProcessor(OTLPSpanExporter(timeout=timeout), schedule_delay_millis=_pause(environ, *SPANS))
        )
    readers = []
    if _is_wanted(environ, "METRICS"):
        pause = _pause(environ, *METRICS)
        readers.append(PeriodicExportingMetricReader(OTLPMetricExporter(timeout=timeout), export_interval_millis=pause))
    return tracers, SdkMeterProvider(metric_readers=readers, resource=resource)


class _Told(logging.Handler):
    """Says what the exporters have to say in a line like ours."""

    def emit(self, record: logging.LogRecord) -> None:
        """Say it; the text names the collector, never a header."""
        logger().warning("telemetry.failed", error=record.getMessage()[:MESSAGE])


def _is_wanted(environ: Mapping[str, str], signal: str) -> bool:
    """Say whether a signal goes to a collector: it has an endpoint, and OTLP is among its exporters."""
    exporters = {each.strip() for each in environ.get(f"OTEL_{signal}_EXPORTER", "otlp").split(",")}
    if strange := sorted(exporters - {"otlp", "none"}):
        logger().warning("telemetry.exporter_unknown", exporters=strange, fix=f"OTEL_{signal}_EXPORTER: otlp or none")
    endpoints = ("OTEL_EXPORTER_OTLP_ENDPOINT", f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT")
    return "otlp" in exporters and any(map(environ.get, endpoints))


def _pause(environ: Mapping[str, str], variable: str, usual: float) -> float | None:
    return None if environ.get(variable) else usual  # None: the exporter reads the variable itself


def _describe(environ: Mapping[str, str]) -> Resource:
    instance = environ.get("HOSTNAME") or str(os.getpid())
    told = Resource.create({"service.version": VERSION, "service.instance.id": instance})
    if "OTEL_SERVICE_NAME" in environ or "service.name=" in environ.get("OTEL_RESOURCE_ATTRIBUTES", ""):
        return told
    return told.merge(Resource({"service.name": environ.get("K_SERVICE") or "doorman"}))


def _error_type(error: BaseException | None, status: int) -> dict[str, str]:
    """Name what went wrong: by the error's class, else by the answer's status."""
    if error is not None:
        return {"error.type": type(error).__qualname__}
    return {"error.type": str(status)} if status >= _ERROR else {}


def _redact(request: httpx.Request) -> str:
    """Write a call's URL without what may be secret: user and password, and the query of what is not only read."""
    changed = {"userinfo": b""} | ({} if request.method == "GET" else {"query": None})
    return str(request.url.copy_with(**changed))


def _read(traceparent: str | None) -> Context:
    return _TRACE_CONTEXT.extract({"traceparent": traceparent} if traceparent else {})


def _write(span: Span) -> dict[str, str]:
    carrier: dict[str, str] = {}
    _TRACE_CONTEXT.inject(carrier, context=set_span_in_context(span))
    return carrier


def _within(event: CloudEvent, span: Span) -> CloudEvent:
    """Give the event as if this span had sent it: what it causes belongs below."""
    kept = {name: value for name, value in event.extensions.items() if name not in {"traceparent", "tracestate"}}
    return replace(event, extensions={**kept, **_write(span)})
