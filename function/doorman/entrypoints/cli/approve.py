"""`doorman approve`, and what `doorman reject` shares with it: a person settles named shares, by the code of a run.

Shows what it will do and asks, does it with the person's own credentials, and tells who decided and why.
"""

import asyncio
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import uuid4

from doorman.cloud.member_status import read_current
from doorman.entrypoints.cli.memory import trim
from doorman.entrypoints.cli.output import ask, say
from doorman.entrypoints.cli.progress import supervise
from doorman.entrypoints.cli.run import FAILED, exit_code, show_report
from doorman.entrypoints.cli.session import Session, add_files, add_json, find_context, open_projects
from doorman.entrypoints.cli.tables import NOTHING, describe
from doorman.errors import Misconfigured
from doorman.events.advice import exception_lines
from doorman.events.messages import EventType
from doorman.handlers.context import ProjectContext
from doorman.handlers.project_run import ProjectRun
from doorman.handlers.run import Report, Run
from doorman.models import Action, Reason, Share, is_image_id, is_plain_id
from doorman.parsing import visible
from doorman.planning.outcomes import WANTED
from doorman.policy import decision as decisions
from doorman.policy.override import override_by_hand

MAX_REASON = 1000
"""Characters of a reason; it travels in every outcome."""

UNNAMED = "unknown: a signature names nobody"
"""The person, where the cloud does not say who logged in; what the own machine calls them proves nothing."""

FOR_A_TIME = timedelta(days=90)
"""How long the advised exception counts; a person changes it."""

