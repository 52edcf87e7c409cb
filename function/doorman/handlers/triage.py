"""The first function: looks at the shares that notices name, decides them by policy, and has the cloud settle them.

Gather, draw the plan, perform. It takes notices of one project in batches, one being a batch of one; which notices
share a round is `rounds`' concern, how a job ends is `check_job`'s.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from doorman.cloud.member_status import read_standings
from doorman.handlers.context import Desk
from doorman.handlers.execute import Round
from doorman.handlers.reopening import reopen
from doorman.handlers.results import Ended, Ledger
from doorman.models import Action, Notice, Status
from doorman.planning.batch import Ask, Facts, decide, gather_asks
from doorman.planning.plan import draw
from doorman.policy import decision as decisions
from doorman.policy.decision import Decision

_OPPOSITE: Mapping[Action, Status] = {"accept": "rejected", "reject": "accepted"}


async def triage(desk: Desk, notices: Sequence[Notice]) -> Ended:
    """Settle what the notices of one project name, as far as it can be settled now.

    Returns:
        How each image ended; everything that is not Unavailable is done and told.

    Raises:
        Unavailable: the cloud cannot be read, so nothing was done.
    """
    asks = gather_asks(notices, now=desk.clock.now(), window=desk.settings.visibility_window)
    facts, decided = await remember(desk, asks) or await look(desk, asks)
    if any(decisions.needs_vaults(decision) for decision in decided.values()):
        facts = replace(facts, vaults=await desk.cloud.vaults())
    plan = draw(
        asks,
        facts,
        decided,
        project_id=desk.project_id,
        is_audit=desk.is_audit,
        max_images=desk.settings.max_images_per_call,
    )
    return await Round(ledger=Ledger(desk=desk, asks=asks), facts=facts, decided=decided).perform(plan)


async def look(desk: Desk, asks: Mapping[str, Ask]) -> tuple[Facts, dict[str, Decision]]:
    """Read what the cloud says of the asked images, and decide them.

    Raises:
        Unavailable: the cloud cannot be read now.
    """
    facts = await gather(desk, asks)
    if desk.policy.settles_anew:
        facts = await reopen(desk, facts)
    return facts, decide(facts, desk.policy, project_id=desk.project_id, now=desk.clock.now())


async def remember(desk: Desk, asks: Mapping[str, Ask]) -> tuple[Facts, dict[str, Decision]] | None:
    """Decide from what the round before this one read a moment ago, where that does no harm; None: look again.

    What somebody else settled meanwhile must not be settled the other way: the list where it would stand is read now.

    Raises:
        Unavailable: the cloud cannot be read now.
    """
    if (listed := desk.cloud.recall(asks)) is None:
        return None
    facts = Facts(pending=listed)
    decided = decide(facts, desk.policy, project_id=desk.project_id, now=desk.clock.now())
    for action, opposite in _OPPOSITE.items():
        images = [image for image, decision in decided.items() if decision.action == action]
        if images and await desk.cloud.find_briefly(opposite, images) != frozenset():
            return None
    return facts, decided


async def gather(desk: Desk, asks: Mapping[str, Ask]) -> Facts:
    """Read what the cloud says of the asked images.

    Raises:
        Unavailable: the cloud cannot be read now.
    """
    listed = await desk.cloud.pending(asks.keys())
    absent = [image for image in asks if image not in listed]
    standings = await read_standings(desk.cloud, absent) if absent else {}
    waiting = {image for image, share in standings.items() if share and share.member_status == "pending"}
    if waiting:
        listed = {**listed, **(await desk.cloud.pending(waiting))}
    return Facts(
        pending={image: listed[image] for image in asks if image in listed},
        standings={image: share for image, share in standings.items() if image not in listed and image not in waiting},
        unlisted=frozenset(waiting - listed.keys()),
    )
