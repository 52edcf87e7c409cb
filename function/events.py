"""Doorman's events: reads notices and checks out of CloudEvents, writes follow-ups and outcomes, derives their ids.

A value in, a value out: the HTTP form of events is `cloudevents`, their data `messages`, sending is `sink`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from re import ASCII
from re import compile as regex
from typing import Any, TypeVar
from uuid import NAMESPACE_URL, uuid5

from pydantic_core import to_json

from .cloudevents import MAX_ID, CloudEvent, parse_time
from .errors import Rejected
from .messages import CLOCK_SKEW, CheckData, EventType, NotifiedData, validate
from .shares import Cause, Fate, Notice, Outcome

MAX_EVENT = 190_000
"""Bytes of the entries in one event: brokers and the function engine refuse more than about 200 KB in all."""

N = TypeVar("N")

_NAMESPACE = uuid5(NAMESPACE_URL, "urn:doorman")
_TRACEPARENT = regex(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}", ASCII)
_SEVERITY = {Fate.HELD: "action", Fate.DRIFTED: "action", Fate.FAILED: "error"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Teller:
    """Who tells: the part of every event that does not depend on what is told."""

    project_id: str
    region: str | None
    policy_digest: str

    @property
    def source(self) -> str:
        """The `source` attribute of this project's events."""
        return f"/doorman/{self.region or '-'}/{self.project_id}"


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
    check = validate(CheckData, _data_of(event, EventType.CHECK))
    if check.submitted_at > now + CLOCK_SKEW:
        raise Rejected("data.submitted_at: lies in the future; send the time of the members call")
    return check


def cause_of(event: CloudEvent) -> Cause:
    """Give this event as the cause of its follow-ups."""
    correlation = event.extensions.get("correlationid", "")
    traceparent = event.extensions.get("traceparent", "")
    has_trace = _TRACEPARENT.fullmatch(traceparent) is not None
    return Cause(
        id=event.id,
        correlation=correlation if 0 < len(correlation) <= MAX_ID else event.id,
        traceparent=traceparent if has_trace else None,
        tracestate=(event.extensions.get("tracestate") or None) if has_trace else None,
    )


def notify(
    teller: Teller,
    images: Sequence[str],
    *,
    cause: Cause,
    now: datetime,
    tries: int = 1,
    tried_vaults: Sequence[str] = (),
) -> CloudEvent:
    """Write a `share.notified` for at most 1000 images."""
    data: dict[str, Any] = {"project_id": teller.project_id, "images": list(images)}
    if tries > 1:
        data["tries"] = tries
    if tried_vaults:
        data["tried_vaults"] = list(tried_vaults)
    return _event(
        teller,
        EventType.NOTIFIED,
        data,
        parts=[[cause.id], sorted(images)],
        subject=_only(images),
        cause=cause,
        now=now,
    )


def follow(teller: Teller, check: CheckData, *, cause: Cause, now: datetime) -> CloudEvent:
    """Write a `job.check`; its id is the same for the same (project, job, attempt)."""
    return _event(
        teller,
        EventType.CHECK,
        check.model_dump(mode="json"),
        parts=[check.job_id, check.attempt],
        subject=check.job_id,
        cause=cause,
        now=now,
    )


def tell(
    teller: Teller,
    outcomes: Iterable[Outcome],
    *,
    causes: Sequence[Cause],
    now: datetime,
    job_id: str | None = None,
    actor: Mapping[str, str] | None = None,
) -> tuple[CloudEvent, ...]:
    """Write the outcome events: one per fate, and more where one would grow too large.

    Args:
        causes: the causing events in order of arrival. An outcome whose own cause is not among them (a job's check is
            the cause, the notification stands in the entry) is told with the first.
        job_id: the job that these outcomes are of; ids then derive from it alone.
        actor: further data fields that say who decided (`actor`, `reason`).
    """
    events = []
    by_fate = sorted(outcomes, key=lambda outcome: outcome.fate)
    for fate, group in groupby(by_fate, key=lambda outcome: outcome.fate):
        entries = sorted(group, key=lambda outcome: outcome.image_id)
        for number, part in enumerate(_pack([(entry, _entry(entry)) for entry in entries])):
            told = [outcome for outcome, _ in part]
            wanted = {outcome.cause for outcome in told}
            heard = [cause for cause in causes if cause.id in wanted] or causes[:1]
            data = {
                "project_id": teller.project_id,
                "job_id": job_id,
                "policy_digest": teller.policy_digest,
                **(actor or {}),
                "images": [entry for _, entry in part],
            }
            images = [outcome.image_id for outcome in told]
            ids: list[Any] = (
                [sorted(cause.id for cause in heard), images]
                if job_id is None
                else [job_id, *([number] if number else [])]
            )
            severity = _SEVERITY.get(fate, "info")
            codes = sorted({outcome.error_code for outcome in told if outcome.error_code})
            events.append(
                _event(
                    teller,
                    outcome_type(fate),
                    data,
                    parts=ids,
                    subject=_only(images) or job_id,
                    cause=heard[0],
                    now=now,
                    consumer={"severity": severity, "dedupekey": _dedupe(teller, outcome_type(fate), images, codes)},
                )
            )
    return tuple(events)