_NO_SHARE = f"{Reason.NOT_SHARED}: the cloud knows no such share of this project"
_DONE = {"accept": EventType.ACCEPTED, "reject": EventType.REJECTED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One share that a person decides: as it stands, and what the policy would do; None where there is no share.

    Attributes:
        owner: its project, with its name.
    """

    image_id: str
    share: Share | None
    owner: str
    policy_would: decisions.Decision | None


def configure(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    configure_settling(parser)
    parser.add_argument("--vault", metavar="ID", help="for full-ECS images: this vault before those of the policy")


def run(arguments: Namespace) -> int:
    """Show, ask, accept, tell."""
    return settle(arguments, action="accept", vault_id=arguments.vault)


def configure_settling(parser: ArgumentParser) -> None:
    """Declare the arguments of both commands."""
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


def settle(arguments: Namespace, *, action: Action, vault_id: str | None = None) -> int:
    """Show, ask, do, tell.

    Raises:
        Misconfigured: an argument or a variable is wrong.
        Unavailable: the cloud cannot be read now.
    """
    images = _check(arguments, vault_id)
    if arguments.yes:
        return asyncio.run(_settle(arguments, images, action, vault_id, cases=()))
    return _ask(arguments, images, action, vault_id, cases=asyncio.run(_look(arguments, images)))


def _ask(
    arguments: Namespace, images: Sequence[str], action: Action, vault_id: str | None, *, cases: Sequence[Case]
) -> int:
    if not _is_wanted(arguments, cases, action):
        sys.stderr.write("doorman: nothing was changed\n")
        return FAILED
    return asyncio.run(_settle(arguments, images, action, vault_id, cases=cases))


def _check(arguments: Namespace, vault_id: str | None) -> Sequence[str]:
    for image in arguments.image:
        if not is_image_id(image):
            raise Misconfigured(f"IMAGE: {image[:80]!r} is no image ID (a UUID)")
    if vault_id is not None and not is_plain_id(vault_id):
        raise Misconfigured(f"--vault: {vault_id[:80]!r} is no ID: 1 to 64 of A-Z a-z 0-9 _ -")
    if not arguments.reason.strip() or len(arguments.reason) > MAX_REASON:
        raise Misconfigured(f"--reason: say why, in 1 to {MAX_REASON} characters")
    return list(dict.fromkeys(image.lower() for image in arguments.image))


async def _look(arguments: Namespace, images: Sequence[str]) -> Sequence[Case]:
    """Read how the shares stand, and what the policy would do with them."""
    async with open_projects(arguments, projects=[arguments.project], is_telling=False, as_json=False) as session:
        context = await find_context(session)
        standings = await read_current(context.cloud, images)
        now = context.clock.now()
        return [
            Case(
                image_id=image,
                share=share,
                owner=session.known.owner(share.owner if share else None),
                policy_would=decisions.decide(share, context.policy, now=now) if share and share.owner else None,
            )
            for image, share in standings.items()
        ]


def _is_wanted(arguments: Namespace, cases: Sequence[Case], action: Action) -> bool:
    """Show what will be done, on stderr, and ask."""
    count = f"{len(cases)} share{'' if len(cases) == 1 else 's'}"
    sys.stderr.write("".join(f"{line}\n" for case in cases for line in (*_tell(case), "")))
    return ask(f"{action} {count} in project {arguments.project}, because: {visible(arguments.reason)}")


def _tell(case: Case) -> Iterator[str]:
    """Say what the image is, whose, how it stands, and what the policy would do."""
    share, would = case.share, case.policy_would
    yield f"{case.image_id}  {visible((share and share.name) or NOTHING)}"
    if share is None:
        yield f"  {_NO_SHARE}"
        return
    what = describe(share, now=datetime.now(UTC)) or "nothing is known of what it is"
    yield f"  {visible(what)}"
    yield f"  of {visible(case.owner)}, stands as {share.member_status or NOTHING}"
    if would is None:
        yield f"  the policy cannot decide: {Reason.FACT_UNKNOWN}"
    else:
        why = f"{would.reason} ({would.failed_condition})" if would.failed_condition else would.reason
        rule = f", rule {would.rule}" if would.rule else ""
        yield f"  the policy would {would.action} it{rule}: {visible(why)}"


def _advise(arguments: Namespace, cases: Sequence[Case], action: Action, *, by: str) -> None:
    """Say how the decision is kept: the policy would say otherwise, and no cloud tells who settled a share."""
    images = [case.image_id for case in cases if case.policy_would and case.policy_would.action != action]
    if images:
        expires = datetime.now(UTC).date() + FOR_A_TIME
        say()
        say("The policy would decide otherwise, so this counts as drift until it says the same, for example:")
        say()
        for line in exception_lines(images, action=action, reason=arguments.reason, by=by, expires=expires):
            say(line)


async def _settle(
    arguments: Namespace, images: Sequence[str], action: Action, vault_id: str | None, *, cases: Sequence[Case]
) -> int:
    chosen = open_projects(arguments, projects=[arguments.project], is_telling=True, as_json=arguments.json)
    async with chosen as session:
        context = await find_context(session)
        token = await context.cloud.client.credentials.token()
        by = (token.user if token else None) or UNNAMED
        once = Run(
            session.projects,
            run_id=f"{action}-{uuid4()}",
            task=partial(ProjectRun.take, images=images),
            prepare=partial(
                _decide,
                images=images,
                action=action,
                vault_id=vault_id,
                actor={"actor": by, "reason": arguments.reason},
            ),
        )
        report, stop = await supervise(once, [context.project_id], show=partial(_show, arguments, session))
        is_done = _is_done(report, images, action)
        if is_done and not arguments.json:
            _advise(arguments, cases, action, by=by)
        _say_reach(context)
        return exit_code(is_done=is_done, stop=stop)


def _show(arguments: Namespace, session: Session, report: Report) -> None:
    """Show what came of the shares; to people, an image of which there is no share is no row of them."""
    events = [*report.told, *report.untold]
    gone = {each["image_id"]: each["key"] for event in events for each in event.data["images"] if _is_gone(each)}
    if not gone or arguments.json:
        show_report(arguments, session, report)
        return
    for image in gone:
        say(f"image {image}: {_NO_SHARE}")
    told, untold = (tuple(trim(some, frozenset(gone.values()))) for some in (report.told, report.untold))
    show_report(arguments, session, replace(report, told=told, untold=untold), nothing="nothing was changed")


def _is_gone(entry: Mapping[str, Any]) -> bool:
    return bool(entry["reason"] == Reason.NOT_SHARED)


def _say_reach(context: ProjectContext) -> None:
    """Say where nothing was done, or nobody was told."""
    if context.is_audit:
        sys.stderr.write("doorman: nothing was changed: Doorman is in audit mode (DOORMAN_MODE or the policy's mode)\n")
    elif not context.settings.sink:
        sys.stderr.write("doorman: nobody else was told: K_SINK is not set, so keep this output as the record\n")


def _decide(
    context: ProjectContext, *, images: Sequence[str], action: Action, vault_id: str | None, actor: Mapping[str, str]
) -> ProjectContext:
    policy = override_by_hand(context.policy, images, action=action, vault_id=vault_id)
    return replace(context, policy=policy, writer=replace(context.writer, actor=actor))


def _is_done(report: Report, images: Sequence[str], action: Action) -> bool:
    """Say whether every image ended as the person wanted, now or before."""
    done = {
        entry["image_id"]
        for event in report.told
        for entry in event.data["images"]
        if event.type == _DONE[action] or (event.type == EventType.SKIPPED and entry["member_status"] == WANTED[action])
    }
    return report.is_faultless and done == set(images)
