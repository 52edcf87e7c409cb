"""Telemetry is on where `OTEL_*` variables ask for it, and a chain of events is one trace."""

import json
import sys
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import httpx
import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from structlog.testing import capture_logs

from doorman.events.messages import EventType
from doorman.models import CloudEvent
from doorman.runtime import otel, telemetry
from doorman.runtime.logs import TRACEPARENT
from tests.chain import RECEIVER, Chain

COLLECTOR = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector.test:4318"}
PING = "dev.knative.sources.ping"
PARENT = f"00-{'1' * 32}-{'2' * 16}-01"


class Recorder:
    """A watcher that keeps what it is told in memory."""

    def __init__(self) -> None:
        self.exporter, self.reader = InMemorySpanExporter(), InMemoryMetricReader()
        tracers = TracerProvider()
        tracers.add_span_processor(SimpleSpanProcessor(self.exporter))
        meters = MeterProvider(metric_readers=[self.reader])
        self.watcher = otel.OtelWatcher(tracers, meters, event_types=[*EventType, PING])

    def events(self) -> list[ReadableSpan]:
        """Give the spans of events that ended, in order."""
        return [span for span in self.spans if span.kind is SpanKind.CONSUMER]

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
    triage, check = recorder.events()
    assert (triage.name, check.name) == (f"process {EventType.NOTIFIED}", f"process {EventType.CHECK}")
    assert {f"{span.context.trace_id:032x}" for span in (triage, check)} == {"1" * 32}
    assert [span.parent and f"{span.parent.span_id:016x}" for span in recorder.events()] == ["2" * 16, span_id(triage)]
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
    sweep, triage, check = recorder.events()
    assert sweep.parent is None
    assert {span.context.trace_id for span in (triage, check)} == {sweep.context.trace_id}


@pytest.mark.anyio
async def test_a_span_says_what_came_of_its_event(recorder: Recorder) -> None:
    """Identity of the event, project, calls, counts and answer; no names, owners or images."""
    chain = Chain()
    await chain.post(EventType.NOTIFIED, notice(chain.share("some-stranger")))
    (span,) = recorder.events()
    assert dict(span.attributes or {}) == {
        "messaging.operation.type": "process",
        "cloudevents.event_id": "n",
        "cloudevents.event_source": "/t",
        "cloudevents.event_spec_version": "1.0",
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
    unavailable, malformed = recorder.events()
    assert [span.status.status_code for span in recorder.events()] == [StatusCode.ERROR] * 2
    assert [dict(span.attributes or {})["error.type"] for span in recorder.events()] == ["Unavailable", "400"]
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
    ping, notified = {"cloudevents.event_type": PING}, {"cloudevents.event_type": EventType.NOTIFIED}
    status = {"http.response.status_code": 204}
    assert metrics["doorman.events"] == [({**ping, **status}, 1), ({**notified, **status}, 1)]
    assert metrics["doorman.event.duration"] == [(ping, 1), (notified, 1)]
    assert sum(value for _, value in metrics["http.client.request.duration"]) == len(chain.cloud.calls)
    assert metrics["doorman.images"] == [({"doorman.outcome": "notified"}, 0), ({"doorman.outcome": "submitted"}, 1)]


@pytest.mark.anyio
async def test_the_gauges_name_the_project(recorder: Recorder) -> None:
    """So that an alert can; a project that is known by name alone, while its login fails, has no ID."""
    chain = Chain()
    chain.share("some-stranger")
    await chain.tick()
    project, nobody = {"doorman.project_id": RECEIVER}, {"doorman.project_id": ""}
    metrics = recorder.metrics()
    assert metrics["doorman.pending"] == [(project, 1)]
    assert metrics["doorman.unread"] == [(project, 0), (nobody, 0)]


@pytest.mark.anyio
async def test_what_is_not_visible_yet_is_told_apart(recorder: Recorder) -> None:
    """Anybody can claim a share; the alerts leave such answers out."""
    chain = Chain()
    reply = await chain.notify(str(UUID(int=7)), age=1)
    assert reply.status == 503
    ((attributes, _),) = recorder.metrics()["doorman.events"]
    assert (attributes["http.response.status_code"], attributes["error.type"]) == (503, "NotVisible")


def test_types_that_others_invent_are_one(recorder: Recorder) -> None:
    """Else anybody could fill the memory of whoever keeps the metrics."""
    events = [CloudEvent(id="1", source="/t", type=f"foreign.{number}") for number in range(3)]
    watch = telemetry.begin(events)
    assert watch is not None
    watch.end([], status=400, seconds=0.1)
    told = {"cloudevents.event_type": "other", "http.response.status_code": 400, "error.type": "400"}
    assert recorder.metrics()["doorman.events"] == [(told, 3)]


@pytest.mark.anyio
async def test_a_call_that_breaks_says_how(recorder: Recorder) -> None:
    """By the error's class, never by its text; an answer that is an error by its status."""
    answers: list[httpx.Response | Exception] = [httpx.ConnectError("s3cret"), httpx.Response(403)]

    def answer(_: httpx.Request) -> httpx.Response:
        if isinstance(now := answers.pop(0), Exception):
            raise now
        return now

    async with telemetry.client_type()(transport=httpx.MockTransport(answer)) as client:
        with pytest.raises(httpx.ConnectError):
            await client.get("https://cloud.test/v2/images?limit=1")
        await client.get("https://cloud.test/v2/images/9c610047")
    called = {"http.request.method": "GET", "server.address": "cloud.test", "server.port": 443}
    refused = {"http.response.status_code": 403, "error.type": "403"}
    points = recorder.metrics()["http.client.request.duration"]
    assert points == [({**called, "error.type": "ConnectError"}, 1), ({**called, **refused}, 1)]
    broken, forbidden = recorder.spans
    assert [span.status.status_code for span in recorder.spans] == [StatusCode.ERROR] * 2
    assert (broken.status.description, broken.events) == (None, ())
    assert dict(broken.attributes or {})["url.full"] == "https://cloud.test/v2/images?limit=1"
    assert forbidden.name == "GET /v2/images/{id}"


@pytest.mark.anyio
async def test_a_client_outlives_telemetry() -> None:
    """What was opened while it was on works on when it is off."""
    telemetry.set_up(COLLECTOR, connect=pytest.fail)
    client = telemetry.client_type()(transport=httpx.MockTransport(lambda _: httpx.Response(204)))
    telemetry.set_up({})
    async with client:
        assert (await client.get("http://cloud.test")).status_code == 204
    assert telemetry.client_type() is httpx.AsyncClient


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
        telemetry.note("p", {"pending": 1})
        telemetry.count_run("run", code=0, images={})
        with telemetry.span("run", {}) as traceparent, telemetry.within(PARENT):
            assert (traceparent, TRACEPARENT.get()) == (None, None)


def test_telemetry_that_is_not_installed_is_said_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cluster may set the variables for every pod: that ends nothing."""
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    with capture_logs() as logs:
        telemetry.set_up(COLLECTOR)
    fix = "install doorman-image-shares[otel]; the image: requirements-otel.txt"
    assert logs == [{"event": "telemetry.unavailable", "fix": fix, "log_level": "warning"}]
    assert telemetry.begin(()) is None
