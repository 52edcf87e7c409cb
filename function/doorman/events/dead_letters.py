"""Reads dead letters from wherever they were kept, says why each died, and prepares them to be sent again. Pure.

Reads leniently: an event may have died because it is malformed, and must not be lost for that.

See https://knative.dev/docs/eventing/event-delivery/ for the attributes that a broker adds.
"""

import base64
import binascii
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from pydantic_core import to_json

from doorman.errors import Rejected
from doorman.events.cloudevents import decode_header
from doorman.parsing import as_utf8, parse_json

_STRUCTURED = "application/cloudevents+json"
_ADDED = "knative"
"""What the names of the attributes begin with that a broker adds; it adds them anew."""

_PASSING = frozenset({404, 408, 409, 429})
_NOBODY = "dispatch error: "
"""What a broker says instead of an answer, with code 500, where the subscriber refused or reset the connection."""

_INGRESS = "//broker-ingress."
"""What is in the URL of Knative's own ingress, which takes what subscribers answer with."""


@dataclass(frozen=True, slots=True)
class Letter:
    """One dead letter, as a CloudEvent in the JSON of structured mode, whatever form it was kept in; empty: none."""

    event: Mapping[str, Any]

    @property
    def key(self) -> tuple[str, str]:
        """What names the event: its source and id."""
        return str(self.event.get("source", "")), str(self.event.get("id", ""))

    @property
    def code(self) -> int | None:
        """The last answer of the subscriber; None where there was none, or the broker does not tell."""
        told = str(self.event.get("knativeerrorcode", ""))
        return int(told) if re.fullmatch("[1-5][0-9][0-9]", told) else None

    @property
    def said(self) -> str:
        """What the subscriber said, or what went wrong instead; empty where the broker does not tell."""
        told = self.event.get("knativeerrordata")
        try:
            return base64.b64decode(told, validate=True).decode(errors="replace").strip() if told else ""
        except (binascii.Error, TypeError, ValueError):
            return str(told)

    @property
    def why(self) -> str:
        """Why it died, and whether sending it again can help."""
        if not self.event:
            return "there is no event in this record: nothing to send"
        if self.code == HTTPStatus.INTERNAL_SERVER_ERROR and self.said.startswith(_NOBODY):
            return "nobody answered: send it again"
        if self.code == HTTPStatus.BAD_REQUEST and _INGRESS in str(self.event.get("knativeerrordest")):
            return "the broker refused the event that the subscriber answered with: no need to send this one again"
        return _explain(self.code)

    def revive(self) -> dict[str, Any]:
        """Give the event as it was before it died; its id stays, so that nobody hears of the same thing twice."""
        return {name: value for name, value in self.event.items() if not name.startswith(_ADDED)}


def _explain(code: int | None) -> str:
    """Say what an answer means."""
    if code is None:
        return "no answer in time, none at all, or one with a body: send it again"
    if code == HTTPStatus.INTERNAL_SERVER_ERROR:
        return "a defect of the subscriber, or of the event: see its log first"
    if code in _PASSING or code > HTTPStatus.INTERNAL_SERVER_ERROR:
        return "not possible at that time: send it again"
    if code < HTTPStatus.MULTIPLE_CHOICES:
        return "taken for an error, since the answer had a body: no need to send it again"
    return "refused for good: put right what it says, before or instead of sending it again"


def read_letters(data: bytes, where: str) -> list[Letter]:
    """Read kept dead letters: JSON objects that follow one another, or arrays of them; the same event once.

    Each is a CloudEvent in structured mode, an object with `attributes` and `data`, or a record of Kafka as `kcat -J`
    writes it. Two are the same event where all of them is, but for what brokers added: an id may be missing or wrong.

    Raises:
        Rejected: this is neither; the text names the line.
    """
    found: dict[str, Letter] = {}
    for place, value in _split(as_utf8(data), where):
        letter = Letter(read_kept(value, place))
        found.setdefault(json.dumps(letter.revive() or value, sort_keys=True), letter)
    return list(found.values())


