"""`doorman policy diff`: which shares a new policy would decide differently, for merge requests."""

import argparse
import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

from doorman.entrypoints.cli.output import complain, read_text, say, say_lines
from doorman.entrypoints.cli.policy_live import look, served_api
from doorman.models import Share
from doorman.policy.decision import Decision, decide_shares
from doorman.policy.policy import compile_policy, load_file
from doorman.policy.schema import PolicyFile
from doorman.policy.tools import share_file
from doorman.policy.tools.diff import Change, Comparison, compare, compare_policies
from doorman.policy.tools.explain import describe_vault
from doorman.policy.vault_choice import choose

_CUT: Final = "the policies are too large to be compared in full: give --shares FILE, or --live"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("old", metavar="OLD", help="policy file")
    parser.add_argument("new", metavar="NEW", help="policy file")
    parser.add_argument(
        "--shares", metavar="FILE", help="shares to decide; without it, made-up ones for all that differs"
    )
    parser.add_argument(
        "--live", action="store_true", help="decide the pending and settled shares of the served projects"
    )
    parser.add_argument("--json", action="store_true", help="for programs")


def run(arguments: argparse.Namespace) -> int:
    """Compare; 1 where a share would end differently."""
    now = datetime.now(UTC)
    old, new = (load_file(read_text(file), file=file, api=served_api())[0] for file in (arguments.old, arguments.new))
    policies = [compile_policy(each) for each in (old, new)]
    shares = _read_shares(arguments)
    if shares is None:
        compared = compare_policies(*policies, now=now)
    else:
        before, after = (decide_shares(shares, policy, now) for policy in policies)
        compared = Comparison(changes=tuple(compare(shares, before, after)))
    beside = list(_beside(old, new))
    if arguments.json:
        same = {"share": None, "ends_differently": True}
        told = [{"sample": key, **same, "old": was, "new": becomes} for key, was, becomes in beside]
        say_lines(json.dumps([*told, *map(_as_json, compared.changes)], indent=2))
        if not compared.is_whole:
            complain(_CUT)
    else:
        for key, was, becomes in beside:
            say(f"{key}: {json.dumps(was)} -> {json.dumps(becomes)}")
        _tell(compared, "made-up shares" if shares is None else "shares")
    return 1 if beside or any(change.is_other_end for change in compared.changes) else 0


def _beside(old: PolicyFile, new: PolicyFile) -> Iterator[tuple[str, object, object]]:
    """Give what differs and shows in no single share: limits count many, and `reconcile` is about what was settled."""
    for key in ("limits", "reconcile"):
        before, after = (getattr(each, key).model_dump(exclude_none=True) for each in (old, new))
        if before != after:
            yield key, before, after


def _read_shares(arguments: argparse.Namespace) -> Sequence[Share] | None:
    if arguments.shares:
        return share_file.load(read_text(arguments.shares), file=arguments.shares)
    return look().shares if arguments.live else None


def _tell(compared: Comparison, what: str) -> None:
    ends = [change for change in compared.changes if change.is_other_end]
    for change in ends:
        share, facts = change.share, change.label
        if facts.startswith("image "):
            server = ", full-ECS" if share.full_ecs else ""
            facts += f", owner {share.owner or 'unknown'}, name {share.name or 'unknown'}{server}"
        say(f"{facts}: {_word(change.old)} -> {_word(change.new)}")
    if not compared.is_whole:
        say(_CUT, style="yellow")
    others = len(compared.changes) - len(ends)
    say(f"{len(ends)} {what} would end differently; {others} more would end the same, by another rule or reason")


def _word(decision: Decision) -> str:
    audit = "audit " if decision.audit else ""
    vaults = ", then ".join(describe_vault(entry) for entry in decision.vaults)
    into = f", vault {vaults}" if vaults else ""
    return f"{audit}{decision.action} ({decision.rule or 'no rule'}, {decision.reason}{into})"


def _as_json(change: Change) -> dict[str, object]:
    [facts] = share_file.write([change.share])
    sides = {"old": change.old, "new": change.new}
    told = {
        side: {
            "decision": decision.action,
            "rule": decision.rule,
            "reason": decision.reason,
            "audit": decision.audit,
            "vault": choose(decision.vaults, change.share, tried=(), vaults=None),
        }
        for side, decision in sides.items()
    }
    return {"sample": change.label, "share": facts, "ends_differently": change.is_other_end, **told}
