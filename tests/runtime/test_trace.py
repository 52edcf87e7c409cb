"""One share, from the notification to its outcome, as a collector sees it: one trace, each call a span in it."""

import io
import json

import httpx
import pytest

from doorman.events.cloudevents import read
from doorman.events.messages import EventType
from doorman.runtime import logs, telemetry
from doorman.runtime.http import Clients
from doorman.sinks.http import HttpSink
from tests.builders import Play
from tests.chain import RECEIVER, Chain
from tests.runtime.collector import Collector, collector, tree

__all__ = ["collector"]

CLIENT = 3
"""The kind of a call's span, see https://github.com/open-telemetry/opentelemetry-proto"""

CALLER = "2" * 16
PARENT = f"00-{'1' * 32}-{CALLER}-01"
TRIAGE, CHECK = f"process {EventType.NOTIFIED}", f"process {EventType.CHECK}"


def chain_with_sink() -> Chain:
    """A chain whose sink is reached over HTTP, with what may be secret in its URL."""
    chain = Chain()

    async def take(request: httpx.Request) -> httpx.Response:
        chain.tray.events += read(request.headers, await request.aread())
        return httpx.Response(202)

    client = telemetry.client_type()(transport=httpx.MockTransport(take))
    url = "http://user:s3cret@sink.test/doorman/default?token=s3cret"
    sink = HttpSink(url=url, clients=Clients(lambda: client), clock=chain.clock)
    chain.serve(Play(state=chain.cloud, clock=chain.clock, sink=sink).served())  # type: ignore[arg-type]  # no tray
    return chain


@pytest.mark.anyio
async def test_a_share_is_one_trace(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    """Notification, login, lists, members call, job, outcome: each call is a span below its event's."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    telemetry.set_up({"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url})
    chain = chain_with_sink()
    stream = io.StringIO()
    logs.set_up(level="info", form="json", stream=stream)
    notice = {"specversion": "1.0", "id": "n", "source": "/t", "type": EventType.NOTIFIED, "traceparent": PARENT}
    await chain.post(EventType.NOTIFIED, {**notice, "data": {"project_id": RECEIVER, "images": [chain.share()]}})
    await chain.settle()
    telemetry.close()
    spans = collector.spans()
    listed, post = "GET /v2/cloudimages", "POST /doorman/default"
    assert {*tree(spans)} == {
        (CALLER, TRIAGE),
        (TRIAGE, "POST /identity/v3/auth/tokens"),
        (TRIAGE, listed),
        (TRIAGE, "PUT /v1/cloudimages/members"),
        (TRIAGE, post),
        (TRIAGE, CHECK),
        (CHECK, f"GET /v1/{RECEIVER}/jobs/{{id}}"),
        (CHECK, listed),
        (CHECK, "GET /v2/images/{id}/members/receiver"),
        (CHECK, post),
    }
    assert sum(span.kind == CLIENT for span in spans) == len(chain.cloud.calls) + len(chain.tray.events)
    assert {span.trace_id for span in spans} == {"1" * 32}
    assert [event.type for event in chain.tray.events] == [EventType.DECIDED, EventType.CHECK, EventType.ACCEPTED]
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    ids = {span.name: (span.trace_id, span.span_id) for span in spans}
    found = [(line["event"], (line["trace_id"], line["span_id"])) for line in lines]
    assert found == [("event.handled", ids[TRIAGE]), ("outcome", ids[CHECK]), ("event.handled", ids[CHECK])]
    to_sink, *_ = [span for span in spans if span.name == post]
    assert to_sink.attributes == {
        "http.request.method": "POST",
        "server.address": "sink.test",
        "server.port": 80,
        "url.full": "http://sink.test/doorman/default",
        "url.template": "/doorman/default",
        "http.response.status_code": 202,
    }
