"""The CloudEvents format: bytes of an HTTP message into events, and back. Knows no event type of ours, does no I/O.

The CloudEvents SDK is not used here: it fills a missing `time` with now, takes numbers as ids and reads no batches.

See https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md
"""

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote_to_bytes

from pydantic_core import to_json

from doorman.errors import Rejected
from doorman.models import CloudEvent
from doorman.parsing import Json, parse_json, parse_time, write_time

MAX_BODY = 256 * 1024
"""Bytes: near what brokers carry, and what an asynchronous invocation of FunctionGraph takes."""

MAX_BATCH = 100
"""Events in one batch."""

MAX_ID = 256

NAME = re.compile(r"[a-z0-9]+", re.ASCII)
"""What an attribute may be called."""

_CHARSET = re.compile(r'charset\s*=\s*"?([^\s;"]+)')
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")

CORE = frozenset({"specversion", "id", "source", "type", "subject", "time", "datacontenttype", "dataschema"})
"""Attributes of the specification; all others are extensions."""

HEADER_SAFE = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '"%')


class Encoded(Rejected):
    """The body is compressed, which nobody asked for: unpacked it may be a thousand times larger."""


def read(headers: Mapping[str, str], body: bytes) -> tuple[CloudEvent, ...]:
    """Read the events of one HTTP message in binary, structured or batched mode; their data stays unread.

    Args:
        headers: names in lower case, values decoded as Latin-1, as servers do.
        body: the whole message body.

    Raises:
        Encoded: the message is compressed.
        Rejected: the message is no valid CloudEvent; the text names the field.
    """
    check_encoding(headers)
    if len(body) > MAX_BODY:
        raise Rejected(f"body: more than {MAX_BODY} bytes; send at most those")
    media = _media_type(headers.get("content-type", ""))
    if media == "application/cloudevents+json":
        return (from_structured(parse_json(body, "body")),)
    if media == "application/cloudevents-batch+json":
        batch = parse_json(body, "body")
        if not isinstance(batch, list):
            raise Rejected("body: a batch is a JSON array of events")
        if len(batch) > MAX_BATCH:
            raise Rejected(f"body: a batch of {len(batch)} events; send at most {MAX_BATCH}")
        return tuple(from_structured(member, f"[{place}].") for place, member in enumerate(batch))
    if media.startswith("application/cloudevents"):
        raise Rejected(f"content-type: {media[:80]} is not read; send application/cloudevents+json")
    if "ce-specversion" not in headers:
        raise Rejected(
            "not a CloudEvent: send ce-specversion and the other ce- headers, or application/cloudevents+json"
        )
    return (_read_binary(headers, media, body),)


def check_encoding(headers: Mapping[str, str]) -> None:
    """Make sure that a body is sent as it is.

    Raises:
        Encoded: it is compressed.
    """
    encoding = headers.get("content-encoding", "").strip().lower()
    if encoding not in {"", "identity"}:
        raise Encoded(f"content-encoding: {encoding[:40]} is not read; send the body as it is")


def data_of(event: CloudEvent) -> Any:
    """Read the data of an event.

    Raises:
        Rejected: it is no JSON.
    """
    return parse_json(event.data, "data") if isinstance(event.data, Json) else event.data


def write(event: CloudEvent) -> tuple[dict[str, str], bytes]:
    """Write one event in binary mode: HTTP headers and body."""
    attributes = _attributes(event)
    content_type = attributes.pop("datacontenttype")
    headers = {f"ce-{name}": quote(value, safe=HEADER_SAFE) for name, value in attributes.items()}
    data = event.data if isinstance(event.data, Json) else to_json(event.data)
    return {"content-type": content_type, **headers}, data


def to_structured(event: CloudEvent) -> dict[str, Any]:
    """Give one event as the JSON object of structured mode."""
    return {**_attributes(event), "data": data_of(event)}


def _attributes(event: CloudEvent) -> dict[str, str]:
    """Give all attributes that are set."""
    own = {
        "specversion": "1.0",
        "id": event.id,
        "source": event.source,
        "type": event.type,
        "subject": event.subject,
        "time": write_time(event.time),
        "datacontenttype": "application/json",
        "dataschema": event.dataschema,
    }
    return {**{name: value for name, value in own.items() if value is not None}, **event.extensions}


