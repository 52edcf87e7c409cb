"""FunctionGraph's trigger payloads into our events: CTS, SMN, LTS, KAFKA, TIMER, or a CloudEvent sent as it is.

The other front door, beside HTTP: it decides nothing about shares and hands nothing on but events.

See https://docs.otc.t-systems.com/function-graph/umn/creating_triggers/
"""

import base64
import binascii
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from pydantic_core import to_json

from doorman.cloud.auth.accounts import Keys
from doorman.entrypoints.functiongraph.cts import MAX_RECEIVERS, Ignored, as_list, as_object, read_trace
from doorman.errors import Rejected
from doorman.events.cloudevents import MAX_BATCH, MAX_BODY, from_structured
from doorman.events.messages import DOCTOR, TICK, EventType
from doorman.events.writing import read_sweep
from doorman.models import CloudEvent, is_plain_id
from doorman.parsing import parse_json, parse_time

_NAMESPACE = uuid5(NAMESPACE_URL, "urn:doorman:functiongraph")
_KINDS = frozenset({"record", "lts", "cts", "trace_name", "specversion"})
_ACTIONS = {"sweep": TICK, "doctor": DOCTOR}
_OURS = frozenset({EventType.NOTIFIED, EventType.CHECK, EventType.SWEEP, TICK})
_Reader = Callable[[Any], "list[CloudEvent] | Ignored"]


@dataclass(frozen=True, slots=True)
class Unwrapped:
    """What a payload asks for: the events to handle, and each reason why its other parts ask nothing."""

    events: tuple[CloudEvent, ...] = ()
    ignored: tuple[Ignored, ...] = ()


def read_payload(body: bytes) -> dict[str, Any]:
    """Read the body of one invocation.

    Raises:
        Rejected: larger than 256 KB, no JSON object, or nothing that a trigger of ours sends; the text names the field.
    """
    if len(body) > MAX_BODY:
        raise Rejected(f"payload: {len(body)} bytes; send at most {MAX_BODY}")
    payload = parse_json(body, "payload")
    if not isinstance(payload, dict):
        raise Rejected("payload: expected a JSON object")
    is_known = payload.get("trigger_type") in ("TIMER", "KAFKA") or payload.keys() & _KINDS
    if not is_known:
        raise Rejected("payload: expected cts, record, lts, trigger_type TIMER or KAFKA, or a CloudEvent")
    return payload


def unwrap(payload: Mapping[str, Any], *, served: Collection[str]) -> Unwrapped:
    """Find the events in a payload.

    Args:
        served: IDs of the projects that we serve.

    Raises:
        Rejected: a part of the payload is malformed; the text names it.
    """
    if payload.get("trigger_type") == "TIMER":
        return _gather([_read_timer(payload)])
    return _gather(_read_all(payload, partial(_read_item, served=served)))


def unwrap_for_sender(payload: Mapping[str, Any], *, receivers: Collection[str]) -> Unwrapped:
    """Find what a sender passes on: its own traces, and no event, which might be one that it sent.

    Args:
        receivers: IDs of the projects to tell; none: all that the traces name.

    Raises:
        Rejected: a part of the payload is malformed, or it leads to too many notices.
    """
    read = partial(_read_trace_of, served=receivers, is_sender=True)
    found = _gather([Ignored.OTHER_TYPE] if payload.get("trigger_type") == "TIMER" else _read_all(payload, read))
    if len(found.events) > MAX_RECEIVERS:
        raise Rejected(f"payload: leads to {len(found.events)} notices; send what leads to at most {MAX_RECEIVERS}")
    return found


def _read_all(payload: Mapping[str, Any], read: _Reader) -> Iterator[list[CloudEvent] | Ignored]:
    if payload.get("trigger_type") == "KAFKA":
        records = as_list(payload.get("records"))
        messages = [each for record in records for each in as_list(as_object(record).get("messages"))]
    elif "record" in payload:
        messages = [as_object(as_object(record).get("smn")).get("message") for record in as_list(payload["record"])]
    elif "lts" in payload:
        messages = _lts_messages(payload)
    else:
        return iter([read(payload)])
    return (_read_message(text, read) for text in messages)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What the engine lends to one call: the function's project, and a token or temporary keys of its agency."""

    project_id: str
    lent: str | Keys = field(repr=False)


