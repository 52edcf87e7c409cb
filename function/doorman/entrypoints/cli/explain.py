"""`doorman explain`: what would be decided and why, rule by rule: for event files without any cloud, or images."""

import argparse
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from doorman.entrypoints.cli.output import read_bytes, read_text, say, say_decision, say_lines
from doorman.entrypoints.cli.policy_live import served_api
from doorman.errors import Misconfigured, Rejected
from doorman.events.claims import read_claims
from doorman.events.cloudevents import read
from doorman.events.files import read_message
from doorman.models import Share, is_image_id
from doorman.policy.decision import Decision, decide_shares
from doorman.policy.policy import Policy, load
from doorman.policy.tools import share_file
from doorman.policy.tools.explain import Explanation, as_json, describe_decision, explain

Known = Mapping[str, tuple[Share, Decision]]  # by image, with what would be decided among all that are listed

_CLAIMED: Final = "as the event claims; the functions would ask the cloud"


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One image of one event: its facts, where they come from, and the decision; None where it is the project's own."""

    event_id: str
    event_type: str
    share: Share
    source: str
    explanation: Explanation | None


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
    """Explain every image of every event; 1 where an event would be refused."""
    if arguments.project:
        from doorman.entrypoints.cli import explain_live  # noqa: PLC0415 - event files need no cloud

        return explain_live.run(arguments)
    return _explain_files(arguments)


def _explain_files(arguments: argparse.Namespace) -> int:
    path = arguments.policy or os.environ.get("DOORMAN_POLICY") or "policy.yaml"
    policy = load(read_text(path), file=path, api=served_api())
    listed = share_file.load(read_text(arguments.shares), file=arguments.shares) if arguments.shares else ()
    decided = zip(listed, decide_shares(listed, policy, datetime.now(UTC)), strict=True)
    known = {share.image_id.lower(): (share, decision) for share, decision in decided}
    answers = [(file, _answer(file, policy, known)) for file in arguments.events]
    if arguments.json:
        say_lines(json.dumps([_as_json(*each) for each in answers], indent=2))
    else:
        for file, answer in answers:
            _tell(file, answer)
    return 1 if any(isinstance(answer, Rejected) for _, answer in answers) else 0


def _answer(file: str, policy: Policy, known: Known) -> Answer:
    if is_image_id(file) and not Path(file).exists():
        raise Misconfigured(f"{file}: no event file; for an image, --project names the project that it is shared with")
    message = read_message(read_bytes(file))
    try:
        return list(_images(message.headers, message.body, policy, known))
    except Rejected as error:
        return error


def _images(headers: Mapping[str, str], body: bytes, policy: Policy, known: Known) -> Iterator[Told]:
    for event in read(headers, body):
        for claimed in read_claims(event):
            listed, decision = known.get(claimed.image_id, (None, None))
            share = replace(listed, project_id=claimed.project_id) if listed else claimed
            among = decision if share == listed else None
            why = explain(share, policy, now=datetime.now(UTC), decision=among)
            yield Told(
                event_id=event.id,
                event_type=event.type,
                share=share,
                source="as the list of shares says" if listed else _CLAIMED,
                explanation=None if share.owner == share.project_id else why,
            )


def _tell(file: str, answer: Answer) -> None:
    if isinstance(answer, Rejected):
        say(f"{file}: would be refused: {answer}", style="red")
        return
    if not answer:
        say(f"{file}: names no images: there is nothing to decide")
    for told in answer:
        share = told.share
        say(f"{file}: {told.event_type} {told.event_id}", style="bold")
        say(f"  image {share.image_id} for project {share.project_id}")
        say(f"  name {share.name or 'unknown'}, owner {share.owner or 'unknown'} ({told.source})")
        if share.owner is None:
            say("  the event does not say whose image it is: give --shares FILE, or put `owner` into its data")
        if told.explanation is None:
            say("  would be skipped: own_image, the project's own image is no share")
        else:
            say_decision(told.explanation.decision.action, describe_decision(told.explanation))
        say()


def _as_json(file: str, answer: Answer) -> dict[str, Any]:
    images = [
        {
            "event_id": told.event_id,
            "event_type": told.event_type,
            "facts_from": "event" if told.source == _CLAIMED else "shares",
            "skipped": "own_image" if told.explanation is None else None,
            **(as_json(told.explanation) if told.explanation else share_file.write([told.share])[0]),
        }
        for told in ([] if isinstance(answer, Rejected) else answer)
    ]
    return {"file": file, "refused": str(answer) if isinstance(answer, Rejected) else None, "images": images}