def _media_type(content_type: str) -> str:
    media, _, parameters = content_type.lower().partition(";")
    charset = parameters and _CHARSET.search(parameters)
    if charset and charset[1] not in {"utf-8", "utf8", "us-ascii"}:
        raise Rejected(f"content-type: charset {charset[1][:40]} is not read; send utf-8")
    return media.strip()


def from_structured(message: Any, where: str = "") -> CloudEvent:
    """Read one event from the JSON object of structured mode.

    Raises:
        Rejected: it is no valid CloudEvent; the text names the field, after `where`.
    """
    if not isinstance(message, dict):
        raise Rejected(f"{where or 'body'}: an event is a JSON object".replace(".:", ":"))
    data = message.get("data")
    if (encoded := message.get("data_base64")) is not None:
        if data is not None:
            raise Rejected(f"{where}data_base64: comes beside data; send one of them")
        decoded = _decode_base64(encoded, where)
        data = decoded if _is_json(message.get("datacontenttype")) else None
    attributes = {}
    for name, value in message.items():
        if name in {"data", "data_base64"} or value is None:
            continue
        attributes[name] = value if name in CORE else _canonical(value, f"{where}{name[:40]!r}")
    if data is not None and encoded is None:
        data = Json(to_json(data))
    return _build(attributes, data, where)


def _read_binary(headers: Mapping[str, str], media: str, body: bytes) -> CloudEvent:
    attributes = {name[3:]: decode_header(name, value) for name, value in headers.items() if name.startswith("ce-")}
    return _build(attributes, Json(body) if body and _is_json(media) else None, "")


def _is_json(media: object) -> bool:
    """Say whether data of this media type is parsed; of any other, only that there is an event is known."""
    kind = media.partition(";")[0].strip().lower() if isinstance(media, str) else ""
    return kind in {"", "application/json", "text/json"} or kind.endswith("+json")


def decode_header(name: str, value: str) -> str:
    """Undo the encoding of a header's value: double quotes, as older senders write them, percent signs, then UTF-8.

    The specification percent-encodes what is not ASCII; the SDKs of Go and Java send it raw, as UTF-8.

    Raises:
        Rejected: the bytes are no UTF-8.
    """
    if value.isascii() and '"' not in value and "%" not in value:
        return value
    if len(value) > 1 and value[0] == value[-1] == '"':
        value = re.sub(r"\\(.)", r"\1", value[1:-1])
    try:
        return unquote_to_bytes(value.encode("latin-1")).decode()
    except UnicodeError as error:
        raise Rejected(f"{name[3:43]}: not UTF-8, whether raw or percent-encoded") from error


def _build(attributes: Mapping[str, Any], data: Any, where: str) -> CloudEvent:
    if attributes.get("specversion") != "1.0":
        raise Rejected(f'{where}specversion: expected "1.0"')
    for name, value in attributes.items():
        if name not in CORE and NAME.fullmatch(name) is None:
            raise Rejected(f"{where}{name[:40]!r}: attribute names are lower-case letters and digits")
        if not isinstance(value, str) or (name in CORE and not value):
            raise Rejected(f"{where}{name[:40]}: expected a non-empty string")
        if not value.isprintable() and _CONTROL.search(value):
            raise Rejected(f"{where}{name[:40]}: holds a control character")
    for name in ("id", "source", "type"):
        if name not in attributes:
            raise Rejected(f"{where}{name}: missing; every CloudEvent has one")
    if len(attributes["id"]) > MAX_ID:
        raise Rejected(f"{where}id: longer than {MAX_ID} characters")
    time = None
    if "time" in attributes and (time := parse_time(attributes["time"])) is None:
        raise Rejected(f"{where}time: expected RFC 3339, such as 2026-01-31T08:30:00Z")
    return CloudEvent(
        id=attributes["id"],
        source=attributes["source"],
        type=attributes["type"],
        subject=attributes.get("subject"),
        time=time,
        dataschema=attributes.get("dataschema"),
        extensions={name: value for name, value in attributes.items() if name not in CORE},
        data=data,
    )


def _canonical(value: object, where: str) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return value
    raise Rejected(f"{where}: expected a string, an integer or a boolean")


def _decode_base64(text: object, where: str) -> Json:
    try:
        return Json(base64.b64decode(text if isinstance(text, str) else "!", validate=True))
    except (binascii.Error, ValueError) as error:
        raise Rejected(f"{where}data_base64: not base64") from error