def read_kept(value: Any, where: str) -> Mapping[str, Any]:
    """Read one kept event in any of the forms of `read_letters`; empty where a record of Kafka holds none.

    Raises:
        Rejected: it is neither.
    """
    if not isinstance(value, dict):
        raise Rejected(f"{where}: expected a CloudEvent as a JSON object")
    if isinstance(attributes := value.get("attributes"), dict):
        return {**attributes, "data": value.get("data")}
    if "topic" in value and "payload" in value:
        return _read_record(value)
    if "specversion" not in value and not {"id", "type"} <= value.keys():
        raise Rejected(f"{where}: neither a CloudEvent nor a record of Kafka as `kcat -J` writes it")
    return value


def read_delivery(headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
    """Read a dead letter as a broker delivers it over HTTP, in binary or structured mode.

    Args:
        headers: names in lower case.

    Raises:
        Rejected: it is no CloudEvent at all.
    """
    attributes = {name[3:]: _decode(name, value) for name, value in headers.items() if name.startswith("ce-")}
    return _read_message(headers.get("content-type", ""), attributes, body)


def _decode(name: str, value: str) -> str:
    try:
        return decode_header(name, value)
    except Rejected:
        return value  # perhaps it died of that


def _split(data: bytes, where: str) -> Iterator[tuple[str, Any]]:
    """Give the values that follow one another, each on a line or over many, with where they begin."""
    text, line, start, end = data.decode(errors="surrogateescape"), 1, 0, 0
    while found := re.compile(r"\S").search(text, end):
        line, start = line + text.count("\n", start, found.start()), found.start()
        place = f"{where}:{line}"
        try:
            _, end = json.JSONDecoder().raw_decode(text, start)
        except (ValueError, RecursionError) as error:
            raise Rejected(f"{place}: not JSON ({error})") from error
        value = parse_json(text[start:end].encode(errors="surrogateescape"), place)
        yield from ((place, each) for each in (value if isinstance(value, list) else [value]))


def _read_record(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """Read a record of Kafka: names and values of its headers follow each other; without any it may be structured.

    See https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md
    """
    headers, payload = record.get("headers"), record["payload"]
    headers = headers if isinstance(headers, list) else []
    told = {str(n).lower(): str(v) for n, v in zip(headers[::2], headers[1::2], strict=False) if v is not None}
    attributes = {name.removeprefix("ce_"): value for name, value in told.items() if name.startswith("ce_")}
    body = payload.encode() if isinstance(payload, str) else b"" if payload is None else to_json(payload)
    media = told.get("content-type", "" if attributes else _STRUCTURED)
    is_whole = not attributes and b'"specversion"' in body  # whatever a producer's header calls it
    try:
        event = _read_message(_STRUCTURED if is_whole else media, attributes, body)
    except Rejected:
        return {}  # such as a tombstone
    return event if event.keys() & {"id", "type", "specversion"} else {}


def _read_message(content_type: str, attributes: Mapping[str, str], body: bytes) -> dict[str, Any]:
    media = content_type.partition(";")[0].strip().lower()
    if media == _STRUCTURED:
        event = parse_json(body, "body")
        if not isinstance(event, dict):
            raise Rejected("body: an event is a JSON object")
        return event
    if not attributes:
        raise Rejected("not a CloudEvent: no ce- headers")
    return {**attributes, **_data(media, body)}


def _data(media: str, body: bytes) -> dict[str, Any]:
    """Give a body as the data of structured mode: JSON where it is some, else its bytes."""
    if not body:
        return {}
    try:
        return {"datacontenttype": "application/json", "data": parse_json(body, "data")}
    except Rejected:
        kind = {"datacontenttype": media} if media else {}
        return {**kind, "data_base64": base64.b64encode(body).decode()}
