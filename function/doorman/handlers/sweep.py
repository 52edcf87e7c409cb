"""The third function: lists every pending share, notifies those that the policy would settle, and tells the rest.

It works when no cloud ever sent an event: events are hints, the pending list is the truth. It also looks at what was
settled earlier, and tells what today's policy would settle otherwise.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from doorman.errors import Unavailable
from doorman.events.advice import approve_command
from doorman.events.outcomes import digest, tell
from doorman.events.writing import notify
from doorman.handlers.context import ProjectContext
from doorman.handlers.review import review
from doorman.models import MAX_IMAGES, Cause, Share
from doorman.planning.batch import RequestedImage
from doorman.planning.drift import Drift, conclude_drift
from doorman.planning.plan import pick_vault
from doorman.policy import decision as decisions
from doorman.policy.decision import Decision
from doorman.policy.policy import expired
from doorman.runtime.logs import logger

LISTED = 500
"""Shares in one digest, the oldest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """What one tick found in one project; `error` where it could not be read."""

    pending: int = 0
    notified: int = 0
    drifted: int = 0
    error: str | None = None


async def sweep(context: ProjectContext, *, cause: Cause) -> Swept:
    """Look at all pending shares of one project.

    Raises:
        Unavailable: the sink took not everything; the same tick may be run again.
    """
    try:
        shares, decided = await look(context, cause=cause)
    except Unavailable as error:
        await context.emit(
            digest(context.writer, [], count=0, oldest=None, error=str(error), cause=cause, now=context.clock.now())
        )
        return Swept(error=str(error))
    drifts = await _find_drift(context)
    to_settle = sorted(image for image, decision in decided.items() if decision.action != "hold")
    if context.policy.settles_anew:
        to_settle += [drift.share.image_id for drift in drifts if drift.wanted is not None]
    now = context.clock.now()
    parts = [to_settle[start : start + MAX_IMAGES] for start in range(0, len(to_settle), MAX_IMAGES)]
    await context.emit([notify(context.writer, part, cause=cause, now=now) for part in parts])
    waiting = sorted((share for share in shares if decided[share.image_id].action == "hold"), key=_age)
    entries = [_entry(share, decided[share.image_id]) for share in waiting[:LISTED]]
    oldest = min(shares, key=_age, default=None)
    await context.emit(
        digest(
            context.writer,
            entries,
            count=len(shares),
            oldest=_write_time(oldest.created_at) if oldest else None,
            error=None,
            cause=cause,
            now=now,
            expired=[rule.name for rule in expired(context.policy, now.date())],
        )
    )
    outcomes = [conclude_drift(drift, cause=cause.id) for drift in drifts if context.policy.tells_drift]
    await context.emit(tell(context.writer, outcomes, causes=[cause], now=now))
    return Swept(pending=len(shares), notified=len(to_settle), drifted=len(drifts))


async def look(context: ProjectContext, *, cause: Cause) -> tuple[Sequence[Share], Mapping[str, Decision]]:
    """Read the pending shares of others' images, and decide each; an accept that finds no vault is held.

    Raises:
        Unavailable: the cloud cannot be read now.
    """
    listed = await context.cloud.pending()
    shares = [share for share in listed.values() if share.owner != context.project_id]
    decided = decisions.decide_all(shares, context.policy, now=context.clock.now())
    needs = any(decisions.needs_vaults(decision) for decision in decided.values())
    vaults = await context.cloud.vaults() if needs else None
    for share in shares:
        _, missing = pick_vault(
            RequestedImage(image_id=share.image_id, cause=cause), share, decided[share.image_id], vaults
        )
        if missing is not None:
            decided[share.image_id] = replace(decided[share.image_id], action="hold", reason=missing)
    return shares, decided


async def _find_drift(context: ProjectContext) -> Sequence[Drift]:
    """Find what is told on every tick: drift that no decision of a person explains; none where it cannot be read."""
    if not (context.policy.tells_drift or context.policy.settles_anew):
        return ()
    try:
        return [drift for drift in (await review(context)).drifts if not drift.is_perhaps_wanted]
    except Unavailable as error:
        # What waits matters more; the next tick looks again.
        logger().warning("drift.unread", project_id=context.project_id, error=str(error))
        return ()


def _age(share: Share) -> tuple[float, str]:
    return (share.created_at.timestamp() if share.created_at else float("inf"), share.image_id)


def _entry(share: Share, decision: Decision) -> dict[str, Any]:
    return {
        "image_id": share.image_id,
        "name": share.name,
        "owner": share.owner,
        "rule": decision.rule,
        "reason": decision.reason.value,
        "created_at": _write_time(share.created_at),
        "approve": approve_command(share.image_id, project_id=share.project_id, reason=decision.reason),
    }


def _write_time(moment: datetime | None) -> str | None:
    return moment.isoformat().replace("+00:00", "Z") if moment else None
