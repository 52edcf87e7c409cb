"""Writes `asyncapi.yaml`, the contract of all events, out of the models that read and write them: `make asyncapi`.

Prints; a test holds the committed file to it, and CI has the AsyncAPI project's own parser read it.
"""

import json
import sys
from pathlib import Path
from typing import Any

import yaml
from pydantic.json_schema import models_json_schema

from doorman.events.messages import EventType
from doorman.events.schemas import DATA
from doorman.version import VERSION

SAMPLES = {
    EventType.NOTIFIED: "golden-image.json",
    EventType.CHECK: "job-check.json",
    EventType.SWEEP: "project-sweep.json",
}
TAKEN = {EventType.NOTIFIED: "triage", EventType.CHECK: "check_job", EventType.SWEEP: "sweep"}
"""Which function takes which type; `sweep` takes any event of others as well."""

SUMMARIES = {
    EventType.NOTIFIED: "Images were shared with a project, or so the sender says: a hint, never trusted.",
    EventType.CHECK: "A job was submitted: follow it to its end. For Doorman itself.",
    EventType.SWEEP: "A tick that is spread over events: sweep these projects. For Doorman itself.",
    EventType.DECIDED: "These shares are about to be settled so: told before the call that does it.",
    EventType.ACCEPTED: "The cloud says that these shares are accepted now.",
    EventType.REJECTED: "The cloud says that these shares are rejected now.",
    EventType.HELD: "These shares stay pending until a person decides.",
    EventType.FAILED: "These shares could not be settled; `reason` and `error_code` say why.",
    EventType.SKIPPED: "There was nothing to do: settled already, no longer shared, or an own image.",
    EventType.AUDITED: "What would have been done; nothing was changed.",
    EventType.DRIFTED: "Settled earlier, but not as today's policy would, or withdrawn since.",
    EventType.USED: "Servers that were booted from shares which are not accepted, or would not be accepted today.",
    EventType.PENDING: "The sweep's report of one project: a heartbeat, and the list of what waits for a person.",
}
ATTRIBUTES = {
    "id": "Two events with one id say the same (Doorman's ids are UUIDv5s of the content): drop what you have seen.",
    "source": "`/doorman/<region or ->/<project ID>` where Doorman is the sender.",
    "type": "Carries the version of the data.",
    "specversion": "CloudEvents 1.0.",
    "time": "When the event was made (RFC 3339).",
    "subject": "The image or job ID where there is just one.",
    "dataschema": "`urn:doorman:schema:<type>`.",
    "causationid": "The id of the causing event.",
    "correlationid": "The id of the first event of the chain.",
    "traceparent": "W3C trace context, passed on.",
    "tracestate": "W3C trace context, passed on.",
    "scope": "Of a tick: `pending` or `settled`, where it looks at one of them only; passed on by `project.sweep`.",
    "daily": "Of a tick: there where it is the daily one; passed on, also to `shares.pending` and `share.drifted`.",
}
FOR_CONSUMERS = {
    "severity": "`info`, `action` (a person should look) or `error`.",
    "severitytext": "The same in the words of OpenTelemetry: `INFO`, `WARN` or `ERROR`.",
    "severitynumber": "The same as a number: 9, 13 or 17.",
    "dedupekey": "The same as long as the same thing is told: tell a chat or a ticket system once per key.",
}
REQUIRED = ("id", "source", "type", "specversion")


def document() -> dict[str, Any]:
    """Compose the AsyncAPI document.

    See https://www.asyncapi.com/docs/reference/specification/v3.0.0
    """
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Doorman's events",
            "version": VERSION,
            "description": "CloudEvents 1.0 over HTTP: taken in binary, structured and batched mode, sent in binary.",
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "broker": {
                "host": "kafka-broker-ingress.knative-eventing.svc.cluster.local",
                "pathname": "/doorman/default",
                "protocol": "http",
                "description": "The Broker of template.yaml; any HTTP endpoint of yours in K_SINK does as well.",
            }
        },
        "channels": {
            "events": {
                "address": "/",
                "description": "One address for all; Triggers pick by type.",
                "messages": {_name(kind): {"$ref": f"#/components/messages/{_name(kind)}"} for kind in EventType},
            }
        },
        "operations": _operations(),
        "components": {
            "messages": {_name(kind): _message(kind) for kind in EventType},
            "messageTraits": {
                "cloudevent": {"headers": _headers(ATTRIBUTES)},
                "told": {"headers": _headers(FOR_CONSUMERS)},
            },
            "schemas": _untitled(_schemas()),
        },
    }


def render() -> str:
    """Write the document as YAML, the same every time."""
    return "# Written by docs/asyncapi.py (make asyncapi): change the models, not this file.\n" + yaml.safe_dump(
        document(), sort_keys=False, allow_unicode=True, width=120
    )


def _operations() -> dict[str, Any]:
    taken = {
        function: {"action": "receive", "summary": f"The function `{function}`.", **_on(kind)}
        for kind, function in TAKEN.items()
    }
    sent = {f"tell_{_name(kind)}": {"action": "send", "summary": SUMMARIES[kind], **_on(kind)} for kind in EventType}
    return {**taken, **sent}


def _on(kind: EventType) -> dict[str, Any]:
    message = {"$ref": f"#/channels/events/messages/{_name(kind)}"}
    return {"channel": {"$ref": "#/channels/events"}, "messages": [message]}


def _message(kind: EventType) -> dict[str, Any]:
    traits = ["cloudevent"] if kind in TAKEN else ["cloudevent", "told"]
    message = {
        "name": str(kind),
        "title": _name(kind),
        "summary": SUMMARIES[kind],
        "contentType": "application/json",
        "correlationId": {"location": "$message.header#/ce-correlationid"},
        "traits": [{"$ref": f"#/components/messageTraits/{trait}"} for trait in traits],
        "headers": {"type": "object", "properties": {"ce-type": {"const": str(kind)}}},
        "payload": {"$ref": f"#/components/schemas/{DATA[kind].__name__}"},
    }
    return message | ({"examples": [_example(kind)]} if kind in SAMPLES else {})


def _headers(attributes: dict[str, str]) -> dict[str, Any]:
    headers = {f"ce-{name}": {"type": "string", "description": text} for name, text in attributes.items()}
    required = [f"ce-{name}" for name in attributes if name in REQUIRED]
    return {"type": "object", "properties": headers, **({"required": required} if required else {})}


def _example(kind: EventType) -> dict[str, Any]:
    path = Path(__file__).parents[1] / "events" / SAMPLES[kind]
    sample = json.loads(path.read_text("utf-8"))
    headers = {f"ce-{name}": value for name, value in sample.items() if name in ATTRIBUTES}
    return {"name": path.stem, "headers": headers, "payload": sample["data"]}


def _schemas() -> dict[str, Any]:
    modes = [(model, "validation") for model in sorted({*DATA.values()}, key=lambda model: model.__name__)]
    _, definitions = models_json_schema(modes, ref_template="#/components/schemas/{model}")  # type: ignore[arg-type]  # the literal is widened
    schemas: dict[str, Any] = definitions["$defs"]
    return schemas


def _untitled(schema: Any) -> Any:
    """Leave out the titles that only repeat a field's name."""
    if isinstance(schema, list):
        return [_untitled(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    return {key: _untitled(value) for key, value in schema.items() if not (key == "title" and isinstance(value, str))}


def _name(kind: EventType) -> str:
    return kind.name.lower()


if __name__ == "__main__":
    sys.stdout.write(render())
