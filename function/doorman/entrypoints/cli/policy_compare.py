"""`doorman policy diff`: which shares a new policy would decide differently, for merge requests."""

import argparse
import json
from collections.abc import Sequence
from datetime import UTC, datetime

from doorman.entrypoints.cli.output import read_text, say, say_lines
from doorman.policy.decision import Decision, choose_vault, decide, decide_all
from doorman.policy.policy import Policy, compile_policy, load_file
from doorman.policy.schema import PolicyFile
from doorman.policy.tools import share_file
from doorman.policy.tools.diff import Change, Sample, compare, make_samples


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("old", metavar="OLD", help="policy file")
    parser.add_argument("new", metavar="NEW", help="policy file")
    parser.add_argument("--shares", metavar="FILE", help="shares to decide; without it, one is made up for each rule")
    parser.add_argument("--json", action="store_true", help="for programs")


def run(arguments: argparse.Namespace) -> int:
    """Compare; 1 where a share would end differently."""
    now = datetime.now(UTC)
    old, new = _load(arguments.old), _load(arguments.new)
    changes = _compare(arguments.shares, old, new, now)
    if arguments.json:
        say_lines(json.dumps([_as_json(change) for change in changes], indent=2))
    else:
        _tell(changes, "shares" if arguments.shares else "made-up shares")
    return 1 if any(change.is_other_end for change in changes) else 0


def _load(file: str) -> PolicyFile:
    content, _ = load_file(read_text(file), file=file)
    return content


def _compare(shares: str | None, old: PolicyFile, new: PolicyFile, now: datetime) -> list[Change]:
    policies = [compile_policy(old), compile_policy(new)]
    if shares is None:
        samples = make_samples([old, new], now=now)
        before, after = ([decide(each.share, policy, now=now) for each in samples] for policy in policies)
        return compare(samples, before, after)
    listed = share_file.load(read_text(shares), file=shares)
    samples = [Sample(share=share, label=f"image {share.image_id}") for share in listed]
    before, after = ([*_round(samples, policy, now)] for policy in policies)
    return compare(samples, before, after)


def _round(samples: Sequence[Sample], policy: Policy, now: datetime) -> list[Decision]:
    decided = decide_all([each.share for each in samples], policy, now=now)
    return [decided[each.share.image_id] for each in samples]


def _tell(changes: Sequence[Change], what: str) -> None:
    ends = [change for change in changes if change.is_other_end]
    for change in ends:
        share = change.sample.share
        facts = f"{change.sample.label}, owner {share.owner or 'unknown'}, name {share.name or 'unknown'}"
        server = ", full-ECS" if share.full_ecs else ""
        say(f"{facts}{server}: {_word(change, change.old)} -> {_word(change, change.new)}")
    others = len(changes) - len(ends)
    say(f"{len(ends)} {what} would end differently; {others} more would end the same, by another rule or reason")


def _word(change: Change, decision: Decision) -> str:
    vault = choose_vault(decision, change.sample.share, tried=(), vaults=None)
    audit = "audit " if decision.audit else ""
    into = f", vault {vault}" if vault else ""
    return f"{audit}{decision.action} ({decision.rule or 'no rule'}, {decision.reason}{into})"


def _as_json(change: Change) -> dict[str, object]:
    [facts] = share_file.write([change.sample.share])
    sides = {"old": change.old, "new": change.new}
    told = {
        side: {
            "decision": decision.action,
            "rule": decision.rule,
            "reason": decision.reason,
            "audit": decision.audit,
            "vault": choose_vault(decision, change.sample.share, tried=(), vaults=None),
        }
        for side, decision in sides.items()
    }
    return {"sample": change.sample.label, "share": facts, "ends_differently": change.is_other_end, **told}
