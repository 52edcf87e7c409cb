"""Reads dead letters from wherever they were kept, says why each died, and makes them fit to be sent again. Pure.

Reads leniently: an event may have died because it is malformed, and must not be lost for that.

See https://knative.dev/docs/eventing/event-delivery/ for the attributes that a broker adds.
"""

import base64
import binascii
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

from doorman.errors import Rejected
from doorman.parsing import parse_json

_STRUCTURED = "application/cloudevents+json"
_ADDED = "knative"
"""What the names of the attributes begin with that a broker adds; it adds them anew."""

_PASSING = frozenset({404, 408, 409, 429})
_KAFKA = "ce_"


@dataclass(frozen=True, slots=True)
class Letter:
    """One dead letter, as a CloudEvent in the JSON of structured mode, whatever form it was kept in."""

    event: Mapping[str, Any]

    @property
    def key(self) -> tuple[str, str]:
        """What makes the event the same as another one: its source and id."""
        return str(self.event.get("source", "")), str(self.event.get("id", ""))

    @property
    def code(self) -> int | None:
        """The last answer of the subscriber; None where there was none, or the broker does not tell."""
        told = str(self.event.get("knativeerrorcode", ""))
        return int(told) if told.isascii() and told.isdecimal() and len(told) < 4 else None  # noqa: PLR2004 - digits of a status

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
        code = self.code
        if code is None:
            return "no answer in time, or none at all: send it again"
        if code == HTTPStatus.INTERNAL_SERVER_ERROR:
            return "a defect of the subscriber, or of the event: see its log first"
        if code in _PASSING or code > HTTPStatus.INTERNAL_SERVER_ERROR:
            return "not possible at that time: send it again"
        if code < HTTPStatus.MULTIPLE_CHOICES:
            return "taken for an error, since the answer had a body: no need to send it again"
        return "refused for good: put right what it says, before or instead of sending it again"

    def revive(self) -> dict[str, Any]:
        """Give the event as it was before it died; its id stays, so that nobody hears of the same thing twice."""
        return {name: value for name, value in self.event.items() if not name.startswith(_ADDED)}


def read_letters(text: bytes | str, where: str) -> list[Letter]:
    """Read kept dead letters: a JSON array, one object, or one object a line; each event once.

    Each is a CloudEvent in structured mode, an object with `attributes` and `data`, or a record of Kafka as `kcat -J`
    writes it.

    Raises:
        Rejected: this is neither; the text names the line.
    """
    found: dict[tuple[str, str], Letter] = {}
    for place, value in _split(text, where):
        letter = Letter(_read(value, place))
        found.setdefault(letter.key, letter)
    return list(found.values())


def read_delivery(headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
    """Read a dead letter as a broker delivers it over HTTP, in binary or structured mode.

    Args:
        headers: names in lower case.

    Raises:
        Rejected: it is no CloudEvent at all.
    """
    media = headers.get("content-type", "").partition(";")[0].strip().lower()
    if media == _STRUCTURED:
        value = parse_json(body, "body")
        if not isinstance(value, dict):
            raise Rejected("body: an event is a JSON object")
        return value
    attributes = {name[3:]: unquote(value) for name, value in headers.items() if name.startswith("ce-")}
    if not attributes:
        raise Rejected("not a CloudEvent: no ce- headers")
    return {**attributes, **_data(media, body)}


def _split(text: bytes | str, where: str) -> Iterator[tuple[str, Any]]:
    try:
        whole = parse_json(text, where)
    except Rejected:
        lines = (text.decode(errors="replace") if isinstance(text, bytes) else text).splitlines()
        for number, line in enumerate(lines, start=1):
            if line.strip():
                yield f"{where}:{number}", parse_json(line, f"{where}:{number}")
    else:
        for value in whole if isinstance(whole, list) else [whole]:
            yield where, value


def _read(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise Rejected(f"{where}: expected a CloudEvent as a JSON object")
    attributes, headers = value.get("attributes"), value.get("headers")
    if isinstance(attributes, dict):
        return {**attributes, "data": value.get("data")}
    if isinstance(headers, list):
        return _read_record(headers, value.get("payload"))
    if "id" not in value or "type" not in value:
        raise Rejected(f"{where}: neither a CloudEvent nor a record of Kafka as `kcat -J` writes it")
    return value


def _read_record(headers: list[Any], payload: Any) -> dict[str, Any]:
    """Read a record of Kafka: names and values of its headers follow each other."""
    told = dict(zip(map(str, headers[::2]), map(str, headers[1::2]), strict=False))
    attributes = {name.removeprefix(_KAFKA): value for name, value in told.items() if name.startswith(_KAFKA)}
    return {**attributes, **_data(told.get("content-type", ""), str(payload or "").encode())}


def _data(media: str, body: bytes) -> dict[str, Any]:
    """Give a body as the data of structured mode: JSON where it is some, else its bytes."""
    if not body:
        return {}
    try:
        return {"datacontenttype": "application/json", "data": parse_json(body, "data")}
    except Rejected:
        kind = {"datacontenttype": media} if media else {}
        return {**kind, "data_base64": base64.b64encode(body).decode()}
