"""Makes the plan of one sweep: which shares to notify, and the pending report of the others. Pure; emits nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from doorman.events.messages import EventType
from doorman.events.outcomes import approve_command, dedupe, make_key, pack, weigh
from doorman.events.writing import EventWriter, make_event
from doorman.models import MAX_IMAGES, Cause, CloudEvent, Share, Vault
from doorman.parsing import write_time
from doorman.planning.batch import RequestedImage
from doorman.planning.drift import Drift
from doorman.planning.plan import place
from doorman.policy.decision import Decision


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepPlan:
    """What one tick tells of one project.

    Attributes:
        notices: images of each `share.notified` to emit.
        entries: what the pending report lists, the oldest first; as `PendingEntry` without its key.
        count: all pending shares, own images excluded.
        oldest: when the oldest of them was made; None where there is none.
    """

    notices: tuple[tuple[str, ...], ...] = ()
    entries: tuple[Mapping[str, Any], ...] = ()
    count: int = 0
    oldest: str | None = None

    @property
    def notified(self) -> int:
        """How many shares are notified."""
        return sum(map(len, self.notices))


def plan_sweep(shares: Mapping[str, Share], decided: Mapping[str, Decision], drifts: Sequence[Drift] = ()) -> SweepPlan:
    """Plan one tick: what the policy would settle is notified, all else is listed.

    Args:
        shares: all pending shares, own images excluded. decided: each of them.
        drifts: settled shares that are to be settled anew.
    """
    to_settle = sorted(image for image, decision in decided.items() if decision.action != "hold")
    to_settle += [drift.share.image_id for drift in drifts if drift.wanted is not None]
    waiting = sorted((share for image, share in shares.items() if decided[image].action == "hold"), key=_age)
    oldest = min(shares.values(), key=_age, default=None)
    return SweepPlan(
        notices=tuple(tuple(to_settle[start : start + MAX_IMAGES]) for start in range(0, len(to_settle), MAX_IMAGES)),
        entries=tuple(_entry(share, decided[share.image_id]) for share in waiting),
        count=len(shares),
        oldest=write_time(oldest.created_at) if oldest else None,
    )


def hold_without_vault(
    shares: Mapping[str, Share], decided: Mapping[str, Decision], vaults: Sequence[Vault] | None, *, cause: Cause
) -> dict[str, Decision]:
    """Hold each accept that finds no vault, as `triage` would."""
    return {
        image: place(RequestedImage(image_id=image, cause=cause), shares[image], decision, vaults)[1]
        for image, decision in decided.items()
    }


def pending_report(
    writer: EventWriter,
    plan: SweepPlan,
    *,
    error: str | None = None,
    cause: Cause,
    now: datetime,
    marks: Mapping[str, str] | None = None,
    expired: Sequence[str] = (),
) -> tuple[CloudEvent, ...]:
    """Write the pending report of one project, also when there is nothing to list; in parts where it is large.

    Args:
        error: why the project could not be read.
        marks: more extensions, such as `daily`.
        expired: names of the policy's exceptions that count no more.
    """
    severity = "error" if error else "action" if plan.entries else "info"
    told = [(entry["image_id"], entry["reason"], None, entry["rule"]) for entry in plan.entries]
    keys = [make_key(writer, EventType.PENDING, *each) for each in told]
    keyed = [(key, {**entry, "key": key}) for entry, key in zip(plan.entries, keys, strict=True)]
    events = []
    for part in pack(keyed) or [[]]:
        data = {
            "project_id": writer.project_id,
            "count": plan.count,
            "oldest_created_at": plan.oldest,
            "images": [entry for _, entry in part],
            "error": error,
            **({"expired_exceptions": list(expired)} if expired else {}),
        }
        consumer = {**weigh(severity, dedupe(writer, EventType.PENDING, data)), **(marks or {})}
        events.append(
            make_event(writer, EventType.PENDING, data, subject=None, cause=cause, now=now, consumer=consumer)
        )
    return tuple(events)


def _age(share: Share) -> tuple[float, str]:
    return (share.created_at.timestamp() if share.created_at else float("inf"), share.image_id)


def _entry(share: Share, decision: Decision) -> dict[str, Any]:
    return {
        "image_id": share.image_id,
        "name": share.name,
        "owner": share.owner,
        "rule": decision.rule,
        "reason": decision.reason.value,
        "created_at": write_time(share.created_at),
        "shared_at": write_time(share.shared_at),
        "approve": approve_command(share.image_id, project_id=share.project_id, reason=decision.reason),
    }
