"""Takes up again what was settled otherwise than the policy says now, where it may: such shares count as waiting.

Off unless the policy or a command asks for it; who settled them, a person or an earlier policy, no cloud tells.
"""

from dataclasses import replace

from doorman.handlers.context import ProjectContext
from doorman.planning.batch import Facts
from doorman.planning.outcomes import WANTED
from doorman.policy import decision as decisions


async def reopen(context: ProjectContext, facts: Facts) -> Facts:
    """Move the shares that are settled otherwise to those that wait to be settled.

    Raises:
        Unavailable: the cloud cannot be read now.
    """
    settled = [share for share in facts.standings.values() if share and share.owner not in {None, context.project_id}]
    now = context.clock.now()
    again = {
        share.image_id: share
        for share in settled
        if WANTED.get(decisions.decide(share, context.policy, now=now).action, share.member_status)
        != share.member_status
    }
    left = {image: share for image, share in facts.standings.items() if image not in again}
    return replace(facts, pending={**facts.pending, **again}, standings=left)
