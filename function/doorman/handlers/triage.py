"""The first function: looks at the shares that notices name, decides them by policy, and has the cloud settle them.

Gather, draw the plan, perform. It takes notices of one project in batches, one being a batch of one; which notices
share a round is `rounds`' concern, how a job ends is `check_job`'s.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from doorman.cloud.member_status import read_current
from doorman.handlers.context import ProjectContext
from doorman.handlers.execute import Execution
from doorman.handlers.reopening import reopen
from doorman.handlers.results import Ended, Results
from doorman.models import Action, Notice, Status
from doorman.planning.batch import Facts, RequestedImage, decide, merge_notices
from doorman.planning.plan import make_plan
from doorman.policy import decision as decisions
from doorman.policy.decision import Decision

_OPPOSITE: Mapping[Action, Status] = {"accept": "rejected", "reject": "accepted"}


async def triage(context: ProjectContext, notices: Sequence[Notice]) -> Ended:
    """Settle what the notices of one project name, as far as it can be settled now.

    Returns:
        How each image ended; everything that is not Unavailable is done and told.

    Raises:
        Unavailable: the cloud cannot be read, so nothing was done.
    """
    asks = merge_notices(notices, now=context.clock.now(), window=context.settings.visibility_window)
    facts, decided = await remember(context, asks) or await look(context, asks)
    if any(decisions.needs_vaults(decision) for decision in decided.values()):
        facts = replace(facts, vaults=await context.cloud.vaults())
    plan = make_plan(
        asks,
        facts,
        decided,
        project_id=context.project_id,
        is_audit=context.is_audit,
        max_images=context.settings.max_images_per_call,
    )
    return await Execution(results=Results(context=context, asks=asks), facts=facts, decided=decided).perform(plan)


async def look(context: ProjectContext, asks: Mapping[str, RequestedImage]) -> tuple[Facts, dict[str, Decision]]:
    """Read what the cloud says of the asked images, and decide them.

    Raises:
        Unavailable: the cloud cannot be read now.
    """
    facts = await gather(context, asks)
    if context.policy.settles_anew:
        facts = await reopen(context, facts)
    return facts, decide(facts, context.policy, project_id=context.project_id, now=context.clock.now())


async def remember(
    context: ProjectContext, asks: Mapping[str, RequestedImage]
) -> tuple[Facts, dict[str, Decision]] | None:
    """Decide from what the round before this one read a moment ago, where that does no harm; None: look again.

    What somebody else settled meanwhile must not be settled the other way: the list where it would stand is read now.

    Raises:
        Unavailable: the cloud cannot be read now.
    """
    if (listed := context.cloud.recall(asks)) is None:
        return None
    facts = Facts(pending=listed)
    decided = decide(facts, context.policy, project_id=context.project_id, now=context.clock.now())
    for action, opposite in _OPPOSITE.items():
        images = [image for image, decision in decided.items() if decision.action == action]
        if images and await context.cloud.find_briefly(opposite, images) != frozenset():
            return None
    return facts, decided


async def gather(context: ProjectContext, asks: Mapping[str, RequestedImage]) -> Facts:
    """Read what the cloud says of the asked images.

    Raises:
        Unavailable: the cloud cannot be read now.
    """
    listed = await context.cloud.pending(asks.keys())
    absent = [image for image in asks if image not in listed]
    standings = await read_current(context.cloud, absent) if absent else {}
    waiting = {image for image, share in standings.items() if share and share.member_status == "pending"}
    if waiting:
        listed = {**listed, **(await context.cloud.pending(waiting))}
    return Facts(
        pending={image: listed[image] for image in asks if image in listed},
        standings={image: share for image, share in standings.items() if image not in listed and image not in waiting},
        unlisted=frozenset(waiting - listed.keys()),
    )
