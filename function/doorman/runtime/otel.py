"""Watches events with OpenTelemetry: a span for each, in the trace that the event came with, and a few metrics.

Exporters speak OTLP over HTTP and read the usual `OTEL_*` variables themselves. See https://opentelemetry.io/docs/specs/otel/
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.metrics import MeterProvider
from opentelemetry.sdk.metrics import MeterProvider as SdkMeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider as SdkTracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, StatusCode, TracerProvider, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from doorman.models import CloudEvent, Handled
from doorman.version import VERSION

SPANS = ("OTEL_BSP_SCHEDULE_DELAY", 1000.0)
METRICS = ("OTEL_METRIC_EXPORT_INTERVAL", 15000.0)
"""The variable that says how often to send, and our default, in milliseconds."""

_TRACE_CONTEXT = TraceContextTextMapPropagator()


@dataclass(frozen=True, slots=True)
class Watched:
    """One request's events, each with its span."""

    watcher: "OtelWatcher"
    events: Sequence[CloudEvent]
    spans: Sequence[Span]

    def end(self, handled: Sequence[Handled], *, status: int, seconds: float) -> None:
        """End the spans and count what came of the events."""
        for place, (event, span) in enumerate(zip(self.events, self.spans, strict=True)):
            seen = handled[place] if handled else None
            self.watcher.count(event, seen, status=status, seconds=seconds)
            span.set_attribute("http.response.status_code", status)
            if seen is not None:
                span.set_attributes({f"doorman.{name}": number for name, number in seen.counts.items()})
                span.set_attribute("doorman.api_calls", seen.api_calls)
                span.set_attribute("doorman.project_id", seen.project_id or "")
            if status >= 400:  # noqa: PLR2004 - HTTP's own border of failure
                span.set_status(StatusCode.ERROR, str(seen.error) if seen and seen.error else None)
            span.end()


class OtelWatcher:
    """Makes the spans and keeps the metrics of one process."""

    def __init__(self, tracers: TracerProvider, meters: MeterProvider) -> None:
        self._tracer = tracers.get_tracer("doorman", VERSION)
        meter = meters.get_meter("doorman", VERSION)
        self._events = meter.create_counter("doorman.events", description="Events answered.")
        self._images = meter.create_counter("doorman.images", description="What came of the images of events.")
        self._calls = meter.create_counter("doorman.api_calls", description="Requests to the cloud.")
        self._stands = {
            "pending": meter.create_gauge("doorman.pending", description="Shares that the last sweep found pending."),
            "unread": meter.create_gauge("doorman.unread", description="Projects that the last sweep could not read."),
        }
        self._seconds = meter.create_histogram("doorman.event.duration", unit="s", description="From event to answer.")

    def begin(self, events: Sequence[CloudEvent]) -> Watched:
        """Begin a span for each event, in the event's own trace or in a new one."""
        spans = [self._start(event) for event in events]
        return Watched(self, [_within(event, span) for event, span in zip(events, spans, strict=True)], spans)

    def count(self, event: CloudEvent, seen: Handled | None, *, status: int, seconds: float) -> None:
        """Count one answered event."""
        kind = {"event.type": event.type}
        self._events.add(1, {**kind, "http.response.status_code": status})
        self._seconds.record(seconds, kind)
        if seen is None:
            return
        self._calls.add(seen.api_calls, kind)
        for name, number in seen.counts.items():
            if name in self._stands:
                self._stands[name].set(number)
            else:
                self._images.add(number, {"outcome": name})

    def _start(self, event: CloudEvent) -> Span:
        attributes = {
            "cloudevents.event_id": event.id,
            "cloudevents.event_source": event.source,
            "cloudevents.event_type": event.type,
            **({"cloudevents.event_subject": event.subject} if event.subject else {}),
        }
        parent = _TRACE_CONTEXT.extract(event.extensions)
        return self._tracer.start_span(
            f"process {event.type}", context=parent, kind=SpanKind.CONSUMER, attributes=attributes
        )


def connect() -> OtelWatcher:
    """Connect to the collector that `OTEL_*` variables name."""
    return OtelWatcher(*make_providers(os.environ))


def make_providers(environ: Mapping[str, str]) -> tuple[SdkTracerProvider, SdkMeterProvider]:
    """Make what exports; an exporter set to `none` stays silent.

    The server's worker ends by its signal's default action: nothing can be sent at the end, so it is sent often.
    """
    resource = _describe(environ)
    tracers = SdkTracerProvider(resource=resource)
    if environ.get("OTEL_TRACES_EXPORTER", "otlp") == "otlp":
        tracers.add_span_processor(
            BatchSpanProcessor(OTLPSpanExporter(), schedule_delay_millis=_pause(environ, *SPANS))
        )
    readers = []
    if environ.get("OTEL_METRICS_EXPORTER", "otlp") == "otlp":
        pause = _pause(environ, *METRICS)
        readers.append(PeriodicExportingMetricReader(OTLPMetricExporter(), export_interval_millis=pause))
    return tracers, SdkMeterProvider(metric_readers=readers, resource=resource)


def _pause(environ: Mapping[str, str], variable: str, usual: float) -> float | None:
    return None if environ.get(variable) else usual  # None: the exporter reads the variable itself


def _describe(environ: Mapping[str, str]) -> Resource:
    ours = {"service.version": VERSION, "service.instance.id": environ.get("HOSTNAME") or str(os.getpid())}
    told = Resource.create(ours)
    if "OTEL_SERVICE_NAME" in environ or "service.name=" in environ.get("OTEL_RESOURCE_ATTRIBUTES", ""):
        return told
    return told.merge(Resource({"service.name": environ.get("K_SERVICE") or "doorman"}))


def _within(event: CloudEvent, span: Span) -> CloudEvent:
    """Give the event as if this span had sent it: what it causes belongs below."""
    carrier: dict[str, str] = {}
    _TRACE_CONTEXT.inject(carrier, context=set_span_in_context(span))
    kept = {name: value for name, value in event.extensions.items() if name not in {"traceparent", "tracestate"}}
    return replace(event, extensions={**kept, **carrier})
