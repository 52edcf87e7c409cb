"""Writes what others' tools take ready-made: Prometheus' rules for its operator, and an EventType for every event.

`python -m deploy.ready_made` writes both files below `kustomize/components`; a test holds them to their sources.
"""

import json
import sys
from pathlib import Path
from typing import Any

import yaml

from docs.asyncapi import SUMMARIES
from doorman.events.messages import EventType

HERE = Path(__file__).parent
COMPONENTS = HERE / "kustomize" / "components"


def prometheus_rule() -> dict[str, Any]:
    """Wrap `alerts.yaml` as the Prometheus operator takes it.

    See https://prometheus-operator.dev/docs/api-reference/api/#monitoring.coreos.com/v1.PrometheusRule
    """
    groups = yaml.safe_load((HERE / "alerts.yaml").read_text("utf-8"))["groups"]
    metadata = _metadata("doorman", component="alerts")
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": metadata,
        "spec": {"groups": groups},
    }


def event_type(kind: EventType) -> dict[str, Any]:
    """Describe one of our events for the Broker's registry.

    See https://knative.dev/docs/eventing/event-registry/
    """
    name = kind.removeprefix("dev.doorman.").replace(".", "-")
    broker = {"apiVersion": "eventing.knative.dev/v1", "kind": "Broker", "name": "default"}
    spec = {"type": str(kind), "schema": _schema(kind), "description": SUMMARIES[kind], "reference": broker}
    metadata = _metadata(name, component="broker")
    return {"apiVersion": "eventing.knative.dev/v1beta2", "kind": "EventType", "metadata": metadata, "spec": spec}


def _metadata(name: str, *, component: str) -> dict[str, Any]:
    return {"name": name, "labels": {"app.kubernetes.io/component": component}}


def _schema(kind: EventType) -> str:
    """Give the `dataschema` that events of this type bear, by the pattern of a sample."""
    sample = json.loads((HERE.parent / "events" / "told" / "accepted.json").read_text("utf-8"))
    return str(sample["dataschema"]).replace(sample["type"], kind)


def render() -> dict[Path, str]:
    """Give each file's text, the same every time."""
    documents = {
        COMPONENTS / "alerts" / "rule.yaml": [prometheus_rule()],
        COMPONENTS / "event-types" / "event-types.yaml": [event_type(kind) for kind in EventType],
    }
    heading = "# Written by deploy/ready_made.py: change its sources, not this file.\n"
    return {
        path: heading + yaml.safe_dump_all(each, sort_keys=False, allow_unicode=True, width=120)
        for path, each in documents.items()
    }


if __name__ == "__main__":
    for path, text in render().items():
        path.write_text(text, "utf-8")
    sys.stdout.write("written: deploy/kustomize/components/{alerts,event-types}\n")
