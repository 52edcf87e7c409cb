"""Reads and writes CloudEvents over HTTP, as the broker needs them: attributes as text, data as bytes.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md
"""

import base64
import binascii
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from doorman.errors import Rejected
from doorman.events.cloudevents import decode_header
from doorman.parsing import parse_time

STRUCTURED, BATCH = "application/cloudevents+json", "application/cloudevents-batch"
VERSIONS = ("1.0", "0.3")
REQUIRED = ("specversion", "id", "source", "type")
OUTCOME = ["dev", "doorman", "share"]
NAME = re.compile(r"[a-z0-9]{1,64}", re.ASCII)
NEEDS_ESCAPE = re.compile(r"[^\x21\x23\x24\x26-\x7e]")


class NotACloudEventError(Exception):
    """The bytes are no CloudEvent; the text says why."""


@dataclass(frozen=True, slots=True)
class Event:
    """A CloudEvent: attributes as text, `datacontenttype` among them, and data as it travels."""

    attributes: Mapping[str, str]
    data: bytes = b""

    @property
    def id(self) -> str:
        """The event's ID."""
        return self.attributes["id"]

    @property
    def type(self) -> str:
        """The event's type."""
        return self.attributes["type"]

    def extended(self, **attributes: str) -> "Event":
        """Copy the event with more attributes, or others."""
        return Event({**self.attributes, **attributes}, self.data)

    def without(self, name: str) -> "Event":
        """Copy the event without one of its attributes."""
        return Event({key: value for key, value in self.attributes.items() if key != name}, self.data)

    def value(self) -> Any:
        """Read the data as JSON, else as text."""
        try:
            return json.loads(self.data) if self.data else None
        except ValueError:
            return self.data.decode(errors="replace")


def outcomes(event: Event) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give how each image ended, with all that is told of it; nothing where the event is none of our outcomes."""
    words, data = event.type.split("."), event.value()
    is_outcome = words[:3] == OUTCOME and words[3:4] not in ([], ["decided"]) and isinstance(data, dict)
    for entry in data.get("images", []) if is_outcome and "policy_digest" in data else []:
        yield words[3], entry


def read(headers: Mapping[str, str], body: bytes) -> Event:
    """Read one event in binary or structured mode; header names in lower case.

    Raises:
        NotACloudEventError: it is none, or a batch, which a Knative ingress does not take.
    """
    content_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type == STRUCTURED:
        return _checked(*_structured(body))
    if content_type.startswith(BATCH):
        raise NotACloudEventError("this is a batch; a broker takes single events, so send it to the function itself")
    try:
        attributes = {name[3:]: decode_header(name, value) for name, value in headers.items() if name.startswith("ce-")}
    except Rejected as error:
        raise NotACloudEventError(str(error)) from error
    if content_type:
        attributes["datacontenttype"] = headers["content-type"]
    return _checked(attributes, body)


def is_meant(headers: Mapping[str, str]) -> bool:
    """Say whether a message means to be a CloudEvent, sound or not."""
    return "ce-specversion" in headers or headers.get("content-type", "").lower().startswith("application/cloudevents")


def binary_headers(event: Event) -> dict[str, str]:
    """Write an event's attributes as the headers of binary mode."""
    headers = {
        f"ce-{name}": NEEDS_ESCAPE.sub(_escape, value)
        for name, value in event.attributes.items()
        if name != "datacontenttype"
    }
    if "datacontenttype" in event.attributes:
        headers["content-type"] = event.attributes["datacontenttype"]
    return headers


def _escape(found: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in found.group().encode())


def _structured(body: bytes) -> tuple[dict[str, str], bytes]:
    try:
        told = json.loads(body)
    except ValueError as error:
        raise NotACloudEventError(f"the body is no JSON: {error}") from error
    if not isinstance(told, dict):
        raise NotACloudEventError("the body is no JSON object")
    attributes = {
        name: _text(value) for name, value in told.items() if name not in {"data", "data_base64"} and value is not None
    }
    if "data_base64" in told:
        try:
            return attributes, base64.b64decode(told["data_base64"], validate=True)
        except (binascii.Error, TypeError, ValueError) as error:
            raise NotACloudEventError("data_base64 is no base64") from error
    if "data" not in told:
        return attributes, b""
    attributes.setdefault("datacontenttype", "application/json")
    return attributes, json.dumps(told["data"], ensure_ascii=False).encode()


def _text(value: object) -> str:
    """Write an attribute's value in its canonical form."""
    return json.dumps(value) if isinstance(value, bool | int) else str(value)


def _checked(attributes: dict[str, str], data: bytes) -> Event:
    for name in REQUIRED:
        if not attributes.get(name):
            raise NotACloudEventError(f"the attribute {name} is missing")
    if attributes["specversion"] not in VERSIONS:
        raise NotACloudEventError(f"specversion is none of {', '.join(VERSIONS)}")
    for name in attributes:
        if not NAME.fullmatch(name):
            raise NotACloudEventError(f"{name!r} is no attribute name")
    if "time" in attributes and parse_time(attributes["time"]) is None:
        raise NotACloudEventError("time is no timestamp")
    return Event(attributes, data)
