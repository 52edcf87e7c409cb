"""`doorman explain --project`: reads how shares stand now, and what the policy would do with each; changes nothing."""

import asyncio
from argparse import Namespace
from collections.abc import Mapping, Sequence

from doorman.cloud.member_status import read_current
from doorman.entrypoints.cli.session import find_context, open_projects
from doorman.entrypoints.cli.tables import NOTHING, Known, describe
from doorman.errors import Misconfigured
from doorman.handlers.context import ProjectContext
from doorman.models import Share, is_image_id
from doorman.policy.decision import Decision, decide_shares
from doorman.policy.tools.explain import OWN_IMAGE, Told, explain

_GONE = "not_shared: the cloud knows no such share of this project"
_UNREADABLE = "would wait: the image cannot be read, so nothing can be decided"


def look(arguments: Namespace, images: Sequence[str]) -> list[Told]:
    """Read how shares stand with the project that is named, and decide them as far as their owners are known.

    Raises:
        Misconfigured: an argument or a variable is wrong.
        Unavailable: the cloud cannot be read now.
    """
    return asyncio.run(_look(arguments, images))


def check_images(images: Sequence[str], *, hint: str = "") -> list[str]:
    """Give the images that a person named, each once.

    Raises:
        Misconfigured: one is no image ID.
    """
    for image in images:
        if not is_image_id(image):
            raise Misconfigured(f"IMAGE: {image[:80]!r} is no image ID (a UUID){hint}")
    return list(dict.fromkeys(image.lower() for image in images))


async def _look(arguments: Namespace, images: Sequence[str]) -> list[Told]:
    async with open_projects(arguments, projects=[arguments.project], is_telling=False, as_json=True) as session:
        context = await find_context(session)
        shares = await read_current(context.cloud, images)
        decided = await _decide_among_all(context, shares)
        return [_tell(image, share, decided.get(image), context, session.known) for image, share in shares.items()]


async def _decide_among_all(context: ProjectContext, shares: Mapping[str, Share | None]) -> dict[str, Decision]:
    """Decide; `limits` counts all that wait in the project."""
    asked = [share for share in shares.values() if share and share.owner not in {None, context.project_id}]
    waiting = await context.cloud.pending() if context.policy.accepts_per_owner else {}
    others = (share for image, share in waiting.items() if image not in shares and share.owner != context.project_id)
    decided = decide_shares([*asked, *others], context.policy, context.clock.now())
    return {share.image_id: decision for share, decision in zip(asked, decided, strict=False)}


def _tell(image: str, found: Share | None, decision: Decision | None, context: ProjectContext, known: Known) -> Told:
    share, now = found or Share(image_id=image, project_id=context.project_id, full_ecs=None), context.clock.now()
    what = describe(share, now=now) or "nothing is known of what it is"
    said = (
        f"  name {share.name or 'unknown'}, owner {known.owner(share.owner)}, {what}",
        f"  stands as {share.member_status or NOTHING} in project {share.project_id}",
    )
    return Told(
        share=share,
        heading=f"image {image}",
        said=said if found else (),
        more={"member_status": share.member_status},
        explanation=explain(share, context.policy, now=now, decision=decision) if decision else None,
        undecided=_GONE if found is None else OWN_IMAGE if share.owner else _UNREADABLE,
    )
