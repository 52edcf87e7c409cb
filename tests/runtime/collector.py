"""A collector on loopback that takes what is exported by OTLP over HTTP, and tells the spans."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from doorman.runtime import telemetry


@dataclass(frozen=True, slots=True)
class Span:
    """One span as it arrived, with the attributes that are text or numbers."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str
    kind: int
    attributes: dict[str, Any]


class Collector(ThreadingHTTPServer):
    """Takes everything, and remembers the paths and bodies."""

    class Handler(BaseHTTPRequestHandler):
        """Answers as a collector does."""

        def do_POST(self) -> None:
            """Take one export."""
            body = self.rfile.read(int(self.headers["content-length"]))
            assert isinstance(self.server, Collector)
            self.server.exports.append((self.path, body))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), self.Handler)
        self.exports: list[tuple[str, bytes]] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        """What belongs into OTEL_EXPORTER_OTLP_ENDPOINT."""
        return f"http://127.0.0.1:{self.server_port}"

    def spans(self) -> list[Span]:
        """Give all spans, in the order in which they began."""
        requests = [ExportTraceServiceRequest.FromString(body) for path, body in self.exports if path == "/v1/traces"]
        found = [
            span
            for request in requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]
        return [_read(span) for span in sorted(found, key=lambda span: span.start_time_unix_nano)]

    def metrics(self) -> set[str]:
        """Give the names of all metrics."""
        requests = [
            ExportMetricsServiceRequest.FromString(body) for path, body in self.exports if path == "/v1/metrics"
        ]
        return {
            metric.name
            for request in requests
            for resource in request.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }


@pytest.fixture
def collector() -> Iterator[Collector]:
    """A collector on loopback, and no telemetry after it."""
    with Collector() as collector:
        yield collector
        telemetry.close()
        collector.shutdown()


def _read(span: Any) -> Span:
    return Span(
        name=span.name,
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        kind=span.kind,
        attributes={each.key: each.value.string_value or each.value.int_value for each in span.attributes},
    )


def tree(spans: list[Span]) -> list[tuple[str, str]]:
    """Give each span's name below its parent's; a parent that is not among them by its ID."""
    names = {span.span_id: span.name for span in spans}
    return [(names.get(span.parent_id, span.parent_id), span.name) for span in spans]
