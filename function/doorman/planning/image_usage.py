"""Finds servers that were booted from shares which are not accepted, or which today's policy would not accept. Pure."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from doorman.cloud.api.nova import Server
from doorman.events.messages import EventType
from doorman.events.outcomes import pack, weigh
from doorman.events.writing import EventWriter, derive, make_event, only
from doorman.models import Cause, CloudEvent, Outcome, OutcomeType, Reason, Share
from doorman.planning.drift import Drift
from doorman.policy import decision as decisions
from doorman.policy.policy import Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """A server that runs from a share that should not be used; `share` is None where it is shared no longer."""

    server: Server
    share: Share | None
    reason: Reason


def find_strange(servers: Iterable[Server], shares: Collection[str]) -> list[str]:
    """List the images, each once, that servers were booted from and that are no shares of this project."""
    return sorted({server.image_id for server in servers} - set(shares))


def find_uses(
    servers: Iterable[Server],
    shares: Mapping[str, Share],
    drifts: Iterable[Drift],
    withdrawn: Collection[str],
    policy: Policy,
    *,
    now: datetime,
) -> tuple[Use, ...]:
    """Find the servers that run from a share that is pending, rejected, drifted or withdrawn.

    Args:
        shares: those of this project of whatever status, by image; own images are not among them.
        drifts: what today's policy would decide otherwise.
        withdrawn: images that are no shares any more, and that cannot be seen either.
    """
    drifted = {drift.share.image_id for drift in drifts if not drift.is_perhaps_wanted}
    found = []
    for server in sorted(servers, key=lambda server: (server.image_id, server.server_id)):
        share = shares.get(server.image_id)
        if share is not None and (share.member_status != "accepted" or share.image_id in drifted):
            found.append(
                Use(server=server, share=share, reason=decisions.decide(share, policy, now=now, at_door=False).reason)
            )
        elif server.image_id in withdrawn:
            found.append(Use(server=server, share=None, reason=Reason.WITHDRAWN))
    return tuple(found)


def conclude_withdrawn(image_id: str, *, cause: Cause) -> Outcome:
    """Say that an image in use is shared no longer; whose it was, nobody knows any more."""
    return Outcome(type=OutcomeType.DRIFTED, image_id=image_id, reason=Reason.WITHDRAWN, cause=cause.id)


def tell_uses(writer: EventWriter, uses: Iterable[Use], *, cause: Cause, now: datetime) -> tuple[CloudEvent, ...]:
    """Write the events that tell them, each of a size that brokers take."""
    events = []
    for part in pack([(use, _entry(use)) for use in uses]):
        servers = [use.server.server_id for use, _ in part]
        data = {
            "project_id": writer.project_id,
            "policy_digest": writer.policy_digest,
            "servers": [entry for _, entry in part],
        }
        consumer = weigh("action", derive(EventType.USED, writer.project_id, sorted(servers)))
        events.append(
            make_event(writer, EventType.USED, data, subject=only(servers), cause=cause, now=now, consumer=consumer)
        )
    return tuple(events)


def _entry(use: Use) -> dict[str, Any]:
    return {
        "server_id": use.server.server_id,
        "name": use.server.name,
        "image_id": use.server.image_id,
        "image_name": use.share.name if use.share else None,
        "owner": use.share.owner if use.share else None,
        "member_status": use.share.member_status if use.share else None,
        "reason": use.reason.value,
    }
