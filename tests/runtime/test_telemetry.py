"""Telemetry is on where `OTEL_*` variables ask for it, and a chain of events is one trace."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode
from structlog.testing import capture_logs

from doorman.events.messages import EventType
from doorman.runtime import otel, telemetry
from tests.chain import RECEIVER, Chain

COLLECTOR = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector.test:4318"}
PARENT = f"00-{'1' * 32}-{'2' * 16}-01"


class Recorder:
    """A watcher that keeps what it is told in memory."""

    def __init__(self) -> None:
        self.exporter, self.reader = InMemorySpanExporter(), InMemoryMetricReader()
        tracers = TracerProvider()
        tracers.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.watcher = otel.OtelWatcher(tracers, MeterProvider(metric_readers=[self.reader]))

    @property
    def spans(self) -> tuple[ReadableSpan, ...]:
        """Give the spans that ended, in order."""
        return self.exporter.get_finished_spans()

    def metrics(self) -> dict[str, list[tuple[dict[str, Any], Any]]]:
        """Give each metric's points: attributes, and value or count."""
        data = self.reader.get_metrics_data()
        assert data is not None
        found = [metric for each in data.resource_metrics for scope in each.scope_metrics for metric in scope.metrics]
        return {
            metric.name: [
                (dict(point.attributes or {}), getattr(point, "value", getattr(point, "count", None)))
                for point in metric.data.data_points
            ]
            for metric in found
        }


@pytest.fixture(autouse=True)
def off_again() -> Iterator[None]:
    """Telemetry is off before and after each test."""
    telemetry.set_up({})
    yield
    telemetry.set_up({})


@pytest.fixture
def recorder() -> Recorder:
    """Telemetry that is on and goes to memory."""
    recorder = Recorder()
    telemetry.set_up(COLLECTOR, connect=lambda: recorder.watcher)
    return recorder


def span_id(span: ReadableSpan) -> str:
    """Write a span's ID as `traceparent` does."""
    return str(json.loads(span.to_json())["context"]["span_id"]).removeprefix("0x")


def notice(image: str, **attributes: str) -> dict[str, Any]:
    """Compose a share notification."""
    data = {"project_id": RECEIVER, "images": [image]}
    return {"specversion": "1.0", "id": "n", "source": "/t", "type": EventType.NOTIFIED, "data": data, **attributes}


@pytest.mark.anyio
async def test_a_chain_of_events_is_one_trace(recorder: Recorder) -> None:
    """From the notification to the outcome: each span is the child of the one whose event it handles."""
    chain = Chain()
    reply = await chain.post(EventType.NOTIFIED, notice(chain.share(), traceparent=PARENT, tracestate="a=b"))
    await chain.settle()
    assert reply.status == 204
    triage, check = recorder.spans
    assert (triage.name, check.name) == (f"process {EventType.NOTIFIED}", f"process {EventType.CHECK}")
    assert {f"{span.context.trace_id:032x}" for span in (triage, check)} == {"1" * 32}
    assert [span.parent and f"{span.parent.span_id:016x}" for span in recorder.spans] == ["2" * 16, span_id(triage)]
    (told,) = chain.outcomes()
    expected = f"00-{'1' * 32}-{span_id(check)}-01"
    assert (told.extensions["traceparent"], told.extensions["tracestate"]) == (expected, "a=b")


@pytest.mark.anyio
async def test_a_tick_begins_a_trace_of_its_own(recorder: Recorder) -> None:
    """Nobody sends a trace with a tick; all that follows from it belongs together."""
    chain = Chain()
    chain.share()
    await chain.tick()
    await chain.settle()
    sweep, triage, check = recorder.spans
    assert sweep.parent is None
    assert {span.context.trace_id for span in (triage, check)} == {sweep.context.trace_id}


@pytest.mark.anyio
async def test_a_span_says_what_came_of_its_event(recorder: Recorder) -> None:
    """Identity of the event, project, calls, counts and answer; no names, owners or images."""
    chain = Chain()
    await chain.post(EventType.NOTIFIED, notice(chain.share("some-stranger")))
    (span,) = recorder.spans
    assert dict(span.attributes or {}) == {
        "cloudevents.event_id": "n",
        "cloudevents.event_source": "/t",
        "cloudevents.event_type": EventType.NOTIFIED,
        "http.response.status_code": 204,
        "doorman.held": 1,
        "doorman.api_calls": chain_calls(chain),
        "doorman.project_id": RECEIVER,
    }
    assert span.status.status_code is StatusCode.UNSET


@pytest.mark.anyio
async def test_a_failed_event_ends_in_an_error(recorder: Recorder) -> None:
    """Also one that fails as a whole: its span ends, with the answer."""
    chain = Chain()
    chain.refuse(1)
    await chain.post(EventType.NOTIFIED, notice(chain.share("some-stranger")))
    await chain.post(EventType.NOTIFIED, notice("no-image"))
    unavailable, malformed = recorder.spans
    assert [span.status.status_code for span in recorder.spans] == [StatusCode.ERROR] * 2
    assert unavailable.status.description == "the sink does not take it"
    assert dict(malformed.attributes or {})["http.response.status_code"] == 400


@pytest.mark.anyio
async def test_metrics_count_events_images_and_calls(recorder: Recorder) -> None:
    """What alerts are made of."""
    chain = Chain()
    chain.share("some-stranger")
    await chain.tick()
    await chain.post(EventType.NOTIFIED, notice(chain.share()))
    metrics = recorder.metrics()
    ping, notified = {"event.type": "dev.knative.sources.ping"}, {"event.type": EventType.NOTIFIED}
    status = {"http.response.status_code": 204}
    assert metrics["doorman.events"] == [({**ping, **status}, 1), ({**notified, **status}, 1)]
    assert metrics["doorman.event.duration"] == [(ping, 1), (notified, 1)]
    assert sum(value for _, value in metrics["doorman.api_calls"]) == chain_calls(chain)
    assert (metrics["doorman.pending"], metrics["doorman.unread"]) == ([({}, 1)], [({}, 0)])
    assert metrics["doorman.images"] == [({"outcome": "notified"}, 0), ({"outcome": "submitted"}, 1)]


def chain_calls(chain: Chain) -> int:
    """Count the calls that the cloud got, logins aside."""
    return sum("/identity/" not in call.path for call in chain.cloud.calls)


@pytest.mark.anyio
async def test_telemetry_is_off_unless_asked_for() -> None:
    """Then nothing is watched, and OpenTelemetry is not touched."""
    events = (object(),)
    for environ in ({}, {**COLLECTOR, "OTEL_SDK_DISABLED": "TRUE"}, {"OTEL_EXPORTER_OTLP_ENDPOINT": ""}):
        telemetry.set_up(environ, connect=pytest.fail)
        assert telemetry.begin(events) is None  # type: ignore[arg-type]  # anything goes through


def test_telemetry_that_is_not_installed_is_said_at_the_start() -> None:
    """A cluster may set the variables for every pod: that ends nothing."""
    with capture_logs() as logs:
        telemetry.set_up(COLLECTOR, package="no_such_package")
    fix = "install doorman-image-shares[otel]; the image: requirements-otel.txt"
    assert logs == [{"event": "telemetry.unavailable", "fix": fix, "log_level": "warning"}]
    assert telemetry.begin(()) is None
