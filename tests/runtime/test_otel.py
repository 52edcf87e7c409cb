"""OpenTelemetry connected: the usual variables are heeded, and what is sent arrives."""

import os

import httpx
import pytest
from opentelemetry.sdk.trace import TracerProvider as SdkTracerProvider
from structlog.testing import capture_logs

from doorman.runtime import otel, telemetry
from tests.runtime.collector import Collector, collector

__all__ = ["collector"]

SILENT = {"OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none"}
ALL, TRACES = "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"


def test_spans_and_metrics_go_to_the_collector(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    """OTLP over HTTP, to the paths of the specification; variables that are empty count as unset."""
    monkeypatch.setenv(ALL, collector.url)
    for name in (TRACES, "OTEL_EXPORTER_OTLP_TIMEOUT", "OTEL_BSP_SCHEDULE_DELAY", "OTEL_SERVICE_NAME"):
        monkeypatch.setenv(name, "")
    watcher = otel.connect()
    watcher.begin([]).end([], status=204, seconds=0.1)
    with watcher.span("work", {}, parent=None):
        watcher.count_run("run", code=0, images={})
    watcher.close()
    assert sorted(path for path, _ in collector.exports) == ["/v1/metrics", "/v1/traces"]
    assert TRACES not in os.environ


def paths(environ: dict[str, str], collector: Collector, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Say what a collector at URL is sent by a process with this environment."""
    for key, value in environ.items():
        monkeypatch.setenv(key, value.replace("URL", collector.url))
    watcher = otel.connect()
    with watcher.span("work", {}, parent=None), watcher.call(httpx.Request("GET", "http://t"), parent=None) as call:
        assert call.status is None
    watcher.close()
    return sorted(path for path, _ in collector.exports)


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({ALL: "URL"}, ["/v1/metrics", "/v1/traces"]),
        ({TRACES: "URL/t"}, ["/t"]),
        ({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "URL/m"}, ["/m"]),
        ({ALL: "URL", "OTEL_METRICS_EXPORTER": "none"}, ["/v1/traces"]),
        ({ALL: "URL", "OTEL_TRACES_EXPORTER": " otlp , none"}, ["/v1/metrics", "/v1/traces"]),
    ],
)
def test_each_signal_goes_where_it_has_an_endpoint(
    environ: dict[str, str], expected: list[str], collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One for traces alone does not make metrics knock at a default; an exporter may stand in a list."""
    assert paths(environ, collector, monkeypatch) == expected


def test_an_exporter_that_is_not_known_is_said(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the known ones beside it work."""
    with capture_logs() as logs:
        sent = paths({ALL: "URL", "OTEL_TRACES_EXPORTER": "otlp,zipkin"}, collector, monkeypatch)
    assert sent == ["/v1/metrics", "/v1/traces"]
    fix = "OTEL_TRACES_EXPORTER: otlp or none"
    expected = {"event": "telemetry.exporter_unknown", "exporters": ["zipkin"], "fix": fix, "log_level": "warning"}
    assert logs == [expected]


def test_a_collector_that_is_away_is_a_line_in_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """One like all others, and the end of the process does not wait for long."""
    monkeypatch.setenv(TRACES, "http://127.0.0.1:9/v1/traces")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.1")
    with capture_logs() as logs:
        watcher = otel.connect()
        with watcher.span("work", {}, parent=None):
            watcher.note("p", {"pending": 1})
        watcher.close()
    assert {line["event"] for line in logs} == {"telemetry.failed"}
    assert all(len(line["error"]) <= otel.MESSAGE for line in logs)


@pytest.mark.parametrize(
    ("environ", "name"),
    [({}, "doorman"), ({"K_SERVICE": "triage"}, "triage"), ({"K_SERVICE": "triage", "OTEL_SERVICE_NAME": "it"}, "it")],
)
def test_a_process_says_which_function_it_is(
    environ: dict[str, str], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the usual variables, else by its Knative Service."""
    for key, value in environ.items():
        monkeypatch.setenv(key, value)
    tracers, _ = otel.make_providers({**environ, ALL: "http://127.0.0.1:1", "OTEL_METRICS_EXPORTER": "none"})
    assert isinstance(tracers, SdkTracerProvider)
    found = tracers.resource.attributes
    assert (found["service.name"], bool(found["service.instance.id"])) == (name, True)


def test_the_first_event_connects(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once, in the process that works; where nothing is exported there is nothing to flush."""
    for key, value in SILENT.items():
        monkeypatch.setenv(key, value)
    telemetry.set_up({ALL: "http://collector.test"})
    first, second = telemetry.begin(()), telemetry.begin(())
    telemetry.close()
    telemetry.close()
    assert telemetry.begin(()) is None
    assert isinstance(first, otel.Watched)
    assert isinstance(second, otel.Watched)
    assert first.watcher is second.watcher
