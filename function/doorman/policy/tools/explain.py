"""Explains a decision rule by rule: which condition matched, which failed, and the value seen. Decides nothing itself.

The decision comes from `decision`; this asks the same rules the same questions again, without any shortcut.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from doorman.models import Action, Share
from doorman.policy.decision import SETTLED, Decision, decide_shares, needs_vaults, waits
from doorman.policy.policy import Policy, Rule, VaultRule

OWN_IMAGE: Final = "would be skipped: own_image, the project's own image is no share"

_WORDS: Final[Mapping[Action, str]] = {"accept": "accepted", "reject": "rejected", "hold": "held"}
_MATCHES: Final = {True: "matches", False: "fails", None: "unknown, so it cannot match"}


class Verdict(StrEnum):
    """What became of one rule."""

    MATCHED = "matched"
    TRIED = "tried"
    FAILED = "failed"
    UNKNOWN = "unknown"
    NOT_REACHED = "not reached"
    AT_DOOR = "asked only when a share comes in"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One condition of a rule, asked: `matches` is None where the fact is unknown."""

    condition: str
    wanted: str
    seen: str
    matches: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One rule or exception, asked; `conditions` is empty where it was not reached, or has no conditions."""

    rule: str
    section: str
    decision: Action
    mode: str
    verdict: Verdict
    conditions: list[Finding]


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """A decision and the way to it."""

    share: Share
    decision: Decision
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One image that somebody asks about, and what there is to say of it.

    Attributes:
        heading: which image, or of which event.
        said: what is known of it, in lines.
        more: what programs are told beside the facts.
        explanation: None where nothing is decided.
        undecided: why nothing is decided.
    """

    share: Share
    heading: str
    said: Sequence[str]
    more: Mapping[str, Any]
    explanation: Explanation | None
    undecided: str = OWN_IMAGE

    @property
    def end(self) -> str:
        """What would become of it."""
        return f"  {_describe_end(self.explanation) if self.explanation else self.undecided}"


def explain(share: Share, policy: Policy, *, now: datetime, decision: Decision | None = None) -> Explanation:
    """Tell the way to a decision, rule by rule: that of a share that comes in, or was settled, as it is.

    Args:
        share: facts, None where unknown.
        policy: the rules.
        now: with its time zone.
        decision: what `decide_shares` gave for it among others; None: it stands alone.
    """
    [alone] = decide_shares([share], policy, now)
    return Explanation(share=share, decision=decision or alone, steps=tuple(_steps(share, policy.rules, now)))


def as_json(explanation: Explanation) -> dict[str, Any]:
    """Return the explanation as plain values for programs."""
    decision = explanation.decision
    return {
        "image_id": explanation.share.image_id,
        "project_id": explanation.share.project_id,
        "name": explanation.share.name,
        "owner": explanation.share.owner,
        "decision": decision.action,
        "reason": decision.reason,
        "rule": decision.rule,
        "audit": decision.audit,
        "facts": dict(decision.facts),
        "vaults": [describe_vault(entry) for entry in decision.vaults],
        "needs_vault_list": needs_vaults(decision),
        "trials": [{"rule": trial.rule, "decision": trial.action, "reason": trial.reason} for trial in decision.trials],
        "rules": [asdict(step) for step in explanation.steps],
    }


def _describe_end(explanation: Explanation) -> str:
    decision = explanation.decision
    why = f"{decision.reason} ({decision.failed_condition})" if decision.failed_condition else decision.reason
    unruled = "by default, since no rule matches" if explanation.share.owner else "whatever the rules say"
    by = f"rule {decision.rule}" if decision.rule else unruled
    audit = ", in audit mode: only told, not done" if decision.audit else ""
    return f"would be {_WORDS[decision.action]}: {why}, {by}{audit}"


def describe_way(explanation: Explanation) -> Iterator[str]:
    """Say in lines what a decision rests on, and how each rule took part in it."""
    decision = explanation.decision
    yield from (f"    rests on {fact}: {value}" for fact, value in decision.facts.items())
    for number, entry in enumerate(decision.vaults):
        yield f"    {'then ' if number else ''}vault {describe_vault(entry)}"
    for trial in decision.trials:
        yield f"    on trial: rule {trial.rule} would have {_WORDS[trial.action]} it ({trial.reason})"
    for step in explanation.steps:
        yield from _describe_step(step)


def _describe_step(step: Step) -> Iterator[str]:
    kind = "exception" if step.section == "exceptions" else "rule"
    mode = ", in audit mode" if step.mode == "audit" else ""
    yield f"    {kind} {step.rule} ({step.decision}{mode}): {step.verdict}"
    for each in step.conditions:
        yield f"      {each.condition}: wants {each.wanted}; sees {each.seen}: {_MATCHES[each.matches]}"


def describe_vault(entry: VaultRule) -> str:
    """Say in words where an entry of `vaults` sends images."""
    if entry.vault is not None:
        return entry.vault
    free = f", if that is {entry.min_free} GB" if entry.min_free else ""
    if entry.candidates:
        return f"the one of {', '.join(entry.candidates)} with the most room{free}"
    tags = ", ".join(f"{key}={value}" for key, value in sorted(entry.tags))
    return f"the one tagged {tags} with the most room{free}"


def _steps(share: Share, rules: tuple[Rule, ...], now: datetime) -> Iterator[Step]:
    decided = share.owner is None  # then no rule is asked
    for rule in rules:
        is_late = bool(rule.at_door) and not waits(share) and rule.action != SETTLED.get(share.member_status)
        findings = [] if decided or is_late else list(_findings(rule, share, now))
        verdict = Verdict.NOT_REACHED if decided else Verdict.AT_DOOR if is_late else _verdict(rule, findings)
        decided = decided or verdict is Verdict.MATCHED
        yield Step(
            rule=rule.name,
            section="exceptions" if rule.exception else "rules",
            decision=rule.action,
            mode="audit" if rule.audit else "enforce",
            verdict=verdict,
            conditions=findings,
        )


def _findings(rule: Rule, share: Share, now: datetime) -> Iterator[Finding]:
    for each in rule.conditions if waits(share) else (each for each in rule.conditions if not each.is_at_door):
        seen = each.read(share, now)
        yield Finding(condition=each.key, wanted=each.wanted, seen=seen, matches=each.test(share, now))


def _verdict(rule: Rule, findings: list[Finding]) -> Verdict:
    matches = [finding.matches for finding in findings]
    if False in matches:
        return Verdict.FAILED
    if None in matches:
        return Verdict.UNKNOWN
    return Verdict.TRIED if rule.audit else Verdict.MATCHED
