"""Alerts and dashboard are PromQL, ask for metrics and labels that the code tells, and each alert is explained."""

import json
import re
from pathlib import Path
from typing import Any

import httpx
import promql_parser
import pytest
import yaml
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider

from doorman.errors import NotVisible
from doorman.models import CloudEvent, Handled
from doorman.runtime.otel import OtelWatcher
from tests.template.rules_eventing import PING

PROJECT = Path(__file__).parents[2]
RULES: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((PROJECT / "deploy" / "alerts.yaml").read_text("utf-8"))["groups"]
    for rule in group["rules"]
]
ALERTS = [rule for rule in RULES if "alert" in rule]
BOARD = json.loads((PROJECT / "deploy" / "grafana" / "doorman.json").read_text("utf-8"))
SHOWN = [(panel["title"], target["expr"]) for panel in BOARD["panels"] for target in panel["targets"]]
ASKED = [*((rule.get("alert") or rule["record"], rule["expr"]) for rule in RULES), *SHOWN]
SUFFIXES = {"Sum": ("_total",), "Gauge": ("",), "Histogram": ("_seconds_bucket", "_seconds_count")}
"""What OTLP's way to Prometheus adds to a metric's name, by its kind."""


def told() -> dict[str, set[str]]:
    """Give the metrics that the code tells, as Prometheus names them, with their labels."""
    reader = InMemoryMetricReader()
    watcher = OtelWatcher(TracerProvider(), MeterProvider(metric_readers=[reader]), event_types=[PING])
    handled = [Handled(counts={"pending": 1, "failed": 1}, api_calls=1, error=NotVisible("not yet"))]
    watcher.begin([CloudEvent(id="1", source="/t", type=PING)]).end(handled, status=503, seconds=0.1)
    watcher.note("7f2a", {"pending": 1, "unread": 1})
    watcher.count_run("run", code=0, images={"accepted": 1})
    with watcher.call(httpx.Request("GET", "https://ims.test/v2/images"), parent=None) as call:
        call.status = 503
    data = reader.get_metrics_data()
    assert data is not None
    metrics = [metric for each in data.resource_metrics for scope in each.scope_metrics for metric in scope.metrics]
    return {
        re.sub(r"\W", "_", metric.name) + suffix: {
            re.sub(r"\W", "_", name) for point in metric.data.data_points for name in point.attributes or {}
        }
        for metric in metrics
        for suffix in SUFFIXES[type(metric.data).__name__]
    }


def asked(expression: str) -> list[tuple[str, set[str]]]:
    """Give the metrics that an expression asks for, each with the labels that it selects or groups by."""
    groups = {label.strip() for each in re.findall(r"by \(([^)]*)\)", expression) for label in each.split(",")}
    found = re.findall(r"\b((?:doorman|http)_\w+)(?:\{([^}]*)\})?", re.sub(r"by \([^)]*\)", "", expression))
    names = [(name, labels) for name, labels in found if not re.search(rf"{name}\s*(=|!)", expression)]
    return [(name, {*re.findall(r"(\w+)[!=]", labels), *groups} - {"le", "job", "on"}) for name, labels in names]


@pytest.mark.parametrize(("name", "expression"), ASKED, ids=[name for name, _ in ASKED])
def test_what_is_asked_for_is_told(name: str, expression: str) -> None:
    """It parses, and no metric or label of ours is misspelt; of the recorded series each is recorded."""
    promql_parser.parse(re.sub(r"\$__\w+", "5m", expression))
    metrics = told()
    assert [name for name, labels in asked(expression) if not labels <= metrics.get(name, set())] == []
    recorded = {rule["record"] for rule in RULES if "record" in rule}
    assert {*re.findall(r"doorman:\w+:\w+", expression)} <= recorded
    assert asked(expression) or re.search("doorman:|kafka_", expression)


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_an_alert_is_explained(rule: dict[str, Any]) -> None:
    """Its link leads to a heading of the runbook."""
    file, _, anchor = rule["annotations"]["runbook"].partition("#")
    headings = re.findall(r"(?m)^#+ (.+)$", (PROJECT / file).read_text("utf-8"))
    assert anchor in {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}
    assert anchor == rule["alert"].lower()
