"""Tells what became of shares: the outcome events and the sweep's digest, each cut into parts that brokers take.

A value in, a value out, like `events`, on which it builds.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any, TypeVar

from pydantic_core import to_json

from doorman.events.advice import approve_command
from doorman.events.messages import EventType
from doorman.events.writing import EventWriter, derive, event, only
from doorman.models import Cause, CloudEvent, Outcome, OutcomeType

MAX_EVENT = 180_000
"""Bytes of the entries in one event: with everything around them, no event is above 200 KB, which brokers refuse."""

MAX_FACT = 500
"""Characters that are told of one fact: a sharer may give an image as many tags as he likes."""

N = TypeVar("N")

_SEVERITY = {OutcomeType.HELD: "action", OutcomeType.DRIFTED: "action", OutcomeType.FAILED: "error"}


def tell(
    writer: EventWriter,
    outcomes: Iterable[Outcome],
    *,
    causes: Sequence[Cause],
    now: datetime,
    job_id: str | None = None,
) -> tuple[CloudEvent, ...]:
    """Write the outcome events: one per fate, and more where one would grow too large.

    Args:
        causes: the causing events in order of arrival. An outcome whose own cause is not among them (a job's check is
            the cause, the notification stands in the entry) is told with the first.
        job_id: the job that these outcomes are of; ids then derive from it alone.
    """
    events = []
    by_fate = sorted(outcomes, key=lambda outcome: (outcome.fate, outcome.image_id))
    for fate, group in groupby(by_fate, key=lambda outcome: outcome.fate):
        for number, part in enumerate(pack([(outcome, _entry(writer, outcome)) for outcome in group])):
            told = [outcome for outcome, _ in part]
            wanted = {outcome.cause for outcome in told}
            heard = [cause for cause in causes if cause.id in wanted] or causes[:1]
            data = {
                "project_id": writer.project_id,
                "job_id": job_id,
                "policy_digest": writer.policy_digest,
                **(writer.actor or {}),
                "images": [entry for _, entry in part],
            }
            events.append(_tell(writer, fate, told, data=data, causes=heard, now=now, number=number))
    return tuple(events)


def outcome_type(fate: OutcomeType) -> EventType:
    """Give the event type that tells this fate."""
    return EventType(f"dev.doorman.share.{fate}.v1")


def digest(
    writer: EventWriter,
    entries: Sequence[Mapping[str, Any]],
    *,
    count: int,
    oldest: str | None,
    error: str | None,
    cause: Cause,
    now: datetime,
    expired: Sequence[str] = (),
) -> tuple[CloudEvent, ...]:
    """Write the sweep's digest of one project, also when there is nothing to list.

    Args:
        entries: the shares to list, as `PendingEntry`.
        count: all pending shares.
        error: why the project could not be read, or None.
        expired: names of the policy's exceptions that count no more.
    """
    severity = "error" if error else "action" if entries else "info"
    events = []
    for part in pack([(entry["image_id"], entry) for entry in entries]) or [[]]:
        images = sorted(image for image, _ in part)
        data = {
            "project_id": writer.project_id,
            "count": count,
            "oldest_created_at": oldest,
            "images": [entry for _, entry in part],
            "error": error,
            **({"expired_exceptions": list(expired)} if expired else {}),
        }
        key = dedupe(writer, EventType.PENDING, images, [error] if error else [])
        events.append(
            event(
                writer,
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


def _tell(
    writer: EventWriter,
    fate: OutcomeType,
    told: Sequence[Outcome],
    *,
    data: Mapping[str, Any],
    causes: Sequence[Cause],
    now: datetime,
    number: int,
) -> CloudEvent:
    kind, images = outcome_type(fate), [outcome.image_id for outcome in told]
    codes = sorted({outcome.error_code for outcome in told if outcome.error_code})
    consumer = {"severity": _SEVERITY.get(fate, "info"), "dedupekey": dedupe(writer, kind, images, codes)}
    job_id = data["job_id"]
    parts = (
        [sorted(cause.id for cause in causes), images] if job_id is None else [job_id, *([number] if number else [])]
    )
    subject = only(images) or job_id
    return event(writer, kind, data, parts=parts, subject=subject, cause=causes[0], now=now, consumer=consumer)


def pack_size(value: Any) -> int:
    """Give the bytes that a value takes in an event, with its separator."""
    return len(to_json(value)) + 1


def pack(entries: Sequence[tuple[N, Mapping[str, Any]]]) -> list[list[tuple[N, Mapping[str, Any]]]]:
    """Cut entries into parts that each fit into one event."""
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


def _entry(writer: EventWriter, outcome: Outcome) -> dict[str, Any]:
    image_id, reason = outcome.image_id, outcome.reason
    is_held = outcome.fate is OutcomeType.HELD
    advice = {"approve": approve_command(image_id, project_id=writer.project_id, reason=reason)} if is_held else {}
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
        "facts": {fact: str(seen)[:MAX_FACT] for fact, seen in outcome.facts.items()} if outcome.facts else None,
        **advice,
    }


def dedupe(writer: EventWriter, kind: EventType, images: Sequence[str], codes: Sequence[str]) -> str:
    """Derive the key that stays the same as long as the same thing is told of the same subjects."""
    return derive(kind, writer.project_id, sorted(images), list(codes), writer.policy_digest)