def outcome_type(fate: Fate) -> EventType:
    """Give the event type that tells this fate."""
    return EventType(f"dev.doorman.share.{fate}.v1")


def digest(
    teller: Teller,
    entries: Sequence[Mapping[str, Any]],
    *,
    count: int,
    oldest: str | None,
    error: str | None,
    cause: Cause,
    now: datetime,
) -> tuple[CloudEvent, ...]:
    """Write the sweep's digest of one project, also when there is nothing to list.

    Args:
        entries: the shares to list, as `PendingEntry`.
        count: all pending shares.
        error: why the project could not be read, or None.
    """
    severity = "error" if error else "action" if entries else "info"
    events = []
    for part in _pack([(entry["image_id"], entry) for entry in entries]) or [[]]:
        images = sorted(image for image, _ in part)
        data = {
            "project_id": teller.project_id,
            "count": count,
            "oldest_created_at": oldest,
            "images": [entry for _, entry in part],
            "error": error,
        }
        key = _dedupe(teller, EventType.PENDING, images, [error] if error else [])
        events.append(
            _event(
                teller,
                EventType.PENDING,
                data,
                parts=[[cause.id], images],
                subject=None,
                cause=cause,
                now=now,
                consumer={"severity": severity, "dedupekey": key},
            )
        )
    return tuple(events)


def pack_size(value: Any) -> int:
    """Give the bytes that a value takes in an event, with its separator."""
    return len(to_json(value)) + 1


def _pack(entries: Sequence[tuple[N, Mapping[str, Any]]]) -> list[list[tuple[N, Mapping[str, Any]]]]:
    parts: list[list[tuple[N, Mapping[str, Any]]]] = []
    room = 0
    for noun, entry in entries:
        size = pack_size(entry)
        if size > room:
            parts.append([])
            room = MAX_EVENT
        parts[-1].append((noun, entry))
        room -= size
    return parts


def _entry(outcome: Outcome) -> dict[str, Any]:
    return {
        "image_id": outcome.image_id,
        "name": outcome.name,
        "owner": outcome.owner,
        "rule": outcome.rule,
        "reason": outcome.reason.value,
        "member_status": outcome.member_status,
        "error_code": outcome.error_code,
        "vault_id": outcome.vault_id,
        "cause": outcome.cause,
        "decision": outcome.decision,
        "facts": dict(outcome.facts) if outcome.facts else None,
    }


def _event(
    teller: Teller,
    kind: EventType,
    data: Mapping[str, Any],
    *,
    parts: Sequence[Any],
    subject: str | None,
    cause: Cause,
    now: datetime,
    consumer: Mapping[str, str] | None = None,
) -> CloudEvent:
    extensions = {"causationid": cause.id, "correlationid": cause.correlation, **(consumer or {})}
    if cause.traceparent:
        extensions["traceparent"] = cause.traceparent
    if cause.tracestate:
        extensions["tracestate"] = cause.tracestate
    return CloudEvent(
        id=_derive(kind, teller.project_id, *parts),
        source=teller.source,
        type=kind,
        subject=subject,
        time=now,
        dataschema=f"urn:doorman:schema:{kind}",
        extensions=extensions,
        data=data,
    )


def _dedupe(teller: Teller, kind: EventType, images: Sequence[str], codes: Sequence[str]) -> str:
    return _derive(kind, teller.project_id, sorted(images), list(codes), teller.policy_digest)


def _derive(*parts: Any) -> str:
    return str(uuid5(_NAMESPACE, to_json(parts).decode()))


def _only(values: Sequence[str]) -> str | None:
    return values[0] if len(values) == 1 else None


def _data_of(event: CloudEvent, wanted: EventType) -> Any:
    if event.type != wanted:
        raise Rejected(f"type: expected {wanted}, got {event.type[:80]}")
    if not isinstance(event.data, dict):
        raise Rejected("data: expected a JSON object")
    return event.data
