"""`doorman explain --project`: reads how shares stand now, and walks the policy's rules; changes nothing."""

import asyncio
import json
from argparse import Namespace
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from doorman.cloud.member_status import read_current
from doorman.entrypoints.cli.output import say, say_decision, say_lines
from doorman.entrypoints.cli.session import find_context, open_projects
from doorman.entrypoints.cli.tables import NOTHING, Known, describe
from doorman.errors import Misconfigured
from doorman.handlers.context import ProjectContext
from doorman.models import Share, is_image_id
from doorman.policy.decision import Decision, decide_shares
from doorman.policy.tools import share_file
from doorman.policy.tools.explain import Explanation, as_json, describe_decision, explain

Looked = tuple[ProjectContext, Mapping[str, Share | None], Mapping[str, Decision], Known]
"""The project, how shares stand with it, what the policy would do, and what owners are called."""


def run(arguments: Namespace) -> int:
    """Explain every image; 1 where one is not shared, or nothing can be read of it.

    Raises:
        Misconfigured: an argument or a variable is wrong.
        Unavailable: the cloud cannot be read now.
    """
    for image in arguments.events:
        if not is_image_id(image):
            raise Misconfigured(f"IMAGE: {image[:80]!r} is no image ID (a UUID); event files go without --project")
    images = list(dict.fromkeys(image.lower() for image in arguments.events))
    return _show(arguments, asyncio.run(look(arguments, images)))


def _show(arguments: Namespace, looked: Looked) -> int:
    context, shares, decided, known = looked
    explanations = {
        image: explain(share, context.policy, now=context.clock.now(), decision=decided[image])
        for image, share in shares.items()
        if share and share.owner not in {None, context.project_id}
    }
    if arguments.json:
        listed = [_as_json(image, share, explanations.get(image)) for image, share in shares.items()]
        say_lines(json.dumps(listed, indent=2))
    else:
        for image, share in shares.items():
            _tell(image, share, explanations.get(image), known)
    return 0 if len(explanations) == len(shares) else 1


async def look(arguments: Namespace, images: Sequence[str]) -> Looked:
    """Read how shares stand with the project that is named, and decide them as far as their owners are known.

    Raises:
        Misconfigured: an argument or a variable is wrong.
        Unavailable: the cloud cannot be read now.
    """
    async with open_projects(arguments, projects=[arguments.project], is_telling=False, as_json=True) as session:
        context = await find_context(session)
        shares = await read_current(context.cloud, images)
        return context, shares, await _decide_among_all(context, shares), session.known


async def _decide_among_all(context: ProjectContext, shares: Mapping[str, Share | None]) -> dict[str, Decision]:
    """Decide; `limits` counts all that wait in the project."""
    asked = [share for share in shares.values() if share and share.owner]
    waiting = await context.cloud.pending() if context.policy.accepts_per_owner else {}
    others = (share for image, share in waiting.items() if image not in shares and share.owner != context.project_id)
    decided = decide_shares([*asked, *others], context.policy, context.clock.now())
    return {share.image_id: decision for share, decision in zip(asked, decided, strict=False)}


def _tell(image: str, share: Share | None, explanation: Explanation | None, known: Known) -> None:
    say(f"image {image}", style="bold")
    if share is None:
        say("  not_shared: the cloud knows no such share of this project")
        return
    what = describe(share, now=datetime.now(UTC)) or "nothing is known of what it is"
    say(f"  name {share.name or 'unknown'}, owner {known.owner(share.owner)}, {what}")
    say(f"  stands as {share.member_status or NOTHING} in project {share.project_id}")
    if explanation:
        say_decision(explanation.decision.action, describe_decision(explanation))
    elif share.owner is None:
        say("  would wait: the image cannot be read, so nothing can be decided")
    else:
        say("  would be skipped: own_image, the project's own image is no share")
    say()


def _as_json(image: str, share: Share | None, explanation: Explanation | None) -> dict[str, object]:
    facts = share_file.write([share])[0] if share else {"image_id": image}
    stands = share.member_status if share else None
    return {"member_status": stands, **(as_json(explanation) if explanation else facts)}