def read_grant(headers: Mapping[str, str]) -> Grant | None:
    """Read the `X-CFF-*` headers of a call; None where they bring no credentials ("Include Keys" is off).

    Args:
        headers: found by names in lower case.
    """
    project_id = _header(headers, "x-cff-project-id")
    access, secret = _header(headers, "x-cff-security-access-key"), _header(headers, "x-cff-security-secret-key")
    lent: str | Keys | None = _header(headers, "x-cff-auth-token")
    if access and secret:
        lent = Keys(access=access, secret=secret, token=_header(headers, "x-cff-security-token"))
    return Grant(project_id=project_id, lent=lent) if project_id and is_plain_id(project_id) and lent else None


def _header(headers: Mapping[str, str], name: str) -> str | None:
    value = headers.get(name, "").strip()
    return value if value and value.lower() != "null" else None  # the engine writes a missing value as the text null


def _gather(items: Iterable[list[CloudEvent] | Ignored]) -> Unwrapped:
    events: dict[bytes, CloudEvent] = {}
    ignored: list[Ignored] = []
    for item in items:
        if isinstance(item, Ignored):
            ignored.append(item)
            continue
        for event in item:
            events.setdefault(to_json((event.source, event.id, event.type, event.data)), event)
    if not events and not ignored:
        ignored.append(Ignored.NOTHING_INSIDE)
    # Notices share their batches, and nobody can make a batch of traces smaller; checks and ticks cost calls each.
    if (count := sum(event.type != EventType.NOTIFIED for event in events.values())) > MAX_BATCH:
        raise Rejected(f"payload: {count} checks and ticks; send at most {MAX_BATCH}")
    return Unwrapped(tuple(events.values()), tuple(dict.fromkeys(ignored)))


def _read_message(message: Any, read: _Reader) -> list[CloudEvent] | Ignored:
    try:
        return read(parse_json(message, "message") if isinstance(message, str) else message)
    except Rejected:
        return Ignored.NOT_AN_EVENT  # anybody may write to a topic or a log: its neighbours are read all the same


def _read_item(item: Any, *, served: Collection[str]) -> list[CloudEvent] | Ignored:
    item = as_object(item)
    if "specversion" in item:
        event = from_structured(item)
        if event.type == EventType.SWEEP:
            read_sweep(event)  # here, since all that ask for a sweep are worked off together
        return [event] if event.type in _OURS else Ignored.OTHER_TYPE
    return _read_trace_of(item, served=served)


def _read_trace_of(item: Any, *, served: Collection[str], is_sender: bool = False) -> list[CloudEvent] | Ignored:
    item = as_object(item)
    trace = as_object(item.get("cts", item))
    return read_trace(trace, served, is_sender=is_sender) if "trace_name" in trace else Ignored.NOT_AN_EVENT


def _read_timer(payload: Mapping[str, Any]) -> list[CloudEvent] | Ignored:
    name, time, wish = payload.get("trigger_name"), payload.get("time"), payload.get("user_event")
    if not isinstance(name, str) or not isinstance(time, str) or not time:
        raise Rejected("payload: a TIMER has trigger_name and time as strings")
    action = str(as_object(wish).get("action", "sweep"))  # any other text is a note to people
    if action not in _ACTIONS:
        return Ignored.OTHER_ACTION
    tick = str(uuid5(_NAMESPACE, to_json([name, time]).decode()))
    return [CloudEvent(id=tick, source="/functiongraph/timer", type=_ACTIONS[action], time=parse_time(time))]


def _lts_messages(payload: Mapping[str, Any]) -> list[Any]:
    data = as_object(payload["lts"]).get("data")
    try:
        text = base64.b64decode(data if isinstance(data, str) else "!", validate=True)
    except (binascii.Error, ValueError) as error:
        raise Rejected("lts.data: not base64") from error
    logs = as_object(parse_json(text, "lts.data")).get("logs")
    entries = as_list(parse_json(logs, "lts.data.logs") if isinstance(logs, str) else logs)
    return [as_object(entry).get("message") for entry in entries]
