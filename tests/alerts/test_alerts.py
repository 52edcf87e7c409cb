"""The alerts are PromQL, ask for metrics and labels that the code tells, and each is explained in the runbook."""

import re
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider

from doorman.models import CloudEvent, Handled
from doorman.runtime.otel import OtelWatcher
from tests.template.rules_eventing import PING

PROJECT = Path(__file__).parents[2]
RULES: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((PROJECT / "deploy" / "alerts.yaml").read_text("utf-8"))["groups"]
    for rule in group["rules"]
]
SUFFIXES = {"Sum": "_total", "Gauge": ""}
"""What OTLP's way to Prometheus adds to a metric's name, by its kind."""


def told() -> dict[str, set[str]]:
    """Give the metrics that the code tells, as Prometheus names them, with their labels."""
    reader = InMemoryMetricReader()
    watcher = OtelWatcher(TracerProvider(), MeterProvider(metric_readers=[reader]))
    events = [CloudEvent(id="1", source="/t", type=PING)]
    handled = [Handled(counts={"pending": 1, "unread": 1, "failed": 1}, api_calls=1)]
    watcher.begin(events).end(handled, status=204, seconds=0.1)
    data = reader.get_metrics_data()
    assert data is not None
    metrics = [metric for each in data.resource_metrics for scope in each.scope_metrics for metric in scope.metrics]
    return {
        re.sub(r"\W", "_", metric.name) + SUFFIXES[type(metric.data).__name__]: {
            re.sub(r"\W", "_", name) for point in metric.data.data_points for name in point.attributes or {}
        }
        for metric in metrics
        if type(metric.data).__name__ in SUFFIXES
    }


def asked(expression: str) -> set[tuple[str, frozenset[str]]]:
    """Give the metrics that an expression asks for, each with the labels that it selects by."""
    found = re.findall(r"\b(doorman_\w+)(?:\{([^}]*)\})?", expression)
    return {(name, frozenset(re.findall(r"(\w+)=", labels))) for name, labels in found}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_asks_for_what_is_told(rule: dict[str, Any]) -> None:
    """It parses, and no metric or label of ours is misspelt."""
    promql_parser.parse(rule["expr"])
    metrics = told()
    assert [name for name, labels in asked(rule["expr"]) if not labels <= metrics.get(name, set())] == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_is_explained(rule: dict[str, Any]) -> None:
    """Its link leads to a heading of the runbook."""
    file, _, anchor = rule["annotations"]["runbook"].partition("#")
    headings = re.findall(r"(?m)^#+ (.+)$", (PROJECT / file).read_text("utf-8"))
    assert anchor in {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}
    assert anchor == rule["alert"].lower()
