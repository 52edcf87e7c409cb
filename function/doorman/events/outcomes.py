"""Tells what became of shares: outcome events, cut into parts that brokers take.

A value in, a value out, like `writing`, on which it builds.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any, TypeVar

from pydantic_core import to_json

from doorman.events.messages import EventType
from doorman.events.writing import EventWriter, derive, make_event, only
from doorman.models import Cause, CloudEvent, Outcome, OutcomeType, Reason, Status
from doorman.parsing import write_time

MAX_EVENT = 180_000
"""Bytes of the entries in one event: with everything around them, no event is above 200 KB, which brokers refuse."""

MAX_FACT = 500
"""Characters that are told of one fact: a sharer may give an image as many tags as they like."""

FEW = 3
"""Images that are named where people read of several; of more they read how many."""

NEEDS_VAULT = frozenset({Reason.VAULT_MISSING, Reason.VAULT_FAILED})

N = TypeVar("N")

# https://github.com/cloudevents/spec/blob/main/cloudevents/extensions/severity.md
_TEXTS = {"info": "INFO", "action": "WARN", "error": "ERROR"}
_NUMBERS = {"info": 9, "action": 13, "error": 17}
_MAY_LACK = (OutcomeType.AUDITED, OutcomeType.DRIFTED)
_SEVERITY = {OutcomeType.HELD: "action", OutcomeType.DRIFTED: "action", OutcomeType.FAILED: "error"}


def outcome_events(
    writer: EventWriter,
    outcomes: Iterable[Outcome],
    *,
    causes: Sequence[Cause],
    now: datetime,
    job_id: str | None = None,
    marks: Mapping[str, str] | None = None,
) -> tuple[CloudEvent, ...]:
    """Write the outcome events: one per type, and more where one would grow too large.

    Args:
        causes: the causing events in order of arrival. An outcome whose own cause is not among them (a job's check is
            the cause, the notification stands in the entry) is told with the first.
        job_id: the job that these outcomes are of.
        marks: more extensions, such as `daily`.
    """
    by_type = sorted(outcomes, key=lambda outcome: (outcome.type, outcome.image_id))
    return tuple(
        event
        for kind, group in groupby(by_type, key=lambda outcome: outcome.type)
        for event in _tell(writer, kind, list(group), {"job_id": job_id}, causes=causes, now=now, marks=marks)
    )


def decided_events(
    writer: EventWriter,
    outcomes: Sequence[Outcome],
    *,
    status: Status,
    vault_id: str | None,
    causes: Sequence[Cause],
    now: datetime,
) -> tuple[CloudEvent, ...]:
    """Write `share.decided`, the evidence that stands on record before a members call is made."""
    more = {"status": status, "vault_id": vault_id}
    return tuple(_tell(writer, OutcomeType.DECIDED, outcomes, more, causes=causes[:1], now=now))


def approve_command(*images: str, project_id: str, reason: str, settle: str = "approve") -> str:
    """Write the command that accepts held shares; what is in capitals is the person's to fill in.

    Args:
        reason: why they are held; without a vault a person must name one.
        settle: `reject` for the other way.
    """
    named = " ".join(images) if len(images) <= FEW else "IMAGE..."
    vault = " --vault VAULT" if reason in NEEDS_VAULT else ""
    return f"doorman {settle} {named} --project {project_id}{vault} --reason TEXT"


def event_type(kind: OutcomeType) -> EventType:
    """Give the event type that tells this outcome."""
    return EventType(f"dev.doorman.share.{kind}.v1")


def make_key(writer: EventWriter, kind: EventType, image_id: str, *rest: str | None) -> str:
    """Derive the key of one image's entry: the same as long as the same is told of it, however batches fall.

    Args:
        rest: reason, error code and rule.
    """
    return derive(kind, writer.project_id, image_id, *rest)


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


def _tell(
    writer: EventWriter,
    kind: OutcomeType,
    outcomes: Sequence[Outcome],
    more: Mapping[str, Any],
    *,
    causes: Sequence[Cause],
    now: datetime,
    marks: Mapping[str, str] | None = None,
) -> Iterator[CloudEvent]:
    """Write the events that tell outcomes of one type, with `more` data of its own."""
    name = event_type(kind)
    for part in pack([(outcome, _entry(writer, name, outcome)) for outcome in outcomes]):
        wanted = {outcome.cause for outcome, _ in part}
        data = {
            "project_id": writer.project_id,
            "policy_digest": writer.policy_digest,
            **(writer.actor or {}),
            **more,
            "images": [entry for _, entry in part],
        }
        consumer = {**weigh(_SEVERITY.get(kind, "info"), dedupe(writer, name, data)), **(marks or {})}
        subject = only([outcome.image_id for outcome, _ in part]) or more.get("job_id")
        cause = next((cause for cause in causes if cause.id in wanted), causes[0])
        yield make_event(writer, name, data, subject=subject, cause=cause, now=now, consumer=consumer)


def _entry(writer: EventWriter, name: EventType, outcome: Outcome) -> dict[str, Any]:
    reason, code = outcome.reason.value, outcome.error_code
    entry = {
        "image_id": outcome.image_id,
        "name": outcome.name,
        "owner": outcome.owner,
        "rule": outcome.rule,
        "reason": reason,
        "decision": outcome.decision,
        "facts": {fact: str(seen)[:MAX_FACT] for fact, seen in outcome.facts.items()} if outcome.facts else None,
        "member_status": outcome.member_status,
        "settled_at": write_time(outcome.settled_at),
        "error_code": code,
        "vault_id": outcome.vault_id,
        "cause": outcome.cause,
        "key": make_key(writer, name, outcome.image_id, reason, code, outcome.rule),
    }
    if outcome.type is OutcomeType.HELD:
        entry["approve"] = approve_command(outcome.image_id, project_id=writer.project_id, reason=outcome.reason)
    if outcome.type is OutcomeType.HELD or (outcome.type in _MAY_LACK and outcome.failed_condition):
        entry["failed_condition"] = outcome.failed_condition
    return entry


def dedupe(writer: EventWriter, kind: EventType, data: Mapping[str, Any]) -> str:
    """Derive the key that stays the same as long as the same thing is told of the same images."""
    told = [data.get(name) for name in ("error", "status", "vault_id")]
    return derive(kind, writer.project_id, sorted(entry["key"] for entry in data["images"]), *told)


def weigh(severity: str, dedupe_key: str) -> dict[str, str]:
    """Say how much an event matters, in our word and in the specification's, and the key by which it is known again."""
    return {
        "severity": severity,
        "severitytext": _TEXTS[severity],
        "severitynumber": str(_NUMBERS[severity]),
        "dedupekey": dedupe_key,
    }
