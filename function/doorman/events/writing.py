"""Doorman's events: reads notices and checks out of CloudEvents, writes follow-ups and outcomes, derives their ids.

A value in, a value out: the HTTP form of events is `cloudevents`, their data `messages`; `sinks` send them.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from re import ASCII
from re import compile as regex
from typing import Any
from urllib.parse import quote
from uuid import NAMESPACE_URL, uuid5

from pydantic_core import to_json, to_jsonable_python

from doorman.errors import Rejected
from doorman.events.cloudevents import HEADER_SAFE, MAX_ID
from doorman.events.messages import CLOCK_SKEW, CheckData, EventType, NotifiedData, SweepData, validate
from doorman.models import Cause, CloudEvent, Notice
from doorman.parsing import Json, parse_time

MAX_CHECK = 185_000
"""Bytes of a `job.check`'s data: it is handed on as it came, and brokers refuse more."""

MAX_TRACESTATE = 512
"""Bytes of a trace's state that are passed on, see https://www.w3.org/TR/trace-context/#tracestate-limits"""

MAX_PASSED = 700
"""Bytes that a foreign id or correlation may take in a header: with the trace's state at most 2 KB in all."""

LONGEST = len(quote("\U0010ffff"))
"""Bytes that one character takes at most in a header."""

_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), default=to_jsonable_python)
_NAMESPACE = uuid5(NAMESPACE_URL, "urn:doorman")
_TRACEPARENT = regex(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}", ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class EventWriter:
    """Who tells: the part of every event that does not depend on what is told.

    Attributes:
        actor: data fields of outcomes that say which person decided (`actor`), and why (`reason`).
    """

    project_id: str
    region: str | None
    policy_digest: str
    actor: Mapping[str, str] | None = None

    @property
    def source(self) -> str:
        """The `source` attribute of this project's events."""
        return f"/doorman/{quote(self.region or '-', safe='', errors='replace')}/{self.project_id}"


def read_notice(event: CloudEvent) -> Notice:
    """Read a share notification.

    Raises:
        Rejected: another type, or data out of bounds.
    """
    data = validate(NotifiedData, _data_of(event, EventType.NOTIFIED))
    return Notice(
        project_id=data.project_id,
        images=data.images,
        cause=cause_of(event),
        sent_at=event.time or parse_time(event.extensions.get("knativearrivaltime", "")),
        tries=data.tries,
        tried_vaults=data.tried_vaults,
    )


def read_check(event: CloudEvent, *, now: datetime) -> CheckData:
    """Read a request to follow a job.

    Raises:
        Rejected: another type, data out of bounds, or a submission in the future, which would be followed without end.
    """
    data = _data_of(event, EventType.CHECK)
    if (size := len(data if isinstance(data, Json) else to_json(data))) > MAX_CHECK:
        raise Rejected(f"data: {size} bytes; send at most {MAX_CHECK}")
    check = validate(CheckData, data)
    if check.submitted_at > now + CLOCK_SKEW:
        raise Rejected("data.submitted_at: lies in the future; send the time of the members call")
    return check


def read_sweep(event: CloudEvent) -> tuple[str, ...]:
    """Read which projects a `project.sweep` names.

    Raises:
        Rejected: another type, or data out of bounds.
    """
    return validate(SweepData, _data_of(event, EventType.SWEEP)).projects


def cause_of(event: CloudEvent) -> Cause:
    """Give this event as the cause of its follow-ups: what travels on of it is bounded, as headers are."""
    cause_id = event.id if _fits(event.id, MAX_PASSED) else derive(event.id)
    correlation = event.extensions.get("correlationid", "")
    has_correlation = 0 < len(correlation) <= MAX_ID and _fits(correlation, MAX_PASSED)
    traceparent = event.extensions.get("traceparent", "")
    tracestate = event.extensions.get("tracestate", "")
    has_trace = _TRACEPARENT.fullmatch(traceparent) is not None
    return Cause(
        id=cause_id,
        correlation=correlation if has_correlation else cause_id,
        traceparent=traceparent if has_trace else None,
        tracestate=tracestate if has_trace and tracestate and _fits(tracestate, MAX_TRACESTATE) else None,
    )


def _fits(text: str, most: int) -> bool:
    """Say whether a text takes at most so many bytes in a header, where all but plain ASCII is percent-encoded."""
    return len(text) * LONGEST <= most or len(quote(text, safe=HEADER_SAFE, errors="replace")) <= most


def share_notified_event(
    writer: EventWriter,
    images: Sequence[str],
    *,
    cause: Cause,
    now: datetime,
    tries: int = 1,
    tried_vaults: Sequence[str] = (),
) -> CloudEvent:
    """Write a `share.notified` for at most 1000 images."""
    data: dict[str, Any] = {"project_id": writer.project_id, "images": list(images)}
    if tries > 1:
        data["tries"] = tries
    if tried_vaults:
        data["tried_vaults"] = list(tried_vaults)
    return make_event(writer, EventType.NOTIFIED, data, subject=only(images), cause=cause, now=now)


def job_check_event(writer: EventWriter, check: Mapping[str, Any], *, cause: Cause, now: datetime) -> CloudEvent:
    """Write a `job.check`, whose data is `CheckData` as JSON has it."""
    return make_event(writer, EventType.CHECK, check, subject=check["job_id"], cause=cause, now=now)


def project_sweep_event(
    writer: EventWriter, projects: Sequence[str], *, cause: Cause, now: datetime, marks: Mapping[str, str]
) -> CloudEvent:
    """Write a `project.sweep`; `marks` are the extensions of the tick that it passes on, `scope` and `daily`."""
    data = {"projects": list(projects)}
    return make_event(writer, EventType.SWEEP, data, subject=only(projects), cause=cause, now=now, consumer=marks)


def make_event(
    writer: EventWriter,
    kind: EventType,
    data: Mapping[str, Any],
    *,
    subject: str | None,
    cause: Cause,
    now: datetime,
    consumer: Mapping[str, str] | None = None,
) -> CloudEvent:
    """Write one of our events; its id derives from all that it says, so that two events with one id say the same.

    Args:
        consumer: extensions for whoever reads it, such as `severity`.
    """
    extensions = {"causationid": cause.id, "correlationid": cause.correlation, **(consumer or {})}
    if cause.traceparent:
        extensions["traceparent"] = cause.traceparent
    if cause.tracestate:
        extensions["tracestate"] = cause.tracestate
    return CloudEvent(
        id=derive(kind, writer.source, cause.id, data),
        source=writer.source,
        type=kind,
        subject=subject,
        time=now,
        dataschema=f"urn:doorman:schema:{kind}",
        extensions=extensions,
        data=data,
    )


def derive(*parts: Any) -> str:
    """Derive an id: the same parts, as canonical JSON with sorted keys, give the same UUIDv5."""
    return str(uuid5(_NAMESPACE, _CANONICAL.encode(parts)))


def only(values: Sequence[str]) -> str | None:
    """Give the only one of the values; None where there are more."""
    return values[0] if len(values) == 1 else None


def _data_of(event: CloudEvent, wanted: EventType) -> Any:
    if event.type != wanted:
        raise Rejected(f"type: expected {wanted}, got {event.type[:80]}")
    if not isinstance(event.data, dict | Json):
        raise Rejected("data: expected a JSON object, sent as application/json")
    return event.data
