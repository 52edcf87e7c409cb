"""Takes up again what was settled otherwise than the policy says now, where it may: such shares count as waiting.

Off unless the policy or a command asks for it; who settled them, a person or an earlier policy, no cloud tells.
"""

from collections.abc import Sequence
from dataclasses import replace

from doorman.handlers.context import ProjectContext
from doorman.models import Share, Status
from doorman.planning.batch import Facts
from doorman.planning.outcomes import WANTED
from doorman.policy import decision as decisions

_STATUSES: tuple[Status, ...] = ("accepted", "rejected")


async def reopen(context: ProjectContext, facts: Facts) -> Facts:
    """Move the shares that are settled otherwise to those that wait to be settled.

    Raises:
        Unavailable: the cloud cannot be read now.
    """
    settled = [share for share in facts.standings.values() if share and share.owner not in {None, context.project_id}]
    again: dict[str, Share] = {}
    for status in _STATUSES:
        for share in await _complete(context, [share for share in settled if share.member_status == status], status):
            decision = decisions.decide(share, context.policy, now=context.clock.now())
            if WANTED.get(decision.action, status) != status:
                again[share.image_id] = share
    left = {image: share for image, share in facts.standings.items() if image not in again}
    return replace(facts, pending={**facts.pending, **again}, standings=left)


async def _complete(context: ProjectContext, shares: Sequence[Share], status: Status) -> list[Share]:
    """Find out which are of whole servers: rules and vaults may hang on it."""
    unknown = [share.image_id for share in shares if share.full_ecs is None]
    whole = await context.cloud.find(status, unknown, full_ecs=True) if unknown and context.cloud.is_ims else {}
    return [
        share if share.full_ecs is not None else replace(share, full_ecs=share.image_id in whole) for share in shares
    ]
