"""`doorman run` is one trace, sent before the command ends, with log lines and outcomes that bear its ids."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from doorman.entrypoints.cli.main import main
from doorman.runtime import telemetry
from doorman.sandbox.state import Cloud
from tests.chain import GOLDEN
from tests.runtime.collector import Collector, tree


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    """A collector that the environment names."""
    with Collector() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        yield collector
        telemetry.close()
        collector.shutdown()


def test_a_run_is_one_trace(cloud: Cloud, sink: str, taken: list[dict[str, Any]], collector: Collector) -> None:
    """Lists, members call, job and outcome lie below the run; the metrics say how it ended."""
    cloud.add_share(GOLDEN, "receiver")
    assert main(["run"]) == 0
    spans = collector.spans()
    run, listed = "doorman run", "GET /v2/cloudimages"
    found = {*tree(spans)}
    assert found >= {("", run), (run, listed), (run, "PUT /v1/cloudimages/members"), (run, "POST /")}
    assert {parent for parent, _ in found} == {"", run}
    assert {name.partition("jobs/")[0] for _, name in found} >= {"GET /v1/receiver/"}
    assert len({span.trace_id for span in spans}) == 1
    told = ["dev.doorman.share.decided.v1", "dev.doorman.share.accepted.v1"]
    assert [event["type"] for event in taken] == told
    assert {event["traceparent"][3:52] for event in taken} == {f"{spans[0].trace_id}-{spans[0].span_id}"}
    assert collector.metrics() == {"doorman.runs", "doorman.images", "http.client.request.duration"}


def test_the_lines_of_a_run_bear_its_ids(
    cloud: Cloud, collector: Collector, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """So that they are found beside its trace."""
    monkeypatch.setenv("LOG_FORMAT", "json")
    cloud.fail_image(cloud.add_share(GOLDEN, "receiver"), "IMG.0001")
    assert main(["run"]) == 1
    (run, *_) = collector.spans()
    (line,) = map(json.loads, capsys.readouterr().err.splitlines())
    assert (line["event"], line["trace_id"], line["span_id"]) == ("job.failed", run.trace_id, run.span_id)


def test_a_project_that_cannot_be_read_is_noted(
    cloud: Cloud, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By name, beside the exit code."""
    monkeypatch.setenv("OS_PROJECT_ID", "receiver,unknown")
    assert main(["run"]) == 1
    assert collector.metrics() == {"doorman.runs", "doorman.unread", "http.client.request.duration"}
