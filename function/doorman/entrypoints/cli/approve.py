"""`doorman approve`, and what `doorman reject` shares with it: a person settles named shares, by the code of a run.

Shows what it will do and asks, does it with the person's own credentials, and tells who decided and why.
"""

import asyncio
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from uuid import uuid4

from doorman.entrypoints.cli.explain_live import check_images, look
from doorman.entrypoints.cli.output import ask, complain
from doorman.entrypoints.cli.progress import supervise
from doorman.entrypoints.cli.run import FAILED, exit_code, show_report
from doorman.entrypoints.cli.session import add_files, add_json, find_context, open_projects
from doorman.errors import Misconfigured
from doorman.events.messages import EventType
from doorman.handlers.context import ProjectContext
from doorman.handlers.project_run import ProjectRun
from doorman.handlers.run import Report, Run
from doorman.models import Action, is_plain_id
from doorman.parsing import counted, visible
from doorman.planning.outcomes import WANTED
from doorman.policy.override import override_by_hand

MAX_REASON = 1000
"""Characters of a reason; it travels in every outcome."""

UNNAMED = "unknown: a signature names nobody"
"""The person, where the cloud does not say who logged in; what the own machine calls them proves nothing."""

_DONE = {"accept": EventType.ACCEPTED, "reject": EventType.REJECTED}


def configure(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    configure_settling(parser, action="accept")
    parser.add_argument("--vault", metavar="ID", help="for full-ECS images: this vault before those of the policy")


def configure_settling(parser: ArgumentParser, *, action: Action) -> None:
    """Declare the arguments of both commands."""
    parser.set_defaults(action=action, vault=None)
    parser.add_argument("image", nargs="+", metavar="IMAGE", help="ID of a shared image")
    parser.add_argument(
        "--project",
        required=True,
        metavar="PROJECT",
        help="the project that it is shared with: ID, name or entry of clouds.yaml",
    )
    parser.add_argument("--reason", required=True, metavar="TEXT", help="why; it is told with the outcome")
    parser.add_argument("--yes", action="store_true", help="do it without asking")
    add_files(parser)
    add_json(parser)


def run(arguments: Namespace) -> int:
    """Show, ask, do, tell.

    Raises:
        Misconfigured: an argument or a variable is wrong.
        Unavailable: the cloud cannot be read now.
    """
    images = _check(arguments)
    if not arguments.yes and not _is_wanted(arguments, images):
        complain("nothing was changed")
        return FAILED
    return asyncio.run(_settle(arguments, images))


def _check(arguments: Namespace) -> Sequence[str]:
    images = check_images(arguments.image)
    if arguments.vault is not None and not is_plain_id(arguments.vault):
        raise Misconfigured(f"--vault: {arguments.vault[:80]!r} is no ID: 1 to 64 of A-Z a-z 0-9 _ -")
    if not arguments.reason.strip() or len(arguments.reason) > MAX_REASON:
        raise Misconfigured(f"--reason: say why, in 1 to {MAX_REASON} characters")
    return images


def _is_wanted(arguments: Namespace, images: Sequence[str]) -> bool:
    """Show how the shares stand and what the policy would do with them, on stderr, and ask."""
    for told in look(arguments, images):
        sys.stderr.write("".join(f"{visible(line)}\n" for line in (told.heading, *told.said, told.end, "")))
    count = counted(len(images), "share")
    return ask(f"{arguments.action} {count} in project {arguments.project}, because: {visible(arguments.reason)}")


async def _settle(arguments: Namespace, images: Sequence[str]) -> int:
    chosen = open_projects(arguments, projects=[arguments.project], is_telling=True, as_json=arguments.json)
    async with chosen as session:
        context = await find_context(session)
        token = await context.cloud.client.credentials.token()
        by = (token.user if token else None) or UNNAMED
        once = Run(
            session.projects,
            run_id=f"{arguments.action}-{uuid4()}",
            task=partial(_decide, arguments, images, by),
        )
        report, stop = await supervise(once, [context.project_id], show=partial(show_report, arguments, session))
        _say_reach(context)
        return exit_code(is_done=_is_done(report, images, arguments.action), stop=stop)


def _say_reach(context: ProjectContext) -> None:
    """Say where nothing was done, or nobody was told."""
    if context.is_audit:
        complain("nothing was changed: Doorman is in audit mode (DOORMAN_MODE or the policy's mode)")
    elif not context.settings.sink:
        complain("nobody else was told: K_SINK is not set, so keep this output as the record")


async def _decide(arguments: Namespace, images: Sequence[str], by: str, project_run: ProjectRun) -> None:
    context = project_run.context
    policy = override_by_hand(context.policy, images, action=arguments.action, vault_id=arguments.vault)
    writer = replace(context.writer, actor={"actor": by, "reason": arguments.reason})
    project_run.context = replace(context, policy=policy, writer=writer)
    await project_run.take(images)


def _is_done(report: Report, images: Sequence[str], action: Action) -> bool:
    """Say whether every image ended as the person wanted, now or before."""
    done = {
        entry["image_id"]
        for event in report.told
        for entry in event.data["images"]
        if event.type == _DONE[action] or (event.type == EventType.SKIPPED and entry["member_status"] == WANTED[action])
    }
    return report.is_faultless and done == set(images)
