"""OpenTelemetry connected: the usual variables are heeded, and what is sent arrives."""

import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from doorman.runtime import otel, telemetry

SILENT = {"OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none"}


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


@pytest.fixture
def collector() -> Iterator[Collector]:
    """A collector on loopback."""
    with Collector() as collector:
        yield collector
        collector.shutdown()


def test_spans_and_metrics_go_to_the_collector(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    """OTLP over HTTP, to the paths of the specification."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{collector.server_port}")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
    tracers, meters = otel.make_providers(os.environ)
    otel.OtelWatcher(tracers, meters).begin([]).end([], status=204, seconds=0.1)
    tracers.get_tracer("t").start_span("work").end()
    meters.get_meter("m").create_counter("c").add(1)
    tracers.shutdown()
    meters.shutdown()
    assert sorted(path for path, _ in collector.exports) == ["/v1/metrics", "/v1/traces"]


@pytest.mark.parametrize(
    ("environ", "name"),
    [
        ({}, "doorman"),
        ({"K_SERVICE": "triage"}, "triage"),
        ({"K_SERVICE": "triage", "OTEL_SERVICE_NAME": "mine"}, "mine"),
    ],
)
def test_a_process_says_which_function_it_is(
    environ: dict[str, str], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the usual variables, else by its Knative Service."""
    for key, value in environ.items():
        monkeypatch.setenv(key, value)
    tracers, _ = otel.make_providers({**environ, **SILENT})
    assert tracers.resource.attributes["service.name"] == name
    assert tracers.resource.attributes["service.instance.id"]


def test_the_first_event_connects(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once, in the process that works."""
    for key, value in SILENT.items():
        monkeypatch.setenv(key, value)
    telemetry.set_up({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector.test"})
    try:
        first, second = telemetry.begin(()), telemetry.begin(())
    finally:
        telemetry.set_up({})
    assert isinstance(first, otel.Watched)
    assert isinstance(second, otel.Watched)
    assert first.watcher is second.watcher
