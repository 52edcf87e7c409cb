"""CTS audit traces into share notifications: which of the image service's traces tells a served project of new shares.

A hint like any other event: triage asks the cloud. The person in a trace stays behind here.

See https://docs.otc.t-systems.com/cloud-trace-service/umn/ and the auditing chapter of
https://docs.otc.t-systems.com/image-management-service/umn/
"""

import math
import re
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from typing import Any

from doorman.errors import Rejected
from doorman.events.cloudevents import MAX_ID
from doorman.events.messages import EventType
from doorman.models import MAX_IMAGES, CloudEvent, is_image_id
from doorman.parsing import parse_json, parse_time

MAX_RECEIVERS = 256
"""Notices that a sender makes of one payload: an image can be shared with so many projects."""

_STATUS = re.compile(r"[1-5]\d\d", re.ASCII)
_SHARED, _TAKEN_BACK = "addmember", ("deletemember", "deletememeber")  # the extension API spells it so


class Ignored(StrEnum):
    """Why something in a payload asks nothing of us."""

    NOTHING_INSIDE = "nothing_inside"
    NOT_AN_EVENT = "not_an_event"
    OTHER_TYPE = "other_type"
    OTHER_ACTION = "other_action"
    OTHER_SERVICE = "other_service"
    OTHER_OPERATION = "other_operation"
    OPERATION_FAILED = "operation_failed"
    PROJECT_NOT_SERVED = "project_not_served"
    NO_IMAGE_NAMED = "no_image_named"


def read_trace(
    trace: Mapping[str, Any], served: Collection[str], *, is_sender: bool = False
) -> list[CloudEvent] | Ignored:
    """Read one audit trace into one notification per served project that it names (and per 1000 images).

    Only `addMember` leads anywhere: `updateMember` is what we or a person did, and `deleteMember` leaves nothing to
    decide. A sender tells of it as well: without a time, since there is no share to wait for.

    Args:
        trace: has a `trace_name`; anything else may be missing, and `request` and `response` may be text.
        served: IDs of the projects that we serve, or a sender tells; none: a sender tells all but its own.
        is_sender: the trace is of the project that shares, and others hear of it.

    Raises:
        Rejected: it would be a notification, but its `trace_id` can name no event, or a sender's would be too many.
    """
    name = str(trace["trace_name"]).lower()
    if str(trace.get("service_type")).upper() != "IMS":
        return Ignored.OTHER_SERVICE
    if name != _SHARED and not (is_sender and name in _TAKEN_BACK):
        return Ignored.OTHER_OPERATION
    if _has_failed(trace):
        return Ignored.OPERATION_FAILED
    request, response = as_object(trace.get("request")), as_object(trace.get("response"))
    own = trace.get("project_id") if is_sender else None
    named = [project for project in _receivers(trace, request, response) if project != own]
    receivers = named if is_sender and not served else [project for project in named if project in served]
    if not receivers:
        return Ignored.PROJECT_NOT_SERVED
    images = _images(trace, request, response)
    if not images:
        return Ignored.NO_IMAGE_NAMED
    if is_sender and (count := len(receivers) * math.ceil(len(images) / MAX_IMAGES)) > MAX_RECEIVERS:
        raise Rejected(f"payload: leads to {count} notices; send what leads to at most {MAX_RECEIVERS}")
    time = (_moment(trace.get("time")) or _moment(trace.get("record_time"))) if name == _SHARED else None
    make = partial(CloudEvent, id=_trace_id(trace), source="/functiongraph/cts", type=EventType.NOTIFIED, time=time)
    return [
        make(data={"project_id": project, "images": images[start : start + MAX_IMAGES]})
        for project in receivers
        for start in range(0, len(images), MAX_IMAGES)
    ]


def _has_failed(trace: Mapping[str, Any]) -> bool:
    """Say whether the operation failed: by its HTTP status; where services write none or a 0, by the trace's rating."""
    code = str(trace.get("code"))
    if _STATUS.fullmatch(code):
        return not code.startswith("2")
    return str(trace.get("trace_rating")).lower() != "normal"


def _receivers(trace: Mapping[str, Any], request: Mapping[str, Any], response: Mapping[str, Any]) -> list[str]:
    """Give the projects that the trace shares with.

    No reference shows the body of such a trace: the batch call sends `projects`, the native one `member`. Where none is
    named, the trace's own project is taken for the receiver; is it the sharer, triage finds its own image.
    """
    return (
        _strings(request.get("projects"))
        or _strings(request.get("member"))
        or _strings(response.get("member_id"))
        or _strings(trace.get("project_id"))
    )


def _images(trace: Mapping[str, Any], request: Mapping[str, Any], response: Mapping[str, Any]) -> list[str]:
    return (
        _strings(request.get("images"))
        or _strings(request.get("image_id"))
        or _strings(response.get("image_id"))
        or [image for image in _strings(trace.get("resource_id")) if is_image_id(image)]
    )


def _trace_id(trace: Mapping[str, Any]) -> str:
    trace_id = trace.get("trace_id")
    if not isinstance(trace_id, str) or not trace_id.isprintable() or not 0 < len(trace_id) <= MAX_ID:
        raise Rejected(f"cts.trace_id: expected a string of 1 to {MAX_ID} characters")
    return trace_id


def as_object(value: Any) -> dict[str, Any]:
    """Give a JSON object, also one written as text; anything else is an empty one."""
    if isinstance(value, str):
        try:
            value = parse_json(value, "text")
        except Rejected:
            return {}  # a trace may carry free text where another carries an object
    return value if isinstance(value, dict) else {}


def as_list(value: Any) -> list[Any]:
    """Give a JSON array; anything else is one with itself in it."""
    return value if isinstance(value, list) else [value]


def _strings(value: Any) -> list[str]:
    return list(dict.fromkeys(text for text in as_list(value) if isinstance(text, str) and text))


def _moment(value: Any) -> datetime | None:
    """Read a time of CTS: milliseconds since 1970, or RFC 3339."""
    if isinstance(value, str) and not value.isdecimal():
        return parse_time(value)
    try:
        return datetime.fromtimestamp(int(value) / 1000, UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        return None
