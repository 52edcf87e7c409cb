"""Reads event files into HTTP messages: a JSON object, a JSON array (a batch), or a whole request (binary mode).

Only the form: whether the message is a sound event is for `cloudevents` to say, and malformed samples can be sent too.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

_STRUCTURED: Final = {"content-type": "application/cloudevents+json"}
_BATCHED: Final = {"content-type": "application/cloudevents-batch+json"}
_VERBS: Final = (b"POST ", b"PUT ")


@dataclass(frozen=True, slots=True)
class Message:
    """An HTTP message without its address; header names in lower case, values decoded as Latin-1, as servers do."""

    headers: Mapping[str, str]
    body: bytes


def read_message(data: bytes) -> Message:
    """Read the content of an event file, see `events/README.md` for the forms."""
    if data.startswith(_VERBS):
        return _read_request(data.replace(b"\r\n", b"\n"))
    return Message(_BATCHED if data.lstrip().startswith(b"[") else _STRUCTURED, data)


def _read_request(data: bytes) -> Message:
    head, _, body = data.partition(b"\n\n")
    lines = (line.partition(":") for line in head.decode("latin-1").split("\n")[1:])
    return Message({name.strip().lower(): value.strip() for name, _, value in lines}, body)
