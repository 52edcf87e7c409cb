"""The committed AsyncAPI document says what the code sends and takes."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator, FormatChecker

from docs.asyncapi import render
from doorman.cloud.api.nova import Server
from doorman.events.cloudevents import write
from doorman.events.messages import CheckData, EventType
from doorman.events.outcomes import decided_events, outcome_events
from doorman.events.writing import EventWriter, job_check_event, project_sweep_event, share_notified_event
from doorman.models import Cause, CloudEvent, Outcome, OutcomeType, Reason
from doorman.planning.image_usage import Use, tell_uses
from doorman.planning.sweep import SweepPlan, pending_report

PROJECT = Path(__file__).parents[2]
DOCUMENT: dict[str, Any] = yaml.safe_load((PROJECT / "docs" / "asyncapi.yaml").read_text("utf-8"))
MESSAGES = {message["name"]: message for message in DOCUMENT["components"]["messages"].values()}
IMAGE = "aeb234e5-c0ad-51c3-8a21-c9f3e3e3c874"
NOW = datetime(2025, 1, 15, 8, tzinfo=UTC)
WRITER = EventWriter(project_id="receiver", region="eu-de", policy_digest="0123456789abcdef")
CAUSE = Cause(id="c", correlation="c", traceparent=f"00-{'1' * 32}-{'2' * 16}-01", tracestate="a=b")


def sent() -> list[CloudEvent]:
    """Give one event of every type, each as the code writes it."""
    check = CheckData(
        project_id="receiver", job_id="j", status="accepted", images=(IMAGE,), submitted_at=NOW, attempt=1
    )
    decided, *outcomes = [
        Outcome(type=kind, image_id=IMAGE, reason=Reason.ALLOWED_OWNER, cause="c", settled_at=NOW)
        for kind in OutcomeType
    ]
    entry = {"image_id": IMAGE, "name": None, "owner": "o", "rule": None, "reason": "held_by_rule"}
    plan = SweepPlan(entries=({**entry, "created_at": None, "shared_at": None},), count=1)
    use = Use(server=Server(server_id="s", name="web", image_id=IMAGE), share=None, reason=Reason.WITHDRAWN)
    return [
        share_notified_event(WRITER, [IMAGE], cause=CAUSE, now=NOW),
        job_check_event(WRITER, check.model_dump(mode="json"), cause=CAUSE, now=NOW),
        project_sweep_event(WRITER, ["receiver"], cause=CAUSE, now=NOW, marks={"scope": "settled", "daily": "true"}),
        *decided_events(WRITER, [decided], status="accepted", vault_id="v", causes=[CAUSE], now=NOW),
        *outcome_events(WRITER, outcomes, causes=[CAUSE], now=NOW),
        *tell_uses(WRITER, [use], cause=CAUSE, now=NOW),
        *pending_report(WRITER, plan, cause=CAUSE, now=NOW),
    ]


def faults(schema: dict[str, Any], value: Any) -> list[str]:
    """Validate a value against a schema of the document."""
    validator = Draft7Validator({**schema, "components": DOCUMENT["components"]}, format_checker=FormatChecker())
    return [error.message for error in validator.iter_errors(value)]


def test_the_committed_document_is_what_the_models_say() -> None:
    """After a change of the models: make asyncapi."""
    assert (PROJECT / "docs" / "asyncapi.yaml").read_text("utf-8") == render()


def test_every_type_is_described() -> None:
    """No event is sent that the document does not know, and none stands there that nobody sends."""
    assert sorted(event.type for event in sent()) == sorted(MESSAGES) == sorted(EventType)


@pytest.mark.parametrize("event", sent(), ids=lambda event: event.type)
def test_what_is_sent_fits_its_schema(event: CloudEvent) -> None:
    """The payload, and every header: those that must be there, and none that is not described."""
    headers, body = write(event)
    message = MESSAGES[event.type]
    traits = [DOCUMENT["components"]["messageTraits"][each["$ref"].rpartition("/")[2]] for each in message["traits"]]
    described = {name for trait in traits for name in trait["headers"]["properties"]}
    required = {name for trait in traits for name in trait["headers"].get("required", ())}
    assert faults(message["payload"], json.loads(body)) == []
    assert required <= set(headers) - {"content-type"} <= described
    assert headers["ce-type"] == message["headers"]["properties"]["ce-type"]["const"]
    assert headers["content-type"] == message["contentType"]


@pytest.mark.parametrize("kind", [EventType.NOTIFIED, EventType.CHECK])
def test_the_samples_fit_their_schemas(kind: EventType) -> None:
    """What the samples send is what the document allows; what they send broken, it does not."""
    found = {"malformed": 0, "right": 0}
    for path in sorted((PROJECT / "events").glob("*.json")):
        try:
            sample = json.loads(path.read_text("utf-8"))
        except ValueError:
            continue
        if not isinstance(sample, dict) or sample.get("type") != kind:
            continue
        is_broken = path.stem.startswith(("malformed", "path-like"))
        assert bool(faults(MESSAGES[kind]["payload"], sample["data"])) == is_broken, path.name
        found["malformed" if is_broken else "right"] += 1
    assert min(found.values()) >= 1


def test_the_examples_are_samples_that_fit() -> None:
    """An example is what its schema takes."""
    examples = {name: message["examples"] for name, message in MESSAGES.items() if "examples" in message}
    found = [faults(MESSAGES[name]["payload"], each["payload"]) for name, all_ in examples.items() for each in all_]
    assert (sorted(examples), found) == ([EventType.CHECK, EventType.SWEEP, EventType.NOTIFIED], [[]] * 3)
