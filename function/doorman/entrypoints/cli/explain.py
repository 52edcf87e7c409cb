"""`doorman explain`: what would be decided and why, rule by rule: for event files without any cloud, or images."""

import argparse
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from doorman.entrypoints.cli.output import read_bytes, read_text, say, say_lines
from doorman.entrypoints.cli.policy_live import served_api
from doorman.errors import Misconfigured, Rejected
from doorman.events.claims import read_claims
from doorman.events.cloudevents import read
from doorman.events.files import read_message
from doorman.models import Action, CloudEvent, Share, is_image_id
from doorman.policy.decision import Decision, decide_shares
from doorman.policy.policy import Policy, load
from doorman.policy.tools import share_file
from doorman.policy.tools.explain import Told, as_json, describe_way, explain

Known = Mapping[str, tuple[Share, Decision]]  # by image, with what would be decided among all that are listed

_STYLES: Final[Mapping[Action, str]] = {"accept": "green", "reject": "red", "hold": "yellow"}

Answer = list[Told] | Rejected
"""What there is to say of one file; or why the functions would answer 400."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "events", nargs="+", metavar="EVENT|IMAGE", help="event files (JSON, a batch, a whole request); images, live"
    )
    parser.add_argument("--project", metavar="PROJECT", help="ask the cloud how these images stand with this project")
    parser.add_argument("--os-cloud", metavar="ENTRY", help="entry of clouds.yaml to log in with (default: OS_CLOUD)")
    parser.add_argument("--policy", metavar="FILE", help="policy file (default: DOORMAN_POLICY, else policy.yaml)")
    parser.add_argument("--shares", metavar="FILE", help="facts of the shares; without it, what the events claim")
    parser.add_argument("--json", action="store_true", help="for programs")


def run(arguments: argparse.Namespace) -> int:
    """Explain every image; 1 where an event would be refused, or nothing is decided of an image that is named.

    Raises:
        Misconfigured: an argument or a variable is wrong.
        Unavailable: the cloud cannot be read now.
    """
    return _explain_live(arguments) if arguments.project else _explain_files(arguments)


def _explain_live(arguments: argparse.Namespace) -> int:
    from doorman.entrypoints.cli.explain_live import check_images, look  # noqa: PLC0415 - event files need no cloud

    told = look(arguments, check_images(arguments.events, hint="; event files go without --project"))
    if arguments.json:
        say_lines(json.dumps([_as_json(each) for each in told], indent=2))
    else:
        _tell(told)
    return 0 if all(each.explanation for each in told) else 1


def _explain_files(arguments: argparse.Namespace) -> int:
    path = arguments.policy or os.environ.get("DOORMAN_POLICY") or "policy.yaml"
    policy = load(read_text(path), file=path, api=served_api())
    listed = share_file.load(read_text(arguments.shares), file=arguments.shares) if arguments.shares else ()
    decided = zip(listed, decide_shares(listed, policy, datetime.now(UTC)), strict=True)
    known = {share.image_id.lower(): (share, decision) for share, decision in decided}
    answers = [(file, _answer(file, policy, known)) for file in arguments.events]
    if arguments.json:
        say_lines(json.dumps([_file_as_json(*each) for each in answers], indent=2))
    else:
        for file, answer in answers:
            _tell_file(file, answer)
    return 1 if any(isinstance(answer, Rejected) for _, answer in answers) else 0


def _answer(file: str, policy: Policy, known: Known) -> Answer:
    if is_image_id(file) and not Path(file).exists():
        raise Misconfigured(f"{file}: no event file; for an image, --project names the project that it is shared with")
    message = read_message(read_bytes(file))
    try:
        events = read(message.headers, message.body)
        return [_look(file, event, each, policy, known) for event in events for each in read_claims(event)]
    except Rejected as error:
        return error


def _look(file: str, event: CloudEvent, claimed: Share, policy: Policy, known: Known) -> Told:
    listed, decision = known.get(claimed.image_id, (None, None))
    share = replace(listed, project_id=claimed.project_id) if listed else claimed
    among = decision if share == listed else None
    is_own = share.owner == share.project_id
    source = "as the list of shares says" if listed else "as the event claims; the functions would ask the cloud"
    said = [
        f"  image {share.image_id} for project {share.project_id}",
        f"  name {share.name or 'unknown'}, owner {share.owner or 'unknown'} ({source})",
    ]
    if share.owner is None:
        said.append("  the event does not say whose image it is: give --shares FILE, or put `owner` into its data")
    return Told(
        share=share,
        heading=f"{file}: {event.type} {event.id}",
        said=said,
        more={
            "event_id": event.id,
            "event_type": event.type,
            "facts_from": "shares" if listed else "event",
            "skipped": "own_image" if is_own else None,
        },
        explanation=None if is_own else explain(share, policy, now=datetime.now(UTC), decision=among),
    )


def _tell_file(file: str, answer: Answer) -> None:
    if isinstance(answer, Rejected):
        say(f"{file}: would be refused: {answer}", style="red")
    elif answer:
        _tell(answer)
    else:
        say(f"{file}: names no images: there is nothing to decide")


def _file_as_json(file: str, answer: Answer) -> dict[str, Any]:
    if isinstance(answer, Rejected):
        return {"file": file, "refused": str(answer), "images": []}
    return {"file": file, "refused": None, "images": [_as_json(told) for told in answer]}


def _tell(some: Sequence[Told]) -> None:
    """Say of each image what is known of it, and how the policy decides; its end has the decision's colour."""
    for told in some:
        why = told.explanation
        say(told.heading, style="bold")
        for line in told.said:
            say(line)
        say(told.end, style=_STYLES[why.decision.action] if why else None)
        for line in describe_way(why) if why else ():
            say(line)
        say()


def _as_json(told: Told) -> dict[str, Any]:
    facts = as_json(told.explanation) if told.explanation else share_file.write([told.share])[0]
    return {**told.more, **facts}
