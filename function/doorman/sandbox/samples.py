"""Reads the event files of `events/` into what goes over HTTP: one event, a batch, or a message as it stands."""

import json
from dataclasses import dataclass, field
from pathlib import Path

_PACKAGED = Path(__file__).with_name("events")
EVENTS = _PACKAGED if _PACKAGED.is_dir() else Path(__file__).resolve().parents[3] / "events"
"""The sample events: part of the wheel, and in a checkout the folder beside `function/`."""

STRUCTURED, BATCH = "application/cloudevents+json", "application/cloudevents-batch+json"


@dataclass(frozen=True, slots=True)
class Message:
    """Headers and body of one POST; `is_batch` because a broker takes no batches."""

    headers: dict[str, str]
    body: bytes
    is_batch: bool = field(default=False)


def load(path: Path) -> Message:
    """Read an event file: `.json` in structured or batched mode, `.http` as headers, an empty line and the body.

    What is no JSON goes out as it is, in structured mode: some samples are broken on purpose.

    Raises:
        OSError: the file cannot be read.
    """
    content = path.read_bytes()
    if path.suffix == ".http":
        return _split(content)
    try:
        is_batch = isinstance(json.loads(content), list)
    except ValueError:
        is_batch = False
    return Message({"content-type": BATCH if is_batch else STRUCTURED}, content, is_batch)


def _split(content: bytes) -> Message:
    head, _, body = content.replace(b"\r\n", b"\n").partition(b"\n\n")
    fields = (line.partition(":") for line in head.decode().splitlines()[1:])  # the first line is the request's
    return Message({name.strip().lower(): value.strip() for name, _, value in fields}, body)
